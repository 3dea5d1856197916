"""The tables are open: whoever has the files can read them with other programs, without a line of ours."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import duckdb_extension_delta
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from data_jobs.catalogue import TABLES
from data_jobs.declaration import Kind
from data_jobs.upkeep.compaction import compact
from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, land_payloads, refine_here
from tests.fixtures.retail import CHICKEN, MILK, make_customer, make_receipt, make_return, make_store

_NAMES = [table.name for table in TABLES if table.kind is not Kind.FILLED] + ["silver.quarantine", "bronze.receipts"]
_BACK = {**MILK, "quantity": -1.0, "amount_cents": -349}
_LATER = RECEIVED_AT + timedelta(hours=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a lake with all that batches leave: files added, rows merged and deleted, months, compaction."""
    lake = Lake(str(tmp_path_factory.mktemp("open") / "lake"))
    land(lake, bronze.STORES, [make_store(), make_store(store_id=368, name="Gary", region_id=2)])
    land(lake, bronze.CUSTOMERS, [make_customer()])
    days = [RECEIVED_AT - timedelta(days=30 * n) for n in range(3)]
    sold = [
        make_receipt(sequence_number=n, business_date=day.date(), purchased_at=day) for n, day in enumerate(days, 1)
    ]
    back = make_receipt(sequence_number=9, receipt_type="return", lines=[_BACK], original_receipt_id=sold[0].receipt_id)
    land(lake, bronze.RECEIPTS, [*sold, back])
    land_payloads(lake, bronze.RECEIPTS, [(None, "no receipt")])
    refine_here(lake)
    other = make_receipt(sequence_number=4, customer_id="C0000002", lines=[CHICKEN])
    corrected = make_receipt(business_date=days[0].date(), purchased_at=days[0], lines=[MILK])
    land(lake, bronze.RECEIPTS, [other, corrected], _LATER)
    refine_here(lake)
    suspicious = [  # more returned than paid, six sales at once, a register of voids
        make_return(sold[0].receipt_id, sequence_number=10),
        *(make_receipt(sequence_number=n, customer_id="C0000003") for n in range(20, 26)),
        *(make_receipt(sequence_number=n, register_id=4, receipt_type="void") for n in range(30, 35)),
    ]
    land(lake, bronze.RECEIPTS, suspicious, _LATER)
    refine_here(lake)
    list(compact(lake, thorough=True))
    return Path(lake.root)


@pytest.fixture(scope="module")
def sql() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with its own Delta reader."""
    (extension,) = Path(duckdb_extension_delta.__path__[0]).rglob("*.duckdb_extension")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"LOAD '{extension}'")
        yield connection


@pytest.mark.parametrize("name", _NAMES)
def test_polars_duckdb_and_plain_deltalake_read_the_same_rows(
    root: Path, sql: duckdb.DuckDBPyConnection, name: str
) -> None:
    uri = str(root / name.replace(".", "/"))
    plain = pl.from_arrow(DeltaTable(uri).to_pyarrow_table())
    assert isinstance(plain, pl.DataFrame)
    assert plain.height
    by_duckdb = sql.sql(f"FROM delta_scan('{uri}')").pl().select(plain.columns).cast(plain.schema)
    for other in (pl.read_delta(uri).select(plain.columns), by_duckdb):
        assert_frame_equal(plain, other, check_row_order=False)


def test_analysts_add_up_what_the_platform_added_up(root: Path, sql: duckdb.DuckDBPyConnection) -> None:
    lines, days = (f"delta_scan('{root / 'silver/receipt_lines'}')", f"delta_scan('{root / 'gold/store_days'}')")
    assert sql.sql(f"SELECT sum(amount_cents) FROM {lines}").fetchall() == [
        (349 + 1048 * 2 - 349 + 699 - 349 + (6 + 5) * 1048,)
    ]
    assert sql.sql(f"SELECT sum(sales_cents), sum(returned_cents) FROM {days}").fetchall() == [
        (349 + 1048 * 2 + 699 + 6 * 1048, -349 * 2)
    ]


def test_versions_and_the_change_feed_are_open_too(root: Path, sql: duckdb.DuckDBPyConnection) -> None:
    uri = str(root / "silver/receipts")
    handle = DeltaTable(uri)
    first = next(each["version"] for each in reversed(handle.history()) if each["operation"] != "CREATE TABLE")
    assert sql.sql(f"SELECT count(*) FROM delta_scan('{uri}', version => {first})").fetchall() == [(4,)]
    assert pl.read_delta(uri, version=first).height == 4
    feed = pl.from_arrow(pa.table(handle.load_cdf(starting_version=first + 1).read_all()))
    assert isinstance(feed, pl.DataFrame)
    changed = feed.filter(pl.col("sequence_number") == 1)
    assert dict(changed.select("_change_type", "total_cents").iter_rows()) == {
        "update_preimage": 1048,
        "update_postimage": 349,
    }
