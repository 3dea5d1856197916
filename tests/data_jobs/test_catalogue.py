"""The catalogue lists what the folder holds, in an order that works."""

import importlib
from pathlib import Path

import pyarrow as pa
import pytest

import data_jobs.tables
from data_jobs.catalogue import TABLES, find_table, in_order, made_from
from data_jobs.declaration import Kind, Personal
from receipts.errors import InvalidInput

PERSONAL = {"customer_id", "document", "payload", "card_last4", "record_key", "receipt_id", "subject_id"}
PERSONAL |= {
    "customer_ids",
    "receipt_ids",
    "first_name",
    "last_name",
    "name_norm",
    "email",
    "email_norm",
    "phone",
    "phone_norm",
    "street",
    "postal_code",
}


def test_the_catalogue_equals_the_folder() -> None:
    modules = {path.stem for path in Path(data_jobs.tables.__path__[0]).glob("*.py")} - {"__init__"}
    tables = {importlib.import_module(f"data_jobs.tables.{module}").TABLE.name for module in modules}
    assert {table.name for table in TABLES} == tables
    assert {table.name.replace(".", "_") for table in TABLES} == modules


def test_every_table_comes_after_those_it_is_made_from() -> None:
    order = in_order()
    assert set(order) == set(TABLES)
    for table in order:
        assert all(order.index(source) < order.index(table) for source in made_from(table))


def test_one_table_brings_all_it_is_made_from_and_no_others() -> None:
    names = [table.name for table in in_order(find_table("silver.products"))]
    assert names == ["silver.stores", "silver.receipts", "silver.receipt_lines", "silver.products"]


def test_an_unknown_table_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"silver\.recipes is not one of .*silver\.receipts"):
        find_table("silver.recipes")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_declaration_holds_together(table) -> None:
    columns = set(table.schema.names)
    assert table.grain.endswith(".")
    assert {*table.key, *table.sequence, *table.statistics} <= columns
    assert table.clustered_by is None or table.clustered_by in table.statistics
    assert not set(table.partitions) & set(table.statistics), "the log has partitions by themselves"
    assert all(table.schema.field(name).type == pa.date32() for name in table.partitions)
    assert table.kind is Kind.LATEST or table.clustered_by in {None, *table.key}, (
        "what is gone is known by its key only"
    )
    assert not PERSONAL & set(table.statistics), "the log outlives the rows"
    assert (table.transform is not None) == (table.kind in (Kind.LATEST, Kind.DERIVED))
    assert table.link is None or (table.kind is Kind.DERIVED and len(table.key) == 2 and table.partitioned_by)
    assert (table.fold is not None) == (table.kind is Kind.FOLDED)
    if table.kind is not Kind.FILLED:
        assert {table.slice_by, *table.columns} - {""} <= set(table.source.schema.names)
    assert (table.personal is Personal.NONE) == (not PERSONAL & columns), "the class follows from the columns"
    if table.retention is not None:
        assert table.retention.column in table.statistics, "whole files expire by what the log says of them"
    if table.fold is not None and not table.fold.invertible:
        assert table.slice_by == table.key[0], "its rows are found by what they are sliced by"
    if table.served_as is not None:
        assert {name for expr in table.served_as.columns.values() for name in expr.meta.root_names()} <= columns
