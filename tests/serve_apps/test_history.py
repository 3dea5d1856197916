"""A customer's receipts, page by page."""

from datetime import UTC, datetime, timedelta

import pytest

from serve_apps import history
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.serving import running

EAST = make_store()
WEST = make_store(store_id=400, name="Robinson", region_id=2, region="Pittsburgh West")
START = datetime(2026, 11, 17, 12, tzinfo=UTC)
# Three receipts share each instant, so that pages end between receipts of the same instant.
EASTERN = [make_receipt(sequence_number=n, purchased_at=START + timedelta(minutes=n // 3)) for n in range(1, 48)]
WESTERN = [make_receipt(store_id=400, sequence_number=1, customer_id="C0000002")]


@pytest.fixture
async def api(settings, sign_ins):
    customers = [make_customer(), make_customer(customer_id="C0000003", email="", phone="")]
    store_rows(settings, stores=[EAST, WEST], customers=customers, receipts=[*EASTERN, *WESTERN])
    async with running(history.build_app(settings), "/customers") as client:
        yield client


async def test_the_newest_twenty_come_first(api, sign_ins):
    answer = await api.get("/customers/C0000001/receipts", headers=sign_ins.headers("rep.east"))
    page = answer.json()
    assert len(page["receipts"]) == 20
    assert page["next_cursor"]
    instants = [receipt["purchased_at"] for receipt in page["receipts"]]
    assert instants == sorted(instants, reverse=True)
    newest = page["receipts"][0]
    assert newest["purchased_local"] == "2026-11-17T07:15"
    assert newest["store_name"] == "East Liberty"
    assert newest["items"] == ["FLUID MILK WHITE ONLY", "CHIX: ROTISSERIE (HOT)"]
    assert (newest["total_cents"], newest["item_count"], newest["card_last4"]) == (1048, 2, ["4242"])


@pytest.mark.parametrize("limit", [1, 7, 46, 47, 48, 100])
async def test_all_pages_together_hold_every_receipt_once(api, sign_ins, limit):
    headers = sign_ins.headers("rep.east")
    seen, cursor = [], None
    while True:
        query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/customers/C0000001/receipts", params=query, headers=headers)).json()
        assert len(page["receipts"]) <= limit
        seen += [receipt["receipt_id"] for receipt in page["receipts"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    wanted = sorted(EASTERN, key=lambda one: (one.purchased_at, one.receipt_id), reverse=True)
    assert seen == [receipt.receipt_id for receipt in wanted]


async def test_a_customer_without_receipts_has_an_empty_history(api, sign_ins):
    answer = await api.get("/customers/C0000003/receipts", headers=sign_ins.headers("rep.east"))
    assert answer.json() == {"customer_id": "C0000003", "receipts": [], "next_cursor": None}


async def test_another_regions_customer_looks_exactly_like_none(api, sign_ins):
    told = []
    for customer in ("C0000002", "C9999999"):
        answer = await api.get(f"/customers/{customer}/receipts", headers=sign_ins.headers("rep.east"))
        assert answer.status_code == 404
        told.append({key: value for key, value in answer.json().items() if key != "request_id"})
    assert told[0] == told[1]
    seen = await api.get("/customers/C0000002/receipts", headers=sign_ins.headers("rep.west"))
    assert [receipt["receipt_id"] for receipt in seen.json()["receipts"]] == [WESTERN[0].receipt_id]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/customers/C0000001/receipts?limit=0", "limit"),
        ("/customers/C0000001/receipts?limit=101", "limit"),
        ("/customers/C0000001/receipts?limit=ten", "limit"),
        ("/customers/C0000001/receipts?cursor=xyz", "cursor"),
        ("/customers/C0000001/receipts?cursor=WyJub3ciLCIxIl0", "cursor"),
        ("/customers/C0000001/receipts?cursor=%C3%A9", "cursor"),
        ("/customers/C0000001/receipts?offset=20", "offset"),
        ("/customers/-;drop/receipts", "customer_id"),
    ],
)
async def test_wrong_input_is_refused_naming_the_field(api, sign_ins, path, field):
    answer = await api.get(path, headers=sign_ins.headers("rep.east"))
    assert (answer.status_code, answer.json()["field"]) == (422, field)
