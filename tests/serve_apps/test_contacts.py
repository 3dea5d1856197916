"""Contact data in clear: for whom, from where, for how long, and what stays of it on record."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from serve_apps import history
from tests.fixtures.retail import make_customer, make_store, store_rows
from tests.fixtures.serving import running


@pytest.fixture
async def api(settings, sign_ins):
    store_rows(
        settings,
        stores=[make_store(), make_store(store_id=400, name="Robinson", region_id=2)],
        customers=[
            make_customer(),
            make_customer(customer_id="C0000002", email="", phone="", home_store_id=400),
        ],
    )
    async with running(history.build_app(settings), "/customers") as client:

        async def ask(customer="C0000001", who="supervisor.east", reason="call_back"):
            path = f"/customers/{customer}/contacts/reveal"
            return await client.post(path, json={"reason": reason}, headers=sign_ins.headers(who))

        yield ask


def noted(owner):
    owner.execute("SELECT audit.project()")
    return owner.execute(
        "SELECT route, status, customer_ids, constraints FROM audit.events ORDER BY occurred_at DESC LIMIT 1"
    ).fetchone()


async def test_a_supervisor_sees_the_contact_data_for_half_a_minute_and_no_cache_keeps_it(api):
    before = datetime.now(UTC)
    answer = await api()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    until = datetime.fromisoformat(told.pop("masked_again_at"))
    assert before + timedelta(seconds=30) <= until <= datetime.now(UTC) + timedelta(seconds=30)
    assert told == {
        "customer_id": "C0000001",
        "email": "maria.kowalski@example.com",
        "phone": "412-555-0167",
        "address": "12 Highland Avenue, Pittsburgh, PA 15206",
    }


async def test_a_customer_without_contact_data_has_empty_fields(api):
    told = (await api("C0000002", "fraud")).json()
    assert (told["email"], told["phone"]) == ("", "")


async def test_the_trail_keeps_whose_data_and_why_but_none_of_it(api, owner):
    await api(reason="confirm_identity")
    route, status, customers, constraints = noted(owner)
    assert (route, status) == ("POST /customers/{customer_id}/contacts/reveal", 200)
    assert customers == ["C0000001"]
    assert json.loads(constraints) == {"reason": "confirm_identity"}


async def test_another_regions_customer_looks_exactly_like_none_and_is_on_record(api, owner):
    told = []
    for customer in ("C0000002", "C9999999"):
        answer = await api(customer)
        assert answer.status_code == 404
        assert noted(owner)[1:3] == (404, [customer])
        told.append({key: value for key, value in answer.json().items() if key != "request_id"})
    assert told[0] == told[1]


@pytest.mark.parametrize("who", ["rep.east", "privacy", "admin", "till.367"])
async def test_other_roles_are_refused(api, owner, who):
    assert (await api(who=who)).status_code == 403
    assert noted(owner)[1] == 403


@pytest.mark.parametrize("reason", ["because", "", None, 1])
async def test_a_reason_is_needed_and_one_of_those_there_are(api, reason):
    answer = await api(reason=reason)
    assert (answer.status_code, answer.json()["field"]) == (422, "reason")


async def test_one_person_reveals_only_so_many_customers_in_an_hour(api):
    statuses = [(await api()).status_code for _ in range(21)]
    assert statuses == [200] * 20 + [429]
