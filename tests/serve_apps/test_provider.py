"""The built-in sign-in: the code flow with PKCE, client credentials, and nothing beyond this machine."""

import base64
import hashlib
import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import psycopg
import pytest

from configs.settings import SettingsError
from serve_apps import lookup, provider
from serve_apps.sign_in_page import Choice, choice_page
from tests.fixtures.serving import running

VERIFIER = "a-verifier-of-forty-three-or-more-characters-0123456789"
CALLBACK = "http://127.0.0.1:7860/callback"
ASKED = {
    "response_type": "code",
    "client_id": "receipts-portal",
    "redirect_uri": CALLBACK,
    "scope": "openid",
    "state": "the state",
    "nonce": "the nonce",
    "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode(),
    "code_challenge_method": "S256",
}


@pytest.fixture
async def api(settings, sign_ins):
    async with running(provider.build_app(settings), "/auth") as client:
        yield client


async def code_for(api: httpx.AsyncClient, principal: str) -> str:
    answer = await api.post("/auth/authorize", data=ASKED | {"principal_id": principal})
    assert answer.status_code == 303
    told = parse_qs(urlsplit(answer.headers["location"]).query)
    assert answer.headers["location"].startswith(CALLBACK + "?")
    assert told["state"] == ["the state"]
    return told["code"][0]


def redeeming(code: str, **changes: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "client_id": "receipts-portal",
        "code_verifier": VERIFIER,
    } | changes


async def test_a_person_chooses_a_principal_and_gets_tokens_that_the_api_believes(api, settings):
    page = await api.get("/auth/authorize", params=ASKED)
    assert page.status_code == 200
    assert "form-action 'self' http://127.0.0.1:7860" in page.headers["content-security-policy"]
    assert "rep.east" in re.findall(r'name="principal_id" value="([^"]+)"', page.text)
    carried = {
        name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    }
    assert carried == ASKED

    tokens = (await api.post("/auth/token", data=redeeming(await code_for(api, "rep.east")))).json()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", settings.auth.access_token_s)
    published = jwt.PyJWKSet.from_dict((await api.get("/auth/jwks")).json())
    key = published[jwt.get_unverified_header(tokens["id_token"])["kid"]]
    identity = jwt.decode(tokens["id_token"], key, ["ES256"], audience="receipts-portal", issuer=settings.auth.issuer)
    assert (identity["sub"], identity["nonce"], identity["name"]) == ("rep.east", "the nonce", "Name of rep.east")
    async with running(lookup.build_app(settings), "/receipt") as receipts:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert (await receipts.get("/receipt/2611170036700300000103", headers=headers)).status_code == 404
        headers = {"Authorization": f"Bearer {tokens['id_token']}"}
        assert (await receipts.get("/receipt/2611170036700300000103", headers=headers)).status_code == 401


async def test_a_code_is_good_once(api):
    code = await code_for(api, "rep.east")
    assert (await api.post("/auth/token", data=redeeming(code))).status_code == 200
    again = await api.post("/auth/token", data=redeeming(code))
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_verifier": "another-verifier-of-forty-three-or-more-characters"},
        {"code_verifier": ""},
        {"redirect_uri": "http://127.0.0.1:7860/other"},
        {"client_id": "another-client"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_code_is_worth_nothing_to_another_client_and_gone_after_the_attempt(api, wrong):
    code = await code_for(api, "rep.east")
    assert (await api.post("/auth/token", data=redeeming(code, **wrong))).json()["error"] == "invalid_grant"
    assert (await api.post("/auth/token", data=redeeming(code))).json()["error"] == "invalid_grant"


async def test_a_code_expires_after_a_minute(api, owner: psycopg.Connection):
    code = await code_for(api, "rep.east")
    owner.execute("UPDATE auth.codes SET expires_at = expires_at - interval '61 seconds'")
    assert (await api.post("/auth/token", data=redeeming(code))).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"redirect_uri": "https://example.com/callback"}, "redirect_uri"),
        ({"redirect_uri": "http://example.com/callback"}, "redirect_uri"),
        ({"redirect_uri": "http://127.0.0.1@example.com/"}, "redirect_uri"),
        ({"redirect_uri": "http://127.0.0.1.example.com/"}, "redirect_uri"),
        ({"redirect_uri": "javascript:alert(1)"}, "redirect_uri"),
        ({"redirect_uri": "http://127.0.0.1:7860/#x"}, "redirect_uri"),
        ({"code_challenge_method": "plain"}, "code_challenge_method"),
        ({"code_challenge": ""}, "code_challenge"),
        ({"response_type": "token"}, "response_type"),
    ],
)
async def test_a_wrong_authorization_request_is_refused_and_never_redirected(api, changes, field):
    answer = await api.get("/auth/authorize", params=ASKED | changes)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    answer = await api.post("/auth/authorize", data=ASKED | changes | {"principal_id": "rep.east"})
    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_nobody_unknown_or_inactive_signs_in(api, owner: psycopg.Connection):
    owner.execute("UPDATE access.principals SET active = false WHERE principal_id = 'rep.west'")
    for name in ("nobody", "rep.west"):
        answer = await api.post("/auth/authorize", data=ASKED | {"principal_id": name})
        assert (answer.status_code, answer.json()["field"]) == (422, "principal_id")


async def test_a_service_gets_a_token_by_the_development_secret_only(api, settings, owner: psycopg.Connection):
    secret = provider.build_app(settings).state.provider.development_secret
    form = {"grant_type": "client_credentials", "client_id": "rep.east", "client_secret": secret}
    tokens = (await api.post("/auth/token", data=form)).json()
    assert set(tokens) == {"access_token", "token_type", "expires_in"}
    by_header = await api.post("/auth/token", data={"grant_type": "client_credentials"}, auth=("rep.all", secret))
    assert by_header.status_code == 200
    for wrong in ({"client_secret": "guess"}, {"client_id": "nobody"}, {"client_secret": ""}):
        refused = await api.post("/auth/token", data=form | wrong)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    unsupported = await api.post("/auth/token", data={"grant_type": "password"})
    assert unsupported.json()["error"] == "unsupported_grant_type"
    owner.execute("SELECT audit.project()")
    trail = owner.execute("SELECT principal_id, outcome FROM audit.events ORDER BY occurred_at").fetchall()
    assert trail == [("rep.east", "answered"), ("rep.all", "answered")] + [("anonymous", "refused")] * 3 + [
        ("anonymous", "invalid")
    ]
    assert secret not in str(owner.execute("SELECT * FROM audit.events").fetchall())


async def test_another_host_name_is_refused(api):
    for host in ("example.com", "127.0.0.1.example.com", "10.0.0.1:8000", ""):
        answer = await api.get("/auth/jwks", headers={"Host": host})
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("section", "change", "named"),
    [
        ("serve", {"host": "0.0.0.0"}, "RECEIPTS_SERVE__HOST"),
        ("auth", {"issuer": "https://sign-in.example.com"}, "RECEIPTS_AUTH__ISSUER"),
    ],
)
def test_it_refuses_to_start_where_it_could_be_reached(settings, section, change, named):
    wrong = settings.model_copy(update={section: getattr(settings, section).model_copy(update=change)})
    with pytest.raises(SettingsError, match=named):
        provider.build_app(wrong)


def test_without_a_key_it_does_not_start(settings, tmp_path):
    with pytest.raises(SettingsError, match="holds no readable signing key"):
        provider.build_app(settings.model_copy(update={"state_dir": tmp_path}))


def test_the_page_escapes_what_it_shows():
    nasty = '"><script>alert(1)</script>'
    page = choice_page([Choice(nasty, nasty, nasty)], ASKED | {"state": nasty}).body.decode()
    assert "<script>" not in page
