"""A pipeline run is killed where it stands, again and again: nothing is lost, nothing doubled, to the cent."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster.commands.continuing import run_until_told
from configs.settings import Settings
from data_jobs.accounts import reconcile
from data_jobs.sync import SERVED
from data_jobs.sync_verification import compare
from data_jobs.writer_lock import AlreadyRunning, sole_writer
from receipts import bronze
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake, lake_of
from receipts.models import Receipt
from tests.data_jobs.landing import RECEIVED_AT, land, land_payloads, rows_of
from tests.fixtures.environment import environment_of
from tests.fixtures.processes import started
from tests.fixtures.retail import CHICKEN, MILK, make_receipt, make_store

PIPELINE = [sys.executable, "-m", "cluster.commands", "pipeline", "run"]
DAY = date(2026, 11, 17)


@pytest.fixture
def platform(ray_settings: Settings) -> Settings:
    """Settings of a platform whose lake has two stores and nothing else."""
    stores = [make_store(), make_store(store_id=368, name="Gary", region_id=2, time_zone="America/Chicago")]
    land(lake_of(ray_settings), bronze.STORES, stores)
    return ray_settings


def receipts(batch: int, count: int = 60) -> list[Receipt]:
    """Return receipts of a batch; the last third corrects the first third."""
    numbers = [*range(count), *range(count // 3)]
    return [
        make_receipt(
            sequence_number=batch * 1_000 + number + 1,
            store_id=367 + number % 2,
            business_date=DAY - timedelta(days=number % 9),
            purchased_at=datetime(2026, 11, 17, 15, 0, tzinfo=UTC) - timedelta(days=number % 9),
            customer_id=f"C{number % 5:07d}" if number % 4 else None,
            lines=[MILK, {**CHICKEN, "amount_cents": 600 + number + place}],
        )
        for place, number in enumerate(numbers)
    ]


@contextmanager
def start(settings: Settings, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a pipeline run as an operator does."""
    environment = environment_of(settings)
    with (
        (settings.state_dir / "pipeline.log").open("ab") as log,
        started([*PIPELINE, *options], env=environment, stdout=log, stderr=log) as process,
    ):
        yield process


def finish(settings: Settings) -> None:
    """Run the pipeline to its end."""
    with start(settings) as process:
        assert process.wait(timeout=240) == 0, Path(settings.state_dir, "pipeline.log").read_text()


def commits(lake: Lake) -> int:
    """Count the commits of all tables that a run writes."""
    return len([*Path(lake.root).glob("silver/*/_delta_log/*.json"), *Path(lake.root).glob("gold/*/_delta_log/*.json")])


def wait_for_commits(lake: Lake, process: subprocess.Popen[bytes], wanted: int) -> None:
    """Return when so many commits are there, or when the run has ended."""
    deadline = time.monotonic() + 120
    while commits(lake) < wanted and process.poll() is None:
        assert time.monotonic() < deadline, f"{commits(lake)} of {wanted} commits after two minutes"
        time.sleep(0.005)  # polls with a deadline, often enough to kill between two commits


def check_totals(settings: Settings, owner: psycopg.Connection[Any], expected: dict[str, Receipt], bad: int) -> None:
    """Hold lake and Postgres against receipts added up in plain Python."""
    lake = lake_of(settings)
    silver = rows_of(lake, "silver.receipts")
    assert sorted(silver["receipt_id"].to_list()) == sorted(expected)
    assert dict(silver["receipt_id", "document"].iter_rows()) == {i: r.canonical() for i, r in expected.items()}
    lines = [(r.receipt_id, line.line_number, line.amount_cents) for r in expected.values() for line in r.lines]
    columns = ("receipt_id", "line_number", "amount_cents")
    assert sorted(rows_of(lake, "silver.receipt_lines").select(columns).rows()) == sorted(lines)
    spend: dict[str, int] = {}
    for receipt in expected.values():
        if receipt.customer_id:
            spend[receipt.customer_id] = spend.get(receipt.customer_id, 0) + receipt.total_cents
    profiles = rows_of(lake, "gold.customer_profiles")
    assert dict(profiles["customer_id", "lifetime_spend_cents"].iter_rows()) == spend
    accounts = reconcile(lake)
    assert (accounts.quarantined, accounts.waiting, accounts.unaccounted) == (bad, 0, 0)
    assert accounts.bronze == accounts.serving + accounts.superseded + accounts.quarantined
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        for table in SERVED:
            found = compare(lake, connection, table)
            assert (found.lake_rows, found.missing, found.different) == (found.postgres_rows, 0, 0), found
    total = owner.execute("SELECT sum(total_cents), count(*) FROM retail.receipts WHERE refined_at IS NOT NULL")
    assert total.fetchone() == (sum(receipt.total_cents for receipt in expected.values()), len(expected))


def test_killed_at_five_random_moments_a_run_loses_and_doubles_nothing(
    platform: Settings, owner: psycopg.Connection[Any]
) -> None:
    lake, dice = lake_of(platform), random.Random(20261117)
    expected: dict[str, Receipt] = {}
    killed = 0
    for batch in range(5):
        land(lake, bronze.RECEIPTS, receipts(batch), RECEIVED_AT + timedelta(minutes=batch))
        land_payloads(lake, bronze.RECEIPTS, [(None, f"broken {batch}")])
        expected |= {receipt.receipt_id: receipt for receipt in receipts(batch)}
        before = commits(lake)
        with start(platform) as process:
            wait_for_commits(lake, process, before + dice.randint(1, 9))
            time.sleep(dice.uniform(0, 0.1))  # not to wait for anything: so that the moment lies between commits too
            process.kill()
        killed += process.returncode != 0
    assert killed
    finish(platform)
    check_totals(platform, owner, expected, bad=5)
    before = commits(lake)
    finish(platform)
    assert commits(lake) == before


def test_a_second_runner_is_refused_with_a_sentence(platform: Settings) -> None:
    with sole_writer(platform):
        with pytest.raises(AlreadyRunning, match="only one at a time"), sole_writer(platform):
            pass
        refused = subprocess.run(PIPELINE, env=environment_of(platform), capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.strip().splitlines()[-1].startswith("receipts: Another process is refining this lake")


def test_a_continuous_run_follows_bronze_begins_anew_when_asked_and_ends_gracefully(
    platform: Settings, owner: psycopg.Connection[Any]
) -> None:
    lake = lake_of(platform)
    pipeline = platform.pipeline.model_copy(update={"niceness": 0})  # what runs beside the tests may take minutes
    platform = platform.model_copy(update={"pipeline": pipeline})
    land(lake, bronze.RECEIPTS, receipts(0))
    expected = {receipt.receipt_id: receipt for receipt in receipts(0)}
    query = "SELECT count(*) FROM retail.receipts WHERE refined_at IS NOT NULL"
    with start(platform, "--continuous") as process:
        try:
            wait_for_count(owner, query, len(expected))
            wait_for_count(owner, "SELECT count(*) FROM retail.product_embeddings", 2)
            process.send_signal(signal.SIGUSR1)
            wait_for_word(platform, "A new process takes the place")
            land(lake, bronze.RECEIPTS, receipts(1), RECEIVED_AT + timedelta(hours=1))
            expected |= {receipt.receipt_id: receipt for receipt in receipts(1)}
            wait_for_count(owner, query, len(expected))
        finally:
            process.terminate()
        assert process.wait(timeout=120) == 0
    finish(platform)  # receipts are synced first: what follows from them may not have been when it was told to end
    check_totals(platform, owner, expected, bad=0)


def test_a_continuous_run_asks_to_begin_anew_when_its_time_is_up(platform: Settings, ray_address: str) -> None:
    soon = platform.pipeline.model_copy(update={"niceness": 0, "recycle_hours": 1 / 3_600})
    handled = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in handled]
    try:
        assert run_until_told(platform.model_copy(update={"pipeline": soon}), ray_address)
    finally:
        for number, handler in zip(handled, before, strict=True):
            signal.signal(number, handler)


def wait_for_word(settings: Settings, word: str) -> None:
    """Return when a run has said something."""
    deadline = time.monotonic() + 240
    while word not in (said := Path(settings.state_dir, "pipeline.log").read_text()):
        assert time.monotonic() < deadline, f"not said in four minutes:\n{said}"
        time.sleep(0.05)  # polls with a deadline


def wait_for_count(owner: psycopg.Connection[Any], query: str, wanted: int) -> None:
    """Return when a query counts that many rows."""
    deadline = time.monotonic() + 240
    while (found := owner.execute(query).fetchone()) != (wanted,):
        assert time.monotonic() < deadline, f"{found} instead of {wanted} after four minutes"
        time.sleep(0.05)  # polls with a deadline
