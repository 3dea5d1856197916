"""Silver receipts: each receipt once, typed, in the version that serves."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from data_jobs.bronze_payloads import decode
from data_jobs.declaration import ROW, Action, Expectation, Kind, Personal, Retention, Served, Table, polars_schema
from data_jobs.tables import silver_quarantine, silver_stores
from receipts.bronze import RECEIPTS

LINE = pa.struct(
    [
        pa.field("line_number", pa.int32()),
        pa.field("sku", pa.string()),
        pa.field("description", pa.string()),
        pa.field("department", pa.string()),
        pa.field("category", pa.string()),
        pa.field("quantity", pa.float64()),
        pa.field("unit", pa.string()),
        pa.field("unit_price_cents", pa.int64()),
        pa.field("discount_cents", pa.int64()),
        pa.field("tax_cents", pa.int64()),
        pa.field("amount_cents", pa.int64()),
    ]
)
_TENDER = pa.struct(
    [
        pa.field("type", pa.string()),
        pa.field("amount_cents", pa.int64()),
        pa.field("card_brand", pa.string()),
        pa.field("card_last4", pa.string()),
    ]
)
_PAYLOAD = pl.Struct(
    {
        "receipt_id": pl.String,
        "receipt_type": pl.String,
        "store_id": pl.Int32,
        "register_id": pl.Int16,
        "business_date": pl.Date,
        "sequence_number": pl.Int32,
        "purchased_at": pl.Datetime("us", "UTC"),
        "customer_id": pl.String,
        "currency": pl.String,
        "lines": polars_schema(pa.schema([pa.field("lines", pa.list_(LINE))]))["lines"],
        "subtotal_cents": pl.Int64,
        "discount_cents": pl.Int64,
        "tax_cents": pl.Int64,
        "total_cents": pl.Int64,
        "operator_id": pl.String,
        "tenders": pl.List(
            pl.Struct(
                {
                    "tender_type": pl.String,
                    "amount_cents": pl.Int64,
                    "card_brand": pl.String,
                    "card_last4": pl.String,
                }
            )
        ),
        "original_receipt_id": pl.String,
    }
)
_FUTURE = pl.duration(days=1)  # a till's clock may be off and its zone wrong, but not by more than a day


def _receipts(rows: pl.DataFrame, read: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Parse Bronze envelopes of receipts and add what the receipt's store knows: its region and its day."""
    envelope = rows.select(
        ROW, "record_key", "received_at", "sequence", "payload_digest", pl.col("payload").alias("document")
    )
    parsed = pl.concat([envelope, decode(rows["payload"], _PAYLOAD)], how="horizontal")
    stores = read["silver.stores"].select("store_id", "region_id", "time_zone")
    return parsed.join(stores, on="store_id", how="left", maintain_order="left").with_columns(
        purchased_on=_local_day(stores),
        item_count=pl.col("lines").list.len().cast(pl.Int32),
        skus=pl.col("lines").list.eval(pl.element().struct.field("sku")).list.unique(maintain_order=True),
        card_last4=pl.col("tenders")
        .list.eval(pl.element().struct.field("card_last4").drop_nulls())
        .list.unique()
        .list.sort(),
        tenders=pl.col("tenders").list.eval(pl.element().struct.rename_fields(_TENDER.names)),
        lines_cents=pl.col("lines").list.eval(pl.element().struct.field("amount_cents")).list.sum(),
        uncategorised=pl.col("lines").list.eval(pl.element().struct.field("category").fill_null("") == "").list.any(),
    )


def _local_day(stores: pl.DataFrame) -> pl.Expr:
    """Return the calendar day of `purchased_at` in each row's `time_zone`: polars converts one zone at a time."""
    days = [
        pl.when(pl.col("time_zone") == zone).then(pl.col("purchased_at").dt.convert_time_zone(zone).dt.date())
        for zone in stores["time_zone"].unique().sort()
    ]
    return pl.coalesce(*days) if days else pl.lit(None, dtype=pl.Date)


TABLE = Table(
    name="silver.receipts",
    grain="One row per receipt: of all versions received, the one received last.",
    key=("receipt_id",),
    kind=Kind.LATEST,
    schema=pa.schema(
        [
            pa.field("receipt_id", pa.string()),
            pa.field("store_id", pa.int32()),
            pa.field("region_id", pa.int16()),
            pa.field("register_id", pa.int16()),
            pa.field("business_date", pa.date32()),
            pa.field("sequence_number", pa.int32()),
            pa.field("receipt_type", pa.string()),
            pa.field("purchased_at", pa.timestamp("us", "UTC")),
            pa.field("purchased_on", pa.date32()),  # the store's own day
            pa.field("customer_id", pa.string()),
            pa.field("currency", pa.string()),
            pa.field("subtotal_cents", pa.int64()),
            pa.field("discount_cents", pa.int64()),
            pa.field("tax_cents", pa.int64()),
            pa.field("total_cents", pa.int64()),
            pa.field("item_count", pa.int32()),  # lines
            pa.field("card_last4", pa.list_(pa.string())),
            pa.field("skus", pa.list_(pa.string())),
            pa.field("lines", pa.list_(LINE)),  # parsed once, for all that follows from lines
            pa.field("original_receipt_id", pa.string()),
            pa.field("document", pa.string()),  # the canonical JSON, as received
            pa.field("payload_digest", pa.string()),
            pa.field("received_at", pa.timestamp("us", "UTC")),
            pa.field("sequence", pa.int64()),
            pa.field("operator_id", pa.string()),  # who stood at the till
            pa.field("tenders", pa.list_(_TENDER)),  # how it was paid, in the order of the receipt
        ]
    ),
    input=RECEIPTS,
    lookups=(silver_stores.TABLE,),
    transform=_receipts,
    expectations=(
        Expectation("readable", pl.col("receipt_id").is_not_null(), Action.QUARANTINE, "The payload is no receipt."),
        Expectation(
            "same_key",
            pl.col("receipt_id") == pl.col("record_key"),
            Action.QUARANTINE,
            "The receipt's id is not the key it was received under.",
        ),
        Expectation(
            "known_store", pl.col("region_id").is_not_null(), Action.QUARANTINE, "No store of that number is known."
        ),
        Expectation("has_lines", pl.col("item_count") > 0, Action.QUARANTINE, "The receipt has no lines."),
        Expectation(
            "adds_up",
            (pl.col("lines_cents") == pl.col("subtotal_cents"))
            & (pl.col("subtotal_cents") + pl.col("tax_cents") == pl.col("total_cents")),
            Action.QUARANTINE,
            "Lines, tax and total do not add up.",
        ),
        Expectation(
            "not_in_the_future",
            pl.col("purchased_at") <= pl.col("received_at") + _FUTURE,
            Action.QUARANTINE,
            "The receipt was received more than a day before it says it was printed.",
        ),
        Expectation(
            "near_its_business_date",
            (pl.col("purchased_on") - pl.col("business_date")).dt.total_days().abs() <= 1,
            Action.WARN,
            "The store's day and the business date are more than a day apart.",
        ),
        Expectation("categorised", ~pl.col("uncategorised"), Action.WARN, "A line has no category."),
    ),
    quarantine=silver_quarantine.TABLE,
    sequence=("received_at", "sequence", "payload_digest"),
    slice_by="record_key",
    clustered_by="business_date",
    statistics=("store_id", "business_date", "purchased_on", "purchased_at", "received_at", "sequence"),
    personal=Personal.PSEUDONYMOUS,
    retention=Retention("business_date", 7 * 365 + 2),  # what tax law asks for, and warranty never outlives
    served_as=Served(
        "receipts",
        {
            "receipt_id": pl.col("receipt_id"),
            "store_id": pl.col("store_id"),
            "region_id": pl.col("region_id"),
            "receipt_type": pl.col("receipt_type"),
            "purchased_at": pl.col("purchased_at"),
            "purchased_on": pl.col("purchased_on"),
            "customer_id": pl.col("customer_id"),
            "total_cents": pl.col("total_cents"),
            "card_last4": pl.col("card_last4").list.join(","),
            "skus": pl.col("skus").list.join(","),
            "document": pl.col("document"),
            "payload_digest": pl.col("payload_digest").str.decode("hex"),
            "received_at": pl.col("received_at"),
        },
        confirmed=("receipt_id", "payload_digest"),
    ),
)
