"""The lake commands as somebody at a shell uses them."""

import json
import subprocess
import sys
from datetime import timedelta

import psycopg
import pytest

from configs.settings import Settings
from receipts import bronze
from receipts.lake import lake_of
from tests.data_jobs.landing import RECEIVED_AT, land, refine_here
from tests.fixtures.environment import environment_of
from tests.fixtures.retail import make_receipt, make_store

_PATIENCE_S = 120  # for one command: a deadline for a hanging one, never waited for


@pytest.fixture
def run(settings: Settings, owner: psycopg.Connection):
    """Run `receipts lake` on a lake with one receipt that was corrected five times."""
    lake = lake_of(settings)
    land(lake, bronze.STORES, [make_store()])
    for number in range(6):
        receipt = make_receipt(customer_id=f"C{number:07d}")
        land(lake, bronze.RECEIPTS, [receipt], RECEIVED_AT + timedelta(minutes=number))
        refine_here(lake)
    environment = environment_of(settings)

    def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cluster.commands", "lake", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=_PATIENCE_S, check=False
        )

    return _run


def _answer(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_table_is_shown_as_it_is_and_as_it_was(run) -> None:
    now = _answer(run("show", "silver.receipts", "--json"))
    assert [row["customer_id"] for row in now["rows"]] == ["C0000005"]
    versions = _answer(run("history", "silver.receipts", "--json"))["versions"]
    assert [each["version"] for each in versions] == list(range(now["version"], -1, -1))
    assert (versions[0]["what"], versions[0]["rows_in"]) == ("batch", 1)
    assert versions[0]["read"].startswith("bronze.receipts 6-6")
    then = _answer(run("show", "silver.receipts", "--as-of", 1, "--json"))
    assert [row["customer_id"] for row in then["rows"]] == ["C0000000"]
    at = _answer(run("show", "silver.receipts", "--as-of", versions[2]["at"], "--limit", 1, "--json"))
    assert at["version"] == versions[2]["version"]
    assert [row["customer_id"] for row in at["rows"]] == ["C0000003"]
    assert "1 of 1 rows" in run("show", "silver.receipts").stdout
    month = _answer(run("show", "gold.store_days", "--json"))["rows"]
    assert [row["sales"] for row in month] == [1]
    assert {"store_id", "day"} <= set(month[0])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "silver.receipts", "--as-of", "99"), "silver.receipts cannot be read as of 99: versions 0 to "),
        (("show", "silver.receipts", "--as-of", "then"), "neither a version nor an instant"),
        (("show", "silver.recipes"), "silver.recipes is not one of bronze.receipts"),
        (("history", "bronze.customers"), "bronze.customers has not been created yet."),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(run, arguments: tuple[str, ...], sentence: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("receipts: ")
    assert sentence in done.stderr


def test_the_upkeep_is_done_by_hand(run) -> None:
    done = _answer(run("compact", "bronze.receipts", "--json"))["done"]
    assert [(each["table"], each["files_before"], each["files_after"]) for each in done] == [("bronze.receipts", 6, 1)]
    assert "There was nothing to do" in run("compact", "bronze.receipts").stdout
    assert run("keep", "silver.receipts", 2).stdout == "silver.receipts: versions kept for an audit: 2\n"
    rehearsed = _answer(run("vacuum", "--rehearse", "--json"))["done"]
    assert {each["files"] for each in rehearsed} == {0}  # everything is young
    assert _answer(run("retain", "--json"))["done"] == []
    released = run("keep", "silver.receipts", 2, "--release")
    assert released.stdout == "silver.receipts: versions kept for an audit: none\n"
