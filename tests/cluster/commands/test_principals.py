"""The commands for principals, services and sessions: entered, linked, ended, and refused in a sentence."""

import json
import subprocess
import sys

import psycopg
import pytest

from configs.settings import Settings
from receipts.database import DatabaseRole, connect
from tests.fixtures.environment import environment_of

_PATIENCE_S = 120  # for one command: a deadline for a hanging one, never waited for


@pytest.fixture
def run(settings: Settings):
    """Run `receipts` against a platform with a company's provider."""
    upstream = {"issuer": "https://id.example.com", "client_id": "receipts"}
    auth = settings.auth.model_dump() | {"development_provider": False, "upstream": upstream}
    environment = environment_of(Settings.model_validate(settings.model_dump() | {"auth": auth}))

    def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cluster.commands", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=_PATIENCE_S, check=False
        )

    return _run


def _done(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def _refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout
    return done.stderr


def _open_session(settings: Settings, session_id: str, principal_id: str) -> None:
    with connect(settings, DatabaseRole.AUTH) as connection:
        connection.execute(
            "INSERT INTO auth.sessions (session_id, principal_id, client_id, expires_at, tokens_until) "
            "VALUES (%s, %s, 'receipts-portal', now() + interval '1 hour', now() + interval '1 hour')",
            (session_id, principal_id),
        )


def test_somebody_is_entered_and_linked_and_let_go(run, settings, owner: psycopg.Connection):
    _done(run("principals", "add", "m.rossi", "--role", "cs_rep", "--region", 2, "--region", 1, "--subject", "00u1"))
    (entry,) = json.loads(_done(run("principals", "list", "--json")))
    assert (entry["role"], entry["region_ids"], entry["active"]) == ("cs_rep", [1, 2], True)
    assert entry["identities"] == ["https://id.example.com 00u1"]
    query = "SELECT principal_id FROM access.admit('https://id.example.com', '00u1', '', NULL, '{}', false)"
    with connect(settings, DatabaseRole.AUTH) as connection:
        assert connection.execute(query).fetchall() == [("m.rossi",)]
    for session in ("one", "two"):
        _open_session(settings, session, "m.rossi")
    assert [one["session_id"] for one in json.loads(_done(run("sessions", "list", "--json")))] == ["two", "one"]
    assert _done(run("sessions", "revoke", "one")) == "1 sessions ended\n"
    assert _done(run("principals", "deactivate", "m.rossi")).endswith("1 sessions ended\n")
    assert _done(run("principals", "deactivate", "m.rossi")).endswith("0 sessions ended\n")
    with connect(settings, DatabaseRole.API) as connection:
        assert set(connection.execute("SELECT * FROM auth.list_ended_sessions()")) == {("one",), ("two",)}
    with connect(settings, DatabaseRole.AUTH) as connection:
        assert connection.execute(query).fetchall() == []
    _done(run("principals", "activate", "m.rossi"))
    assert _done(run("principals", "unlink", "m.rossi")).startswith("1 links")


def test_what_cannot_be_entered_is_said_in_a_sentence(run):
    _done(run("principals", "add", "boss", "--role", "supervisor", "--all-regions", "--subject", "1"))
    _done(run("principals", "add", "other", "--role", "admin", "--all-regions"))
    assert "boss exists" in _refused(run("principals", "add", "boss", "--role", "cs_rep", "--region", 1))
    assert "either which regions or all" in _refused(run("principals", "add", "x", "--role", "cs_rep"))
    assert "receipts tills add" in _refused(run("principals", "add", "x", "--role", "till", "--region", 1))
    assert "is another principal already" in _refused(run("principals", "link", "other", "1"))
    assert "e-mail address may change hands" in _refused(run("principals", "link", "other", "m@example.com"))
    assert "There is no principal nobody" in _refused(run("principals", "deactivate", "nobody"))
    assert "There is no principal nobody" in _refused(run("principals", "link", "nobody", "2"))


def test_a_service_gets_a_secret_once_and_loses_it(run, settings, owner: psycopg.Connection):
    made = json.loads(_done(run("clients", "add", "crm", "--role", "cs_rep", "--region", 1, "--note", "CRM", "--json")))
    rotated = json.loads(_done(run("clients", "rotate", "crm", "--json")))
    digests = "SELECT encode(secret_digest, 'hex') = encode(sha256(%s::bytea), 'hex') FROM auth.clients"
    assert owner.execute(digests, (rotated["client_secret"].encode(),)).fetchone() == (True,)
    assert owner.execute(digests, (made["client_secret"].encode(),)).fetchone() == (False,)
    listed = _done(run("clients", "list", "--json"))
    assert rotated["client_secret"] not in listed
    assert json.loads(listed)[0]["revoked_at"] is None
    _open_session(settings, "of the service", "crm")
    assert _done(run("clients", "revoke", "crm")) == "crm is revoked; 1 sessions ended\n"
    assert "No service crm is in use" in _refused(run("clients", "rotate", "crm"))
    assert "crm exists" in _refused(run("clients", "add", "crm", "--role", "cs_rep", "--all-regions"))
