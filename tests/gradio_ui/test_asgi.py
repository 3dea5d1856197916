import json
import re
from collections.abc import Iterator
from functools import partial
from html import unescape

import gradio as gr
import httpx
import pytest
from pydantic import SecretStr
from starlette.requests import Request

from configs.settings import Settings, SettingsError
from gradio_ui.asgi import MOUNTS, build_app
from gradio_ui.pages import rep
from gradio_ui.rep import contacts, finding, mailing, opening
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.gradio_ui.conftest import served

CLOSED = """
GET {mount}/gradio_api/upload
POST {mount}/gradio_api/upload
GET {mount}/gradio_api/upload_progress
GET {mount}/gradio_api/deep_link
GET {mount}/gradio_api/file=/etc/passwd
GET {mount}/gradio_api/proxy=http://[::1]/
POST {mount}/gradio_api/queue/join
GET {mount}/gradio_api/info
GET {mount}/gradio_api/heartbeat/abc
GET {mount}/gradio_api/startup-events
GET {mount}/gradio_api/queue/data
POST {mount}/gradio_api/call/search
POST {mount}/gradio_api/api/predict
GET {mount}/gradio_api/runs
GET {mount}/monitoring
GET {mount}/monitoring/summary
GET {mount}/gradio_api/openapi.json
POST {mount}/gradio_api/component_server
POST {mount}/gradio_api/vibe-edit
POST {mount}/login
GET {mount}/logout
GET {mount}/docs
GET /docs
GET /openapi.json
""".strip().splitlines()
NAVIGATION = {"sec-fetch-mode": "navigate", "accept": "text/html"}


@pytest.fixture
def browser(doors: Settings) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=doors.portal.public_url, timeout=20) as client:
        yield client


def sign_in(browser: httpx.Client, principal: str, next_: str = "/rep/") -> httpx.Response:
    """Go through the identity provider's page as a person would; return the answer that ends it."""
    page = browser.get(browser.get("/sign-in", params={"next": next_}).headers["location"])
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
    form = {name: unescape(value) for name, value in fields.items()} | {"principal_id": principal}
    back = browser.post(page.url.copy_with(query=None), data=form)
    return browser.get(back.headers["location"])


def events(browser: httpx.Client) -> dict[str, int]:
    return {one["targets"][0][1]: one["id"] for one in browser.get("/rep/config").json()["dependencies"]}


def fire(browser: httpx.Client, event: int, data: object, mount: str = "/rep") -> httpx.Response:
    body = {"data": [], "fn_index": event, "event_data": data, "session_hash": "abc", "trigger_id": None}
    return browser.post(f"{mount}/gradio_api/run/predict", json=body)


def shown(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", "".join(answer.json()["data"]))).split())


def test_a_page_without_a_session_leads_to_sign_in_and_back(browser: httpx.Client):
    answer = browser.get("/rep/?receipt=2611170036700300000103", headers=NAVIGATION)
    assert answer.status_code == 303
    target = "/rep/?receipt=2611170036700300000103"
    assert sign_in(browser, "rep.east", target).headers["location"] == target


def test_a_script_without_a_session_gets_401_for_everything_that_is_not_a_static_file(browser: httpx.Client):
    for path in ["/rep/config", "/rep/"]:
        assert browser.get(path).status_code == 401, path
    for event in range(4):
        assert fire(browser, event, {"text": "milk"}).status_code == 401


@pytest.mark.parametrize("principal", ["privacy", "admin"])
def test_a_role_that_may_not_search_is_refused_the_page_and_its_events(browser: httpx.Client, principal: str):
    sign_in(browser, principal)
    assert browser.get("/rep/", headers=NAVIGATION).status_code == 403
    assert [fire(browser, event, {"text": "milk"}).status_code for event in range(4)] == [403] * 4


@pytest.mark.parametrize("signed_in", [False, True])
def test_routes_the_pages_do_not_need_are_closed_to_everybody(browser: httpx.Client, *, signed_in: bool):
    if signed_in:
        sign_in(browser, "rep.east")
    for mount in MOUNTS:
        for route in CLOSED:
            method, path = route.format(mount=mount).split()
            assert browser.request(method, path).status_code in (404, 405), (mount, route)


def test_the_page_carries_protective_headers_and_every_script_the_nonce_of_its_answer(browser: httpx.Client):
    sign_in(browser, "rep.east")
    nonces = set()
    for _ in range(2):
        page = browser.get("/rep/", headers=NAVIGATION)
        policy = page.headers["content-security-policy"]
        found = re.search(r"'nonce-([^']+)'", policy)
        assert found is not None
        nonces.add(found[1])
        scripts = re.findall(r"<script(?=[\s>])[^>]*>", page.text)
        assert scripts
        assert all(f'nonce="{found[1]}"' in script for script in scripts)
        assert "frame-ancestors 'none'" in policy
        assert "connect-src 'self'" in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"
    assert len(nonces) == 2


def test_the_session_is_an_opaque_cookie_that_scripts_cannot_read(browser: httpx.Client):
    cookies = sign_in(browser, "rep.east").headers.get_list("set-cookie")
    (session,) = [cookie for cookie in cookies if cookie.startswith("receipts_session=")]
    assert "HttpOnly" in session
    assert "SameSite=lax" in session
    assert "." not in session.split(";", maxsplit=1)[0]  # no token


async def test_over_https_the_cookie_is_bound_to_the_host(settings: Settings):
    portal = settings.portal.model_copy(update={"public_url": "https://receipts.example"})
    door = build_app(settings.model_copy(update={"portal": portal}))
    assert (door.portal.cookie, door.portal.secure) == ("__Host-receipts", True)


def test_signing_out_ends_the_session_on_the_server(browser: httpx.Client):
    sign_in(browser, "rep.east")
    cookies = dict(browser.cookies)
    assert browser.post("/sign-out").headers["location"] == "/signed-out"
    browser.cookies.update(cookies)
    assert browser.get("/rep/config").status_code == 401


def test_a_callback_that_nobody_began_signs_nobody_in(browser: httpx.Client):
    answer = browser.get("/callback?code=stolen&state=guessed")
    assert answer.status_code == 401
    assert "receipts_session" not in browser.cookies
    browser.get("/sign-in")
    answer = browser.get("/callback?code=stolen&state=guessed")  # begun, but with another state
    assert answer.status_code == 401


def test_an_event_opens_a_receipt_with_its_customer_and_nothing_from_elsewhere(browser: httpx.Client, doors: Settings):
    west = make_store(store_id=412, name="Robinson", region_id=2, region="Pittsburgh West")
    mine, theirs = make_receipt(), make_receipt(store_id=412)
    store_rows(doors, stores=[make_store(), west], customers=[make_customer()], receipts=[mine, theirs])
    sign_in(browser, "rep.east")
    event = events(browser)["open"]
    text = shown(fire(browser, event, {"receipt_id": mine.receipt_id, "lines": [2]}))
    assert "East Liberty" in text
    assert "Maria Kowalski" in text
    assert "maria.kowalski" not in text
    elsewhere = shown(fire(browser, event, {"receipt_id": theirs.receipt_id, "lines": []}))
    unknown = shown(fire(browser, event, {"receipt_id": make_receipt(sequence_number=9).receipt_id, "lines": []}))
    assert elsewhere == unknown
    assert "Not found" in unknown


def test_a_receipt_number_with_a_misread_digit_is_refused_in_words(browser: httpx.Client):
    sign_in(browser, "rep.east")
    number = make_receipt().receipt_id
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert "Check digits do not match" in shown(fire(browser, events(browser)["search"], {"text": wrong}))


@pytest.mark.parametrize(
    "data",
    [None, {}, [], "text", {"text": 5}, {"text": ""}, {"text": "x" * 301}, {"receipt_id": "../../admin", "lines": []}],
)
def test_an_event_with_nonsense_is_answered_in_words(browser: httpx.Client, data: object):
    sign_in(browser, "rep.east")
    for name in ("search", "open"):
        text = shown(fire(browser, events(browser)[name], data))
        assert "cannot be asked" in text
        assert "Traceback" not in text


def test_a_search_without_a_search_service_says_so(browser: httpx.Client):
    sign_in(browser, "rep.east")
    assert "cannot be reached" in shown(fire(browser, events(browser)["search"], {"text": "chicken"}))


def test_the_description_of_the_page_holds_no_data_and_no_template(browser: httpx.Client):
    sign_in(browser, "rep.east")
    config = browser.get("/rep/config").json()
    assert config["run_history"] is False
    assert config["show_error"] is False
    assert all(one["queue"] is False for one in config["dependencies"])
    assert {one["api_visibility"] for one in config["dependencies"]} == {"private"}
    templates = {one["props"]["html_template"] for one in config["components"] if one["type"] == "html"}
    assert templates == {"${value}"}
    assert "Renee" not in json.dumps(config)


async def test_a_handler_refuses_by_itself_when_nothing_stands_before_it(settings: Settings):
    door = build_app(settings)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [],
        "query_string": b"",
        "receipts.portal": door.portal,
    }
    event = gr.EventData(None, {})
    for answer in [
        await rep.welcome(gr.Request(Request(dict(scope)))),
        await finding.search(event, gr.Request(Request(dict(scope)))),
        await opening.open_receipt(event, gr.Request(Request(dict(scope)))),
        await mailing.deliver(event, gr.Request(Request(dict(scope)))),
        await contacts.reveal(event, gr.Request(Request(dict(scope)))),
    ]:
        assert "Your session has ended" in "".join(answer)


async def test_the_portal_does_not_start_where_signed_in_people_could_run_code(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GRADIO_VIBE_MODE", "1")
    with pytest.raises(SettingsError, match="GRADIO_VIBE_MODE is set"):
        build_app(settings)


def test_without_its_database_the_portal_says_so_in_words(settings: Settings):
    database = settings.database.model_copy(update={"dsn": SecretStr("postgresql://127.0.0.1:1/receipts")})
    with (
        served(partial(build_app, settings.model_copy(update={"database": database})), settings.portal.port),
        httpx.Client(base_url=settings.portal.public_url, cookies={"receipts_session": "x"}, timeout=20) as browser,
    ):
        for path in ["/rep/", "/signed-in"]:
            answer = browser.get(path, headers=NAVIGATION)
            assert answer.status_code == 503
            assert "database cannot be reached" in answer.text
        assert browser.get("/healthz").status_code == 503


def test_health_says_whether_sessions_can_be_read(browser: httpx.Client):
    assert browser.get("/healthz").json() == {"status": "ok"}
