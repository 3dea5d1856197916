"""Each action does what it says, and counts what it caught."""

import polars as pl
import pytest

from data_jobs.declaration import ROW, Action, Expectation
from data_jobs.expectations import ExpectationFailed, judge

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


def test_a_failing_expectation_stops_the_batch_in_words() -> None:
    with pytest.raises(ExpectationFailed, match=r"2 rows break positive: n is not positive\."):
        judge(ROWS, [Expectation("positive", POSITIVE, Action.FAIL, "n is not positive.")])


def test_without_expectations_every_row_is_accepted() -> None:
    accepted, refused, caught = judge(ROWS, [])
    assert (accepted.height, refused.height, caught) == (4, 0, {})
