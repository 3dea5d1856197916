"""A declaration that moved on: columns are added, anything else is refused in words."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from data_jobs.catalogue import find_table
from data_jobs.upkeep.compaction import compact_next
from data_jobs.upkeep.evolution import SchemaRefused, open_evolved
from data_jobs.upkeep.maintained import find_kept
from receipts import bronze
from receipts.lake import Lake, LakeTable
from tests.data_jobs.landing import RECEIVED_AT, land, refine_here, rows_of
from tests.fixtures.retail import make_receipt

TABLE = LakeTable(
    "silver.things", pa.schema([pa.field("thing", pa.string()), pa.field("cents", pa.int64())]), ("cents",)
)


def _declared(*fields: pa.Field) -> LakeTable:
    return replace(TABLE, schema=pa.schema([*TABLE.schema, *fields]))


def test_a_new_column_is_added_and_null_in_old_rows(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    land(lake, bronze.RECEIPTS, [make_receipt()])
    refine_here(lake)
    table = find_table("silver.products").lake_table
    wider = replace(table, schema=table.schema.append(pa.field("brand", pa.string())))
    handle = open_evolved(lake, wider)
    assert [field.name for field in handle.schema().fields][-1] == "brand"
    assert rows_of(lake, table.name)["brand"].to_list() == [None, None]
    assert open_evolved(lake, wider).version() == handle.version()


def test_what_is_declared_as_it_is_held_stays_as_it_is(lake: Lake) -> None:
    assert open_evolved(lake, TABLE).version() == open_evolved(lake, TABLE).version() == 0


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        (replace(TABLE, schema=TABLE.schema.remove(0)), "holds the column thing, which is no longer declared"),
        (
            replace(TABLE, schema=TABLE.schema.set(1, pa.field("cents", pa.string()))),
            "holds cents as long, and it is declared as string. Give the new type a column of a new name",
        ),
        (_declared(pa.field("day", pa.date32(), nullable=False)), "declared as never null"),
    ],
)
def test_anything_else_is_refused_and_says_what_to_do(lake: Lake, declared: LakeTable, sentence: str) -> None:
    open_evolved(lake, TABLE)
    with pytest.raises(SchemaRefused) as refused:
        open_evolved(lake, declared)
    assert sentence in str(refused.value)
    assert "refined anew" in str(refused.value)
    assert lake.open(TABLE.name).version() == 0


def test_rows_of_both_shapes_are_read_together(lake: Lake) -> None:
    wider = _declared(pa.field("colour", pa.string()))
    old = pl.DataFrame({"thing": ["a"], "cents": [1]})
    old.write_delta(lake.uri(open_evolved(lake, TABLE) and TABLE.name), mode="append")
    open_evolved(lake, wider)
    old.with_columns(colour=pl.lit("red")).write_delta(lake.uri(TABLE.name), mode="append")
    assert rows_of(lake, TABLE.name).sort("colour", nulls_last=True)["colour"].to_list() == ["red", None]


def test_a_table_of_an_older_declaration_goes_on_where_it_was(lake_with_stores: Lake, tmp_path: Path) -> None:
    made, table = lake_with_stores, find_table("silver.receipts")
    land(made, bronze.RECEIPTS, [make_receipt(), make_receipt(sequence_number=2)])
    refine_here(made)
    old = Lake(str(tmp_path / "old"))
    for name in ("bronze", "silver/stores", "silver/quarantine"):
        shutil.copytree(f"{made.root}/{name}", f"{old.root}/{name}")
    lacking = table.schema.remove(table.schema.get_field_index("discount_cents"))
    rows = rows_of(made, table.name).drop("discount_cents")
    read = CommitProperties(app_transactions=[Transaction(table.cursor, made.open("bronze.receipts").version())])
    handle = old.ensure(replace(table.lake_table, schema=lacking))
    write_deltalake(handle, rows.to_arrow().cast(lacking), mode="append", commit_properties=read)
    refine_here(old)  # what follows it reads files that lack the column
    assert rows_of(old, "silver.receipt_lines").height == 4
    assert rows_of(old, "gold.store_days")["discount_cents"].to_list() == [0]
    assert rows_of(old, table.name)["discount_cents"].to_list() == [None, None]
    land(old, bronze.RECEIPTS, [make_receipt(customer_id="C9")], RECEIVED_AT + timedelta(hours=1))
    refine_here(old)
    by_customer = dict(rows_of(old, table.name)["customer_id", "discount_cents"].iter_rows())
    expected = rows_of(made, table.name)["discount_cents"][0]
    assert by_customer == {"C0000001": None, "C9": expected}
    assert compact_next(old, find_kept(table.name), thorough=True) is None  # too few files to be worth it
    assert rows_of(old, "gold.customer_profiles").height == 2
