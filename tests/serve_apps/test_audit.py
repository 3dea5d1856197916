"""No answer without its audit event."""

import asyncio
import json

import httpx
import psycopg
import pytest

from serve_apps import context, history, lookup
from serve_apps.audit import event_of
from serve_apps.exchange import Exchange
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.serving import running

RECEIPT = make_receipt()
FOOT = "store_id=367&business_date=2026-11-17&register_id=3&sequence_number=1"


@pytest.fixture
async def api(settings, sign_ins):
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=[RECEIPT])
    async with running(lookup.build_app(settings), "/receipt") as client:
        yield client


def events(owner: psycopg.Connection) -> dict[str, dict]:
    """Return the trail by request id."""
    owner.execute("SELECT audit.project()")
    with owner.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return {row["request_id"]: row for row in cursor.execute("SELECT * FROM audit.events").fetchall()}


async def test_every_answer_and_every_refusal_has_exactly_one_event(api, sign_ins, owner):
    east, admin = sign_ins.headers("rep.east"), sign_ins.headers("admin")
    asked = [
        (f"/receipt/{RECEIPT.receipt_id}", east, 200, "answered"),
        (f"/receipt/?{FOOT}", east, 200, "answered"),
        (f"/receipt/{RECEIPT.receipt_id}", sign_ins.headers("rep.west"), 404, "not_found"),
        (f"/receipt/{RECEIPT.receipt_id}", admin, 403, "refused"),
        (f"/receipt/{RECEIPT.receipt_id}", {}, 401, "refused"),
        (f"/receipt/{RECEIPT.receipt_id}", {"Authorization": "Bearer x.y.z"}, 401, "refused"),
        ("/receipt/123", east, 422, "invalid"),
        ("/receipt/?store_id=Maria", east, 422, "invalid"),
        ("/receipt/no/such/route", east, 404, "not_found"),
    ]
    answers = [await api.get(path, headers=headers) for path, headers, _, _ in asked]
    trail = events(owner)
    assert len(trail) == len(asked)
    for answer, (path, _, status, outcome) in zip(answers, asked, strict=True):
        event = trail[answer.headers["x-request-id"]]
        assert (answer.status_code, event["status"], event["outcome"]) == (status, status, outcome), path
        assert (event["principal_id"] == "anonymous") == (status == 401)
        assert event["client_address"] == "127.0.0.9"
    found = trail[answers[0].headers["x-request-id"]]
    assert found["receipt_ids"] == [RECEIPT.receipt_id]
    assert found["customer_ids"] == ["C0000001"]
    assert found["route"] == "GET /receipt/{receipt_id}"
    assert (found["role"], found["session_id"]) == ("cs_rep", "session-of-rep.east")
    hidden = trail[answers[2].headers["x-request-id"]]
    assert (hidden["receipt_ids"], hidden["customer_ids"]) == ([RECEIPT.receipt_id], [])
    assert "Maria" not in str(trail)


async def test_without_the_audit_trail_nothing_is_answered(settings, sign_ins, owner, caplog):
    """Whatever it would have been: receipt, history, context, refusal. Nothing of it leaves, nor is it logged."""
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=[RECEIPT])
    owner.execute("REVOKE EXECUTE ON FUNCTION audit.extend FROM receipts_api")
    cases = [
        (lookup, "/receipt", f"/receipt/{RECEIPT.receipt_id}", "rep.east"),
        (lookup, "/receipt", f"/receipt/{RECEIPT.receipt_id}", "rep.west"),
        (lookup, "/receipt", "/receipt/123", "rep.east"),
        (lookup, "/receipt", f"/receipt/{RECEIPT.receipt_id}", "admin"),
        (history, "/customers", "/customers/C0000001/receipts", "rep.east"),
        (context, "/cs", "/cs/context/C0000001", "rep.east"),
    ]
    for module, prefix, path, name in cases:
        async with running(module.build_app(settings), prefix) as client:
            answer = await client.get(path, headers=sign_ins.headers(name))
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert set(answer.json()) == {"type", "title", "status", "detail", "request_id"}
        for leak in ("East Liberty", "Maria", "C0000001", RECEIPT.receipt_id, "FLUID MILK"):
            assert leak not in answer.text + str(answer.headers) + caplog.text
    assert events(owner) == {}
    assert "could not be written" in caplog.text

    owner.execute("GRANT EXECUTE ON FUNCTION audit.extend TO receipts_api")
    async with running(lookup.build_app(settings), "/receipt") as client:
        again = await client.get(f"/receipt/{RECEIPT.receipt_id}", headers=sign_ins.headers("rep.east"))
    assert again.status_code == 200
    assert len(events(owner)) == 1


async def test_a_broken_connection_is_replaced_without_losing_or_doubling_an_event(api, sign_ins, owner):
    headers = sign_ins.headers("rep.east")
    ids = []
    for _ in range(3):
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'receipts_api'")
        answer = await api.get("/receipt/123", headers=headers)
        assert answer.status_code == 422
        ids.append(answer.headers["x-request-id"])
    assert sorted(events(owner)) == sorted(ids)


async def test_concurrent_answers_share_commits_and_each_has_its_event(api, sign_ins, owner):
    headers = sign_ins.headers("rep.east")
    answers = await asyncio.gather(*(api.get(f"/receipt/{RECEIPT.receipt_id}", headers=headers) for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(events(owner)) == sorted(answer.headers["x-request-id"] for answer in answers)
    groups = owner.execute("SELECT count(*) FROM audit.spool").fetchone()[0]
    assert groups < 100


async def test_a_forwarded_address_is_marked_because_anyone_can_send_one(api, sign_ins, owner):
    headers = sign_ins.headers("rep.east") | {"X-Forwarded-For": "9.9.9.9"}
    answer = await api.get(f"/receipt/{RECEIPT.receipt_id}", headers=headers)
    assert events(owner)[answer.headers["x-request-id"]]["client_address"] == "unverified:127.0.0.9"


def test_an_address_that_no_machine_has_is_not_written_down():
    scope = {"client": ("1.2.3.4\x00", 1), "headers": [(b"x-forwarded-for", b"1.2.3.4\x00")]}
    event = event_of(Exchange("r", route="GET /"), scope, 200, "customer_service")
    assert event["client_address"] == "unverified:unreadable"


async def test_a_failure_of_ours_is_answered_and_logged_without_its_text(api, sign_ins, owner, caplog):
    owner.execute("ALTER TABLE retail.receipts RENAME COLUMN document TO kept_elsewhere")
    answer = await api.get(f"/receipt/{RECEIPT.receipt_id}", headers=sign_ins.headers("rep.east"))
    assert answer.status_code == 500
    assert "document" not in json.dumps(answer.json())
    assert events(owner)[answer.headers["x-request-id"]]["outcome"] == "failed"
    assert "UndefinedColumn" in caplog.text
    assert "does not exist" not in caplog.text


async def test_a_database_that_is_gone_is_a_503(settings, sign_ins):
    headers = sign_ins.headers("rep.east")
    nowhere = settings.model_copy(
        update={
            "database": settings.database.model_copy(
                update={"dsn": type(settings.database.dsn)("host=127.0.0.1 port=1 dbname=x")}
            )
        }
    )
    async with running(lookup.build_app(nowhere), "/receipt") as client:
        answer: httpx.Response = await client.get(f"/receipt/{RECEIPT.receipt_id}", headers=headers)
    assert answer.status_code == 503
