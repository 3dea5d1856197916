"""Real data sets through the whole refinement, held against SQL over their raw files line by line."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import resources

import duckdb
import polars as pl

from cluster.evaluations.landing import land
from cluster.evaluations.sources import Dataset
from data_jobs.batches import Run
from data_jobs.refinement import Refinery, refine_all
from loadtest.bench.report import Bar, Report, Result
from receipts.lake import Lake

# Tables of ours by the name of the table of the SQL that says what they must hold.
_TABLES = {
    "receipts": "silver.receipts",
    "receipt_lines": "silver.receipt_lines",
    "store_days": "gold.store_days",
    "product_sales": "gold.product_sales",
    "customer_profiles": "gold.customer_profiles",
    "spending_insights": "gold.spending_insights",
}
_QUARANTINE = "quarantine"


def evaluate(dataset: Dataset, lake: Lake, run: Run, parallelism: int, max_bytes: int) -> Report:
    """Land and refine a data set in an empty lake; return what became of its lines and how many rows are wrong."""
    started = time.perf_counter()
    landed = land(lake, dataset.stores, dataset.customers, dataset.receipts(), max_bytes)
    landed_s = time.perf_counter() - started
    for _ in refine_all(Refinery(lake, run, parallelism)):
        pass
    refined_s = time.perf_counter() - started - landed_s
    with duckdb.connect() as connection:
        lines = _read(connection, dataset)
        differing = {name: _differing(connection, lake, name) for name in (*_TABLES, _QUARANTINE)}
    accepted, refused = lake.open("silver.receipt_lines").count(), _lines_by_reason(lake)
    results = (
        Result("lines in the files", lines, ""),
        Result("lines in Silver", accepted, ""),
        *(Result(f"lines in quarantine: {reason}", count, "") for reason, count in refused.most_common()),
        *(Result(f"rows in {table}", rows, "") for table, rows in landed.items()),
        *(Result(f"rows in {table}", lake.open(table).count(), "") for table in _TABLES.values()),
        *_hours(lake, dataset.time_zone),
        Result("landed", landed_s, "s"),
        Result("refined", refined_s, "s"),
    )
    unaccounted = _none("lines neither in Silver nor in quarantine", lines - accepted - refused.total())
    wrong = (_none(f"rows of {name} that differ from the SQL", count) for name, count in differing.items())
    return Report(dataset.name, 1, results, (unaccounted, *wrong))


def _lines_by_reason(lake: Lake) -> Counter[str]:
    lines = Counter[str]()
    for reason, count in _quarantined(lake).iter_rows():
        lines[reason] += count
    return lines


def _read(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> int:
    """Have the SQL read the raw files; returns how many lines they have."""
    connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA raw;")
    for name, frame in dataset.raw.items():
        connection.register(f"raw_{name}", frame.to_arrow())
        connection.table(f"raw_{name}").create(f"raw.{name}")
    for script in (dataset.script, "totals"):
        connection.execute(resources.files("cluster.evaluations").joinpath(f"{script}.sql").read_text("utf-8"))
    return max(frame.height for name, frame in dataset.raw.items() if name in ("transactions", "rows"))


def _differing(connection: duckdb.DuckDBPyConnection, lake: Lake, name: str) -> int:
    """Count the rows that only the SQL has or only we have, each as often as it is there."""
    expected = connection.table(f"expected.{name}").pl()
    ours = _quarantined(lake) if name == _QUARANTINE else _rows(lake, _TABLES[name], expected.columns)
    expected = expected.cast(ours.schema)
    counted = [
        rows.group_by(ours.columns).agg(pl.lit(sign, pl.Int64).sum().alias("rows_of_it") * pl.len())
        for rows, sign in ((ours, 1), (expected, -1))
    ]
    net = pl.concat(counted).group_by(ours.columns).agg(pl.col("rows_of_it").sum())
    return int(net["rows_of_it"].abs().sum())


def _quarantined(lake: Lake) -> pl.DataFrame:
    """Return reason and number of lines of each receipt in quarantine."""
    held = _rows(lake, "silver.quarantine", ["bronze_table", "reason", "payload"])
    receipts = held.filter(pl.col("bronze_table") == "bronze.receipts")
    counts = [_lines(json.loads(payload)) for payload in receipts["payload"]]
    return receipts.select("reason", lines=pl.Series(counts, dtype=pl.Int64))


def _lines(payload: Mapping[str, list[object]] | list[object]) -> int:
    """Count lines: of a receipt, or of the rows of a file that became none."""
    return len(payload) if isinstance(payload, list) else len(payload["lines"])


def _rows(lake: Lake, table: str, columns: Iterable[str]) -> pl.DataFrame:
    rows = pl.from_arrow(lake.open(table).to_pyarrow_table(columns=list(columns)))
    assert isinstance(rows, pl.DataFrame)
    return rows


def _hours(lake: Lake, time_zone: str) -> tuple[Result, Result]:
    """Return the hours of the stores' clocks with the fewest and the most receipts."""
    at = _rows(lake, "silver.receipts", ["purchased_at"])["purchased_at"].dt.convert_time_zone(time_zone)
    hours = Counter(dict.fromkeys(range(24), 0)) + Counter(at.dt.hour().to_list())
    quiet = min(range(24), key=lambda hour: hours[hour])
    busy = max(range(24), key=lambda hour: hours[hour])
    return Result("hour with the fewest receipts", quiet, "h"), Result("hour with the most receipts", busy, "h")


def _none(what: str, count: int) -> Bar:
    return Bar(what, count, "= 0", count == 0)
