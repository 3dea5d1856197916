"""The commands that import files: what they print, and the status they end with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from configs.settings import Settings
from tests.fixtures.retail import make_receipt, make_store, store_rows
from tests.ingest.adapters.poslog_writer import HEAD, TAIL, transaction
from tests.ingest.adapters.test_mapping import EXAMPLE
from tests.ingest.adapters.test_tabular import CANCELLED, HEADER, SALE
from tests.ingest.test_importing import BAD, NEW_YORK

_PATIENCE_S = 120  # for one command: a deadline for a hanging one, never waited for


@pytest.fixture
def run(settings: Settings):
    """Run `receipts import` on a platform that knows the stores 367 and 901."""
    store_rows(settings, stores=[make_store(), make_store(store_id=901, time_zone="Europe/London")])
    passwords = {role: secret.get_secret_value() for role, secret in settings.database.role_passwords.items()}
    environment = {
        **os.environ,
        "RECEIPTS_STATE_DIR": str(settings.state_dir),
        "RECEIPTS_DATABASE__DSN": settings.database.dsn.get_secret_value(),
        **{f"RECEIPTS_DATABASE__ROLE_PASSWORDS__{role.upper()}": secret for role, secret in passwords.items()},
    }

    def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cluster.commands", "import", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=_PATIENCE_S, check=False
        )

    return _run


def log(path: Path, *numbers: int, more: str = "", tail: str = TAIL) -> Path:
    receipts = (transaction(make_receipt(sequence_number=number), NEW_YORK) for number in numbers)
    path.write_text("".join((HEAD, *receipts, more, tail)))
    return path


def test_the_exit_status_tells_done_refusals_and_failure_apart(run, tmp_path):
    good = log(tmp_path / "good.xml", 1, 2)
    first = run("poslog", good, "--json")
    assert first.returncode == 0, first.stderr
    again = run("poslog", good, "--json")
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert run("poslog", log(tmp_path / "refused.xml", 3, more=BAD)).returncode == 3
    broken = run("poslog", log(tmp_path / "broken.xml", 4, tail="<"), "--json")
    assert broken.returncode == 1
    assert "broken.xml: Line 3" in broken.stderr
    missing = run("poslog", tmp_path / "missing.xml")
    assert (missing.returncode, "is no file" in missing.stderr) == (1, True)


def test_folders_and_patterns_are_imported_in_order_and_listed(run, tmp_path):
    for name, number in (("b.xml", 2), ("a.xml", 1), ("c.XML", 3)):
        log(tmp_path / name, number)
    told = json.loads(run("poslog", tmp_path, "--dry-run", "--json").stdout)
    assert [(file["file_name"], file["new"]) for file in told["files"]] == [("a.xml", 1), ("b.xml", 1), ("c.XML", 1)]
    assert json.loads(run("list", "--json").stdout) == []
    done = json.loads(run("poslog", f"{tmp_path}/[ab].xml", "--json").stdout)
    assert [file["file_name"] for file in done["files"]] == ["a.xml", "b.xml"]
    listed = json.loads(run("list", "--json").stdout)
    assert {file["file_name"] for file in listed} == {"a.xml", "b.xml"}
    assert "a.xml" in run("list").stdout


def test_tables_are_imported_by_a_mapping_and_shown_with_what_was_refused(run, tmp_path):
    table = tmp_path / "invoices.csv"
    table.write_text(f"{HEADER}\n{SALE}{CANCELLED}{SALE.replace('536365', 'A536366')}")
    done = run("csv", table, "--mapping", EXAMPLE, "--json")
    (report,) = json.loads(done.stdout)["files"]
    assert (done.returncode, report["new"], report["refused"]) == (3, 2, 1)
    shown = json.loads(run("show", report["content_digest"][:6], "--json").stdout)
    assert shown["notes"] == [
        {"record": 3, "position": 5, "skipped": False, "reason": "A bad debt was written off; no goods were sold."}
    ]
    assert "A bad debt was written off; no goods were sold." in run("show", report["content_digest"]).stdout
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("receipts: {}")
    assert "mapping: receipt is required" in run("csv", table, "--mapping", wrong).stderr
