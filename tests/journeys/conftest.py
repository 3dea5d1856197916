"""One whole platform for all journeys, brought up and taken down by its own commands."""

from __future__ import annotations

import pytest

from cluster.benchmarks.private_platform import extensible_platform
from cluster.parts import PARTS
from ingest.till import send
from tests.fixtures.retail import make_customer, make_store

SHADYSIDE = make_store(store_id=406, name="Shadyside", aliases=["Shady Side"], street="5500 Walnut Street")
CARNEGIE = make_store(
    store_id=500, name="Carnegie", aliases=[], street="1 Main Street", city="Carnegie", region_id=2,
    region="Pittsburgh West",
)  # fmt: skip


@pytest.fixture(scope="package")
def platform():
    """The settings of a running platform with three stores in two regions and one customer."""
    often = {"RECEIPTS_PIPELINE__EMBED_INTERVAL_S": "1"}  # a second journey's articles would wait for ten minutes
    with extensible_platform([part.name for part in PARTS], often) as running:
        settings = running.settings
        target = f"{settings.ingest.host}:{settings.ingest.port}"
        stores = [make_store(), SHADYSIDE, CARNEGIE]
        send((store.canonical() for store in stores), table="retail.reference.stores", target=target)
        send([make_customer().canonical()], table="retail.crm.customers", target=target)
        yield settings
