"""Signing in through a company's real OpenID provider: the code flow with PKCE, what goes wrong in it, and sessions."""

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import psycopg
import pytest

from serve_apps import lookup, provider
from tests.fixtures.serving import running
from tests.serve_apps.signing_in import Browser

RECEIPT = "/receipt/2611170036700300000103"  # well-formed, and nobody's


@pytest.fixture
def behind(settings, sign_ins, identity_provider, owner: psycopg.Connection):
    """Settings behind the company's provider, where somebody is who is rep.east here."""
    identity_provider.tell(person="4711", claims={"name": "Renee East"})
    owner.execute(
        "INSERT INTO access.identities (issuer, subject, principal_id) VALUES (%s, '4711', 'rep.east')",
        (identity_provider.issuer,),
    )
    return identity_provider.behind(settings)


@pytest.fixture
async def browser(behind):
    async with running(provider.build_app(behind), "/auth") as api:
        yield Browser(api, behind)


def with_query(url: str, **changes: str | None) -> str:
    """Return an address with other parameters; None takes one away."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | changes
    return parts._replace(query=urlencode({k: v for k, v in query.items() if v is not None})).geturl()


def trail(owner: psycopg.Connection) -> list[tuple[str, str, int]]:
    owner.execute("SELECT audit.project()")
    return owner.execute("SELECT principal_id, route, status FROM audit.events ORDER BY occurred_at").fetchall()


async def test_somebody_known_signs_in_and_the_api_believes_the_tokens(browser, behind, owner):
    tokens = await browser.sign_in()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3_600)
    published = jwt.PyJWKSet.from_dict((await browser.api.get("/auth/jwks")).json())
    key = published[jwt.get_unverified_header(tokens["id_token"])["kid"]]
    identity = jwt.decode(tokens["id_token"], key, ["ES256"], audience=browser.client_id, issuer=behind.auth.issuer)
    assert (identity["sub"], identity["nonce"]) == ("rep.east", "the nonce")
    async with running(lookup.build_app(behind), "/receipt") as receipts:
        for name, status in (("access_token", 404), ("id_token", 401), ("refresh_token", 401)):
            answer = await receipts.get(RECEIPT, headers={"Authorization": f"Bearer {tokens[name]}"})
            assert answer.status_code == status, name
    told = trail(owner)
    assert ("rep.east", "GET /auth/callback", 303) in told
    assert ("rep.east", "POST /auth/token", 200) in told


async def test_the_companys_provider_gets_pkce_state_and_nonce_and_the_database_none_of_them(browser, owner):
    answer = await browser.leave()
    asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert all(len(asked[name]) >= 43 for name in ("state", "nonce", "code_challenge"))
    assert "HttpOnly" in answer.headers["set-cookie"]
    kept = str(owner.execute("SELECT s, encode(state_digest, 'escape') FROM auth.sign_ins s").fetchall())
    assert not any(asked[name] in kept for name in ("state", "nonce", "code_challenge"))


@pytest.mark.parametrize("asked", ["nonce", "code_challenge"])
async def test_an_answer_to_another_request_is_refused(browser, owner, asked):
    """A nonce or a challenge that is not this browser's: as in an injected code."""
    other = (await browser.leave()).headers["location"]
    other = parse_qs(urlsplit(other).query)[asked][0]
    location = with_query((await browser.leave()).headers["location"], **{asked: other})
    answer = await browser.come_back(await browser.prove(location))
    assert answer.status_code == 401
    assert "did not confirm who you are" in answer.text
    assert trail(owner)[-1] == ("anonymous", "GET /auth/callback", 401)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "another"},
        {"state": None},
        {"iss": "http://127.0.0.1:1"},
        {"iss": None},
        {"code": "guess"},
        {"code": None},
    ],
    ids=str,
)
async def test_a_changed_answer_is_refused_and_ends_the_sign_in(browser, change):
    back = await browser.prove((await browser.leave()).headers["location"])
    assert (await browser.come_back(with_query(back, **change))).status_code == 401
    assert (await browser.come_back(back)).status_code == 401  # that sign-in is over


async def test_an_answer_is_worth_nothing_in_another_browser_or_twice(browser, behind):
    back = await browser.prove((await browser.leave()).headers["location"])
    cookies = dict(browser.api.cookies)
    browser.api.cookies.clear()
    assert (await browser.come_back(back)).status_code == 401
    browser.api.cookies.update(cookies)
    assert (await browser.come_back(back)).status_code == 303
    browser.api.cookies.update(cookies)
    assert (await browser.come_back(back)).status_code == 401


async def test_somebody_who_cancels_is_told_so(browser, identity_provider):
    identity_provider.tell(denies=True)
    answer = await browser.come_back(await browser.prove((await browser.leave()).headers["location"]))
    assert (answer.status_code, "cancelled" in answer.text) == (401, True)


async def test_somebody_unknown_is_refused_on_a_page_and_on_record(browser, identity_provider, owner):
    identity_provider.tell(person="nobody we know", claims={"name": "Mallory", "email": "rep.east@example.com"})
    answer = await browser.come_back(await browser.prove((await browser.leave()).headers["location"]))
    assert answer.status_code == 403
    assert re.search(r"have no access here", answer.text)
    assert trail(owner)[-1] == ("anonymous", "GET /auth/callback", 403)


async def test_somebody_deactivated_is_refused(browser, owner):
    owner.execute("UPDATE access.principals SET active = false WHERE principal_id = 'rep.east'")
    answer = await browser.come_back(await browser.prove((await browser.leave()).headers["location"]))
    assert answer.status_code == 403


async def test_groups_give_a_role_with_regions_and_follow_the_company(settings, sign_ins, identity_provider, owner):
    worth = {"fraud": "fraud_team:all", "reps-east": "cs_rep:1", "reps-west": "cs_rep:2"}
    behind = identity_provider.behind(settings, groups=worth)
    entered = "SELECT role, region_ids, all_regions, display_name FROM access.principals WHERE follows_groups"
    async with running(provider.build_app(behind), "/auth") as api:
        identity_provider.tell(person="0815", claims={"name": "New Rep", "groups": ["reps-west", "reps-east", "other"]})
        tokens = await Browser(api, behind).sign_in()
        assert owner.execute(entered).fetchall() == [("cs_rep", [1, 2], False, "New Rep")]
        assert jwt.decode(tokens["access_token"], options={"verify_signature": False})["role"] == "cs_rep"
        identity_provider.tell(claims={"name": "New Name", "groups": ["reps-west", "fraud"]})
        await Browser(api, behind).sign_in()
        assert owner.execute(entered).fetchall() == [("fraud_team", [], True, "New Name")]
        identity_provider.tell(claims={"groups": ["other"]})
        gone = Browser(api, behind)
        answer = await gone.come_back(await gone.prove((await gone.leave()).headers["location"]))
        assert answer.status_code == 403


async def test_a_principal_that_was_typed_in_does_not_follow_groups(behind, identity_provider, owner):
    grouped = identity_provider.behind(behind, groups={"bosses": "admin:all"})
    identity_provider.tell(claims={"groups": ["bosses"]})
    async with running(provider.build_app(grouped), "/auth") as api:
        await Browser(api, grouped).sign_in()
    assert owner.execute("SELECT role FROM access.principals WHERE principal_id = 'rep.east'").fetchone() == ("cs_rep",)


async def test_the_tenant_is_pinned_and_the_object_id_is_the_subject(settings, sign_ins, identity_provider, owner):
    behind = identity_provider.behind(settings, tenant="our-tenant", subject_claim="oid")
    owner.execute(
        "INSERT INTO access.identities (issuer, subject, principal_id) VALUES (%s, 'object-1', 'rep.east')",
        (identity_provider.issuer,),
    )
    async with running(provider.build_app(behind), "/auth") as api:
        for claims, status in (
            ({"tid": "our-tenant", "oid": "object-1"}, 303),
            ({"tid": "another-tenant", "oid": "object-1"}, 401),
            ({"oid": "object-1"}, 401),
            ({"tid": "our-tenant"}, 401),
        ):
            identity_provider.tell(person="4711", claims=claims)
            browser = Browser(api, behind)
            answer = await browser.come_back(await browser.prove((await browser.leave()).headers["location"]))
            assert answer.status_code == status, claims


async def test_new_keys_of_the_company_are_learned_without_a_restart(browser, identity_provider):
    await browser.sign_in()
    identity_provider.tell(rotate=True)
    upstream = browser.api._transport.app._app.state.provider.upstream
    await upstream.keys.refresh()  # what happens every five minutes, and soon after an unknown key is met
    await browser.sign_in()


async def test_while_the_company_is_away_nobody_signs_in_and_sessions_go_on(browser, identity_provider):
    tokens = await browser.sign_in()
    location = (await browser.leave()).headers["location"]
    back = await browser.prove(location)
    identity_provider.tell(down=True)
    answer = await browser.come_back(back)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "Whoever is signed in can go on" in answer.json()["detail"]
    assert (await browser.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_provider_that_was_never_reached_is_a_503_and_not_an_error(settings, sign_ins, identity_provider):
    identity_provider.tell(down=True)
    behind = identity_provider.behind(settings)
    async with running(provider.build_app(behind), "/auth") as api:
        assert (await Browser(api, behind).leave()).status_code == 503


async def test_the_development_page_is_closed_behind_a_company(browser):
    answer = await browser.api.post("/auth/authorize", data=browser.asks() | {"principal_id": "admin"})
    assert answer.status_code == 403
    secret = {"grant_type": "client_credentials", "client_id": "admin", "client_secret": "guess"}
    assert (await browser.api.post("/auth/token", data=secret)).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:1/callback"},
        {"client_id": "another-client"},
    ],
    ids=lambda changes: next(iter(changes.values())),
)
async def test_codes_go_to_addresses_that_are_the_clients_own_only(browser, changes):
    answer = await browser.api.get("/auth/authorize", params=browser.asks(**changes))
    assert (answer.status_code, answer.json()["field"]) == (422, "redirect_uri")


async def test_the_command_line_gets_its_code_on_a_port_of_its_own(browser):
    asked = browser.asks(client_id="receipts-cli", redirect_uri="http://127.0.0.1:45454/callback")
    assert (await browser.api.get("/auth/authorize", params=asked)).status_code == 303
