"""What every answer of the portal says of being kept, and what no request may bring."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from configs.settings import Settings
from gradio_ui.assets import FOR_EVER
from tests.gradio_ui.test_asgi import NAVIGATION, sign_in


@pytest.fixture
def browser(doors: Settings) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=doors.portal.public_url, timeout=20) as client:
        yield client


def test_what_is_named_by_its_content_is_kept_and_nothing_else_is(browser: httpx.Client) -> None:
    sign_in(browser, "rep.east")
    page = browser.get("/rep/", headers=NAVIGATION)
    named = set(re.findall(r'"(?:\.?/?(?:rep/)?)(assets/[^"?]+)"', page.text))
    ours = set(re.findall(r'"(/static/[0-9a-f]{16}/[^"\\]+)', page.text))
    assert len(named) >= 2, "Gradio's script and style sheet"
    assert {path.rsplit("/", 1)[1] for path in ours} >= {"app.css", "icon.svg"}
    assert not re.search(r'"/static/(?![0-9a-f]{16}/)', page.text)
    for path in [*ours, *(f"/rep/{one}" for one in named)]:
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, FOR_EVER), path
        assert "nonce" not in answer.headers["content-security-policy"], "the same for everybody"
        assert answer.headers["x-content-type-options"] == "nosniff"
    for path in ["/rep/", "/rep/config", "/rep/theme.css", "/static/app.css", "/signed-out", "/healthz"]:
        answer = browser.get(path, headers=NAVIGATION if path == "/rep/" else {})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), path


def test_what_is_not_there_is_not_kept_whatever_its_name(browser: httpx.Client) -> None:
    for path in ["/rep/assets/none-0aNuD791.css", "/static/0123456789abcdef/none.css"]:
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize("sent_in", ["one piece", "chunks"])
def test_a_body_beyond_the_limit_is_refused_before_anybody_reads_it(
    browser: httpx.Client, doors: Settings, sent_in: str
) -> None:
    sign_in(browser, "rep.east")
    body = b"x" * (doors.portal.max_body_bytes + 1)
    content = body if sent_in == "one piece" else iter([body[:1_000], body[1_000:]])
    answer = browser.post("/rep/gradio_api/run/predict", content=content)
    assert (answer.status_code, answer.text) == (413, "The request is too large.")
    assert answer.headers["x-frame-options"] == "DENY"
