"""Lineage is found by trial: it follows the declarations, and what cannot be found out fails here."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl
import pytest

from data_jobs.catalogue import TABLES
from data_jobs.lineage.columns import Trace, fields_by_table, find_field, list_edges, trace_down, trace_up
from data_jobs.lineage.leaves import collect_leaves
from data_jobs.lineage.sample import bronze_sample
from data_jobs.lineage.trials import Effect, find_effects, make_rows, settle
from data_jobs.tables import silver_receipts, silver_stores
from receipts import bronze
from receipts.errors import InvalidInput
from receipts.models import Customer, Line, Receipt, Store, Tender

# Fields that are made of nothing that was read.
CONSTANT = {("silver.quarantine", "bronze_table")}
# No signal of a month's sums has a span of time.
CONSTANT |= {("gold.fraud_patterns", "first_at"), ("gold.fraud_patterns", "last_at")}
# Schemas of tables that the platform writes about itself, from nothing that the lake holds.
OURS = {"events", "audit"}


def sources(table: str, field: str, effect: Effect | None = None) -> set[str]:
    return {
        f"{edge.source}.{edge.source_field}"
        for edge in list_edges()
        if (edge.table, edge.field) == (table, field) and effect in (None, edge.effect)
    }


def ends(trace: Trace) -> set[str]:
    if not trace.next:
        return {f"{trace.table}.{trace.field}"}
    return set().union(*(ends(each) for each in trace.next))


@pytest.mark.parametrize("table", [t for t in TABLES if t.name.split(".")[0] not in OURS], ids=lambda table: table.name)
def test_every_field_comes_from_something(table) -> None:
    known = {edge.field for edge in list_edges() if edge.table == table.name}
    without = [f for f in fields_by_table()[table.name] if f not in known and (table.name, f) not in CONSTANT]
    assert without == [], "nothing in data_jobs/lineage/sample.py shows what these depend on: vary it there"


def test_every_source_is_a_field_of_what_it_belongs_to() -> None:
    known = fields_by_table()
    for edge in list_edges():
        columns = {field.split(".")[0] for field in known[edge.source]}
        assert edge.source_field.split(".")[0] in columns
        assert edge.table in known


def test_the_sample_has_every_field_of_every_record() -> None:
    payloads = {
        name: set(collect_leaves(frame.select("payload").to_dicts())) for name, frame in bronze_sample().items()
    }
    assert set(payloads) == {table.name for table in bronze.TABLES}
    for name, model in ((bronze.STORES.name, Store), (bronze.CUSTOMERS.name, Customer)):
        assert payloads[name] == {f"payload.{field}" for field in model.model_fields}
    expected = {f"payload.{field}" for field in Receipt.model_fields if field not in ("lines", "tenders")}
    expected |= {f"payload.lines.{field}" for field in Line.model_fields}
    expected |= {f"payload.tenders.{field}" for field in Tender.model_fields}
    assert payloads[bronze.RECEIPTS.name] == expected


def test_a_renamed_field_and_a_joined_one_are_found_in_what_was_received() -> None:
    assert sources("silver.receipts", "document") > {"bronze.receipts.payload.operator_id"}
    assert sources("silver.receipts", "purchased_on") == {
        "bronze.receipts.payload.purchased_at", "bronze.receipts.payload.store_id", "silver.stores.store_id",
        "silver.stores.time_zone",
    }  # fmt: skip
    assert sources("silver.receipts", "item_count") == {"bronze.receipts.payload.lines"}


def test_what_is_summed_is_told_apart_from_what_decides_the_rows() -> None:
    assert sources("gold.product_sales", "sales_cents", Effect.DIRECT) == {"silver.receipt_lines.amount_cents"}
    assert sources("gold.product_sales", "sales_cents", Effect.INDIRECT) == {
        "silver.receipt_lines.sku", "silver.receipt_lines.purchased_on", "silver.receipt_lines.receipt_type",
    }  # fmt: skip
    assert "silver.receipts.customer_id" in sources("gold.store_days", "known_customers_sales", Effect.DIRECT)


def test_an_expectation_comes_from_what_it_looks_at() -> None:
    assert sources("silver.receipts", "expectation adds_up") == {
        f"bronze.receipts.payload.{name}"
        for name in ("lines.amount_cents", "subtotal_cents", "tax_cents", "total_cents")
    }
    assert "bronze.receipts.payload.total_cents" in sources("silver.quarantine", "reason")
    assert sources("silver.quarantine", "payload") == {
        f"{table.source.name}.payload" for table in TABLES if table.quarantine is not None
    }


def test_a_served_column_is_followed_up_to_bronze_and_back_down() -> None:
    assert ends(trace_up("retail.receipts", "skus")) == {"bronze.receipts.payload.lines.sku"}
    down = ends(trace_down("bronze.receipts", "payload.lines.sku"))
    assert {"retail.receipts.skus", "retail.products.sku"} <= down
    assert trace_up("retail.receipts", "skus", deep=False).next[0].next == ()


def test_lineage_follows_the_declaration_when_it_changes() -> None:
    def shout(rows: pl.DataFrame, read: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        made = silver_stores.TABLE.transform(rows, read)
        return made.with_columns(name=pl.concat_str("name", "time_zone"))

    changed = replace(silver_stores.TABLE, transform=shout)
    found = {(field, path) for field, _, path, _ in find_effects(changed, bronze_sample())}
    assert {path for field, path in found if field == "name"} == {"payload.name", "payload.time_zone"}


def test_the_sample_is_accepted_whole() -> None:
    read = bronze_sample()
    for table in (silver_stores.TABLE, silver_receipts.TABLE):
        made = make_rows(table, read)
        assert made is not None
        read[table.name] = settle(table, made)
        assert read[table.name].height == read[table.source.name].height


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("silver.receipts", ("silver.receipts", None)),
        ("silver.receipts.lines.sku", ("silver.receipts", "lines.sku")),
        ("silver.receipts.lines", ("silver.receipts", "lines")),
        ("bronze.receipts.payload.total_cents", ("bronze.receipts", "payload.total_cents")),
        ("retail.products.sku", ("retail.products", "sku")),
    ],
)
def test_a_field_is_found_by_its_name(text: str, found: tuple[str, str | None]) -> None:
    assert find_field(text) == found


def test_a_field_or_table_that_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(InvalidInput, match=r"silver\.receipt is not in one of bronze\.receipts"):
        find_field("silver.receipt")
    with pytest.raises(InvalidInput, match=r"nonsense is not one of receipt_id"):
        find_field("silver.receipts.nonsense")
