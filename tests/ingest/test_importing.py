"""Whole files into a real Postgres: each content once, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest

from configs.settings import Settings
from ingest.adapters.poslog import read_poslog
from ingest.import_reports import Report, list_reports, show_report
from ingest.importing import ChangedFile, FileSource, ImportConflict, content_digest, import_file
from ingest.sources.synthetic.history import history_receipts, history_stores
from ingest.sources.synthetic.plan import make_plan
from receipts.errors import InvalidInput, NotFound
from receipts.models import Receipt, Store
from tests.fixtures.retail import make_receipt, make_store, store_rows
from tests.ingest.adapters.poslog_writer import HEAD, TAIL, poslog, transaction

NEW_YORK = ZoneInfo("America/New_York")
_DEADLINE_S = 120.0  # for what another process does: never waited for


@pytest.fixture
def shop(settings: Settings) -> Settings:
    """Settings of a platform that knows store 367."""
    store_rows(settings, stores=[make_store()])
    return settings


def numbered(count: int, first: int = 1, **changes: object) -> list[Receipt]:
    return [make_receipt(sequence_number=number, **changes) for number in range(first, first + count)]


def write(path: Path, receipts: list[Receipt], more: str = "") -> Path:
    path.write_text("".join([HEAD, *(transaction(receipt, NEW_YORK) for receipt in receipts), more, TAIL]))
    return path


def source(path: Path, time_zone: ZoneInfo | None = None) -> FileSource:
    return FileSource(path, "poslog", lambda zone_of: read_poslog(path, zone_of, "USD"), time_zone)


async def bring_in(settings: Settings, path: Path, *, dry_run: bool = False) -> Report:
    return await import_file(settings, source(path), dry_run=dry_run, on_progress=lambda done, report: None)


def counts(report: Report) -> dict[str, int]:
    return {name: getattr(report, name) for name in ("records", "new", "known", "refused", "skipped")}


def count(owner: psycopg.Connection, table: str) -> int:
    return owner.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


TRAINING = '\n<Transaction TrainingModeFlag="true"><RetailTransaction/></Transaction>'
BAD = "\n<Transaction><RetailStoreID>367</RetailStoreID><RetailTransaction/></Transaction>"


async def test_a_report_says_what_became_of_every_record(shop, owner, tmp_path):
    store_rows(shop, receipts=numbered(2))
    strange = transaction(make_receipt(sequence_number=9, store_id=999), NEW_YORK).replace("-05:00", "")
    utc = strange.replace("</EndDateTime>", "Z</EndDateTime>")
    report = await bring_in(shop, write(tmp_path / "log.xml", numbered(7), BAD + TRAINING + strange + utc))
    assert counts(report) == {"records": 11, "new": 5, "known": 2, "refused": 3, "skipped": 1}
    assert report.finished_at is not None
    assert count(owner, "retail.receipts") == 7
    _, notes = show_report(shop, report.content_digest[:8], 10)
    assert [(note.record, note.position, note.skipped) for note in notes] == [
        (8, 10, False),
        (9, 11, True),
        (10, 12, False),
        (11, 13, False),
    ]
    assert notes[0].reason.endswith("is missing.")
    assert "the store and so its time zone is not known" in notes[2].reason
    assert "store 999 is not known" in notes[3].reason
    held = owner.execute("SELECT DISTINCT source FROM ingest.quarantine").fetchall()
    assert held == [(f"import:{report.content_digest[:12]}",)]
    assert sum(report.reasons.values()) == 4


async def test_a_finished_content_is_never_read_again_whatever_its_name(shop, owner, tmp_path):
    first = await bring_in(shop, write(tmp_path / "log.xml", numbered(3), BAD))
    before = [count(owner, table) for table in ("ingest.outbox", "ingest.quarantine", "ingest.imports")]
    assert await bring_in(shop, write(tmp_path / "copy.xml", numbered(3), BAD)) == first
    assert [count(owner, table) for table in ("ingest.outbox", "ingest.quarantine", "ingest.imports")] == before


async def test_the_same_receipt_twice_in_a_file_is_known_the_second_time(shop, tmp_path):
    report = await bring_in(shop, write(tmp_path / "log.xml", numbered(3) + numbered(3)))
    assert (report.new, report.known) == (3, 3)


async def test_a_dry_run_reports_the_same_and_keeps_nothing(shop, owner, tmp_path):
    path = write(tmp_path / "log.xml", numbered(600), BAD + TRAINING)
    tried = await bring_in(shop, path, dry_run=True)
    for table in ("retail.receipts", "ingest.quarantine", "ingest.imports", "ingest.import_refusals"):
        assert count(owner, table) == 0
    assert count(owner, "ingest.outbox") == 1  # the store
    done = await bring_in(shop, path)
    assert (counts(tried), tried.reasons) == (counts(done), done.reasons)


async def test_a_broken_file_is_imported_up_to_there_and_its_repair_is_another_file(shop, owner, tmp_path):
    path = write(tmp_path / "log.xml", numbered(5))
    whole = path.read_text()
    path.write_text(whole[: whole.index("<SequenceNumber>5<")])
    for _ in range(2):
        report = await bring_in(shop, path)
        assert counts(report) == {"records": 4, "new": 4, "known": 0, "refused": 0, "skipped": 0}
        assert report.finished_at is None
        assert report.broken == "Line 7, column 82: no element found."
    path.write_text(whole)
    repaired = await bring_in(shop, path)
    assert (repaired.new, repaired.known, repaired.broken) == (1, 4, None)
    assert count(owner, "ingest.outbox") == 6  # the store, and each receipt once


async def test_a_local_time_of_an_unknown_store_is_read_in_the_given_zone(shop, tmp_path):
    path = write(tmp_path / "log.xml", numbered(1, store_id=999))
    report = await import_file(shop, source(path, NEW_YORK), dry_run=False, on_progress=lambda done, report: None)
    assert next(iter(report.reasons)).startswith("refused: store_id: store 999 is not known")


async def test_what_postgres_does_not_take_is_refused_alone(shop, owner, tmp_path):
    owner.execute("ALTER TABLE retail.receipts ADD CONSTRAINT not_seven CHECK (receipt_id NOT LIKE '%000007__')")
    report = await bring_in(shop, write(tmp_path / "log.xml", numbered(20)))
    assert (report.new, report.refused) == (19, 1)
    assert list(report.reasons) == ["refused: The database does not accept this record (SQLSTATE 23514)."]


async def test_a_card_number_is_nowhere_to_be_found_afterwards(shop, owner, tmp_path):
    receipt = transaction(make_receipt(), NEW_YORK).replace("************4242", "4242424242424242")
    report = await bring_in(shop, write(tmp_path / "log.xml", [], receipt))
    assert report.refused == 1
    assert owner.execute("SELECT kind FROM ingest.quarantine").fetchall() == [("card_number",)]
    for table in ("ingest.quarantine", "ingest.outbox", "ingest.import_refusals"):
        assert owner.execute(f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%42424242%'").fetchone()[0] == 0


async def test_two_processes_do_not_import_the_same_content_at_once(shop, owner, tmp_path, monkeypatch):
    path = write(tmp_path / "log.xml", numbered(3))
    monkeypatch.setattr("ingest.importing._LOCK_WAIT_MS", 50)
    key = int.from_bytes(content_digest(path)[:8], signed=True)
    owner.execute("SELECT pg_advisory_lock(%s::bigint)", (key,))
    with pytest.raises(ImportConflict, match="is being imported by another process"):
        await bring_in(shop, path)
    owner.execute("SELECT pg_advisory_unlock(%s::bigint)", (key,))
    assert (await bring_in(shop, path)).new == 3


async def test_a_file_that_changes_underneath_is_said_and_imported_anew(shop, tmp_path):
    path = write(tmp_path / "log.xml", numbered(600))

    def change(_done: int, _report: Report) -> None:
        with path.open("a") as file:
            file.write("\n")

    with pytest.raises(ChangedFile):
        await import_file(shop, source(path), dry_run=False, on_progress=change)
    report = await bring_in(shop, path)
    assert (report.new, report.known) == (100, 500)


def test_reports_are_found_by_the_first_digits_of_the_digest(shop, tmp_path):
    for first in range(20):
        asyncio.run(bring_in(shop, write(tmp_path / "log.xml", numbered(1, first + 1))))
    reports = list_reports(shop, 50)
    assert len(reports) == 20
    assert show_report(shop, reports[0].content_digest, 1)[0].content_digest == reports[0].content_digest
    with pytest.raises(NotFound):
        show_report(shop, "zz", 1)
    with pytest.raises(InvalidInput):
        show_report(shop, "", 1)


# Killed at any moment ------------------------------------------------------------------------------------------

CHILD = """
import asyncio, sys
from pathlib import Path
from configs.settings import Settings
from ingest import importing
from ingest.adapters.poslog import read_poslog
settings = Settings.model_validate_json(sys.stdin.readline())
path = Path(sys.argv[1])
importing.CHUNK_RECORDS = 20
source = importing.FileSource(path, "poslog", lambda zone_of: read_poslog(path, zone_of, "USD"))
asyncio.run(importing.import_file(settings, source, dry_run=False, on_progress=lambda done, report: None))
"""


def revealed(settings: Settings) -> str:
    """Return the settings with their secrets, for a process of our own."""
    tree = settings.model_dump(mode="json")
    tree["database"]["dsn"] = settings.database.dsn.get_secret_value()
    tree["database"]["role_passwords"] = {
        role: password.get_secret_value() for role, password in settings.database.role_passwords.items()
    }
    return json.dumps(tree)


def killed_imports(settings: Settings, owner: psycopg.Connection, path: Path, seed: int) -> Iterator[int]:
    """Start the import again and again, kill -9 it at a random moment; yield its exit status until one finishes.

    Each gets to write at least one chunk more than the one before, so that this ends.
    """
    moments = random.Random(seed)
    while True:
        goal = records_read(owner) + moments.randint(1, 400)
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdin=subprocess.PIPE, text=True)
        child.stdin.write(revealed(settings) + "\n")
        child.stdin.close()
        deadline = time.monotonic() + _DEADLINE_S
        while child.poll() is None and records_read(owner) < goal:
            assert time.monotonic() < deadline
        try:
            child.wait(moments.uniform(0, 0.03))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        status = child.wait(_DEADLINE_S)
        yield status
        if status == 0:
            return


def records_read(owner: psycopg.Connection) -> int:
    return int(owner.execute("SELECT coalesce(sum(records), 0) FROM ingest.imports").fetchone()[0])


def test_an_import_that_is_killed_at_random_moments_takes_each_record_exactly_once(settings, owner, tmp_path):
    plan = make_plan(receipts=1_500, seed=3, start=date(2026, 10, 1), end=date(2026, 11, 7), stores=4, customers=50)
    store_rows(settings, stores=[Store.model_validate_json(text) for text in history_stores(plan)])
    receipts = [Receipt.model_validate_json(text) for text in history_receipts(plan)]
    path = tmp_path / "log.xml"
    text = "".join(poslog(receipts, NEW_YORK))
    path.write_text(text.replace(TAIL, BAD + TRAINING + TAIL))
    statuses = []
    for status in killed_imports(settings, owner, path, seed=11):
        statuses.append(status)
        noted, stored = owner.execute(
            "SELECT (SELECT coalesce(sum(new + refused), 0) FROM ingest.imports),"
            " (SELECT count(*) FROM retail.receipts) + (SELECT count(*) FROM ingest.quarantine)"
        ).fetchone()
        assert noted == stored  # progress and records are one: neither is ahead of the other
    assert -signal.SIGKILL in statuses
    (report,) = list_reports(settings, 5)
    assert counts(report) == {"records": 1_502, "new": 1_500, "known": 0, "refused": 1, "skipped": 1}
    payloads = owner.execute("SELECT payload FROM ingest.outbox WHERE bronze_table = 'bronze.receipts'").fetchall()
    accepted = [Receipt.model_validate_json(payload) for (payload,) in payloads if payload.startswith("{")]
    assert len(payloads) == len(receipts) + 1
    assert sorted(accepted, key=lambda one: one.receipt_id) == sorted(receipts, key=lambda one: one.receipt_id)
