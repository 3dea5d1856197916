"""The command line signs in by a browser, goes on by refresh tokens, and signs out for all replicas."""

import json
import time
from functools import partial
from threading import Thread

import httpx
import psycopg
import pytest

from cluster import cli_session
from cluster.api_client import access_token
from cluster.errors import PlatformError
from tests.gradio_ui.conftest import api_of, served


@pytest.fixture
def behind(settings, sign_ins, identity_provider, owner: psycopg.Connection):
    """A platform behind the company's provider, running."""
    identity_provider.tell(person="4711", claims={"name": "Renee East"})
    owner.execute(
        "INSERT INTO access.identities (issuer, subject, principal_id) VALUES (%s, '4711', 'rep.east')",
        (identity_provider.issuer,),
    )
    made = identity_provider.behind(settings)
    with served(partial(api_of, made, {"auth", "lookup"}), made.serve.port):
        yield made


@pytest.fixture
def browse():
    """A browser that opens an address and follows it to the end, in a thread of its own."""
    threads = []

    def follow(url: str) -> None:
        with httpx.Client(follow_redirects=True, timeout=20, trust_env=False) as browser:
            browser.get(url)

    def show(url: str) -> None:
        threads.append(Thread(target=follow, args=(url,)))
        threads[-1].start()

    yield show
    for thread in threads:
        thread.join(20)


def status_with(settings, token: str) -> int:
    url = f"{settings.portal.api_url}/receipt/2611170036700300000103"
    return httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=20).status_code


def test_somebody_signs_in_once_and_out_for_all_replicas(behind, browse, owner):
    with pytest.raises(PlatformError, match="run `receipts sign-in`"):
        access_token(behind, "rep.all")
    cli_session.sign_in(behind, browse)
    kept = behind.state_dir / "run" / "cli-session.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    first = access_token(behind, "rep.all")
    assert access_token(behind, "rep.all") == first
    assert status_with(behind, first) == 404
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"until": time.time()}))
    assert access_token(behind, "rep.all") != first
    cli_session.sign_out(behind)
    cli_session.sign_out(behind)
    assert owner.execute("SELECT ended_by FROM auth.sessions").fetchall() == [("sign_out",)]
    deadline = time.monotonic() + 30
    while status_with(behind, first) != 401:
        assert time.monotonic() < deadline


def test_a_session_that_ended_is_said_to_have(behind, browse, owner):
    cli_session.sign_in(behind, browse)
    kept = behind.state_dir / "run" / "cli-session.json"
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"until": time.time()}))
    owner.execute("UPDATE auth.sessions SET ended_at = now(), ended_by = 'revocation'")
    with pytest.raises(PlatformError, match="The session has ended"):
        access_token(behind, "rep.all")
    assert not kept.exists()
