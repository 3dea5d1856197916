"""What a collector hears of a visit to the portal: one trace through portal and API, and nothing of anybody."""

from __future__ import annotations

import httpx
import pytest

from configs.settings import Settings
from tests.fixtures.collector import Collector
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.gradio_ui.conftest import running
from tests.gradio_ui.test_asgi import events, fire, shown, sign_in

RECEIPT, CUSTOMER = make_receipt(), make_customer()


def visit(settings: Settings) -> str:
    """Sign in, open a receipt by its number, and return what the page shows."""
    store_rows(settings, stores=[make_store()], customers=[CUSTOMER], receipts=[RECEIPT])
    forged = {"traceparent": f"00-{0xABCDEF:032x}-{0x123456:016x}-01"}
    with httpx.Client(base_url=settings.portal.public_url, timeout=20, headers=forged) as browser:
        sign_in(browser, "rep.east")
        return shown(fire(browser, events(browser)["open"], {"receipt_id": RECEIPT.receipt_id, "lines": []}))


@pytest.fixture
def visited(settings: Settings, collector: Collector) -> Collector:
    """A visit of which all is told."""
    for traced in running(collector.traced(settings), {"auth", "lookup", "customers", "context"}):
        assert "East Liberty $10.48" in visit(traced)
    return collector


def test_one_trace_leads_from_the_page_through_the_api_to_the_database(visited: Collector):
    calls = [told for told in visited.named("GET /receipt/{receipt_id}") if told.resource["service.name"] == "portal"]
    (call,) = calls
    (served,) = [told for told in visited.named("GET /receipt/{receipt_id}") if told.is_below(call)]
    assert served.resource["service.name"] == "lookup"
    assert call.attributes["http.response.status_code"] == 200
    (page,) = [told for told in visited.spans() if call.is_below(told)]
    assert page.name == "POST /rep/*"
    assert set(visited.below(page)) >= {
        "sessions.find_session", "GET /receipt/{receipt_id}", "GET /cs/context/{customer_id}",
        "GET /customers/{customer_id}/receipts", "GET /receipt/{receipt_id}/timeline",
    }  # fmt: skip
    inner = {told.resource["service.name"] for told in visited.spans() if told.span.trace_id == page.span.trace_id}
    assert inner == {"portal", "lookup", "customers", "context"}


def test_a_browser_is_not_believed_and_nothing_personal_is_told(visited: Collector):
    assert not any(int.from_bytes(told.span.trace_id) == 0xABCDEF for told in visited.spans())
    names = {told.name for told in visited.spans()}
    assert {"GET /sign-in", "GET /callback"} <= names
    sent = b"".join(visited.bodies).lower()
    secret = [RECEIPT.receipt_id, CUSTOMER.customer_id, CUSTOMER.first_name, CUSTOMER.last_name, CUSTOMER.email]
    secret += [CUSTOMER.phone, "rep.east", "code="]
    assert [text for text in secret if text.lower().encode() in sent] == []


def test_what_the_portal_does_not_sample_nobody_does(settings: Settings, collector: Collector):
    for traced in running(collector.traced(settings, share=0), {"auth", "lookup", "customers", "context"}):
        assert visit(traced)
    assert collector.bodies == []
