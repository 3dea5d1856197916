"""Rows reach a relation the same way, whether they come whole or behind what tells their version."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from configs.settings import Settings
from data_jobs.catalogue import find_table
from data_jobs.sync_writing import Written, list_types, render, served, write, write_rendered
from receipts import bronze
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake
from tests.data_jobs.landing import land, refine_here, rows_of
from tests.fixtures.retail import make_receipt

RECEIPTS, PRODUCTS = find_table("silver.receipts"), find_table("silver.products")
COUNT = 8
_OTHER = "UPDATE retail.receipts SET payload_digest = 'other', document = 'other'"
# What may stand in Postgres where a receipt arrives, made of the very version that arrives.
STANDING = {
    "nothing": "DELETE FROM retail.receipts",
    "confirmed": "UPDATE retail.receipts SET total_cents = total_cents",
    "waiting": "UPDATE retail.receipts SET refined_at = NULL",
    "another": _OTHER,
    "another that waits": f"{_OTHER}, refined_at = NULL, received_at = received_at - interval '1 hour'",
    "another received later": f"{_OTHER}, refined_at = NULL, received_at = received_at + interval '1 hour'",
}
SAME, KEPT = ("confirmed", "waiting"), "another received later"


@pytest.fixture
def pipeline(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection as the pipeline's own role."""
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        yield connection


@pytest.fixture
def rows(lake_with_stores: Lake) -> pl.DataFrame:
    """Refined receipts."""
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt(sequence_number=n) for n in range(1, COUNT + 1)])
    refine_here(lake_with_stores)
    return rows_of(lake_with_stores, "silver.receipts").sort("receipt_id")


def write_whole(connection: psycopg.Connection[Any], rows: pl.DataFrame) -> Written:
    return write_rendered(connection, RECEIPTS, render(RECEIPTS, rows, list_types(connection, RECEIPTS)))


def stand(connection: psycopg.Connection[Any], ids: Sequence[str], standing: Sequence[str]) -> None:
    for receipt_id, name in zip(ids, standing, strict=True):
        connection.execute(f"{STANDING[name]} WHERE receipt_id = %s".encode(), [receipt_id])


def held(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT * FROM retail.receipts ORDER BY receipt_id").fetchall()


@given(standing=st.lists(st.sampled_from(list(STANDING)), min_size=COUNT, max_size=COUNT))
@example(standing=["nothing"] * COUNT)
@example(standing=["waiting"] * COUNT)
@example(standing=[*STANDING, "waiting", "nothing"])
# Each example is rolled back.
@hypothesis_settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_keys_that_go_ahead_come_to_the_same_as_whole_rows(
    pipeline: psycopg.Connection[Any], rows: pl.DataFrame, standing: list[str]
) -> None:
    with pipeline.transaction(force_rollback=True):
        write_whole(pipeline, rows)
        stand(pipeline, rows["receipt_id"].to_list(), standing)
        with pipeline.transaction(force_rollback=True):
            by_whole, whole = write_whole(pipeline, rows), held(pipeline)
        by_keys = write(pipeline, RECEIPTS, rows.sample(fraction=1, shuffle=True, seed=1))
        assert held(pipeline) == whole
        assert pipeline.execute("SELECT * FROM sync.arriving_receipts").fetchall() == []
    same = sum(standing.count(name) for name in SAME)
    assert by_keys == by_whole == Written(COUNT - same - standing.count(KEPT), same)


def test_documents_that_are_there_already_are_not_sent(pipeline: psycopg.Connection[Any], rows: pl.DataFrame) -> None:
    size = "SELECT pg_relation_size('sync.arriving_receipts')"
    with pipeline.transaction():
        write_whole(pipeline, rows)
    with pipeline.transaction():
        pipeline.execute("TRUNCATE sync.arriving_receipts")  # a new file: what comes in grows it
        assert write(pipeline, RECEIPTS, pl.concat([rows] * 3)).confirmed == 3 * COUNT
        assert pipeline.execute(size).fetchone() == (8192,)
        assert rows["document"].str.len_bytes().sum() * 3 > 2 * 8192


def test_nothing_to_write_is_nothing_written(pipeline: psycopg.Connection[Any], rows: pl.DataFrame) -> None:
    with pipeline.transaction():
        assert write(pipeline, RECEIPTS, rows.clear()) == Written()
    assert held(pipeline) == []


def test_receipts_are_written_in_chunks_of_which_some_are_there(
    pipeline: psycopg.Connection[Any], rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_jobs.sync_writing._STATEMENT_ROWS", 3)
    with pipeline.transaction():
        assert write(pipeline, RECEIPTS, rows.head(4)) == Written(4)
        assert write(pipeline, RECEIPTS, rows) == Written(COUNT - 4, 4)
    assert len(held(pipeline)) == COUNT


def test_no_character_of_a_text_is_taken_for_one_of_the_copy_format(
    owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    texts = ["a\tb", "a\nb\r\nc", "\\.", "\n\\.\n", "\\N", "", "\\x41", '"', "käse \U0001f9c0"]
    columns = {name: texts for name in PRODUCTS.schema.names if name in served(PRODUCTS).columns}
    rows = pl.DataFrame({**columns, "sku": [str(number) for number in range(len(texts))]})
    with pipeline.transaction():
        assert write(pipeline, PRODUCTS, rows).written == len(texts)
    found = owner.execute("SELECT description FROM retail.products ORDER BY sku::integer").fetchall()
    assert [row[0] for row in found] == texts
