"""One side of the pipeline's benchmark, in a process of its own: `python -m ... ours|peer|growth LAKE RECEIPTS`."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
import psutil
from deltalake import write_deltalake

from cluster.benchmarks.bronze_history import history_plan, land_chunks, land_receipts, land_stores
from cluster.benchmarks.processor_time import processor_seconds
from data_jobs.batches import refine
from data_jobs.declaration import ROW, Table
from data_jobs.expectations import judge
from data_jobs.ray_work import PrivateNode, joined, run_slices
from data_jobs.refinement import Refinery, refine_all
from data_jobs.tables import (
    gold_customer_profiles,
    gold_product_sales,
    gold_spending_insights,
    gold_store_days,
    silver_quarantine,
    silver_receipt_lines,
    silver_receipts,
    silver_stores,
)
from ingest.sources.synthetic.history import chunk_receipts
from receipts.bronze import RECEIPTS
from receipts.lake import Lake

_CPUS = 2
_STORE_BYTES = 256 * 1024 * 1024  # rows never enter the object store
_SILVER = (silver_receipts.TABLE, silver_receipt_lines.TABLE)
_PROFILES = gold_customer_profiles.TABLE
_GOLD = (_PROFILES, gold_spending_insights.TABLE, gold_store_days.TABLE, gold_product_sales.TABLE)
_BATCH_RECEIPTS = 1_000  # about ten thousand lines
_BATCHES = 6
_FRESH = 2  # chunks of 4,000 that these are taken from


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step took."""

    cpu_s: float
    wall_s: float


def main() -> None:
    """Run the side that the command line names and print its figures as JSON."""
    side, root, receipts = sys.argv[1:]
    work: dict[str, Callable[[Lake, int], dict[str, object]]] = {"ours": _ours, "peer": _peer, "growth": _growth}
    sys.stdout.write(json.dumps(work[side](Lake(root), int(receipts))) + "\n")


@contextmanager
def _costing(costs: list[Cost]) -> Generator[None]:
    me = psutil.Process()
    cpu_s, started = processor_seconds(me), time.perf_counter()
    yield
    costs.append(Cost(processor_seconds(me) - cpu_s, time.perf_counter() - started))


@contextmanager
def _warm_node() -> Generator[None]:
    """Start a Ray node of two cores whose workers have done the whole work once, on a small lake."""
    with (
        tempfile.TemporaryDirectory(prefix="rp-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        joined(PrivateNode(_CPUS, _STORE_BYTES, folder)),
    ):
        small = Lake(str(Path(folder, "warm")))
        plan = history_plan(40_000)
        land_stores(small, plan)
        land_chunks(small, plan, range(10))
        list(refine_all(Refinery(small, run_slices, _CPUS)))
        yield


def _ours(lake: Lake, _: int) -> dict[str, object]:
    costs: list[Cost] = []
    with _warm_node():
        _follow(lake, silver_stores.TABLE)
        with _costing(costs):
            for table in _SILVER:
                _follow(lake, table)
        with _costing(costs):
            _follow(lake, _PROFILES)
    return _told(lake, costs)


def _follow(lake: Lake, table: Table) -> None:
    while refine(lake, table, run_slices, _CPUS) is not None:
        pass


def _peer(lake: Lake, _: int) -> dict[str, object]:
    """Do the same with all rows at once in one process: the tables' own expressions, polars and deltalake."""
    costs: list[Cost] = []
    stores = _whole(lake, silver_stores.TABLE.name)
    with _costing(costs):
        rows = _whole(lake, RECEIPTS.name).with_row_index(ROW)
        table = silver_receipts.TABLE
        assert table.transform is not None
        accepted, refused, _caught = judge(table.transform(rows, {"silver.stores": stores}), table.expectations)
        receipts = accepted.sort(*table.sequence).unique(list(table.key), keep="last", maintain_order=True)
        del accepted
        quarantine = rows.join(refused, on=ROW, how="inner").with_columns(bronze_table=pl.lit(RECEIPTS.name))
        del rows
        _write(lake, silver_quarantine.TABLE, quarantine)
        _write(lake, table, receipts)
        lines = silver_receipt_lines.TABLE
        assert lines.transform is not None
        _write(lake, lines, lines.transform(receipts.select(lines.columns), {}))
    with _costing(costs):
        fold = _PROFILES.fold
        assert fold is not None
        states = fold.summarise(receipts.select(_PROFILES.columns), {})
        _write(lake, _PROFILES, fold.finish(states, {"silver.stores": stores}))
    return _told(lake, costs)


def _whole(lake: Lake, name: str) -> pl.DataFrame:
    return pl.scan_parquet(lake.open(name).file_uris(), hive_partitioning=False).collect(engine="in-memory")


def _write(lake: Lake, table: Table, rows: pl.DataFrame) -> None:
    fitted = rows.select(pl.col(name) for name in table.schema.names).to_arrow()
    write_deltalake(lake.ensure(table.lake_table), fitted.cast(table.schema), mode="append")


def _growth(lake: Lake, receipts: int) -> dict[str, object]:
    """Measure what Gold costs for a thousand receipts, when a tenth of the history is there and when all of it is."""
    plan = history_plan(receipts)
    chunks = receipts // 4_000
    land_stores(lake, plan)
    costs: dict[str, object] = {}
    with _warm_node():
        refinery = Refinery(lake, run_slices, _CPUS)
        tenth = chunks // 10
        # The receipts that follow are the next ones of the history, as they are for a shop that goes on.
        for name, numbers in (("tenth", range(tenth)), ("whole", range(tenth + _FRESH, chunks - _FRESH))):
            land_chunks(lake, plan, numbers)
            list(refine_all(refinery))
            fresh = [text for chunk in range(_FRESH) for text in chunk_receipts(plan, numbers.stop + chunk)]
            measured: list[Cost] = []
            for number in range(_BATCHES):
                texts = fresh[number * _BATCH_RECEIPTS : (number + 1) * _BATCH_RECEIPTS]
                land_receipts(lake, texts, numbers.stop * 1_000_000 + number * 10_000)
                _silver(lake)
                with _costing(measured):
                    for table in _GOLD:
                        _follow(lake, table)
            costs[name] = [asdict(cost) for cost in measured[1:]]  # the first meets cold files
    return costs


def _silver(lake: Lake) -> None:
    for table in _SILVER:
        _follow(lake, table)


def _told(lake: Lake, costs: list[Cost]) -> dict[str, object]:
    rows: dict[str, object] = {
        table.name: lake.open(table.name).count() for table in (*_SILVER, silver_quarantine.TABLE, _PROFILES)
    }
    spend = _whole(lake, _PROFILES.name)["lifetime_spend_cents"].sum()
    return {"silver": asdict(costs[0]), "profiles": asdict(costs[1]), "rows": rows, "spend_cents": spend}


if __name__ == "__main__":
    main()
