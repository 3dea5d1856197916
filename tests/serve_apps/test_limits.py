"""Limits as a caller meets them, through the real applications."""

import asyncio
import time
from typing import Annotated

import httpx
import psycopg
import pytest
from fastapi import APIRouter, Depends

from configs.limits import CustomerCap, LimitSettings, Rate
from configs.settings import Settings
from receipts.access import Permission
from serve_apps import context, fuzzy, history, lookup, provider
from serve_apps.api import build_api
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.limits import ROUTES, Without
from serve_apps.serving import serving_context
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.serving import running
from tests.fixtures.tcp_proxy import through

CREDIT = 5
SLOW = Rate(count=1, seconds=60, burst=10)
CUSTOMERS = [f"C000000{number}" for number in range(1, 9)]
RECEIPTS = [make_receipt(sequence_number=n, customer_id=c) for n, c in enumerate(CUSTOMERS, 1)]
RECEIPT = f"/receipt/{RECEIPTS[0].receipt_id}"


def limited(settings: Settings, **limits: object) -> Settings:
    return settings.model_copy(update={"limits": LimitSettings(**limits)})


@pytest.fixture
def shop(settings, sign_ins) -> Settings:
    store_rows(
        settings,
        stores=[make_store()],
        customers=[make_customer(customer_id=customer_id) for customer_id in CUSTOMERS],
        receipts=RECEIPTS,
    )
    return settings


async def statuses(client: httpx.AsyncClient, path: str, headers: dict[str, str], times: int) -> list[int]:
    answers = await asyncio.gather(*(client.get(path, headers=headers) for _ in range(times)))
    return [answer.status_code for answer in answers]


def events(owner: psycopg.Connection, status: int) -> list[tuple]:
    owner.execute("SELECT audit.project()")
    return owner.execute(
        "SELECT principal_id, outcome, route, request_id, client_address FROM audit.events WHERE status = %s", (status,)
    ).fetchall()


async def test_too_many_requests_of_one_person_are_refused_and_nobody_else_notices(shop, sign_ins, owner):
    east, whole = sign_ins.headers("rep.east"), sign_ins.headers("rep.all")
    async with running(lookup.build_app(limited(shop, person=SLOW)), "/receipt") as client:
        told = await statuses(client, RECEIPT, east, 30)
        assert sorted(told) == [200] * (10 + CREDIT) + [429] * (20 - CREDIT)
        refused = await client.get(RECEIPT, headers=east)
        assert (await client.get(RECEIPT, headers=whole)).status_code == 200
        by_foot = await client.get("/receipt/?store_id=1", headers=east)
    assert refused.status_code == by_foot.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 61  # a minute, and the turn that may put it off, rounded up
    assert refused.headers["ratelimit-policy"] == '"requests";q=1;w=60'
    assert refused.headers["ratelimit"] == f'"requests";r=0;t={refused.headers["retry-after"]}'
    problem = refused.json()
    assert problem["type"] == "urn:receipts:problem:quota-exceeded"
    assert problem["violated-policies"] == ["requests"]
    assert "1 in 60 seconds" in problem["detail"]
    assert RECEIPTS[0].receipt_id not in refused.text
    trail = events(owner, 429)
    assert len(trail) == 20 - CREDIT + 2
    assert {(who, outcome) for who, outcome, *_ in trail} == {("rep.east", "refused")}


async def test_who_waits_as_long_as_was_told_is_admitted_again(shop, sign_ins):
    east = sign_ins.headers("rep.east")
    quick = Rate(count=2, seconds=1, burst=2)
    async with running(lookup.build_app(limited(shop, person=quick)), "/receipt") as client:
        answers = await asyncio.gather(*(client.get(RECEIPT, headers=east) for _ in range(20)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        await asyncio.sleep(max(int(answer.headers["retry-after"]) for answer in refused))
        assert (await client.get(RECEIPT, headers=east)).status_code == 200


async def test_replicas_and_applications_share_a_persons_limit(shop, sign_ins):
    east = sign_ins.headers("rep.east")
    small = limited(shop, person=SLOW)
    path = f"/customers/{CUSTOMERS[0]}/receipts"
    async with (
        running(lookup.build_app(small), "/receipt") as one,
        running(lookup.build_app(small), "/receipt") as two,
        running(history.build_app(small), "/customers") as three,
    ):
        told = await statuses(one, RECEIPT, east, 30)
        assert told.count(200) == 10 + CREDIT
        assert (await statuses(two, RECEIPT, east, 30)).count(200) == CREDIT
        assert (await statuses(three, path, east, 30)).count(200) == CREDIT


async def test_a_program_has_the_limit_of_programs_and_its_customers_are_not_counted(shop, sign_ins):
    east = sign_ins.headers("rep.east")
    one = CustomerCap(opened=1, listed=1)
    small = limited(shop, person=SLOW, services="other,rep.east", customers=one)
    async with running(lookup.build_app(small), "/receipt") as client:
        told = [await client.get(f"/receipt/{receipt.receipt_id}", headers=east) for receipt in RECEIPTS * 4]
    assert {answer.status_code for answer in told} == {200}


async def test_without_the_store_lookups_go_on_within_the_bound_and_what_is_sensitive_does_not(shop, sign_ins, owner):
    east, supervisor = sign_ins.headers("rep.east"), sign_ins.headers("supervisor.east")
    owner.execute("REVOKE EXECUTE ON FUNCTION limits.lease FROM receipts_api")
    router = APIRouter()

    @router.get("/reveal")
    async def reveal(_caller: Annotated[Caller, Depends(guard(Permission.REVEAL_CONTACTS))]) -> dict[str, str]:
        return {"email": "clear"}

    few = serving_context(limited(shop, sensitive=Rate(count=2, seconds=3_600, burst=2)))
    async with (
        running(lookup.build_app(limited(shop, person=SLOW)), "/receipt") as client,
        running(build_api("Reveal", few, [router]), "/contacts") as sensitive,
    ):
        told = await statuses(client, RECEIPT, east, 30)
        assert sorted(told) == [200] * (10 + CREDIT) + [429] * (20 - CREDIT)
        closed = await sensitive.get("/contacts/reveal", headers=supervisor)
        assert (closed.status_code, closed.headers["retry-after"]) == (503, "1")
        assert "clear" not in closed.text

        owner.execute("GRANT EXECUTE ON FUNCTION limits.lease TO receipts_api")

        deadline = time.monotonic() + 20
        while (opened := await sensitive.get("/contacts/reveal", headers=supervisor)).status_code == 503:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert opened.json() == {"email": "clear"}
        assert [(await sensitive.get("/contacts/reveal", headers=supervisor)).status_code for _ in range(2)] == [
            200,
            429,
        ]
        assert (await sensitive.get("/contacts/reveal", headers=sign_ins.headers("fraud"))).status_code == 200


async def test_with_postgres_cut_off_it_is_the_audit_trail_that_holds_answers_back_and_all_returns(
    shop, sign_ins, postgres_proxy
):
    east = sign_ins.headers("rep.east")
    cut_off = through(limited(shop, person=SLOW), postgres_proxy)
    async with running(lookup.build_app(cut_off), "/receipt") as client:
        assert (await client.get(RECEIPT, headers=east)).status_code == 200
        postgres_proxy.cut()
        assert set(await statuses(client, RECEIPT, east, 3)) == {503}
        postgres_proxy.restore()
        deadline = time.monotonic() + 20
        while (await client.get(RECEIPT, headers=sign_ins.headers("rep.all"))).status_code == 503:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


def test_every_permission_says_what_becomes_of_it_without_the_store():
    assert ROUTES.keys() == set(Permission)
    assert {permission for permission, without in ROUTES.items() if without is Without.CLOSED} == {
        Permission.DELIVER_RECEIPTS,
        Permission.REVEAL_CONTACTS,
        Permission.EXPORT_RECEIPTS,
        Permission.FULFIL_PRIVACY_REQUESTS,
    }


# Customers ----------------------------------------------------------------------------------------------------------


async def test_the_customers_a_person_opens_in_an_hour_are_capped_over_all_routes_and_replicas(
    shop, sign_ins, owner, caplog
):
    east = sign_ins.headers("rep.east")
    small = limited(shop, customers=CustomerCap(opened=3, listed=100))
    async with (
        running(lookup.build_app(small), "/receipt") as one,
        running(lookup.build_app(small), "/receipt") as two,
        running(context.build_app(small), "/cs") as cards,
        running(history.build_app(small), "/customers") as pages,
    ):
        paths = [f"/receipt/{receipt.receipt_id}" for receipt in RECEIPTS]
        assert (await one.get(paths[0], headers=east)).status_code == 200
        assert (await two.get(paths[1], headers=east)).status_code == 200
        assert (await cards.get(f"/cs/context/{CUSTOMERS[2]}", headers=east)).status_code == 200
        refused = [
            await one.get(paths[3], headers=east),
            await cards.get(f"/cs/context/{CUSTOMERS[4]}", headers=east),
            await pages.get(f"/customers/{CUSTOMERS[5]}/receipts", headers=east),
            await one.get(
                "/receipt/?store_id=367&business_date=2026-11-17&register_id=3&sequence_number=7", headers=east
            ),
        ]
        for client, path in ((one, paths[1]), (two, paths[2]), (pages, f"/customers/{CUSTOMERS[0]}/receipts")):
            assert (await client.get(path, headers=east)).status_code == 200  # seen already, wherever it was
        assert (await one.get(paths[3], headers=sign_ins.headers("supervisor.east"))).status_code == 200
        nobody = await cards.get("/cs/context/C9999999", headers=east)
    assert nobody.status_code == 404
    for answer, customer_id in zip(refused, (CUSTOMERS[3], CUSTOMERS[4], CUSTOMERS[5], CUSTOMERS[6]), strict=True):
        assert answer.status_code == 429
        assert answer.json()["violated-policies"] == ["customers-opened"]
        assert 3_500 < int(answer.headers["retry-after"]) <= 3_600
        assert customer_id not in answer.text
        assert "FLUID MILK" not in answer.text
    trail = events(owner, 429)
    assert {row[3] for row in trail} == {answer.headers["x-request-id"] for answer in refused}
    assert {row[:2] for row in trail} == {("rep.east", "refused")}
    assert "customers-opened is reached" in caplog.text
    assert "rep.east" not in caplog.text
    kept = owner.execute("SELECT count(*), count(DISTINCT principal) FROM limits.customers").fetchone()
    assert kept == (4, 2)


async def test_the_last_place_is_given_once_however_many_ask_for_it_at_the_same_moment(shop, sign_ins):
    east = sign_ins.headers("rep.east")
    small = limited(shop, customers=CustomerCap(opened=3, listed=100))
    async with running(lookup.build_app(small), "/receipt") as one, running(lookup.build_app(small), "/receipt") as two:
        answers = await asyncio.gather(
            *(
                (one if place % 2 else two).get(f"/receipt/{receipt.receipt_id}", headers=east)
                for place, receipt in enumerate(RECEIPTS)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 5


async def test_a_place_is_free_again_when_its_hour_is_over(shop, sign_ins, owner):
    east = sign_ins.headers("rep.east")
    small = limited(shop, customers=CustomerCap(opened=1, listed=100))
    async with running(lookup.build_app(small), "/receipt") as client:
        assert (await client.get(RECEIPT, headers=east)).status_code == 200
        other = f"/receipt/{RECEIPTS[1].receipt_id}"
        owner.execute("UPDATE limits.customers SET seen_at = now() - interval '50 minutes'")
        refused = await client.get(other, headers=east)
        assert refused.status_code == 429
        assert 500 < int(refused.headers["retry-after"]) <= 600
        assert "10 minutes" in refused.json()["detail"]
        owner.execute("UPDATE limits.customers SET seen_at = now() - interval '60 minutes'")
        assert (await client.get(other, headers=east)).status_code == 200


async def test_what_a_search_lists_has_a_cap_of_its_own(shop, sign_ins):
    east = sign_ins.headers("rep.east")
    small = limited(shop, customers=CustomerCap(opened=1, listed=8))
    async with (
        running(fuzzy.build_app(small), "/search/fuzzy") as search,
        running(lookup.build_app(small), "/receipt") as client,
    ):
        found = await search.post("/search/fuzzy/", json={"store": "East Liberty"}, headers=east)
        assert found.status_code == 200
        assert len(found.json()["hits"]) == len(CUSTOMERS)
        assert (await client.get(RECEIPT, headers=east)).status_code == 200
        assert (await client.get(f"/receipt/{RECEIPTS[1].receipt_id}", headers=east)).status_code == 429
    smaller = limited(shop, customers=CustomerCap(opened=1, listed=3))
    async with running(fuzzy.build_app(smaller), "/search/fuzzy") as search:
        whole = sign_ins.headers("rep.all")
        refused = await search.post("/search/fuzzy/", json={"store": "East Liberty"}, headers=whole)
    assert refused.json()["violated-policies"] == ["customers-listed"]


async def test_without_the_store_a_replica_counts_customers_itself(shop, sign_ins, owner):
    east = sign_ins.headers("rep.east")
    owner.execute("REVOKE EXECUTE ON FUNCTION limits.count_customers FROM receipts_api")
    small = limited(shop, customers=CustomerCap(opened=3, listed=100))
    async with running(lookup.build_app(small), "/receipt") as client:
        told = [(await client.get(f"/receipt/{one.receipt_id}", headers=east)).status_code for one in RECEIPTS]
        again = [(await client.get(f"/receipt/{one.receipt_id}", headers=east)).status_code for one in RECEIPTS[:3]]
    assert told == [200] * 3 + [429] * 5
    assert again == [200] * 3


# Strangers ----------------------------------------------------------------------------------------------------------


async def test_strangers_of_one_address_are_refused_and_recognised_callers_from_there_are_not(shop, sign_ins, owner):
    small = limited(shop, stranger=Rate(count=1, seconds=60, burst=5), trusted_hops=1)
    here, there = {"X-Forwarded-For": "9.9.9.9, 203.0.113.9"}, {"X-Forwarded-For": "203.0.113.10"}
    async with running(lookup.build_app(small), "/receipt") as client:
        told = await statuses(client, RECEIPT, here | {"Authorization": "Bearer x.y.z"}, 20)
        assert sorted(told) == [401] * 10 + [429] * 10
        invented = {"X-Forwarded-For": "8.8.8.8, 203.0.113.9"}
        assert (await client.get(RECEIPT, headers=invented)).status_code == 429
        assert (await client.get(RECEIPT, headers=there)).status_code == 401
        assert (await client.get(RECEIPT, headers=here | sign_ins.headers("rep.east"))).status_code == 200
    refused = events(owner, 429)
    assert len(refused) == 11
    assert {(row[0], row[1], row[4]) for row in refused} == {("anonymous", "refused", "203.0.113.9")}
    assert owner.execute("SELECT count(*) FROM limits.buckets WHERE length(key) <> 16").fetchone() == (0,)


async def test_where_addresses_cannot_be_told_apart_a_wrong_token_holds_up_itself_alone(shop, sign_ins, owner):
    small = limited(shop, stranger=Rate(count=1, seconds=60, burst=5))
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    async with running(lookup.build_app(small), "/receipt") as client:
        told = await statuses(client, RECEIPT, forwarded | {"Authorization": "Bearer x.y.z"}, 20)
        assert sorted(told) == [401] * 5 + [429] * 15
        assert (await client.get(RECEIPT, headers={"Authorization": "Bearer a.b.c"})).status_code == 401
        assert (await client.get(RECEIPT, headers=sign_ins.headers("rep.east"))).status_code == 200


# Sign-in ------------------------------------------------------------------------------------------------------------


async def sign_in(client: httpx.AsyncClient, settings: Settings, name: str, secret: str = "", **headers: str) -> int:
    right = provider._client_secret(settings)
    form = {"grant_type": "client_credentials", "client_id": name, "client_secret": secret or right}
    return (await client.post("/auth/token", data=form, headers=headers)).status_code


async def test_failed_sign_ins_for_a_name_are_limited_and_good_ones_are_not(settings, sign_ins):
    small = limited(settings, sign_in=Rate(count=3, seconds=60, burst=3))
    async with running(provider.build_app(small), "/auth") as client:
        assert [await sign_in(client, settings, "rep.west") for _ in range(6)] == [200] * 6
        told = await asyncio.gather(*(sign_in(client, settings, "rep.east", "wrong") for _ in range(8)))
        assert sorted(told) == [401] * 3 + [429] * 5
        assert await sign_in(client, settings, "rep.east") == 429
        assert await sign_in(client, settings, "rep.west") == 200


async def test_failed_sign_ins_of_an_address_are_limited_whatever_name_they_give(settings, sign_ins):
    small = limited(settings, sign_in=Rate(count=3, seconds=60, burst=3), trusted_hops=1)
    here, there = {"X-Forwarded-For": "203.0.113.9"}, {"X-Forwarded-For": "203.0.113.10"}
    async with running(provider.build_app(small), "/auth") as client:
        told = [await sign_in(client, settings, f"rep.{number}", "wrong", **here) for number in range(5)]
        assert told == [401] * 3 + [429] * 2
        assert await sign_in(client, settings, "rep.east", **there) == 200


async def test_without_the_store_nobody_signs_in_with_a_secret(settings, sign_ins, owner):
    owner.execute("REVOKE EXECUTE ON FUNCTION limits.lease FROM receipts_auth")
    async with running(provider.build_app(settings), "/auth") as client:
        assert await sign_in(client, settings, "rep.east") == 503
