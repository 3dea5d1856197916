"""Refused records over HTTP: seen by administrators only, and ordered to be dealt with."""

import pytest

from ingest.desk import work_round
from ingest.judging import Desk
from ingest.link import Link
from serve_apps import admin
from tests.fixtures.retail import make_receipt, make_store, store_rows
from tests.fixtures.serving import running

PAN = "4111111111111111"
EARLY = make_receipt(store_id=12)


@pytest.fixture
async def api(settings, sign_ins, owner):
    store_rows(settings, stores=[make_store()])
    held = [("malformed", "{}", None), ("unknown_store", EARLY.canonical(), 12), ("malformed", "[]", None)]
    for kind, payload, store_id in held:
        owner.execute(
            "INSERT INTO ingest.quarantine (bronze_table, received_at, source, reason, payload, payload_digest, kind,"
            " missing_store_id) VALUES ('bronze.receipts', now(), 'till', 'Because.', %s, sha256(%s::bytea), %s, %s)",
            (payload, payload.encode(), kind, store_id),
        )
    async with running(admin.build_app(settings), "/admin") as client:
        client.headers.update(sign_ins.headers("admin"))
        yield client


async def _perform(settings):
    link = Link(settings)
    await work_round(link, Desk(settings.ingest.max_record_bytes))
    await link.close()


async def test_pages_and_filters_show_what_waits(api):
    first = (await api.get("/admin/quarantine/", params={"limit": 2})).json()
    second = (await api.get("/admin/quarantine/", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    shown = [one["quarantine_id"] for one in (*first["refusals"], *second["refusals"])]
    assert (shown, second["next_cursor"]) == ([3, 2, 1], None)
    waiting = (await api.get("/admin/quarantine/", params={"kind": "unknown_store", "state": "held"})).json()
    assert [one["missing_store_id"] for one in waiting["refusals"]] == [12]


async def test_a_shown_record_is_audited_with_the_receipt_and_customer_it_names(api, owner):
    answer = await api.get("/admin/quarantine/2")
    assert answer.json()["payload"] == EARLY.canonical()
    owner.execute("SELECT audit.project()")
    event = owner.execute("SELECT principal_id, receipt_ids, customer_ids, purpose FROM audit.events").fetchone()
    assert tuple(map(str, event)) == ("admin", str([EARLY.receipt_id]), "['C0000001']", "operations")


async def test_a_corrected_record_is_stored_by_a_gateway_and_the_order_says_so(api, settings, owner):
    right = make_receipt(sequence_number=77)
    answer = await api.post(
        "/admin/quarantine/1/orders", json={"action": "fix", "payload": right.model_dump(mode="json")}
    )
    assert (answer.status_code, answer.json()["outcome"]) == (202, None)
    await _perform(settings)
    done = (await api.get(f"/admin/quarantine/orders/{answer.json()['order_id']}")).json()
    assert (done["outcome"], done["ordered_by"]) == ("accepted", "admin")
    held = (await api.get("/admin/quarantine/1")).json()
    assert (held["state"], held["accepted_key"], held["payload"]) == ("fixed", right.receipt_id, "{}")
    sources = owner.execute("SELECT source FROM ingest.outbox WHERE record_key = %s", [right.receipt_id]).fetchall()
    assert sources == [("quarantine:1",)]
    assert owner.execute("SELECT payload FROM ingest.desk_orders").fetchall() == [(None,)]


async def test_an_order_that_changes_nothing_says_why(api, settings):
    replayed = (await api.post("/admin/quarantine/1/orders", json={"action": "replay"})).json()
    dismissed = (await api.post("/admin/quarantine/3/orders", json={"action": "dismiss"})).json()
    await _perform(settings)
    outcome = (await api.get(f"/admin/quarantine/orders/{replayed['order_id']}")).json()["outcome"]
    assert "is required" in outcome
    assert (await api.get(f"/admin/quarantine/orders/{dismissed['order_id']}")).json()["outcome"] == "dismissed"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "fix"}, "payload"),
        ({"action": "replay", "payload": {}}, "payload"),
        ({"action": "fix", "payload": {"note": PAN}}, "payload"),
        ({"action": "fix", "payload": {PAN: 1}}, "payload"),
        ({"action": "burn"}, "action"),
    ],
)
async def test_an_order_that_cannot_be_is_refused_and_repeats_no_card_number(api, owner, body, field):
    answer = await api.post("/admin/quarantine/1/orders", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert PAN not in answer.text
    assert owner.execute("SELECT count(*) FROM ingest.desk_orders").fetchone() == (0,)


@pytest.mark.parametrize("path", ["/admin/quarantine/99", "/admin/quarantine/orders/99"])
async def test_what_is_not_there_is_not_found(api, path):
    assert (await api.get(path)).status_code == 404
    assert (await api.post("/admin/quarantine/99/orders", json={"action": "replay"})).status_code == 404
