"""Patterns as the fraud team is shown them: the strongest first, of its regions, on record."""

import json

import pytest

from serve_apps import fraud
from tests.fixtures.retail import make_customer, make_receipt, make_return, make_store, store_rows
from tests.fixtures.serving import plant_pattern, running

RETURNS = [make_return(None, sequence_number=n) for n in range(1, 4)]
SALE = make_receipt(sequence_number=9)
ELSEWHERE = make_return(None, store_id=400)


@pytest.fixture
async def api(settings, sign_ins, owner):
    store_rows(
        settings,
        stores=[make_store(), make_store(store_id=400, name="Robinson", region_id=2)],
        customers=[make_customer()],
        receipts=[*RETURNS, SALE, ELSEWHERE],
    )
    owner.execute(
        "INSERT INTO access.principals (principal_id, role, display_name, region_ids) "
        "VALUES ('fraud.east', 'fraud_team', 'East', '{1}')"
    )
    async with running(fraud.build_app(settings), "/fraud") as client:

        async def ask(path, who="fraud", expect=200):
            answer = await client.get(f"/fraud/patterns{path}", headers=sign_ins.headers(who))
            assert answer.status_code == expect, answer.text
            return answer.json()

        yield ask


def number(n: int) -> str:
    return f"{n:032x}"


def ids(page):
    return [int(pattern["pattern_id"], 16) for pattern in page["patterns"]]


async def test_a_pattern_is_told_with_its_figures_and_its_sentence(api, owner):
    plant_pattern(owner, number(1), receipt_types=["return"])
    assert await api("") == {
        "patterns": [
            {
                "pattern_id": number(1), "kind": "many_returns", "subject": "customer", "subject_id": "C0000001",
                "month": "2026-11-01", "score": 0.583,
                "figures": {"value": 7.0, "threshold": 5.0, "returns": 7.0},
                "explanation": "This customer made 7 returns, worth 24.43, in November 2026.", "receipt_count": 7,
            }
        ],
        "next_cursor": None,
    }  # fmt: skip


async def test_the_strongest_come_first_page_by_page(api, owner):
    strengths = {1: 500, 2: 900, 3: 700, 4: 700, 5: 700, 6: 501}
    for n, strength in strengths.items():
        plant_pattern(owner, number(n), strength=strength)
    pages, cursor = [], ""
    while cursor is not None:
        page = await api(f"?limit=2{cursor and f'&cursor={cursor}'}")
        pages.append(ids(page))
        cursor = page["next_cursor"]
    assert pages == [[2, 3], [4, 5], [6, 1]]
    for wrong in ("x", "WzEsMl0", "W10", "eyJhIjoxfQ", "WzUwMCwgIngnIl0"):
        assert (await api(f"?cursor={wrong}", expect=422))["field"] == "cursor"


async def test_they_are_listed_by_kind_and_from_a_month_on(api, owner):
    plant_pattern(owner, number(1))
    plant_pattern(owner, number(2), kind="velocity", month="2026-10-01")
    plant_pattern(owner, number(3), kind="velocity", month="2026-11-01", strength=900)
    assert ids(await api("?kind=velocity")) == [3, 2]
    assert ids(await api("?since=2026-11-23")) == [3, 1]
    assert ids(await api("?kind=velocity&since=2026-11-01")) == [3]
    await api("?kind=a-b", expect=422)
    await api("?since=yesterday", expect=422)


async def test_they_are_counted_by_kind_and_month_and_by_store(api, owner):
    plant_pattern(owner, number(1))
    plant_pattern(owner, number(2), month="2026-10-01", store_ids=[367, 400], region_ids=[1, 2])
    plant_pattern(owner, number(3), kind="velocity", store_ids=[400], region_ids=[2])
    assert await api("/summary") == {
        "by_kind": [
            {"kind": "many_returns", "month": "2026-10-01", "patterns": 1},
            {"kind": "many_returns", "month": "2026-11-01", "patterns": 1},
            {"kind": "velocity", "month": "2026-11-01", "patterns": 1},
        ],
        "by_store": [
            {"store_id": 367, "store_name": "East Liberty", "patterns": 2},
            {"store_id": 400, "store_name": "Robinson", "patterns": 2},
        ],
    }
    assert await api("/summary?since=2026-11-01", "fraud.east") == {
        "by_kind": [{"kind": "many_returns", "month": "2026-11-01", "patterns": 1}],
        "by_store": [{"store_id": 367, "store_name": "East Liberty", "patterns": 1}],
    }
    east = await api("/summary", "fraud.east")
    assert [one["store_id"] for one in east["by_store"]] == [367], "stores of other regions are not counted"


async def test_the_receipts_of_a_pattern_are_those_of_its_types_and_month(api, owner):
    plant_pattern(owner, number(1), receipt_types=["return"], region_ids=[1, 2])
    told = await api(f"/{number(1)}/receipts")
    assert {one["receipt_id"] for one in told["receipts"]} == {r.receipt_id for r in (*RETURNS, ELSEWHERE)}
    assert {one["store_name"] for one in told["receipts"]} == {"East Liberty", "Robinson"}
    east = await api(f"/{number(1)}/receipts", "fraud.east")
    assert {one["receipt_id"] for one in east["receipts"]} == {r.receipt_id for r in RETURNS}
    plant_pattern(owner, number(2), receipt_types=["return"], month="2026-10-01")
    assert await api(f"/{number(2)}/receipts") == {"receipts": []}


async def test_another_regions_pattern_looks_exactly_like_none(api, owner):
    plant_pattern(owner, number(1), region_ids=[2])
    assert (await api("", "fraud.east"))["patterns"] == []
    problems = [await api(f"/{number(n)}/receipts", "fraud.east", expect=404) for n in (1, 2)]
    assert {**problems[0], "request_id": ""} == {**problems[1], "request_id": ""}


@pytest.mark.parametrize("who", ["rep.all", "supervisor.east", "privacy", "admin", "till.367"])
async def test_other_roles_are_refused(api, who):
    for path in ("", "/summary", f"/{number(1)}/receipts"):
        await api(path, who, expect=403)


async def test_the_trail_names_whose_patterns_and_which_receipts_were_shown(api, owner):
    plant_pattern(owner, number(1), receipt_types=["return"])
    plant_pattern(owner, number(2), subject="receipt", subject_id=SALE.receipt_id, kind="return_reuse")
    await api("?since=2026-11-01")
    await api(f"/{number(1)}/receipts", "fraud.east")
    owner.execute("SELECT audit.project()")
    listed, receipts = owner.execute(
        "SELECT receipt_ids, customer_ids, constraints FROM audit.events ORDER BY occurred_at"
    ).fetchall()
    assert (listed[0], listed[1]) == ([SALE.receipt_id], ["C0000001"])
    assert json.loads(listed[2]) == {"since": "2026-11-01", "limit": 20}
    assert set(receipts[0]) == {one.receipt_id for one in RETURNS}
    assert (receipts[1], json.loads(receipts[2])) == (["C0000001"], {"pattern_id": number(1)})
