"""Many receipts in one request, under the caller's own regions and on record."""

import pytest

from receipts.identity import display, receipt_id
from serve_apps import lookup
from serve_apps.batch import ReceiptBatchAnswer
from tests.fixtures.retail import make_receipt, make_store, store_rows
from tests.fixtures.serving import running

EAST = make_store()
WEST = make_store(store_id=400, name="Robinson", region_id=2, region="Pittsburgh West")
EASTERN = [make_receipt(sequence_number=n) for n in range(1, 41)]
WESTERN = [make_receipt(store_id=400, sequence_number=n) for n in range(1, 4)]


@pytest.fixture
async def api(settings, sign_ins):
    store_rows(settings, stores=[EAST, WEST], receipts=[*EASTERN, *WESTERN])
    async with running(lookup.build_app(settings), "/receipt") as client:
        yield client


async def test_the_receipts_come_in_the_order_asked_for_and_the_others_are_named(api, sign_ins, owner):
    unknown = receipt_id(EASTERN[0].natural_key._replace(sequence_number=999))
    ids = [one.receipt_id for one in reversed(EASTERN)]
    asked = [display(ids[0]), *ids, unknown, WESTERN[0].receipt_id]
    answer = await api.post("/receipt/batch", json={"receipt_ids": asked}, headers=sign_ins.headers("rep.east"))
    assert answer.status_code == 200
    told = ReceiptBatchAnswer.model_validate(answer.json())
    assert [one.receipt.receipt_id for one in told.receipts] == ids
    assert {one.store.store_id for one in told.receipts} == {EAST.store_id}
    assert told.not_found == [unknown, WESTERN[0].receipt_id]
    owner.execute("SELECT audit.project()")
    event = owner.execute("SELECT route, outcome, receipt_ids, constraints FROM audit.events").fetchall()
    assert event == [("POST /receipt/batch", "answered", [*ids, *told.not_found], '{"asked": 42}')]


@pytest.mark.parametrize(
    ("body", "field", "accepted"),
    [
        ({"receipt_ids": []}, "receipt_ids", "at least 1"),
        ({"receipt_ids": [EASTERN[0].receipt_id] * 1_001}, "receipt_ids", "at most 1000"),
        ({"receipt_ids": [EASTERN[0].receipt_id, "123"]}, "receipt_ids.1", "22 digits"),
        ({"receipt_ids": EASTERN[0].receipt_id}, "receipt_ids", "list"),
        ({"receipt_ids": [1]}, "receipt_ids.0", "string"),
        ({}, "receipt_ids", "required"),
        ({"receipt_ids": [EASTERN[0].receipt_id], "verbose": 1}, "verbose", "receipt_ids"),
    ],
)
async def test_wrong_input_is_refused_naming_the_place(api, sign_ins, body, field, accepted):
    answer = await api.post("/receipt/batch", json=body, headers=sign_ins.headers("rep.east"))
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["field"] == field
    assert accepted in problem["detail"] + problem.get("accepted", "")
