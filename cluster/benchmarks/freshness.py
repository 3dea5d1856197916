"""How soon what a till sends is refined and in the customer's profile, and what lookups lose by it."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from cluster.api_client import access_token
from cluster.benchmarks.filling import fill_with, plan_of
from cluster.benchmarks.ingest_driver import Load
from cluster.benchmarks.private_platform import PrivatePlatform, extensible_platform
from cluster.errors import PlatformError
from cluster.parts import PARTS
from configs.settings import Settings
from ingest.sources.synthetic.history import history_receipts
from loadtest.bench.http_driver import get_request, run
from loadtest.bench.report import Bar, Report, Result, against
from receipts.database import DatabaseRole, connect
from receipts.sql import load_sql

_SQL = load_sql("cluster.benchmarks", "freshness")
_RATE = 100.0  # receipts/s
_TILLS = 4
_WATCHED = 100  # one receipt in so many is of a customer of its own, whose profile is waited for
_KNOWN = ('"receipt_type":"sale"', '"customer_id":"')  # what has a profile
_FIRST_WATCHED = 9_900_000  # above all customers of the plan
_TURN_S = 0.2
_PATIENCE_S = 300.0  # embedding a catalogue takes two minutes of a small machine
_LOOKUP_S, _LOOKUPS = 10.0, 4  # rounds beside the pipeline, and as many after it
_SETTLE_S = 20.0  # what a pipeline does once after its start is not what runs beside lookups
_CONNECTIONS = 16
_PARTS = ("postgres", "gateway", "drainer", "ray", "serve")


@dataclass(frozen=True, slots=True)
class _Ages:
    """Seconds from a receipt's arrival until it was refined, and until a profile told of it, sorted."""

    refined: list[float]
    profiled: list[float]


def measure(*, quick: bool) -> Report:
    """Stream receipts for ten minutes beside the continuous pipeline, then look up with and without it.

    The history has been through the pipeline before, products embedded too: a shop sells few that are new.
    """
    seconds, history = (60, 10_000) if quick else (600, 20_000)
    with extensible_platform(_PARTS) as platform, tempfile.TemporaryDirectory() as folder:
        settings = platform.settings
        lookups = round(_RATE * _LOOKUP_S * 2 * _LOOKUPS) + 1_000
        # One plan, or receipts would meet the numbers of others and count as corrections of them.
        plan = plan_of(history + round(seconds * _RATE) + lookups)
        receipts = history_receipts(plan)
        fill_with(settings, plan, islice(receipts, history))
        with _pipeline(platform):
            _await_none_left(settings, "count_unembedded")
            ages = _stream_and_watch(settings, Path(folder), receipts, seconds)
        with _pipeline(platform):
            _await_none_left(settings, "count_unembedded")
            time.sleep(_SETTLE_S)
            beside = [_lookups(settings, Path(folder), receipts) for _ in range(_LOOKUPS)]
        without = [_lookups(settings, Path(folder), receipts) for _ in range(_LOOKUPS)]
    return _report(ages, list(zip(beside, without, strict=True)))


@contextmanager
def _pipeline(platform: PrivatePlatform) -> Generator[None]:
    """Run the platform's pipeline for the length of the block, from when it has caught up."""
    (part,) = (part for part in PARTS if part.name == "pipeline")
    platform.start(part.name)
    try:
        _await_none_left(platform.settings, "count_waiting")
        yield
    finally:
        part.stop(platform.settings)


def _stream_and_watch(settings: Settings, folder: Path, receipts: Iterator[str], seconds: int) -> _Ages:
    texts = list(islice(receipts, round(seconds * _RATE)))
    watched = [number for number in range(0, len(texts), _WATCHED) if all(each in texts[number] for each in _KNOWN)]
    for number in watched:
        texts[number] = _of_a_customer_of_its_own(texts[number], number)
    waiting = {_customer(number) for number in watched}
    since, profiled = _now(settings), list[float]()
    with _streaming(settings, folder, texts), connect(settings, DatabaseRole.PIPELINE) as connection:
        connection.autocommit = True
        deadline = time.monotonic() + seconds + _PATIENCE_S
        while waiting:
            for row in connection.execute(_SQL["list_new_profiles"], {"customer_ids": sorted(waiting)}):
                waiting.remove(str(row[0]))
                profiled.append(_seconds(row[1]))
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"{len(waiting)} customers have no profile {_PATIENCE_S:.0f} s after the last receipt."
                )
            time.sleep(_TURN_S)
    _await_none_left(settings, "count_waiting")
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        refined = [_seconds(row[0]) for row in connection.execute(_SQL["list_refined_ages"], {"since": since})]
    return _Ages(sorted(refined), sorted(profiled))


def _seconds(value: object) -> float:
    assert isinstance(value, float), f"{value} is no age"
    return value


def _customer(number: int) -> str:
    return f"C{_FIRST_WATCHED + number // _WATCHED:07d}"


def _of_a_customer_of_its_own(text: str, number: int) -> str:
    return re.sub(r'"customer_id":"[^"]*"', f'"customer_id":"{_customer(number)}"', text)


def _now(settings: Settings) -> datetime:
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        row = connection.execute(_SQL["find_now"]).fetchone()
        assert row is not None
        assert isinstance(row[0], datetime)
        return row[0]


def _await_none_left(settings: Settings, what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        connection.autocommit = True
        while (left := connection.execute(_SQL[what]).fetchone()) != (0,):
            if time.monotonic() > deadline:
                raise PlatformError(f"After {_PATIENCE_S:.0f} s {what} is still {left}.")
            time.sleep(_TURN_S)


@contextmanager
def _streaming(settings: Settings, folder: Path, texts: list[str]) -> Generator[None]:
    """Send receipts at the rate from a process of its own; end with it."""
    file = folder / "receipts.jsonl"
    file.write_text("".join(f"{text}\n" for text in texts))
    load = Load(f"{settings.ingest.host}:{settings.ingest.port}", str(file), streams=_TILLS, rate=_RATE)
    command = [sys.executable, "-m", "cluster.benchmarks.ingest_driver"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as driver:
        assert driver.stdin is not None
        driver.stdin.write(json.dumps(asdict(load)))
        driver.stdin.close()
        yield
    if driver.returncode != 0:
        raise PlatformError("The benchmark's driver failed; see above.")


def _lookups(settings: Settings, folder: Path, receipts: Iterator[str]) -> float:
    """Return lookups a second at saturation while receipts stream in."""
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        ids = [row[0] for row in connection.execute("SELECT receipt_id FROM retail.receipts LIMIT 2000")]
    header = ("Authorization", f"Bearer {access_token(settings, 'rep.all')}")
    requests = [get_request("127.0.0.1", f"/receipt/{one}", [header]) for one in ids]
    texts = list(islice(receipts, round(_RATE * _LOOKUP_S)))
    seen: list[float] = []

    def look_up() -> None:
        address = ("127.0.0.1", settings.serve.port)
        seen.append(run([address], requests, _CONNECTIONS, _LOOKUP_S).per_second)

    reader = threading.Thread(target=look_up)
    with _streaming(settings, folder, texts):
        reader.start()
        reader.join()
    return seen[0]


def _report(ages: _Ages, pairs: list[tuple[float, float]]) -> Report:
    results = [
        Result(f"{what}, {name}", value, "s")
        for what, values in (("refined", ages.refined), ("in the profile", ages.profiled))
        for name, value in (
            ("p50", statistics.median(values)),
            ("p95", values[int(len(values) * 0.95)]),
            ("max", values[-1]),
        )
    ]
    lost = against(
        "lookups, pipeline at work", [a for a, _ in pairs], "/s", "the same, pipeline stopped", [b for _, b in pairs]
    )
    p95 = max(results[1].value, results[4].value)
    highest = max(results[2].value, results[5].value)
    ratio = lost.ratio or 0.0
    bars = (
        Bar("age when refined and in the profile, p95 (s)", p95, "< 10", p95 < 10),
        Bar("the same, max (s)", highest, "< 120", highest < 120),
        Bar("lookups beside it / without it", ratio, "> 0.9", ratio > 0.9),
    )
    counted = Result("receipts", len(ages.refined), "")
    return Report("freshness", len(pairs), (counted, *results, lost), bars)
