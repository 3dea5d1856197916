"""The commands that bring receipts in, through a real gateway."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from configs.settings import Settings
from ingest.server import running
from tests.ingest.till_double import serving

_PATIENCE_S = 120  # for one command: a deadline for a hanging one, never waited for


@pytest.fixture
async def empty_gateway(settings: Settings) -> AsyncIterator[str]:
    """The address of a running gateway that knows no store."""
    address = f"127.0.0.1:{settings.ingest.port}"
    async with running(settings):
        await serving(address)
        yield address


def run(state_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RECEIPTS_STATE_DIR": str(state_dir)}
    command = [sys.executable, "-m", "cluster.commands", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_PATIENCE_S, check=False)


def counted(connection: psycopg.Connection, *tables: str) -> list[int]:
    return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]


async def test_real_baskets_go_in_at_the_gateway_and_again_change_nothing(
    settings: Settings, owner: psycopg.Connection, empty_gateway: str
) -> None:
    command = ("import", "complete-journey", "--baskets", "300", "--as-if-now", "--target", empty_gateway, "--json")
    tables = ("retail.stores", "retail.customers", "retail.receipts", "ingest.outbox", "ingest.quarantine")
    first = await asyncio.to_thread(run, settings.state_dir, *command)
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    before = counted(owner, *tables)
    assert before[:3] == [told[what]["acked"] for what in ("stores", "customers", "receipts")]
    assert all(told[what]["sent"] == told[what]["acked"] for what in ("stores", "customers", "receipts"))
    assert told["stores"]["acked"] == 457
    assert told["receipts"]["acked"] >= 300
    assert before[4] == 0
    assert (settings.state_dir / "imports.json").is_file()
    second = await asyncio.to_thread(run, settings.state_dir, *command)
    assert second.returncode == 0, second.stderr
    assert counted(owner, *tables) == before


async def test_generated_dirt_ends_in_quarantine_and_the_rest_is_readable(
    settings: Settings, owner: psycopg.Connection, empty_gateway: str
) -> None:
    sizes = ("--receipts", "400", "--stores", "9", "--customers", "50", "--dirt", "0.2")
    days = ("--start", "2026-01-01", "--end", "2026-01-31")
    command = ("generate", *sizes, *days, "--send", "--target", empty_gateway, "--json")
    done = await asyncio.to_thread(run, settings.state_dir, *command)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    dirt = told["dirt"]
    refused = sum(dirt[kind] for kind in ("malformed", "wrong_total", "unknown_store", "unknown_field", "card_number"))
    receipts, quarantined = counted(owner, "retail.receipts", "ingest.quarantine")
    assert told["receipts"]["sent"] == told["receipts"]["acked"] == 400 + dirt["duplicate"] + dirt["correction"]
    assert (receipts, quarantined) == (400 - refused, refused)
    (zones,) = owner.execute("SELECT count(DISTINCT time_zone) FROM retail.stores").fetchone()
    assert zones == 2


def test_two_generations_write_the_same_bytes_to_file_and_to_stdout(tmp_path: Path) -> None:
    sizes = ("--receipts", "500", "--seed", "9", "--stores", "5", "--customers", "40", "--dirt", "0.05")
    days = ("--start", "2026-01-01", "--end", "2026-01-31")
    written = run(tmp_path, "generate", *sizes, *days, "--out", str(tmp_path / "made.jsonl"), "--json")
    assert written.returncode == 0, written.stderr
    printed = run(tmp_path, "generate", *sizes, *days, "--out", "-")
    assert printed.stdout == (tmp_path / "made.jsonl").read_text()
    assert len((tmp_path / "made.stores.jsonl").read_text().splitlines()) == 5
    assert len((tmp_path / "made.customers.jsonl").read_text().splitlines()) == 40


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("generate", "--receipts", "5"), "out: say where the receipts go"),
        (("generate", "--receipts", "5", "--out", "-", "--end", "yesterday"), "end: yesterday is not a date"),
        (("generate", "--receipts", "5", "--out", "-", "--stores", "1000"), "stores: 1000 is not between 1 and 516"),
    ],
)
def test_a_wrong_option_is_answered_in_one_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"receipts: {sentence}")
    assert len(done.stderr.splitlines()) == 1
