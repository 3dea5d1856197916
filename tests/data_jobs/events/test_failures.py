"""A batch that fails is told in words, stops its own table only, and goes on when it may."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from data_jobs import catalogue
from data_jobs.batches import refine
from data_jobs.declaration import Action, Expectation, Table
from data_jobs.events.failures import recording_failures
from data_jobs.events.log import list_events, record_events
from data_jobs.refinement import Refinery, refine_round
from data_jobs.tables import gold_customer_profiles, gold_product_sales, silver_receipt_lines, silver_receipts
from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import land, refine_here, rows_of, run_here
from tests.fixtures.retail import make_receipt

CHEAP = Expectation("cheap", pl.col("total_cents") < 2_000, Action.FAIL, "A receipt costs twenty dollars or more.")


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Let the catalogue find a table under another declaration."""

    def declared(table: Table) -> Table:
        monkeypatch.setitem(catalogue._BY_NAME, table.name, table)
        tables = tuple(table if each.name == table.name else each for each in catalogue.TABLES)
        monkeypatch.setattr(catalogue, "TABLES", tables)  # the real code runs, on another declaration
        return table

    return declared


def test_a_batch_that_must_fail_commits_nothing_and_other_tables_go_on(lake_with_stores: Lake, declare) -> None:
    lake = lake_with_stores
    land(lake, bronze.RECEIPTS, [make_receipt()])
    refine_here(lake)
    must = (*silver_receipts.TABLE.expectations, CHEAP)
    strict = declare(replace(silver_receipts.TABLE, expectations=must))
    land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=2, tax_cents=5_000), make_receipt(sequence_number=3)])
    files = set(Path(lake.uri("silver.receipts")).glob("*.parquet"))
    batch = refine(lake, strict, run_here, parallelism=2)
    assert batch is not None
    sentence = "1 row breaks cheap: A receipt costs twenty dollars or more."
    assert batch.error == sentence
    assert str(batch) == f"silver.receipts stays where it was, after version 1 of bronze.receipts: {sentence}"
    assert set(Path(lake.uri("silver.receipts")).glob("*.parquet")) == files
    assert rows_of(lake, "silver.receipts").height == 1
    batch = refine(lake, silver_receipts.TABLE, run_here, parallelism=2)
    assert batch is not None
    assert batch.error is None
    assert rows_of(lake, "silver.receipts").height == 3


def test_one_failing_table_does_not_hold_up_the_others(lake_with_stores: Lake, declare) -> None:
    never = Expectation("never", pl.lit(value=False), Action.FAIL, "Nothing may come here.")
    declare(replace(gold_product_sales.TABLE, expectations=(never,)))
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
    batches = refine_here(lake_with_stores)
    assert {batch.table for batch in batches if batch.error} == {"gold.product_sales"}
    assert rows_of(lake_with_stores, "gold.customer_profiles").height == 1
    assert rows_of(lake_with_stores, "gold.product_sales").is_empty()


def test_a_batch_that_failed_is_tried_again_in_the_next_round(lake_with_stores: Lake, declare) -> None:
    never = Expectation("never", pl.lit(value=False), Action.FAIL, "Nothing may come here.")
    declare(replace(gold_product_sales.TABLE, expectations=(never,)))
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
    refinery = Refinery(lake_with_stores, run_here, parallelism=2)
    for _ in range(2):
        assert [batch.table for batch in refine_round(refinery) if batch.error] == ["gold.product_sales"]
    declare(gold_product_sales.TABLE)
    assert [batch.table for batch in refine_round(refinery)] == ["gold.product_sales"]


def test_a_failure_is_told_once_with_what_was_read_and_counted(lake_with_stores: Lake, declare) -> None:
    strict = declare(replace(silver_receipts.TABLE, expectations=(replace(CHEAP, holds=pl.col("total_cents") < 5),)))
    refine_here(lake_with_stores)
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(), make_receipt(sequence_number=2)])
    for _ in range(2):
        refine(lake_with_stores, strict, run_here, parallelism=2)
    record_events(lake_with_stores)
    (event,) = [each for each in list_events(lake_with_stores, "silver.receipts") if each.error]
    assert event.error == "2 rows break cheap: A receipt costs twenty dollars or more."
    assert (event.version, event.counts["rows_in"], event.caught) == (None, 2, {"cheap": 2})
    assert (event.inputs[0].table, event.inputs[0].to_version) == ("bronze.receipts", 1)


def test_what_ends_the_process_is_recorded_before(lake: Lake) -> None:
    with pytest.raises(ZeroDivisionError), recording_failures(lake, "silver.receipts"):
        raise ZeroDivisionError("division by zero")
    (event,) = list_events(lake)
    assert event.error == "ZeroDivisionError: division by zero"


def test_rows_of_a_derived_table_are_dropped_and_counted(lake_with_stores: Lake, declare) -> None:
    dairy = Expectation("not_deli", pl.col("department") != "DELI", Action.DROP, "Deli is sold elsewhere.")
    declare(replace(silver_receipt_lines.TABLE, expectations=(dairy,)))
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
    refine_here(lake_with_stores)
    assert rows_of(lake_with_stores, "silver.receipt_lines")["department"].to_list() == ["GROCERY"]
    (event,) = list_events(lake_with_stores, "silver.receipt_lines")
    assert (event.counts["judged"], event.caught) == (2, {"not_deli": 1})


def test_rows_of_a_fold_are_warned_of(lake_with_stores: Lake, declare) -> None:
    few = Expectation("regular", pl.col("visits") > 5, Action.WARN, "Few visits.")
    declare(replace(gold_customer_profiles.TABLE, expectations=(few,)))
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
    refine_here(lake_with_stores)
    (event,) = list_events(lake_with_stores, "gold.customer_profiles")
    assert (event.counts["judged"], event.caught) == (1, {"regular": 1})
