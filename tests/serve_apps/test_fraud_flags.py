"""Flags raised and reviewed: by whom, about what, and what stays of it on record."""

import asyncio
import json
import logging

import psycopg
import pytest

from receipts.database import DatabaseRole, connect
from serve_apps import fraud
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.serving import running

SECRET = "Kowalska's nephew, 412-555-0167"
EASTERN, WESTERN = make_receipt(), make_receipt(store_id=400, customer_id="C0000002")


@pytest.fixture
async def api(settings, sign_ins, owner):
    store_rows(
        settings,
        stores=[make_store(), make_store(store_id=400, name="Robinson", region_id=2)],
        customers=[make_customer(), make_customer(customer_id="C0000002", home_store_id=400)],
        receipts=[EASTERN, WESTERN],
    )
    owner.execute(
        "INSERT INTO access.principals (principal_id, role, display_name, region_ids) "
        "VALUES ('second.east', 'supervisor', 'Second', '{1}'), ('supervisor.west', 'supervisor', 'West', '{2}')"
    )
    async with running(fraud.build_app(settings), "/fraud") as client:

        async def ask(method, path, body=None, who="supervisor.east", expect=200):
            answer = await client.request(method, f"/fraud{path}", json=body, headers=sign_ins.headers(who))
            assert answer.status_code == expect, answer.text
            return answer.json()

        yield ask


def a_flag(**changes):
    return {"subject": "customer", "subject_id": "C0000001", "reason": "return_abuse", "note": SECRET} | changes


async def test_a_flag_is_raised_and_reviewed_by_somebody_else(api):
    flag = await api("POST", "/flags", a_flag(), expect=201)
    assert flag == {
        "flag_id": 1, "subject": "customer", "subject_id": "C0000001", "reason": "return_abuse", "note": SECRET,
        "state": "open", "raised_by": "supervisor.east", "raised_at": flag["raised_at"], "reviewed_by": None,
        "reviewed_at": None, "review_note": None, "region_ids": [1],
    }  # fmt: skip
    review = {"outcome": "confirmed", "note": " seen on camera\n"}
    done = await api("POST", "/flags/1/review", review, "second.east")
    assert (done["state"], done["reviewed_by"], done["review_note"]) == ("confirmed", "second.east", "seen on camera")
    assert done["reviewed_at"] >= done["raised_at"]
    assert (await api("GET", "/flags"))["flags"] == [done]


async def test_who_raised_a_flag_does_not_review_it_and_nobody_does_twice(api):
    await api("POST", "/flags", a_flag(), expect=201)
    review = {"outcome": "cleared", "note": ""}
    problem = await api("POST", "/flags/1/review", review, expect=403)
    assert problem["detail"] == "A flag is reviewed by somebody else than who raised it."
    await api("POST", "/flags/1/review", review, "fraud")
    problem = await api("POST", "/flags/1/review", review | {"outcome": "confirmed"}, "second.east", expect=409)
    assert problem["type"] == "urn:receipts:problem:conflict"
    assert (await api("GET", "/flags"))["flags"][0]["state"] == "cleared"


async def test_of_two_reviews_at_once_one_counts(api):
    await api("POST", "/flags", a_flag(), expect=201)

    async def review(who, outcome):
        try:
            await api("POST", "/flags/1/review", {"outcome": outcome, "note": ""}, who)
        except AssertionError as refused:
            return json.loads(str(refused).split("\n")[0])["status"]
        return 200

    outcomes = await asyncio.gather(review("second.east", "cleared"), review("fraud", "confirmed"))
    assert sorted(outcomes) == [200, 409]


async def test_a_receipt_is_flagged_by_its_number_as_it_is_typed(api):
    digits = EASTERN.receipt_id
    typed = f"{digits[:6]}-{digits[6:11]}-{digits[11:14]}-{digits[14:20]}-{digits[20:]}"
    flag = await api("POST", "/flags", a_flag(subject="receipt", subject_id=typed), expect=201)
    assert (flag["subject_id"], flag["region_ids"]) == (digits, [1])
    problem = await api("POST", "/flags", a_flag(subject="receipt", subject_id="123"), expect=422)
    assert problem["field"] == "subject_id"


@pytest.mark.parametrize(
    ("subject", "subject_id"),
    [("receipt", WESTERN.receipt_id), ("customer", "C0000002"), ("customer", "C9999999"), ("customer", "-"),
     ("receipt", make_receipt(sequence_number=77).receipt_id)],
)  # fmt: skip
async def test_what_lies_outside_the_regions_cannot_be_flagged(api, owner, subject, subject_id):
    expect = 422 if subject_id == "-" else 404
    await api("POST", "/flags", a_flag(subject=subject, subject_id=subject_id), expect=expect)
    assert owner.execute("SELECT count(*) FROM fraud.flags").fetchone() == (0,)


async def test_flags_are_seen_where_their_subject_is(api, owner):
    await api("POST", "/flags", a_flag(), expect=201)
    await api("POST", "/flags", a_flag(subject_id="C0000002"), "supervisor.west", expect=201)
    await api("POST", "/flags", a_flag(subject="receipt", subject_id=WESTERN.receipt_id), "fraud", expect=201)
    seen = {who: listed(await api("GET", "/flags", who=who))
            for who in ("supervisor.east", "supervisor.west", "fraud")}  # fmt: skip
    assert seen == {"supervisor.east": [1], "supervisor.west": [3, 2], "fraud": [3, 2, 1]}
    review = {"outcome": "cleared", "note": ""}
    hidden, absent = [await api("POST", f"/flags/{n}/review", review, expect=404) for n in (2, 99)]
    assert {**hidden, "request_id": ""} == {**absent, "request_id": ""}
    owner.execute("UPDATE retail.customers SET region_ids = '{1,2}' WHERE customer_id = 'C0000001'")
    assert listed(await api("GET", "/flags", who="supervisor.west")) == [3, 2, 1], (
        "a customer is flagged wherever they shop later"
    )


def listed(page):
    return [flag["flag_id"] for flag in page["flags"]]


async def test_flags_are_listed_by_state_and_subject_page_by_page(api):
    for number in range(5):
        subject = {"subject": "receipt", "subject_id": EASTERN.receipt_id} if number == 3 else {}
        await api("POST", "/flags", a_flag(**subject), expect=201)
    await api("POST", "/flags/2/review", {"outcome": "cleared", "note": ""}, "fraud")
    assert listed(await api("GET", "/flags?state=open")) == [5, 4, 3, 1]
    assert listed(await api("GET", f"/flags?subject_id={EASTERN.receipt_id}")) == [4]
    pages, cursor = [], ""
    while cursor is not None:
        page = await api("GET", f"/flags?limit=2{cursor and f'&cursor={cursor}'}")
        pages.append(listed(page))
        cursor = page["next_cursor"]
    assert pages == [[5, 4], [3, 2], [1]]
    await api("GET", "/flags?state=closed", expect=422)


@pytest.mark.parametrize("who", ["rep.east", "privacy", "admin", "till.367"])
async def test_other_roles_are_refused(api, who):
    await api("POST", "/flags", a_flag(), who, expect=403)
    await api("GET", "/flags", who=who, expect=403)
    await api("POST", "/flags/1/review", {"outcome": "cleared", "note": ""}, who, expect=403)


@pytest.mark.parametrize("number", ["4111 1111 1111 1111", "paid with 4111111111111111 twice"])
async def test_a_card_number_in_a_note_is_refused_and_not_kept(api, owner, number):
    problem = await api("POST", "/flags", a_flag(note=number), expect=422)
    assert problem["field"] == "note"
    assert "4111" not in json.dumps(problem)
    await api("POST", "/flags", a_flag(), expect=201)
    await api("POST", "/flags/1/review", {"outcome": "cleared", "note": number}, "fraud", expect=422)
    assert owner.execute("SELECT count(*), count(reviewed_by) FROM fraud.flags").fetchone() == (1, 0)


@pytest.mark.parametrize(
    "changes",
    [{"note": "x" * 501}, {"note": "a\u0000b"}, {"reason": "odd"}, {"subject": "store"}, {"state": "cleared"}],
)
async def test_unacceptable_fields_are_refused(api, changes):
    await api("POST", "/flags", a_flag(**changes), expect=422)


async def test_neither_trail_nor_log_nor_problem_tells_what_a_note_says(api, owner, caplog):
    caplog.set_level(logging.DEBUG)
    await api("POST", "/flags", a_flag(), expect=201)
    await api("POST", "/flags", a_flag(note=SECRET * 50), expect=422)
    await api("POST", "/flags/1/review", {"outcome": "confirmed", "note": SECRET}, "fraud")
    owner.execute("SELECT audit.project()")
    rows = owner.execute(
        "SELECT route, purpose, customer_ids, constraints FROM audit.events ORDER BY occurred_at"
    ).fetchall()
    assert [(route, purpose) for route, purpose, *_ in rows] == [
        ("POST /fraud/flags", "fraud_prevention"),
        ("POST /fraud/flags", "fraud_prevention"),
        ("POST /fraud/flags/{flag_id}/review", "fraud_prevention"),
    ]
    assert rows[0][2] == rows[2][2] == ["C0000001"]
    assert json.loads(rows[0][3]) == {"subject": "customer", "reason": "return_abuse", "flag_id": 1}
    assert json.loads(rows[2][3]) == {"flag_id": 1, "outcome": "confirmed"}
    assert "nephew" not in str(rows)
    assert [line for line in caplog.messages if "nephew" in line] == []


def test_the_database_itself_keeps_four_eyes_and_a_review_as_it_was_made(settings, sign_ins, owner):
    store_rows(settings, stores=[make_store()], customers=[make_customer()])
    with connect(settings, DatabaseRole.API) as api:
        api.execute("SELECT set_config('app.scope', %s, false)", (sign_ins.principal("rep.all").scope_id,))
        api.execute(
            "INSERT INTO fraud.flags (subject, subject_id, reason, note, raised_by) "
            "VALUES ('customer', 'C0000001', 'other', '', 'a')"
        )
        close = "UPDATE fraud.flags SET state = 'cleared', reviewed_by = %s, reviewed_at = now(), review_note = ''"
        with pytest.raises(psycopg.errors.CheckViolation), api.transaction():
            api.execute(close, ("a",))
        assert api.execute(close, ("b",)).rowcount == 1
        assert api.execute(close, ("c",)).rowcount == 0
        for statement in ("DELETE FROM fraud.flags", "UPDATE fraud.flags SET note = ''"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), api.transaction():
                api.execute(statement)
        with pytest.raises(psycopg.errors.InsufficientPrivilege), api.transaction():
            api.execute(
                "INSERT INTO fraud.flags (subject, subject_id, reason, note, raised_by) "
                "VALUES ('customer', 'C0000002', 'other', '', 'a')"
            )
