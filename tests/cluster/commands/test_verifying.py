"""`receipts ingest verify` tells what is broken from what is only under way, in words and by its exit code."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime

import psycopg
import pytest

from configs.settings import Settings
from ingest.bronze_writing import commit_rows, open_for_append
from ingest.drainer import drain
from receipts.bronze import RECEIPTS
from receipts.lake import lake_of
from tests.fixtures.environment import environment_of
from tests.fixtures.retail import make_receipt, make_store, store_rows

_PATIENCE_S = 120  # for one command: a deadline for a hanging one, never waited for
_RECEIPTS = [make_receipt(sequence_number=number) for number in (1, 2)]
_UNDER_WAY = ["2 records are still under way and not judged where not arrived."]
_WELL = ["What has arrived stands where it belongs, once."]


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "cluster.commands", "ingest", "verify", *map(str, arguments)]


@pytest.fixture
def run(settings: Settings):
    """Run `receipts ingest verify`."""

    def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _command(*arguments),
            capture_output=True,
            text=True,
            env=environment_of(settings),
            timeout=_PATIENCE_S,
            check=False,
        )

    return _run


@pytest.fixture
def queued(settings: Settings) -> None:
    """Two receipts in Postgres and in the outbox, which nobody drains."""
    store_rows(settings, stores=[make_store()], receipts=_RECEIPTS)


@pytest.fixture
def refused(settings: Settings) -> None:
    """A refused record that a gateway wrote to Bronze and Postgres has not heard of; Silver never takes it."""
    row = (None, None, 1, datetime(2026, 11, 17, tzinfo=UTC), "direct", "ab" * 32, "{", "The record is not valid JSON.")
    commit_rows(open_for_append(lake_of(settings), RECEIPTS), [row], [])


def test_what_is_under_way_is_counted_in_words_and_is_no_failure(run, queued) -> None:
    done = run()
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (0, _UNDER_WAY + _WELL), done.stderr
    told = json.loads(run("--json").stdout)
    assert (told["moving"], told["under_way"]["to bronze"], told["breaches"]) == (2, 2, [])


def test_what_is_under_way_after_the_wait_is_told_by_the_exit_code(run, queued) -> None:
    done = run("--wait", 0.1)
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (2, _UNDER_WAY + _WELL), done.stderr


def test_what_is_broken_comes_before_what_is_under_way(run, queued, owner: psycopg.Connection) -> None:
    owner.execute("DELETE FROM ingest.outbox WHERE record_key = %s", [_RECEIPTS[0].receipt_id])
    done = run("--wait", 60)
    broken = f"BROKEN: 1 known to Postgres are neither in Bronze nor in the outbox: {_RECEIPTS[0].receipt_id}"
    rest = "1 record is still under way and not judged where not arrived."
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (1, [broken, rest]), done.stderr


def test_the_wait_ends_once_everything_has_arrived(settings: Settings, run, refused, owner: psycopg.Connection) -> None:
    assert run("--wait", 0.1).returncode == 2
    waiting = subprocess.Popen(
        _command("--wait", _PATIENCE_S), env=environment_of(settings), stdout=subprocess.PIPE, text=True
    )
    looks = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'receipts_ingest' AND datname = current_database()"
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while owner.execute(looks).fetchone() == (0,):
            assert time.monotonic() < deadline, "it never looks"
            time.sleep(0.005)  # polls with a deadline
        drain(settings)
        said, _ = waiting.communicate(timeout=_PATIENCE_S)
    finally:
        waiting.kill()
    assert (waiting.returncode, said.splitlines()[-1]) == (0, "Every receipt stands where it belongs, once.")


def test_the_help_names_the_exit_codes(run) -> None:
    told = " ".join(run("--help").stdout.split())
    assert "Exit code: 0 if nothing is broken, 1 if anything is, 2 if nothing is but records are under way" in told
