"""The quarantine commands: what the filters leave, what a dry run leaves alone, and what is stored in the end."""

import json
import subprocess
import sys

import psycopg
import pytest

from configs.settings import Settings
from tests.fixtures.environment import environment_of
from tests.fixtures.retail import make_receipt, make_store, store_rows

_PATIENCE_S = 120  # for one command: a deadline for a hanging one, never waited for
EARLY = make_receipt(store_id=12)
WRONG = make_receipt(sequence_number=8).canonical().replace('"total_cents":1048', '"total_cents":1049')
FOREIGN = make_receipt(sequence_number=9)
CUSTOMER = '{"customer_id":"C0000001","home_store_id":12}'


@pytest.fixture
def run(settings: Settings, owner: psycopg.Connection):
    """Run `receipts quarantine` where four records are held: 1 malformed, 2 early, 3 foreign, 4 of a customer."""
    store_rows(settings, stores=[make_store()])
    for table, received_at, kind, payload, store_id in (
        ("bronze.receipts", "2026-11-01", "malformed", WRONG, None),
        ("bronze.receipts", "2026-11-02", "unknown_store", EARLY.canonical(), 12),
        ("bronze.receipts", "2026-11-03", "foreign_store", FOREIGN.canonical(), None),
        ("bronze.customers", "2026-11-04", "malformed", CUSTOMER, None),
    ):
        owner.execute(
            "INSERT INTO ingest.quarantine (bronze_table, received_at, source, reason, payload, payload_digest, kind,"
            " missing_store_id) VALUES (%s, %s, 'till', 'Because.', %s, sha256(%s::bytea), %s, %s)",
            (table, f"{received_at} 12:00+00", payload, payload.encode(), kind, store_id),
        )
    environment = environment_of(settings)

    def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cluster.commands", "quarantine", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=_PATIENCE_S, check=False
        )

    return _run


def _answer(done: subprocess.CompletedProcess[str]) -> list[dict]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _states(owner: psycopg.Connection) -> list[str]:
    return [row[0] for row in owner.execute("SELECT state FROM ingest.quarantine ORDER BY quarantine_id")]


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ((), [4, 3, 2, 1]),
        (("--kind", "malformed"), [4, 1]),
        (("--table", "bronze.receipts", "--kind", "malformed"), [1]),
        (("--store", 12), [4, 2]),  # a receipt of the store, and a customer at home in it
        (("--store", 1), []),
        (("--since", "2026-11-03T12:00:00"), [4, 3]),
        (("--limit", 1), [4]),
        (("--state", "dismissed"), []),
        (("--state", "all", "--table", "bronze.customers"), [4]),
    ],
)
def test_a_list_shows_what_fits_the_newest_first(run, arguments: tuple, ids: list[int]) -> None:
    assert [one["quarantine_id"] for one in _answer(run("list", "--json", *arguments))] == ids


def test_a_summary_counts_by_table_and_kind(run) -> None:
    counts = {(one["bronze_table"], one["kind"]): one["refusals"] for one in _answer(run("summary", "--json"))}
    assert counts == {
        ("bronze.receipts", "malformed"): 1,
        ("bronze.receipts", "unknown_store"): 1,
        ("bronze.receipts", "foreign_store"): 1,
        ("bronze.customers", "malformed"): 1,
    }
    assert "foreign_store" in run("summary").stdout


def test_a_dry_run_says_what_would_become_of_a_record_and_changes_nothing(run, owner: psycopg.Connection) -> None:
    before = owner.execute("SELECT * FROM ingest.quarantine ORDER BY quarantine_id").fetchall()
    (replayed,) = _answer(run("replay", 3, "--dry-run", "--json"))
    assert (replayed["state"], replayed["accepted_key"]) == ("replayed", FOREIGN.receipt_id)
    (fixed,) = _answer(run("fix", 1, "--set", "total_cents=1048", "--dry-run", "--json"))
    assert (fixed["state"], fixed["reason"]) == ("fixed", None)
    (refused,) = _answer(run("fix", 1, "--set", "total_cents=1047", "--dry-run", "--json"))
    assert "total_cents is 1047" in refused["reason"]
    assert owner.execute("SELECT * FROM ingest.quarantine ORDER BY quarantine_id").fetchall() == before
    assert owner.execute("SELECT count(*) FROM retail.receipts").fetchone() == (0,)
    assert owner.execute("SELECT count(*) FROM ingest.outbox WHERE bronze_table <> 'bronze.stores'").fetchone() == (0,)


def test_corrected_dismissed_and_named_records_leave_the_list(
    run, owner: psycopg.Connection, settings: Settings, tmp_path
) -> None:
    assert "1: total_cents is 1047" in run("fix", 1, "--set", "total_cents=1047").stdout
    assert run("fix", 1, "--set", "total_cents=1048").stdout.startswith("1: accepted as ")
    whole = tmp_path / "whole.json"
    whole.write_text(make_receipt(sequence_number=10).canonical())
    assert _answer(run("fix", 2, "--file", whole, "--json"))[0]["state"] == "fixed"
    assert run("dismiss", 4).stdout == "4: dismissed\n"
    assert run("replay").stdout == ""  # that of a foreign store is left until it is named
    assert run("replay", 3).stdout == f"3: accepted as {FOREIGN.receipt_id}\n"
    assert _states(owner) == ["fixed", "fixed", "replayed", "dismissed"]
    assert _answer(run("list", "--json")) == []
    assert owner.execute("SELECT count(*) FROM retail.receipts").fetchone() == (3,)
    assert _answer(run("replay", 3, "--json"))[0]["state"] == "replayed"  # again: nothing is stored twice
    assert owner.execute("SELECT count(*) FROM ingest.outbox WHERE store_id = 367").fetchone() == (4,)  # and the store


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("fix", 1), "give either --file or --set"),
        (("fix", 1, "--set", "total_cents"), "expected path=value"),
        (("fix", 1, "--set", "lines.9.sku=1"), "the record has no such path"),
        (("dismiss", 41), "Nothing in quarantine has the number 41."),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(run, arguments: tuple, sentence: str) -> None:
    done = run(*arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert sentence in done.stderr
