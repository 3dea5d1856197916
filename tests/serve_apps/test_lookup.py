"""A receipt by its id, under the caller's own regions."""

import asyncio

import pytest

from receipts.identity import display, receipt_id
from serve_apps import lookup
from tests.fixtures.retail import make_receipt, make_store, store_rows
from tests.fixtures.serving import running

EAST = make_store()
WEST = make_store(store_id=400, name="Robinson", region_id=2, region="Pittsburgh West")
EASTERN = [make_receipt(sequence_number=n) for n in range(1, 41)]
WESTERN = [make_receipt(store_id=400, sequence_number=n) for n in range(1, 41)]


@pytest.fixture
async def api(settings, sign_ins):
    store_rows(settings, stores=[EAST, WEST], receipts=[*EASTERN, *WESTERN])
    async with running(lookup.build_app(settings), "/receipt") as client:
        yield client


def without_id(answer) -> dict:
    told = answer.json()
    assert told.pop("request_id") == answer.headers["x-request-id"]
    return told


async def test_a_receipt_is_found_by_its_id_with_or_without_dashes(api, sign_ins):
    receipt = EASTERN[0]
    for text in (receipt.receipt_id, display(receipt.receipt_id)):
        answer = await api.get(f"/receipt/{text}", headers=sign_ins.headers("rep.east"))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert lookup.ReceiptAnswer.model_validate(answer.json()) == lookup.ReceiptAnswer(receipt=receipt, store=EAST)
        assert receipt.canonical() in answer.text


async def test_a_receipt_is_found_by_what_is_printed_at_its_foot(api, sign_ins):
    foot = "store_id=367&business_date=2026-11-17&register_id=3&sequence_number=2"
    for path in (f"/receipt/?{foot}", f"/receipt?{foot}"):
        answer = await api.get(path, headers=sign_ins.headers("rep.east"))
        assert answer.json()["receipt"]["receipt_id"] == EASTERN[1].receipt_id


async def test_another_regions_receipt_looks_exactly_like_none(api, sign_ins):
    unknown = receipt_id(EASTERN[0].natural_key._replace(sequence_number=999))
    answers = [
        await api.get(f"/receipt/{digits}", headers=sign_ins.headers("rep.east"))
        for digits in (unknown, WESTERN[0].receipt_id)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert without_id(answers[0]) == without_id(answers[1])
    headers = [{k: v for k, v in answer.headers.items() if k != "x-request-id"} for answer in answers]
    assert headers[0] == headers[1]


async def test_concurrent_callers_of_several_scopes_each_get_their_own_receipts_and_no_others(api, sign_ins):
    tokens = {name: sign_ins.headers(name) for name in ("rep.east", "rep.west", "rep.all")}
    wanted = [(name, receipt) for receipt in (*EASTERN, *WESTERN) for name in tokens]

    async def ask(name, receipt):
        return await api.get(f"/receipt/{receipt.receipt_id}", headers=tokens[name])

    answers = await asyncio.gather(*(ask(name, receipt) for name, receipt in wanted))
    sees = {"rep.east": {367}, "rep.west": {400}, "rep.all": {367, 400}}
    for (name, receipt), answer in zip(wanted, answers, strict=True):
        if receipt.store_id in sees[name]:
            assert answer.json()["receipt"]["receipt_id"] == receipt.receipt_id
        else:
            assert answer.status_code == 404


@pytest.mark.parametrize(
    ("path", "field", "accepted"),
    [
        ("/receipt/123", "receipt_id", "22 digits"),
        ("/receipt/" + "9" * 22, "receipt_id", "check digits"),
        ("/receipt/%F0%9F%A7%BE", "receipt_id", "22 digits"),
        ("/receipt/1'%20OR%20'1'='1", "receipt_id", "22 digits"),
        (f"/receipt/{EASTERN[0].receipt_id}?verbose=1", "verbose", "accepted: none"),
        ("/receipt/?store_id=367", "business_date", "required"),
        ("/receipt/?store_id=0&business_date=2026-11-17&register_id=3&sequence_number=1", "store_id", "greater than"),
        (
            "/receipt/?store_id=1&business_date=2026-13-17&register_id=3&sequence_number=1",
            "business_date",
            "YYYY-MM-DD",
        ),
        ("/receipt/?store_id=1&business_date=1999-01-01&register_id=3&sequence_number=1", "business_date", "2000"),
        (
            "/receipt/?store_id=1&business_date=2026-11-17&register_id=3&sequence_number=1&colour=red",
            "colour",
            "business_date, register_id, sequence_number, store_id",
        ),
        (
            "/receipt/?store_id=1&store_id=2&business_date=2026-11-17&register_id=3&sequence_number=1",
            "store_id",
            "more than once",
        ),
    ],
)
async def test_wrong_input_is_refused_naming_the_field_and_what_is_accepted(api, sign_ins, path, field, accepted):
    answer = await api.get(path, headers=sign_ins.headers("rep.east"))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["field"] == field
    assert accepted in problem["detail"] + problem.get("accepted", "")
    assert set(problem) <= {"type", "title", "status", "detail", "field", "accepted", "request_id"}


async def test_a_new_replica_has_its_connection_and_its_chain_before_its_first_request(settings, sign_ins):
    app = lookup.build_app(settings)
    async with running(app, "/receipt") as client:
        lane = app.state.lookups.lanes[-1]
        assert lane.opened == 1
        answer = await client.get(f"/receipt/{EASTERN[0].receipt_id}", headers=sign_ins.headers("rep.east"))
        assert answer.status_code == 404
        assert (lane.opened, lane.retried) == (1, 0)
