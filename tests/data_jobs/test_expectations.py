"""Each action does what it says, and counts what it caught."""

from collections import Counter

import polars as pl
import pytest

from data_jobs.catalogue import TABLES
from data_jobs.declaration import ROW, Action, Expectation, Kind, Table
from data_jobs.expectations import find_failure, judge

ROWS = pl.DataFrame({"n": [1, -1, None, 50]}).with_row_index(ROW)
POSITIVE = pl.col("n") > 0


def test_a_warning_keeps_the_row_and_null_counts_as_broken() -> None:
    accepted, refused, caught = judge(ROWS, [Expectation("positive", POSITIVE, Action.WARN, "n is not positive.")])
    assert (accepted.height, refused.height, caught) == (4, 0, {"positive": 2})


def test_a_dropped_row_is_gone_and_counted() -> None:
    accepted, refused, caught = judge(ROWS, [Expectation("positive", POSITIVE, Action.DROP, "n is not positive.")])
    assert (accepted["n"].to_list(), refused.height, caught) == ([1, 50], 0, {"positive": 2})


def test_a_quarantined_row_is_counted_under_the_first_expectation_it_broke() -> None:
    known = Expectation("known", pl.col("n").is_not_null(), Action.QUARANTINE, "n is missing.")
    positive = Expectation("positive", POSITIVE, Action.QUARANTINE, "n is not positive.")
    accepted, refused, caught = judge(ROWS, [known, positive])
    assert accepted["n"].to_list() == [1, 50]
    assert refused.sort(ROW).rows() == [(1, "positive", "n is not positive."), (2, "known", "n is missing.")]
    assert caught == {"known": 1, "positive": 1}


def test_a_failing_expectation_stops_the_batch_with_the_rows_of_all_its_slices_in_words() -> None:
    must = [
        Expectation("known", pl.col("n").is_not_null(), Action.WARN, "n is missing."),
        Expectation("positive", POSITIVE, Action.FAIL, "n is not positive."),
    ]
    slices = [Counter(judge(rows, must)[2]) for rows in (ROWS.head(2), ROWS.tail(2))]
    assert find_failure(must, slices[0] + slices[1]) == "2 rows break positive: n is not positive."
    assert find_failure(must, slices[0]) == "1 row breaks positive: n is not positive."
    assert find_failure(must, {"known": 3}) is None


def test_a_row_that_is_refused_is_not_counted_by_the_other_actions() -> None:
    known = Expectation("known", pl.col("n").is_not_null(), Action.QUARANTINE, "n is missing.")
    others = [
        Expectation("below_ten", pl.col("n") < 10, Action.DROP, "n is large."),
        Expectation("positive", POSITIVE, Action.WARN, "n is not positive."),
    ]
    accepted, refused, caught = judge(ROWS, [known, *others])
    assert (accepted["n"].to_list(), refused[ROW].to_list()) == ([1, -1], [2])
    assert caught == {"known": 1, "below_ten": 1, "positive": 1}


def test_rows_without_a_number_can_be_judged_by_every_action_but_quarantine() -> None:
    accepted, refused, caught = judge(ROWS.drop(ROW), [Expectation("positive", POSITIVE, Action.DROP, "No.")])
    assert (accepted.columns, refused.height, caught) == (["n"], 0, {"positive": 2})


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_expects_only_what_its_runner_can_do(table: Table) -> None:
    actions = {expectation.action for expectation in table.expectations}
    if Action.QUARANTINE in actions:
        assert table.quarantine is not None, "refused rows need somewhere to go"
        assert not isinstance(table.source, Table), "what is quarantined is what was received"
    if table.kind is Kind.FOLDED:
        assert Action.DROP not in actions, "a sum that is dropped is lost"
    assert table.kind is not Kind.FILLED or not actions, "nobody judges rows of a job of its own"
    assert len({expectation.name for expectation in table.expectations}) == len(table.expectations)


def test_without_expectations_every_row_is_accepted() -> None:
    accepted, refused, caught = judge(ROWS, [])
    assert (accepted.height, refused.height, caught) == (4, 0, {})
