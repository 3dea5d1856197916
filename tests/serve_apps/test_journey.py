"""What a collector hears of requests: their stages, their questions, and nothing of anybody."""

import asyncio
import logging
from urllib.parse import parse_qs, urlsplit

import pytest

from receipts.identity import display
from receipts.trace_context import traceparent
from serve_apps.lookup import build_app
from tests.fixtures.retail import make_receipt, make_store, store_rows
from tests.fixtures.searching import CUSTOMERS, TODAY
from tests.fixtures.serving import running
from tests.fixtures.whole_api import whole_api
from tests.serve_apps.signing_in import VERIFIER, Browser

RECEIPT = make_receipt()
OTHERS = [make_receipt(sequence_number=n) for n in range(2, 22)]
CALLER = {"traceparent": traceparent(0xABCDEF, 0x123456, sampled=True), "tracestate": "vendor=1"}
CUSTOMER = CUSTOMERS[0]
TEXT = f"fancy cheese for {CUSTOMER.first_name} {CUSTOMER.last_name} with card ending 1234"
FUZZY = {"customer_name": f"{CUSTOMER.first_name} {CUSTOMER.last_name}", "card_last4": "1234"}


def signed(sign_ins, client_id="", name="rep.east"):
    """Return the header of a token that was given to a client."""
    return {"Authorization": f"Bearer {sign_ins.issuer().access_token(sign_ins.principal(name), name, client_id)}"}


@pytest.fixture
def sold(settings, sign_ins):
    store_rows(settings, stores=[make_store()], receipts=[RECEIPT, *OTHERS])
    return settings


async def ask(settings, path, headers, expect=200):
    """Ask the lookup application once and return the answer; all spans have been sent then."""
    async with running(build_app(settings), "/receipt") as api:
        answer = await api.get(path, headers=headers)
    assert answer.status_code == expect, answer.text
    return answer


async def test_a_lookup_is_a_span_with_its_stages_and_the_question_it_shared(sold, sign_ins, collector):
    answer = await ask(collector.traced(sold), f"/receipt/{RECEIPT.receipt_id}", signed(sign_ins))
    request = collector.one("GET /receipt/{receipt_id}")
    assert request.attributes == {
        "http.request.method": "GET",
        "http.route": "/receipt/{receipt_id}",
        "http.response.status_code": 200,
        "receipts.request_id": answer.headers["x-request-id"],
    }
    assert (request.resource["service.name"], request.resource["service.namespace"]) == ("lookup", "receipts")
    assert request.resource["deployment.environment.name"] == "embedded"
    assert collector.below(request) == ["authenticate", "limits", "answer", "limits", "send"]
    stage = collector.one("answer")
    assert collector.below(stage)[:2] == ["queue", "question"]  # and that the first one begins a chain
    shared, own = collector.one("lookup.find_receipts_on_record"), collector.one("question")
    assert shared.links_to(stage)
    assert own.links_to(shared)
    assert shared.attributes["db.operation.batch.size"] == 1
    assert not any(told.has_failed for told in collector.spans())


async def test_a_question_for_many_links_to_each_of_them(sold, sign_ins, collector):
    async with running(build_app(collector.traced(sold)), "/receipt") as api:
        paths = [f"/receipt/{one.receipt_id}" for one in OTHERS]
        await asyncio.gather(*(api.get(path, headers=signed(sign_ins)) for path in paths))
    questions = collector.named("lookup.find_receipts_on_record")
    stages = collector.named("answer")
    assert len(stages) == len(OTHERS)
    assert len(questions) < len(OTHERS)
    assert all(sum(question.links_to(stage) for question in questions) == 1 for stage in stages)
    assert sum(question.attributes["db.operation.batch.size"] for question in questions) == len(OTHERS)
    assert len({question.span.trace_id for question in questions} | {one.span.trace_id for one in stages}) == len(
        questions
    ) + len(stages)


async def test_the_portals_trace_goes_on_and_anybody_elses_does_not(sold, sign_ins, collector):
    path = f"/receipt/{RECEIPT.receipt_id}"
    traced = collector.traced(sold, trusted_clients="crm")
    for client in ("receipts-portal", "crm", "", "another"):
        await ask(traced, path, signed(sign_ins, client) | CALLER)
    of_portal, of_crm, of_nobody, of_another = collector.named("GET /receipt/{receipt_id}")
    for told in (of_portal, of_crm):
        assert int.from_bytes(told.span.trace_id) == 0xABCDEF
        assert int.from_bytes(told.span.parent_span_id) == 0x123456
        assert told.span.trace_state == "vendor=1"
    for told in (of_nobody, of_another):
        assert int.from_bytes(told.span.trace_id) != 0xABCDEF
        assert told.span.parent_span_id == b""
        assert told.span.trace_state == ""


async def test_what_the_portal_did_not_sample_is_not_sampled_here(sold, sign_ins, collector):
    unsampled = {"traceparent": traceparent(0xABCDEF, 0x123456, sampled=False)}
    path = f"/receipt/{RECEIPT.receipt_id}"
    await ask(collector.traced(sold), path, signed(sign_ins, "receipts-portal") | unsampled)
    assert collector.spans() == []
    # And what it sampled is, however few traces begin here; nobody else can ask for that.
    await ask(collector.traced(sold, share=0), path, signed(sign_ins) | CALLER)
    assert collector.spans() == []
    await ask(collector.traced(sold, share=0), path, signed(sign_ins, "receipts-portal") | CALLER)
    assert collector.one("GET /receipt/{receipt_id}")


async def test_a_malformed_parent_begins_a_new_trace(sold, sign_ins, collector, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = {"traceparent": "00-maria.kowalski@example.com-01", "tracestate": "Maria Kowalski"}
    await ask(collector.traced(sold), f"/receipt/{RECEIPT.receipt_id}", signed(sign_ins, "receipts-portal") | wrong)
    assert collector.one("GET /receipt/{receipt_id}").span.parent_span_id == b""
    assert "owalski" not in caplog.text


async def test_refusals_and_failures_are_told_by_their_type(sold, sign_ins, owner, collector):
    traced = collector.traced(sold)
    await ask(traced, f"/receipt/{RECEIPT.receipt_id}", {}, expect=401)
    await ask(traced, "/receipt/?store_id=Maria", signed(sign_ins), expect=422)
    owner.execute("DROP FUNCTION retail.find_receipts_on_record CASCADE")
    await ask(traced, f"/receipt/{RECEIPT.receipt_id}", signed(sign_ins), expect=500)
    refused, wrong, failed = (t for t in collector.spans() if "http.response.status_code" in t.attributes)
    assert (refused.attributes["http.response.status_code"], refused.has_failed) == (401, False)
    assert (wrong.name, wrong.has_failed) == ("GET /receipt/", False)
    assert failed.has_failed
    assert failed.attributes["error.type"] == "UndefinedFunction"


async def test_without_a_collector_nothing_is_sent_and_with_one_that_is_away_all_is_answered(
    sold, sign_ins, collector, caplog
):
    path = f"/receipt/{RECEIPT.receipt_id}"
    await ask(sold, path, signed(sign_ins) | CALLER)
    assert collector.bodies == []
    collector.status = 400
    await ask(collector.traced(sold), path, signed(sign_ins))
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        "The collector does not take spans; those of this time are lost, and nothing else is."
    ]


async def test_the_collectors_key_is_sent_to_it(sold, sign_ins, collector):
    traced = collector.traced(sold, headers={"x-honeycomb-team": "the key"})
    await ask(traced, f"/receipt/{RECEIPT.receipt_id}", signed(sign_ins))
    assert {sent["x-honeycomb-team"] for sent in collector.headers} == {"the key"}


async def test_of_a_whole_journey_nothing_personal_reaches_the_collector(shelf, sign_ins, collector):
    settings = collector.traced(shelf.settings)
    chicken = shelf.receipts["chicken"]
    async with whole_api(settings) as api:
        browser = Browser(api.clients["/auth"], settings)
        await api.ask("GET", "/auth/authorize", params=browser.asks())
        chosen = await api.ask("POST", "/auth/authorize", data=browser.asks(principal_id="rep.east"))
        (code,) = parse_qs(urlsplit(chosen.headers["location"]).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": browser.callback}
        tokens = (await browser.ask(**form, code_verifier=VERIFIER)).raise_for_status().json()
        headers = {"Authorization": f"Bearer {tokens['access_token']}", **CALLER}
        asked = [
            (200, await api.ask("GET", f"/receipt/{chicken.receipt_id}", headers=headers)),
            (200, await api.ask("GET", f"/customers/{CUSTOMER.customer_id}/receipts?limit=5", headers=headers)),
            (200, await api.ask("GET", f"/cs/context/{CUSTOMER.customer_id}", headers=headers)),
            (200, await api.ask("POST", "/search/", json={"text": TEXT, "today": f"{TODAY}"}, headers=headers)),
            (200, await api.ask("POST", "/search/fuzzy/", json=FUZZY, headers=headers)),
            (422, await api.ask("GET", f"/customers/{CUSTOMER.email}/receipts", headers=headers)),
            (404, await api.ask("GET", f"/cs/nowhere/{CUSTOMER.last_name}", headers=headers)),
            (200, await api.ask("GET", "/admin/quarantine/", headers=signed(sign_ins, name="admin"))),
        ]
    assert [answer.status_code for _, answer in asked] == [expected for expected, _ in asked]
    requests = {told.name: told for told in collector.spans() if "receipts.request_id" in told.attributes}
    assert set(requests) == {
        "GET /auth/authorize", "POST /auth/authorize", "POST /auth/token", "GET /receipt/{receipt_id}",
        "GET /customers/{customer_id}/receipts", "GET /cs/context/{customer_id}", "POST /search/",
        "POST /search/fuzzy/", "GET /cs", "GET /admin/quarantine/",
    }  # fmt: skip
    # The token says that it is the portal's, so what was asked with it went on from its caller.
    assert int.from_bytes(requests["GET /receipt/{receipt_id}"].span.trace_id) == 0xABCDEF
    assert {"history.list_receipts", "context.find_context", "search_engine.search_receipts"} <= {
        told.name for told in collector.spans()
    }
    sent = b"".join(collector.bodies)
    secret = [
        chicken.receipt_id, display(chicken.receipt_id), CUSTOMER.customer_id, CUSTOMER.first_name, CUSTOMER.last_name,
        CUSTOMER.email, CUSTOMER.phone, CUSTOMER.city, "cheese", "1234", "rep.east", VERIFIER, code, "127.0.0.9",
        *tokens["access_token"].split("."), tokens["refresh_token"], sign_ins.principal("rep.east").scope_id,
    ]  # fmt: skip
    assert [text for text in secret if text.lower().encode() in sent.lower()] == []
