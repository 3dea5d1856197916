"""Silver customers: who the loyalty customers are, as last received; Postgres has them from the gateway already."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl
import pyarrow as pa

from data_jobs.bronze_payloads import decode
from data_jobs.declaration import ROW, Action, Expectation, Kind, Personal, Table
from data_jobs.tables import silver_quarantine, silver_stores
from receipts.bronze import CUSTOMERS
from receipts.text import normalise, normalise_email, normalise_phone

_PAYLOAD = pl.Struct(
    {
        "customer_id": pl.String,
        "first_name": pl.String,
        "last_name": pl.String,
        "email": pl.String,
        "phone": pl.String,
        "street": pl.String,
        "city": pl.String,
        "state": pl.String,
        "postal_code": pl.String,
        "customer_since": pl.Date,
        "home_store_id": pl.Int32,
    }
)
_MAY_LACK = ("email", "phone", "street", "city", "state", "postal_code")


def _customers(rows: pl.DataFrame, read: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Parse Bronze envelopes of customers, with names and contacts as search compares them."""
    envelope = rows.select(ROW, "record_key", "received_at", "sequence", "payload_digest")
    parsed = pl.concat([envelope, decode(rows["payload"], _PAYLOAD)], how="horizontal")
    parsed = parsed.with_columns(pl.col(_MAY_LACK).fill_null(""))
    names = parsed.select(pl.concat_str("first_name", "last_name", separator=" ")).to_series()
    homes = read["silver.stores"].select("region_id", home_store_id="store_id")
    return parsed.with_columns(
        name_norm=_each(normalise, names),
        email_norm=_each(normalise_email, parsed["email"]),
        phone_norm=_each(normalise_phone, parsed["phone"]),
    ).join(homes, on="home_store_id", how="left", maintain_order="left")


def _each(clean: Callable[[str], str], texts: pl.Series) -> pl.Series:
    return pl.Series([None if text is None else clean(text) for text in texts], dtype=pl.String)


TABLE = Table(
    name="silver.customers",
    grain="One row per loyalty customer: the version received last.",
    key=("customer_id",),
    kind=Kind.LATEST,
    schema=pa.schema(
        [
            pa.field("customer_id", pa.string()),
            pa.field("first_name", pa.string()),
            pa.field("last_name", pa.string()),
            pa.field("name_norm", pa.string()),  # both names in the words that search compares
            pa.field("email", pa.string()),
            pa.field("email_norm", pa.string()),
            pa.field("phone", pa.string()),
            pa.field("phone_norm", pa.string()),  # digits
            pa.field("street", pa.string()),
            pa.field("city", pa.string()),
            pa.field("state", pa.string()),
            pa.field("postal_code", pa.string()),
            pa.field("customer_since", pa.date32()),
            pa.field("home_store_id", pa.int32()),
            pa.field("region_id", pa.int16()),  # of the home store
            pa.field("received_at", pa.timestamp("us", "UTC")),
            pa.field("sequence", pa.int64()),
            pa.field("payload_digest", pa.string()),
        ]
    ),
    input=CUSTOMERS,
    lookups=(silver_stores.TABLE,),
    transform=_customers,
    expectations=(
        Expectation("readable", pl.col("customer_id").is_not_null(), Action.QUARANTINE, "The payload is no customer."),
        Expectation(
            "same_key",
            pl.col("customer_id") == pl.col("record_key"),
            Action.QUARANTINE,
            "The customer's number is not the key it was received under.",
        ),
        Expectation(
            "complete",
            (pl.col("name_norm") != "") & pl.col("customer_since").is_not_null(),
            Action.QUARANTINE,
            "The customer lacks a name or the day of joining.",
        ),
        Expectation(
            "known_store",
            pl.col("region_id").is_not_null(),
            Action.QUARANTINE,
            "No store of the home store's number is known.",
        ),
        Expectation(
            "reachable",
            pl.any_horizontal(pl.col("email_norm", "phone_norm") != ""),
            Action.WARN,
            "The customer has neither an e-mail address nor a phone number.",
        ),
    ),
    quarantine=silver_quarantine.TABLE,
    sequence=("received_at", "sequence", "payload_digest"),
    slice_by="record_key",
    statistics=("home_store_id", "sequence"),
    personal=Personal.CONTACT,
)
