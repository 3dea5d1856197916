"""People's requests about their own data: every step, every clock, and nobody but privacy officers."""

from __future__ import annotations

import asyncio
import itertools
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from configs.limits import Rate
from receipts.database import DatabaseRole, connect
from receipts.deadlines import Law, deadlines_of
from serve_apps import compliance
from tests.fixtures.serving import SignIns, running

WISH = {"kind": "access", "law": "gdpr", "customer_id": "C0000001", "channel": "phone"}
SECRET = "Mrs Kowalski of Highland Avenue"
STATES = ("received", "verified", "in_progress", "approved", "completed", "refused")
STEPS = ("confirm", "verify_identity", "start", "extend", "refuse", "approve", "complete")
# How a request of each kind gets into each state; the second officer approves.
WAYS = {
    "received": (),
    "verified": ("verify_identity",),
    "in_progress": ("verify_identity", "start"),
    "approved": ("verify_identity", "start", "approve"),
    "completed": ("verify_identity", "start", "approve", "complete"),
    "refused": ("refuse",),
}
# Which state a step leads to, from which; every other pair is a 409. A golden table.
MOVES = {
    "access": {
        ("received", "confirm"): "received", ("received", "verify_identity"): "verified",
        ("received", "extend"): "received", ("received", "refuse"): "refused",
        ("verified", "confirm"): "verified", ("verified", "start"): "in_progress",
        ("verified", "extend"): "verified", ("verified", "refuse"): "refused",
        ("in_progress", "confirm"): "in_progress", ("in_progress", "extend"): "in_progress",
        ("in_progress", "refuse"): "refused", ("in_progress", "complete"): "completed",
    },
    "erasure": {
        ("received", "confirm"): "received", ("received", "verify_identity"): "verified",
        ("received", "extend"): "received", ("received", "refuse"): "refused",
        ("verified", "confirm"): "verified", ("verified", "start"): "in_progress",
        ("verified", "extend"): "verified", ("verified", "refuse"): "refused",
        ("in_progress", "confirm"): "in_progress", ("in_progress", "extend"): "in_progress",
        ("in_progress", "refuse"): "refused", ("in_progress", "approve"): "approved",
        ("approved", "confirm"): "approved", ("approved", "extend"): "approved", ("approved", "refuse"): "refused",
    },
}  # fmt: skip


@pytest.fixture
def officers(settings, sign_ins, owner) -> dict[str, dict[str, str]]:
    """The headers of two officers, and of one who has nothing to do with it."""
    for name in ("second", "third"):
        owner.execute(
            "INSERT INTO access.principals (principal_id, role, display_name, region_ids, all_regions) "
            "VALUES (%s, 'privacy_officer', 'somebody', '{}', true)",
            [name],
        )
    return {name: SignIns(settings).headers(name) for name in ("privacy", "second", "third")}


@pytest.fixture
async def api(settings, officers):
    """The first officer's client; more requests are opened here in a minute than one person may in an hour."""
    often = settings.limits.model_copy(update={"sensitive": Rate(count=1_000, seconds=1, burst=1_000)})
    settings = settings.model_copy(update={"limits": often})
    async with running(compliance.build_app(settings), "/compliance") as client:
        client.headers.update(officers["privacy"])
        yield client


@pytest.fixture
def today(settings) -> date:
    return datetime.now(ZoneInfo(settings.privacy.time_zone)).date()


async def opened(client, **wish):
    answer = await client.post("/compliance/requests", json=WISH | wish)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def step(client, made, name, headers=None, **said):
    said = {"reason": "because"} | said if name in {"refuse", "extend"} else said
    path = f"/compliance/requests/{made['request_id']}/steps"
    return await client.post(path, json={"step": name} | said, headers=headers)


async def brought(client, officers, owner, kind, state):
    """Open a request and bring it into a state, an erasure through its approval by the second officer."""
    made = await opened(client, kind=kind)
    for name in WAYS[state]:
        if name == "approve" and kind == "access":
            continue
        if name == "complete" and kind == "erasure":
            carry_out(owner, made)
        done = await step(client, made, name, officers["second"] if name == "approve" else None)
        assert done.status_code == 200, done.text
    return made


def carry_out(owner, made) -> None:
    """Say what the erasure itself will say; nothing of the API can."""
    owner.execute("UPDATE compliance.requests SET carried_out_at = now() WHERE request_id = %s", [made["request_id"]])


async def test_a_request_carries_the_clocks_of_its_law(api, today):
    gdpr, ccpa = await opened(api), await opened(api, law="ccpa", kind="erasure")
    assert gdpr == {
        "request_id": gdpr["request_id"], "kind": "access", "law": "gdpr", "customer_id": "C0000001",
        "channel": "phone", "state": "received", "received_on": str(today), "confirm_by": None, "confirmed_on": None,
        "due_on": str(deadlines_of(Law.GDPR, today).due_on), "extended": False, "overdue": False,
        "opened_by": "privacy", "history": [],
    }  # fmt: skip
    due = deadlines_of(Law.CCPA, today)
    assert (ccpa["confirm_by"], ccpa["due_on"]) == (str(due.confirm_by), str(due.due_on))
    came_in = await opened(api, received_on="2026-01-31")
    assert (came_in["received_on"], came_in["due_on"], came_in["overdue"]) == ("2026-01-31", "2026-02-28", True)


async def test_an_access_request_goes_from_its_day_to_its_answer_and_every_step_stays(api, officers, today):
    made = await opened(api, law="ccpa")
    for name, headers, said in (
        ("confirm", "privacy", {}),
        ("verify_identity", "second", {"reason": "Called back on the number on file."}),
        ("start", "second", {}),
        ("extend", "privacy", {"reason": "Three stores\nwere closed."}),
        ("complete", "privacy", {}),
    ):
        answer = await step(api, made, name, officers[headers], **said)
        assert answer.status_code == 200, answer.text
    found = (await api.get(f"/compliance/requests/{made['request_id']}")).json()
    assert found == answer.json()
    assert (found["state"], found["confirmed_on"], found["extended"]) == ("completed", str(today), True)
    assert found["due_on"] == str(today + timedelta(days=90))
    assert [(one["step"], one["by"], one["reason"]) for one in found["history"]] == [
        ("confirm", "privacy", None),
        ("verify_identity", "second", "Called back on the number on file."),
        ("start", "second", None),
        ("extend", "privacy", "Three stores\nwere closed."),
        ("complete", "privacy", None),
    ]
    assert [one["at"] for one in found["history"]] == sorted(one["at"] for one in found["history"])


@pytest.mark.parametrize("kind", ["access", "erasure"])
async def test_each_step_is_taken_exactly_where_the_table_says(api, officers, owner, kind):
    found = {}
    for state, name in itertools.product(STATES, STEPS):
        if kind == "access" and state == "approved":
            continue
        made = await brought(api, officers, owner, kind, state)
        answer = await step(api, made, name, officers["third"])
        now = (await api.get(f"/compliance/requests/{made['request_id']}")).json()
        if answer.status_code == 200:
            found[state, name] = now["state"]
        else:
            assert answer.status_code == 409, f"{name} of one that is {state}: {answer.text}"
            assert now["state"] == state
            assert name not in [one["step"] for one in now["history"] if one["by"] == "third"]
    assert found == MOVES[kind]


@pytest.mark.parametrize("name", ["confirm", "extend"])
async def test_what_is_done_once_is_not_done_twice(api, name):
    made = await opened(api)
    assert [(await step(api, made, name)).status_code for _ in range(2)] == [200, 409]


async def test_who_opened_or_started_an_erasure_does_not_approve_it(api, officers):
    made = await opened(api, kind="erasure")
    await step(api, made, "verify_identity", officers["third"])
    await step(api, made, "start", officers["second"])
    refused = [await step(api, made, "approve", officers[name]) for name in ("privacy", "second")]
    assert [answer.status_code for answer in refused] == [403, 403]
    assert "Another officer" in refused[0].json()["detail"]
    approved = await step(api, made, "approve", officers["third"])
    assert (approved.status_code, approved.json()["state"]) == (200, "approved")


async def test_an_erasure_is_complete_only_when_it_was_carried_out(api, officers, owner):
    made = await brought(api, officers, owner, "erasure", "approved")
    waiting = await step(api, made, "complete")
    assert (waiting.status_code, waiting.json()["detail"]) == (
        409, "The erasure itself is not on record yet, so it cannot be completed.",
    )  # fmt: skip
    carry_out(owner, made)
    assert (await step(api, made, "refuse")).status_code == 409, "what is erased cannot be refused any more"
    assert (await step(api, made, "complete")).json()["state"] == "completed"


@pytest.mark.parametrize(
    ("law", "received", "extended_to"),
    [("gdpr", timedelta(days=27), None), ("ccpa", timedelta(days=45), 90), ("ccpa", timedelta(days=46), None)],
)
async def test_an_extension_is_told_within_the_first_period_or_not_at_all(
    api, today, owner, law, received, extended_to
):
    came_in = today - received
    made = await opened(api, law=law, received_on=str(came_in))
    if law == "gdpr":  # a month is 28 to 31 days: put the day itself where it is over
        owner.execute("UPDATE compliance.requests SET due_on = %s", [today - timedelta(days=1)])
    answer = await step(api, made, "extend")
    if extended_to is None:
        assert (answer.status_code, "first period" in answer.json()["detail"]) == (409, True)
    else:
        assert answer.json()["due_on"] == str(came_in + timedelta(days=extended_to))


@pytest.mark.parametrize("name", ["refuse", "extend"])
async def test_a_refusal_and_an_extension_say_why(api, name):
    made = await opened(api)
    path = f"/compliance/requests/{made['request_id']}/steps"
    for body in ({"step": name}, {"step": name, "reason": "  "}, {"step": name, "reason": None}):
        answer = await api.post(path, json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, "reason")


@pytest.mark.parametrize("reason", ["x" * 501, "a\x00b", "a\x1b[31mb", "card 4111 1111 1111 1111"])
async def test_a_reason_that_cannot_be_kept_is_refused_without_being_repeated(api, reason):
    made = await opened(api)
    answer = await step(api, made, "refuse", reason=reason)
    assert (answer.status_code, answer.json()["field"]) == (422, "reason")
    assert "4111" not in answer.text


async def test_what_officers_write_is_in_no_log_and_not_on_the_trail(api, owner, caplog):
    caplog.set_level("DEBUG")
    made = await opened(api)
    await step(api, made, "verify_identity", reason=SECRET)
    await step(api, made, "complete", reason=SECRET)
    await api.get("/compliance/requests", params={"customer_id": "C0000001"})
    owner.execute("SELECT audit.project()")
    trail = owner.execute(
        "SELECT route, status, customer_ids, constraints::jsonb FROM audit.events ORDER BY occurred_at"
    ).fetchall()
    steps = "POST /compliance/requests/{request_id}/steps"
    number = made["request_id"]
    assert trail == [
        (
            "POST /compliance/requests", 201, ["C0000001"],
            {"kind": "access", "law": "gdpr", "channel": "phone", "request_id": number},
        ),
        (steps, 200, ["C0000001"], {"request_id": number, "step": "verify_identity"}),
        (steps, 409, [], {"request_id": number, "step": "complete"}),
        ("GET /compliance/requests", 200, ["C0000001"], {"customer_id": "C0000001", "limit": 20}),
    ]  # fmt: skip
    assert SECRET not in caplog.text
    assert owner.execute("SELECT count(*) FROM audit.spool WHERE payload LIKE '%%Kowalski%%'").fetchone() == (0,)


async def test_lists_begin_with_what_is_due_first_and_filter_what_is_asked(api, today):
    late = await opened(api, received_on="2026-03-02", customer_id="C0000002")
    unconfirmed = await opened(api, law="ccpa", received_on=str(today - timedelta(days=21)))
    fresh = await opened(api, law="ccpa", kind="erasure")
    closed = await opened(api, received_on="2026-01-05", customer_id="C0000003")
    await step(api, closed, "refuse")

    async def numbers(**asked):
        answer = await api.get("/compliance/requests", params=asked)
        assert answer.status_code == 200, answer.text
        return [one["request_id"] for one in answer.json()["requests"]]

    ids = [one["request_id"] for one in (closed, late, unconfirmed, fresh)]
    assert await numbers() == ids
    assert await numbers(state="refused") == ids[:1]
    assert await numbers(kind="erasure") == ids[3:]
    assert await numbers(customer_id="C0000002") == ids[1:2]
    assert await numbers(overdue="true") == ids[1:3], "one that nobody confirmed in ten business days is late too"
    assert await numbers(overdue="false") == [ids[0], ids[3]]
    await step(api, unconfirmed, "confirm")
    assert await numbers(overdue="true") == ids[1:2]


async def test_pages_hold_each_request_once(api):
    made = [(await opened(api, received_on="2026-11-02"))["request_id"] for _ in range(5)]
    seen, cursor = [], None
    while True:
        page = (
            await api.get("/compliance/requests", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        seen += [one["request_id"] for one in page["requests"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"kind": "rectification"}, "kind"),
        ({"law": "hipaa"}, "law"),
        ({"customer_id": "Maria Kowalski"}, "customer_id"),
        ({"channel": "pigeon"}, "channel"),
        ({"received_on": "2099-01-01"}, "received_on"),
        ({"received_on": "yesterday"}, "received_on"),
        ({"note": SECRET}, "note"),
    ],
)
async def test_a_request_that_cannot_be_is_refused_by_field(api, owner, wish, field):
    answer = await api.post("/compliance/requests", json=WISH | wish)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert owner.execute("SELECT count(*) FROM compliance.requests").fetchone() == (0,)


async def test_what_is_not_there_is_not_found(api):
    assert (await api.get("/compliance/requests/99")).status_code == 404
    assert (await step(api, {"request_id": 99}, "confirm")).status_code == 404
    for cursor in ("x", "WyIyMDI2LTExLTIwIiwgIngiXQ", "WyI5OTk5LTk5LTk5IiwxXQ"):
        answer = await api.get("/compliance/requests", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["field"]) == (422, "cursor")


async def test_opening_counts_against_the_limit_and_working_on_what_was_opened_does_not(settings, officers):
    async with running(compliance.build_app(settings), "/compliance") as client:
        client.headers.update(officers["privacy"])
        made = await opened(client)
        for _ in range(30):
            assert (await step(client, made, "complete")).status_code == 409
            assert (await client.get(f"/compliance/requests/{made['request_id']}")).status_code == 200
        refused = [await client.post("/compliance/requests", json=WISH) for _ in range(25)][-1]
    assert (refused.status_code, refused.json()["violated-policies"]) == (429, ["privacy-fulfil"])


# The database refuses a second time ----------------------------------------------------------------------------


def under(connection: psycopg.Connection, sign_ins: SignIns, name: str) -> None:
    connection.execute(
        "SELECT set_config('app.scope', %s, true), set_config('app.principal', %s, true)",
        (sign_ins.principal(name).scope_id, name),
    )


def test_no_role_but_the_officers_sees_opens_or_moves_a_request_whatever_the_api_forgets(settings, sign_ins, owner):
    owner.execute(
        "INSERT INTO compliance.requests (kind, law, customer_id, channel, received_on, due_on, extended_due_on, "
        "opened_by) VALUES ('access', 'gdpr', 'C1', 'phone', now(), now(), now(), 'privacy')"
    )
    owner.execute("INSERT INTO compliance.steps (request_id, taken_by, step) VALUES (1, 'privacy', 'confirm')")
    opening = (
        "INSERT INTO compliance.requests (kind, law, customer_id, channel, received_on, due_on, extended_due_on, "
        "opened_by) VALUES ('access', 'gdpr', 'C2', 'phone', now(), now(), now(), 'x')"
    )
    counting = "SELECT (SELECT count(*) FROM compliance.requests), (SELECT count(*) FROM compliance.steps)"
    moving = "SELECT compliance.take_step(1, 'verify_identity', NULL, now()::date)"
    with connect(settings, DatabaseRole.API) as api:
        for name in ("rep.all", "supervisor.east", "fraud", "admin", "till.367"):
            with api.transaction(force_rollback=True):
                under(api, sign_ins, name)
                assert api.execute(counting).fetchone() == (0, 0), name
                assert api.execute(moving).fetchone() == ("not_found",), name
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    api.execute(opening)
        assert api.execute(counting).fetchone() == (0, 0), "nor without a scope"
        with api.transaction():
            under(api, sign_ins, "privacy")
            assert api.execute(counting).fetchone() == (1, 1)
            assert api.execute(moving).fetchone() == ("taken",)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE compliance.requests SET state = 'completed'",
        "UPDATE compliance.requests SET carried_out_at = now()",
        "DELETE FROM compliance.requests",
        "INSERT INTO compliance.requests (state) VALUES ('completed')",
        "INSERT INTO compliance.steps (request_id, taken_by, step) VALUES (1, 'privacy', 'approve')",
        "UPDATE compliance.steps SET taken_by = 'second'",
        "DELETE FROM compliance.steps",
    ],
)
def test_even_an_officer_moves_a_request_by_its_steps_alone(settings, sign_ins, statement):
    with connect(settings, DatabaseRole.API) as api, api.transaction(force_rollback=True):
        under(api, sign_ins, "privacy")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            api.execute(statement)


def test_even_the_owner_changes_no_step_and_takes_no_request_away(owner):
    owner.execute(
        "INSERT INTO compliance.requests (kind, law, customer_id, channel, received_on, due_on, extended_due_on, "
        "opened_by) VALUES ('access', 'gdpr', 'C1', 'phone', now(), now(), now(), 'privacy')"
    )
    owner.execute("INSERT INTO compliance.steps (request_id, taken_by, step) VALUES (1, 'privacy', 'confirm')")
    for statement in (
        "UPDATE compliance.steps SET taken_by = 'x'",
        "DELETE FROM compliance.steps",
        "TRUNCATE compliance.steps",
        "DELETE FROM compliance.requests",
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="never changed"):
            owner.execute(statement)
    with pytest.raises(psycopg.errors.CheckViolation):
        owner.execute("INSERT INTO compliance.steps (request_id, taken_by, step) VALUES (1, 'privacy', 'refuse')")


async def test_two_officers_at_once_take_a_step_once(api, officers, owner):
    made = await opened(api)
    answers = await asyncio.gather(*(step(api, made, "verify_identity", officers[name]) for name in officers))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert owner.execute("SELECT count(*) FROM compliance.steps").fetchone() == (1,)
