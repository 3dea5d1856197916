"""The real data sets: what of each is sent, the raw files it was made from, and the SQL that reads those alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

import configs
from ingest.adapters.found import Found
from ingest.adapters.mapping import load_mapping
from ingest.adapters.tabular import read_parquet
from ingest.sources.complete_journey import journey_customers, journey_receipts, journey_stores, open_journey
from ingest.sources.journey_tables import TIME_ZONE, data_folder
from ingest.sources.overlay.network import network
from receipts.errors import InvalidInput
from receipts.models import Store

_RETAIL_MAPPING = "online_retail.yaml"
# The file is of one shop without an address; 901 is the number that the mapping gives it.
_RETAIL_STORE = Store(
    store_id=901, name="Online Retail", street="", city="London", state="", postal_code="",
    time_zone="Europe/London", region_id=90, region="United Kingdom",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set as it is sent, and as it lies in its files.

    `raw` are the tables of its files by name, `script` the .sql beside this module that reads them into a table
    `lines` and a table `refused`; `time_zone` is that of its stores.
    """

    name: str
    stores: Iterable[str]
    customers: Iterable[str]
    receipts: Callable[[], Iterator[Found]]
    raw: Mapping[str, pl.DataFrame]
    script: str
    time_zone: str


def complete_journey(baskets: int | None = None) -> Dataset:
    """Return Complete Journey, or whole households with so many baskets. Raises Unavailable without the package."""
    journey = open_journey(baskets)
    transactions = pl.read_parquet(data_folder() / "transactions.parquet")
    if baskets is not None:
        transactions = transactions.filter(pl.col("basket_id").is_in(journey.baskets["basket_id"].implode()))
    rates = [(shop.store.store_id, shop.tax_basis_points) for shop in network()]
    return Dataset(
        name="complete journey",
        stores=list(journey_stores()),
        customers=journey_customers(journey),
        receipts=lambda: (Found(number, 0, text) for number, text in enumerate(journey_receipts(journey), 1)),
        raw={
            "transactions": transactions,
            "products": pl.read_parquet(data_folder() / "products.parquet"),
            "shops": pl.DataFrame(rates, schema=["store_id", "basis_points"], orient="row"),
        },
        script="complete_journey",
        time_zone=TIME_ZONE,
    )


def online_retail(path: Path) -> Dataset:
    """Return a Parquet file of Online Retail. Raises InvalidInput when it is not there."""
    if not path.is_file():
        raise InvalidInput("online-retail", f"{path} is no file")
    mapping = load_mapping(Path(configs.__file__).parent / "imports" / _RETAIL_MAPPING)
    return Dataset(
        name="online retail",
        stores=[_RETAIL_STORE.canonical()],
        customers=[],
        receipts=lambda: read_parquet(path, mapping, lambda _: None),
        raw={"rows": pl.read_parquet(path).with_row_index("position")},
        script="online_retail",
        time_zone=_RETAIL_STORE.time_zone,
    )
