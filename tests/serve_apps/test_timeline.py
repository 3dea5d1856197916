"""What happened to a receipt, told to whoever may see it."""

from datetime import UTC, datetime, timedelta

import pytest

from receipts.identity import display
from serve_apps import lookup
from tests.fixtures.retail import make_receipt, make_return, make_store, store_rows
from tests.fixtures.serving import running

SOLD_AT = datetime(2026, 11, 17, 23, 5, tzinfo=UTC)
SALE = make_receipt(operator_id="OP7", purchased_at=SOLD_AT)
BACK = make_return(SALE.receipt_id, sequence_number=2, operator_id="OP8", purchased_at=SOLD_AT + timedelta(hours=2))
ELSEWHERE = make_return(SALE.receipt_id, store_id=400, purchased_at=SOLD_AT + timedelta(hours=3))
OTHERS = make_return(make_receipt(sequence_number=99).receipt_id, sequence_number=3)
VOID = make_receipt(sequence_number=4, receipt_type="void", customer_id=None)


@pytest.fixture
async def api(settings, sign_ins):
    stores = [make_store(), make_store(store_id=400, name="Robinson", region_id=2)]
    store_rows(settings, stores=stores, receipts=[SALE, BACK, ELSEWHERE, OTHERS, VOID])
    async with running(lookup.build_app(settings), "/receipt") as client:

        async def ask(path, who="rep.east", expect=200):
            answer = await client.get(path, headers=sign_ins.headers(who))
            assert answer.status_code == expect, answer.text
            return answer.json()

        yield ask


async def test_a_sale_tells_where_it_was_made_and_what_came_back_of_it_in_the_callers_regions(api):
    told = await api(f"/receipt/{display(SALE.receipt_id)}/timeline")
    assert [event["kind"] for event in told["events"]] == ["sold", "returned", "received"]
    sold, returned, received = told["events"]
    assert sold == {
        "at": "2026-11-17T23:05:00Z", "kind": "sold", "by": "OP7", "receipt_id": None, "times": 1,
        "detail": "$10.48 at East Liberty, register 3",
    }  # fmt: skip
    assert returned == {
        "at": "2026-11-18T01:05:00Z", "kind": "returned", "by": "OP8", "receipt_id": BACK.receipt_id, "times": 1,
        "detail": "$3.49 at East Liberty, register 3",
    }  # fmt: skip
    assert (received["by"], received["detail"]) == (None, None)
    assert told["original_receipt_id"] is None
    assert told["returns"] == [
        {
            "receipt_id": BACK.receipt_id, "purchased_at": "2026-11-18T01:05:00Z", "total_cents": -349,
            "currency": "USD",
        }
    ]  # fmt: skip
    everywhere = await api(f"/receipt/{SALE.receipt_id}/timeline", "fraud")
    assert [one["receipt_id"] for one in everywhere["returns"]] == [BACK.receipt_id, ELSEWHERE.receipt_id]


async def test_a_return_tells_of_its_original_where_that_may_be_seen(api):
    told = await api(f"/receipt/{BACK.receipt_id}/timeline")
    assert told["original_receipt_id"] == SALE.receipt_id
    assert [(e["kind"], e["receipt_id"]) for e in told["events"]] == [
        ("sold", SALE.receipt_id),
        ("returned", None),
        ("received", None),
    ]
    assert told["returns"] == []
    west = await api(f"/receipt/{ELSEWHERE.receipt_id}/timeline", "rep.west")
    assert west["original_receipt_id"] == SALE.receipt_id, "it stands on the return"
    assert [(e["kind"], e["receipt_id"]) for e in west["events"]] == [("returned", None), ("received", None)]
    unknown = await api(f"/receipt/{OTHERS.receipt_id}/timeline")
    assert unknown["original_receipt_id"] == OTHERS.original_receipt_id
    assert [event["kind"] for event in unknown["events"]] == ["returned", "received"]


async def test_a_void_is_told_as_one(api):
    (sold, _) = (await api(f"/receipt/{VOID.receipt_id}/timeline"))["events"]
    assert (sold["kind"], sold["detail"]) == ("sold", "$10.48 at East Liberty, register 3, void")


async def test_refinement_is_part_of_the_story(api, owner):
    at = SOLD_AT + timedelta(days=400)
    owner.execute("UPDATE retail.receipts SET refined_at = %s WHERE receipt_id = %s", (at, SALE.receipt_id))
    last = (await api(f"/receipt/{SALE.receipt_id}/timeline"))["events"][-1]
    assert (last["kind"], datetime.fromisoformat(last["at"])) == ("refined", at)


async def test_looks_are_told_by_person_and_day_and_lists_are_none(api, owner):
    for who in ("rep.east", "fraud", "rep.east"):
        await api(f"/receipt/{SALE.receipt_id}", who)
    foot = "store_id=367&business_date=2026-11-17&register_id=3&sequence_number=1"
    await api(f"/receipt/?{foot}")
    await api(f"/receipt/{SALE.receipt_id}", "rep.west", expect=404)
    await api(f"/receipt/{BACK.receipt_id}/timeline")  # shows the sale among others
    owner.execute("SELECT audit.project()")
    views = [e for e in (await api(f"/receipt/{SALE.receipt_id}/timeline"))["events"] if e["kind"] == "viewed"]
    assert [(e["by"], e["times"], e["receipt_id"]) for e in views] == [
        ("Name of fraud", 1, None),
        ("Name of rep.east", 3, None),
    ]


async def test_two_days_of_one_person_are_two_events_and_midnight_is_the_stores(api, owner):
    first = datetime(2026, 11, 18, 4, 59, tzinfo=UTC)  # a minute before midnight in Pittsburgh
    for at in (first, first + timedelta(minutes=2), first + timedelta(minutes=3)):
        note(owner, at, "rep.east", SALE.receipt_id)
    views = [e for e in (await api(f"/receipt/{SALE.receipt_id}/timeline"))["events"] if e["kind"] == "viewed"]
    assert [(e["at"], e["times"]) for e in views] == [("2026-11-18T04:59:00Z", 1), ("2026-11-18T05:02:00Z", 2)]


async def test_the_newest_twenty_are_told(api, owner):
    start = datetime(2026, 11, 18, 12, tzinfo=UTC)
    for day in range(25):
        note(owner, start + timedelta(days=day), "who.left", SALE.receipt_id)
    views = [e for e in (await api(f"/receipt/{SALE.receipt_id}/timeline"))["events"] if e["kind"] == "viewed"]
    assert [datetime.fromisoformat(e["at"]) for e in views] == [start + timedelta(days=day) for day in range(5, 25)]
    assert {e["by"] for e in views} == {"who.left"}, "nobody of that name is entered: the number stands for it"


def test_neither_a_look_nor_a_return_is_sought_among_all_that_there_are(api, owner, sign_ins):
    owner.execute(
        "INSERT INTO audit.events SELECT gen_random_uuid(), now() + n * interval '1 s', 'rep.all', 'cs_rep', '', "
        "'GET /receipt/{receipt_id}', 'answered', 200, ARRAY['1' || n], '{}', '', '', '', '' "
        "FROM generate_series(1, 20000) n"
    )
    owner.execute(
        "INSERT INTO retail.receipts SELECT left(receipt_id, 10) || lpad(n::text, 12, '0'), store_id, region_id, "
        "receipt_type, purchased_at, purchased_on, customer_id, total_cents, card_last4, skus, document, "
        "payload_digest, first_digest, received_at, refined_at "
        "FROM retail.receipts, generate_series(1, 5000) AS n WHERE receipt_id = %s",
        (SALE.receipt_id,),
    )
    owner.execute("ANALYZE audit.events, retail.receipts")
    owner.execute("SELECT set_config('app.scope', %s, false)", (sign_ins.principal("rep.all").scope_id,))
    before = rows_read(owner)
    assert len(owner.execute("SELECT * FROM search.list_returns(%s, 20)", (SALE.receipt_id,)).fetchall()) == 2
    assert owner.execute("SELECT * FROM audit.list_views(%s, 20)", (SALE.receipt_id,)).fetchall() == []
    assert rows_read(owner) - before < 100


def rows_read(owner) -> int:
    """Return how many rows were read one after the other so far, of the tables that grow."""
    owner.execute("SELECT pg_stat_force_next_flush()")
    (rows,) = owner.execute(
        "SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'events%' OR relname = 'receipts'"
    ).fetchone()
    return rows


async def test_another_regions_receipt_looks_exactly_like_none(api):
    told = []
    for receipt_id in (ELSEWHERE.receipt_id, make_receipt(sequence_number=999).receipt_id):
        problem = await api(f"/receipt/{receipt_id}/timeline", expect=404)
        told.append({key: value for key, value in problem.items() if key != "request_id"})
    assert told[0] == told[1]


async def test_the_trail_names_all_receipts_that_a_story_told_of(api, owner):
    await api(f"/receipt/{SALE.receipt_id}/timeline", "fraud")
    owner.execute("SELECT audit.project()")
    route, receipts, customers = owner.execute("SELECT route, receipt_ids, customer_ids FROM audit.events").fetchone()
    assert route == "GET /receipt/{receipt_id}/timeline"
    assert set(receipts) == {SALE.receipt_id, BACK.receipt_id, ELSEWHERE.receipt_id}
    assert customers == ["C0000001"]


async def test_a_misread_number_is_refused(api):
    assert (await api("/receipt/123/timeline", expect=422))["field"] == "receipt_id"


def note(owner, at, who, receipt_id):
    owner.execute(
        "INSERT INTO audit.events VALUES (gen_random_uuid(), %s, %s, 'cs_rep', '', 'GET /receipt/{receipt_id}', "
        "'answered', 200, %s, '{}', '', '', '', '')",
        (at, who, [receipt_id]),
    )
