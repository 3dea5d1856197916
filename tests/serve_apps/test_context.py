"""Who is on the phone."""

import psycopg
import pytest

from serve_apps import context
from tests.fixtures.retail import make_customer, make_store, store_rows
from tests.fixtures.serving import running


@pytest.fixture
async def api(settings, sign_ins):
    store_rows(settings, stores=[make_store()], customers=[make_customer()])
    async with running(context.build_app(settings), "/cs") as client:
        yield client


async def test_a_customer_is_shown_with_masked_contacts_and_the_profile(api, sign_ins, owner: psycopg.Connection):
    headers = sign_ins.headers("rep.east")
    answer = (await api.get("/cs/context/C0000001", headers=headers)).json()
    assert answer["profile"] is None
    assert answer["customer"] == {
        "customer_id": "C0000001",
        "first_name": "Maria",
        "last_name": "Kowalski",
        "email_masked": answer["customer"]["email_masked"],
        "phone_masked": answer["customer"]["phone_masked"],
        "city": "Pittsburgh",
        "customer_since": "2019-05-04",
    }
    assert "kowalski" not in answer["customer"]["email_masked"]
    assert "555" not in answer["customer"]["phone_masked"]
    owner.execute(
        "INSERT INTO retail.customer_profiles VALUES ('C0000001', '{1}', 1048, 1, NULL, %s)", ('{"visits": 1}',)
    )
    assert (await api.get("/cs/context/C0000001", headers=headers)).json()["profile"] == {"visits": 1}


async def test_another_regions_customer_looks_exactly_like_none(api, sign_ins):
    told = []
    for customer in ("C0000001", "C9999999"):
        answer = await api.get(f"/cs/context/{customer}", headers=sign_ins.headers("rep.west"))
        assert answer.status_code == 404
        told.append({key: value for key, value in answer.json().items() if key != "request_id"})
    assert told[0] == told[1]
