"""The audit commands as somebody at a shell uses them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from cluster.credentials import ensure_anchor_key
from configs.settings import Settings
from tests.data_jobs.trail.writing import TODAY, copy, month_before, tamper, write_chain
from tests.fixtures.environment import environment_of

_PATIENCE_S = 120  # for one command: a deadline for a hanging one, never waited for

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(settings: Settings, owner: psycopg.Connection) -> Run:
    """Run `receipts audit` on a trail of two months."""
    ensure_anchor_key(settings)
    write_chain(owner, month_before(TODAY, 15), 1, 2)
    write_chain(owner, TODAY, 2, 3)
    copy(settings)
    environment = environment_of(settings)

    def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cluster.commands", "audit", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=_PATIENCE_S, check=False
        )

    return _run


def test_a_whole_trail_is_told_with_what_cannot_be_proven(run: Run) -> None:
    ended = run("verify")
    assert (ended.returncode, ended.stderr.strip()) == (0, "")
    assert "             5  groups\n             9  events\n" in ended.stdout
    assert "Anchored up to position 5, at " in ended.stdout
    assert "Not proven: Anchors were read in the lake only." in ended.stdout
    assert ended.stdout.endswith("The audit trail is as it was written.\n")


def test_the_first_broken_row_is_named_and_the_exit_code_says_so(run: Run, owner: psycopg.Connection) -> None:
    tamper(owner, "UPDATE audit.events SET principal_id = 'nobody'")
    ended = run("verify", "--json")
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["whole"]) == (1, False)
    assert set(told["broken"]) == {"what", "chain", "seq", "event_id"}
    assert told["broken"]["seq"] == 1
    day = month_before(TODAY, 15)
    assert run("verify", "--from", day, "--to", day).returncode == 1
    assert run("verify", "--from", month_before(TODAY, 6), "--to", month_before(TODAY, 5)).returncode == 0
    assert "BROKEN: chain " in run("verify").stdout


def test_anchors_go_to_a_place_that_is_named_and_are_verified_there(run: Run, tmp_path: Path, settings) -> None:
    ended = run("verify", "--anchors", tmp_path / "nothing", "--json")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["notes"][0] == f"The anchor 1 is not in {tmp_path / 'nothing'} yet."


def test_a_key_is_shown_changed_and_trusted_alone(run: Run, tmp_path: Path) -> None:
    ((first),) = json.loads(run("keys", "--json").stdout)
    assert first["signs"]
    file = tmp_path / "first.pub"
    file.write_text(first["public_key"])
    assert run("verify", "--key", file).returncode == 0
    assert "Give its public half to those who verify: " in run("rotate-key").stdout
    both = json.loads(run("keys", "--json").stdout)
    assert [key["signs"] for key in both if key["key_id"] == first["key_id"]] == [False]
    second = next(key for key in both if key["signs"])
    file.write_text(second["public_key"])
    ended = run("verify", "--key", file)
    assert ended.returncode == 1
    assert f"BROKEN: anchor 1: is signed with the key {first['key_id']}, which is not trusted" in ended.stdout


def test_old_months_are_let_go(run: Run, owner: psycopg.Connection) -> None:
    month = f"{month_before(TODAY, 15):%Y-%m}"
    assert json.loads(run("retain", "--json").stdout)["done"][0]["month"].startswith(month)
    assert run("retain").stdout == "There was nothing to do.\n"
    assert f"Gone by retention, on record: {month} (its groups in Postgres)" in run("verify").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["verify", "--from", "yesterday"], "--from: yesterday is no day such as 2026-11-29"),
        (["verify", "--key", "/nowhere.pub"], "--key: /nowhere.pub holds no Ed25519 public key in PEM form"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_a_sentence(run: Run, arguments: list[str], told: str) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stderr) == (1, f"receipts: {told}\n")
