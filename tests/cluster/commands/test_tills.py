"""The tills commands: a secret is shown once, a list shows none, and what cannot be done is said in a sentence."""

import hashlib
import json
import subprocess
import sys

import psycopg
import pytest

from configs.settings import Settings
from tests.fixtures.environment import environment_of

_PATIENCE_S = 120  # for one command: a deadline for a hanging one, never waited for


@pytest.fixture
def run(settings: Settings):
    """Run `receipts tills`."""
    environment = environment_of(settings)

    def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cluster.commands", "tills", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=_PATIENCE_S, check=False
        )

    return _run


def _answer(done: subprocess.CompletedProcess[str]):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _holds(owner: psycopg.Connection, client_id: str, secret: str) -> bool:
    query = "SELECT secret_digest FROM ingest.clients WHERE client_id = %s"
    return bytes(owner.execute(query, [client_id]).fetchone()[0]) == hashlib.sha256(secret.encode()).digest()


def test_a_secret_is_shown_once_and_rotated_and_the_credential_revoked(run, owner: psycopg.Connection) -> None:
    made = _answer(run("add", "till-367", "--store", 400, "--store", 367, "--note", "East Liberty", "--json"))
    assert set(made) == {"client_id", "client_secret"}
    assert _holds(owner, "till-367", made["client_secret"])
    shown = run("add", "head-office", "--all-stores").stdout
    assert shown.startswith("client_id      head-office\nclient_secret  ")
    listed = run("list", "--json").stdout
    feed, till = json.loads(listed)
    assert (feed["client_id"], feed["all_stores"], feed["store_ids"]) == ("head-office", True, [])
    assert (till["store_ids"], till["note"], till["revoked_at"]) == ([367, 400], "East Liberty", None)
    table = run("list").stdout
    assert "till-367" in table
    for secret in (made["client_secret"], shown.split()[3]):
        assert secret not in listed
        assert secret not in table
    renewed = _answer(run("rotate", "till-367", "--json"))["client_secret"]
    assert not _holds(owner, "till-367", made["client_secret"])
    assert _holds(owner, "till-367", renewed)
    assert run("revoke", "till-367").stdout == "till-367 is revoked\n"
    assert json.loads(run("list", "--json").stdout)[1]["revoked_at"]
    assert "No credential till-367 is in use" in run("rotate", "till-367").stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("rotate", "nobody"), "No credential nobody is in use"),
        (("revoke", "nobody"), "No credential nobody is in use"),
        (("add", "till-1"), "say either which stores or all of them"),
        (("add", "till-1", "--store", 1, "--all-stores"), "say either which stores or all of them"),
        (("add", "till 1", "--store", 1), "is not up to 100 letters"),
        (("add", "till-1", "--store", 0), "numbers from 1 to"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(run, arguments: tuple, sentence: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (1, "", False)
    assert sentence in done.stderr


def test_a_name_is_given_once(run, owner: psycopg.Connection) -> None:
    secret = _answer(run("add", "till-1", "--store", 1, "--json"))["client_secret"]
    done = run("add", "till-1", "--store", 2)
    assert (done.returncode, done.stdout) == (1, "")
    assert "till-1 exists; rotate it or take another name" in done.stderr
    assert _holds(owner, "till-1", secret)
