"""A lake of the test's own."""

from pathlib import Path

import pytest

from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import land
from tests.fixtures.retail import make_store


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def lake_with_stores(lake: Lake) -> Lake:
    """A lake whose Bronze holds two stores, in two time zones and regions."""
    stores = [
        make_store(),
        make_store(store_id=368, name="Gary", time_zone="America/Chicago", region_id=2, region="Pittsburgh West"),
    ]
    land(lake, bronze.STORES, stores)
    return lake
