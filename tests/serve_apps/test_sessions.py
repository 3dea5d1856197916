"""Sessions of our own provider: rotating refresh tokens, theft, lost answers, and ends that every replica learns of."""

import asyncio
import time

import jwt
import psycopg
import pytest

from configs.auth import AuthSettings
from receipts.database import DatabaseRole, connect, open_pool
from receipts.errors import Unavailable
from serve_apps import lookup, provider
from serve_apps.revocations import Revocations
from serve_apps.sessions import Sessions, digest_of
from tests.fixtures.serving import running
from tests.serve_apps.signing_in import VERIFIER, Browser

RECEIPT = "/receipt/2611170036700300000103"  # well-formed, and nobody's
_LEARNED_WITHIN_S = 30  # replicas poll every tenth of a second here


@pytest.fixture
def quick(settings):
    """Settings by which replicas learn of ended sessions at once."""
    return settings.model_copy(update={"auth": settings.auth.model_copy(update={"revocation_poll_s": 0.1})})


@pytest.fixture
async def browser(quick, sign_ins):
    async with running(provider.build_app(quick), "/auth") as api:
        yield Browser(api, quick)


@pytest.fixture
async def receipts(quick, sign_ins):
    async with running(lookup.build_app(quick), "/receipt") as api:
        yield api


async def signed_in(browser: Browser, principal: str = "rep.east") -> dict[str, str]:
    """Sign in on the development page."""
    answer = await browser.api.post("/auth/authorize", data=browser.asks() | {"principal_id": principal})
    form = {"code": answer.headers["location"].split("code=")[1].split("&")[0], "redirect_uri": browser.callback}
    return (await browser.ask(grant_type="authorization_code", code_verifier=VERIFIER, **form)).json()


def session_of(tokens: dict[str, str]) -> str:
    return jwt.decode(tokens["access_token"], options={"verify_signature": False})["sid"]


async def status_with(receipts, tokens: dict[str, str]) -> int:
    return (await receipts.get(RECEIPT, headers={"Authorization": f"Bearer {tokens['access_token']}"})).status_code


async def learns_of_its_end(receipts, tokens: dict[str, str]) -> bool:
    """Wait until the replica refuses a token that it remembers as good."""
    deadline = time.monotonic() + _LEARNED_WITHIN_S
    while time.monotonic() < deadline:
        if await status_with(receipts, tokens) == 401:
            return True
        await asyncio.sleep(0.02)
    return False


def trail(owner: psycopg.Connection) -> list[tuple[str, str, str, int]]:
    owner.execute("SELECT audit.project()")
    return owner.execute(
        "SELECT principal_id, session_id, route, status FROM audit.events ORDER BY occurred_at"
    ).fetchall()


async def test_a_refresh_gives_another_pair_of_tokens_of_the_same_session(browser, receipts):
    first = await signed_in(browser)
    second = (await browser.refresh(first["refresh_token"])).json()
    assert session_of(first) == session_of(second)
    assert first["refresh_token"] != second["refresh_token"]
    assert "id_token" not in second
    assert second["refresh_expires_in"] <= first["refresh_expires_in"] == browser.settings.auth.session_s
    assert await status_with(receipts, second) == 404


async def test_a_used_refresh_token_ends_the_whole_session_in_every_replica(browser, receipts, owner):
    first = await signed_in(browser)
    second = (await browser.refresh(first["refresh_token"])).json()
    third = (await browser.refresh(second["refresh_token"])).json()
    assert await status_with(receipts, third) == 404
    stolen = await browser.refresh(first["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert (await browser.refresh(third["refresh_token"])).status_code == 400
    assert await learns_of_its_end(receipts, third)
    assert owner.execute("SELECT ended_by FROM auth.sessions").fetchall() == [("reuse",)]
    assert ("rep.east", session_of(first), "POST /auth/token", 400) in trail(owner)


async def test_a_refresh_whose_answer_was_lost_may_be_repeated(browser):
    first = await signed_in(browser)
    lost = (await browser.refresh(first["refresh_token"])).json()
    again = (await browser.refresh(first["refresh_token"])).json()
    assert (await browser.refresh(again["refresh_token"])).status_code == 200
    # Whoever has the answer that was lost and whoever asked again are two: that is what reuse means.
    assert (await browser.refresh(lost["refresh_token"])).status_code == 400
    assert (await browser.refresh(again["refresh_token"])).status_code == 400


async def test_a_refresh_is_not_repeated_after_its_grace(browser, owner):
    first = await signed_in(browser)
    await browser.refresh(first["refresh_token"])
    owner.execute("UPDATE auth.refresh_tokens SET used_at = used_at - interval '11 seconds' WHERE used_at IS NOT NULL")
    assert (await browser.refresh(first["refresh_token"])).status_code == 400
    assert owner.execute("SELECT ended_by FROM auth.sessions").fetchall() == [("reuse",)]


async def test_of_many_refreshes_at_once_at_most_one_chain_goes_on(quick, sign_ins):
    async with open_pool(quick, DatabaseRole.AUTH, 8, autocommit=True) as pool:
        sessions = Sessions(quick.auth, pool)
        opened = await sessions.open("rep.east", "client", refreshable=True)
        assert opened is not None
        assert opened.refresh_token is not None
        answers = await asyncio.gather(*(sessions.rotate(opened.refresh_token, "client") for _ in range(16)))
        assert {one.outcome for one in answers} == {"rotated"}
        fresh = [one.opened.refresh_token for one in answers if one.opened]
        outcomes = [(await sessions.rotate(token, "client")).outcome for token in fresh]
        assert outcomes.count("rotated") <= 1
        assert {one for one in outcomes if one != "rotated"} <= {"reused", "ended"}


async def test_a_refresh_token_is_bound_to_its_client(browser, owner):
    tokens = await signed_in(browser)
    other = await browser.ask(grant_type="refresh_token", refresh_token=tokens["refresh_token"], client_id="another")
    assert other.status_code == 400
    assert (await browser.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize("column", ["expires_at", "idle_until"])
async def test_a_session_ends_by_its_age_and_by_disuse(browser, owner, column):
    tokens = await signed_in(browser)
    table = "sessions" if column == "expires_at" else "refresh_tokens"
    owner.execute(f"UPDATE auth.{table} SET {column} = now() - interval '1 second'")
    assert (await browser.refresh(tokens["refresh_token"])).status_code == 400


async def test_no_refresh_token_is_good_beyond_its_session(browser, owner):
    tokens = await signed_in(browser)
    owner.execute("UPDATE auth.sessions SET expires_at = now() + interval '1 minute'")
    second = (await browser.refresh(tokens["refresh_token"])).json()
    assert second["refresh_expires_in"] <= 60
    query = "SELECT bool_and(t.idle_until <= s.expires_at) FROM auth.refresh_tokens t JOIN auth.sessions s "
    query += "USING (session_id) WHERE t.used_at IS NULL"
    assert owner.execute(query).fetchone() == (True,)


async def test_a_refresh_reads_the_principal_anew_and_a_deactivated_one_gets_nothing(browser, receipts, owner):
    first = await signed_in(browser)
    owner.execute(
        "UPDATE access.principals SET role = 'supervisor', region_ids = '{2}' WHERE principal_id = 'rep.east'"
    )
    second = (await browser.refresh(first["refresh_token"])).json()
    told = jwt.decode(second["access_token"], options={"verify_signature": False})
    assert told["role"] == "supervisor"
    assert told["scope_id"] != jwt.decode(first["access_token"], options={"verify_signature": False})["scope_id"]
    owner.execute("UPDATE access.principals SET active = false WHERE principal_id = 'rep.east'")
    assert (await browser.refresh(second["refresh_token"])).status_code == 400
    assert await learns_of_its_end(receipts, second)
    assert owner.execute("SELECT ended_by FROM auth.sessions").fetchall() == [("deactivation",)]


@pytest.mark.parametrize("token", ["access_token", "refresh_token"])
async def test_a_token_that_is_given_back_ends_its_session_and_no_other(browser, receipts, owner, token):
    mine, other = await signed_in(browser), await signed_in(browser)
    assert await status_with(receipts, mine) == 404
    form = {"client_id": browser.client_id, "token": mine[token], "token_type_hint": token}
    for _ in range(2):
        assert (await browser.api.post("/auth/revoke", data=form)).status_code == 200
    assert await learns_of_its_end(receipts, mine)
    assert await status_with(receipts, other) == 404
    assert (await browser.refresh(mine["refresh_token"])).status_code == 400
    assert ("rep.east", session_of(mine), "POST /auth/revoke", 200) in trail(owner)


async def test_giving_back_what_is_no_token_or_another_clients_changes_nothing(browser):
    tokens = await signed_in(browser)
    for form in (
        {"client_id": browser.client_id, "token": "guess"},
        {"client_id": browser.client_id},
        {"client_id": "another", "token": tokens["refresh_token"]},
        {"client_id": "another", "token": tokens["access_token"]},
        {"token": "\x00"},
    ):
        assert (await browser.api.post("/auth/revoke", data=form)).status_code == 200
    assert (await browser.refresh(tokens["refresh_token"])).status_code == 200


async def test_logging_out_by_the_id_token_ends_the_session_and_leads_to_the_portal_only(browser, receipts):
    tokens = await signed_in(browser)
    home = f"{browser.settings.portal.public_url}/signed-out"
    asked = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": home, "state": "x"}
    answer = await browser.api.get("/auth/logout", params=asked)
    assert answer.headers["location"] == f"{home}?state=x"
    assert await learns_of_its_end(receipts, tokens)
    elsewhere = await browser.api.get(
        "/auth/logout", params=asked | {"post_logout_redirect_uri": "https://evil.example"}
    )
    assert (elsewhere.status_code, "location" in elsewhere.headers) == (200, False)
    for hint in ("", "guess", tokens["access_token"], tokens["refresh_token"], "x" * 9_000):
        assert (await browser.api.get("/auth/logout", params={"id_token_hint": hint})).status_code == 400


async def test_a_portal_with_a_secret_must_show_it(browser, settings, sign_ins):
    portal = settings.portal.model_copy(update={"client_secret": type(settings.database.dsn)("the portal's secret")})
    secret = settings.model_copy(update={"portal": portal})
    async with running(provider.build_app(secret), "/auth") as api:
        tokens = await signed_in(browser)
        closed = Browser(api, secret)
        assert (await closed.refresh(tokens["refresh_token"])).status_code == 401
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        auth = (closed.client_id, "the portal's secret")
        assert (await api.post("/auth/token", data=form, auth=auth)).status_code == 200


async def test_a_service_has_a_secret_of_its_own(quick, sign_ins, owner):
    owner.execute("INSERT INTO auth.clients VALUES ('rep.all', %s, 'a test')", (digest_of("its secret"),))
    production = quick.model_copy(update={"auth": quick.auth.model_copy(update={"development_provider": False})})
    async with running(provider.build_app(production), "/auth") as api:
        form = {"grant_type": "client_credentials", "client_id": "rep.all", "client_secret": "its secret"}
        tokens = (await api.post("/auth/token", data=form)).json()
        assert set(tokens) == {"access_token", "token_type", "expires_in"}
        for wrong in (
            {"client_secret": "guess"},
            {"client_id": "rep.east"},
            {"client_id": "a\x00b"},
            {"client_secret": ""},
        ):
            assert (await api.post("/auth/token", data=form | wrong)).status_code == 401, wrong
        owner.execute("UPDATE auth.clients SET expires_at = now() + interval '1 minute'")
        assert (await api.post("/auth/token", data=form)).status_code == 200
        owner.execute("UPDATE auth.clients SET expires_at = now()")
        assert (await api.post("/auth/token", data=form)).status_code == 401, "it has ended by itself"
        owner.execute("UPDATE auth.clients SET expires_at = NULL, revoked_at = now()")
        assert (await api.post("/auth/token", data=form)).status_code == 401


async def test_no_token_and_no_secret_stands_in_the_database(browser, owner):
    tokens = await signed_in(browser)
    await browser.refresh(tokens["refresh_token"])
    kept = str(owner.execute("SELECT t, encode(token_digest, 'escape') FROM auth.refresh_tokens t").fetchall())
    assert tokens["refresh_token"] not in kept
    assert digest_of(tokens["refresh_token"]).hex() in kept


def test_serving_reads_which_sessions_ended_and_nothing_else_of_them(settings):
    with connect(settings, DatabaseRole.API) as connection:
        assert connection.execute("SELECT * FROM auth.list_ended_sessions()").fetchall() == []
    for table in ("auth.sessions", "auth.refresh_tokens", "auth.clients", "auth.sign_ins", "access.identities"):
        with connect(settings, DatabaseRole.API) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT FROM {table}")


async def test_without_the_list_of_ended_sessions_nobody_is_believed_after_a_minute(quick, sign_ins):
    now = [1_000.0]
    known = Revocations(AuthSettings(), clock=lambda: now[0])
    async with open_pool(quick, DatabaseRole.API) as pool:
        await known.refresh(pool)
        assert known.good_until == 1_060.0
    now[0] = 1_050.0
    await known.refresh(pool)  # the pool is closed: no answer
    assert known.good_until == 1_060.0


async def test_a_replica_that_never_read_the_list_answers_503(quick, sign_ins):
    app = lookup.build_app(quick)
    async with running(app, "/receipt") as api:
        verifier = app.state.context.tokens
        token = sign_ins.token("rep.east")
        assert (await api.get(RECEIPT, headers={"Authorization": f"Bearer {token}"})).status_code == 404
        verifier.revocations = Revocations(quick.auth)
        with pytest.raises(Unavailable):
            verifier.verify(token)
        assert (await api.get(RECEIPT, headers={"Authorization": f"Bearer {token}"})).status_code == 503
