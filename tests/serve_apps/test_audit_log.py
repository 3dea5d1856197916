"""The audit trail as privacy officers search it."""

from __future__ import annotations

import csv
import io
import json
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from receipts.database import DatabaseRole, connect
from serve_apps import audit_log
from tests.fixtures.serving import running

RECEIPT = "2611170036700300000103"
AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
EVENT = {
    "principal_id": "rep.east",
    "role": "cs_rep",
    "session_id": "s",
    "route": "GET /receipt/{receipt_id}",
    "outcome": "answered",
    "status": 200,
    "receipt_ids": [RECEIPT],
    "customer_ids": ["C0000001"],
    "purpose": "customer_service",
    "constraints": '{"limit": 20}',
    "client_address": "127.0.0.9",
    "request_id": "r",
}
COLUMNS = [
    "event_id", "occurred_at", "principal_id", "role", "route", "outcome", "status", "receipt_ids", "customer_ids",
    "purpose", "constraints", "client_address", "request_id",
]  # fmt: skip


def plant(owner: psycopg.Connection, number: int, **told: object) -> None:
    """Put an event of some minute into the searchable trail; its request is called by its number."""
    row = EVENT | {"event_id": uuid.UUID(int=number), "occurred_at": AT + timedelta(minutes=number)}
    row |= {"request_id": str(number)} | told
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    owner.execute(f"INSERT INTO audit.events ({names}) VALUES ({marks})", list(row.values()))


@pytest.fixture
async def api(settings, sign_ins, owner):
    """An officer's client, and a trail of six events."""
    plant(owner, 1)
    plant(owner, 2, principal_id="rep.west", outcome="not_found", status=404, customer_ids=[])
    plant(owner, 3, route="GET /cs/context/{customer_id}", receipt_ids=[], customer_ids=["C0000002", "C0000001"])
    plant(owner, 4, route="POST /admin/quarantine/{quarantine_id}/orders", purpose="operations", constraints="")
    plant(owner, 5, principal_id="anonymous", role="anonymous", outcome="refused", status=401, receipt_ids=[])
    plant(owner, 6, receipt_ids=["2611170036700300000202", RECEIPT])
    async with running(audit_log.build_app(settings), "/audit") as client:
        client.headers.update(sign_ins.headers("privacy"))
        yield client


def numbers(answer) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [int(event["request_id"]) for event in answer.json()["events"]]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"principal_id": "rep.west"}, [2]),
        ({"customer_id": "C0000002"}, [3]),
        ({"receipt_id": RECEIPT}, [6, 4, 2, 1]),
        ({"receipt_id": "2611-1700-3670-0300-0001-03"}, [6, 4, 2, 1]),
        ({"route": "GET /cs/context/{customer_id}"}, [3]),
        ({"outcome": "refused"}, [5]),
        ({"purpose": "operations"}, [4]),
        ({"outcome": "answered", "purpose": "customer_service", "customer_id": "C0000001"}, [6, 3, 1]),
        ({"from": "2026-11-20T10:03:00Z"}, [6, 5, 4, 3]),
        ({"to": "2026-11-20T10:03:00Z"}, [2, 1]),
        ({"from": "2026-11-20T05:02:00-05:00", "to": "2026-11-20T10:04:00Z", "principal_id": "rep.east"}, [3]),
        ({"principal_id": "nobody"}, []),
    ],
)
async def test_each_filter_finds_what_fits_and_nothing_else(api, asked, found):
    assert numbers(await api.get("/audit/log", params=asked)) == found


async def test_an_event_is_told_whole(api):
    (event,) = (await api.get("/audit/log", params={"to": "2026-11-20T10:02:00Z"})).json()["events"]
    assert event == {key: value for key, value in EVENT.items() if key != "session_id"} | {
        "event_id": str(uuid.UUID(int=1)),
        "occurred_at": "2026-11-20T10:01:00+00:00",
        "constraints": {"limit": 20},
        "request_id": "1",
    }
    (without,) = (await api.get("/audit/log", params={"purpose": "operations"})).json()["events"]
    assert without["constraints"] == {}


async def test_pages_hold_each_event_once_also_those_of_one_instant(api, owner):
    for number in range(10, 17):
        plant(owner, number, occurred_at=AT + timedelta(hours=1))
    seen, cursor = [], None
    while True:
        page = await api.get("/audit/log", params={"limit": 3} | ({"cursor": cursor} if cursor else {}))
        seen += numbers(page)
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert seen == [*range(16, 9, -1), 6, 5, 4, 3, 2, 1]


async def test_looking_into_the_trail_is_on_the_trail_with_what_was_asked(api, owner):
    await api.get(
        "/audit/log", params={"customer_id": "C0000002", "outcome": "answered", "from": "2026-11-20T00:00:00Z"}
    )
    await api.get("/audit/log", params={"receipt_id": RECEIPT, "format": "csv"})
    owner.execute("SELECT audit.project()")
    looks = owner.execute(
        "SELECT principal_id, customer_ids, receipt_ids, constraints::jsonb, purpose FROM audit.events "
        "WHERE route = 'GET /audit/log' ORDER BY occurred_at"
    ).fetchall()
    searched = {"outcome": "answered", "customer_id": "C0000002", "from": "2026-11-20T00:00:00Z", "format": "json"}
    saved = {"receipt_id": RECEIPT, "format": "csv", "limit": 50, "events": 4}
    assert looks == [
        ("privacy", ["C0000002"], [], searched | {"limit": 50}, "audit"),
        ("privacy", [], [RECEIPT], saved, "audit"),
    ]
    assert numbers(await api.get("/audit/log", params={"principal_id": "rep.west"})) == [2]


async def test_a_file_holds_all_that_fits_and_no_formula(api, owner):
    hostile = '=HYPERLINK("http://evil.example","x")'
    plant(owner, 7, client_address=hostile, constraints='{"a": "ä, b"}', outcome="failed", status=500)
    for number in range(100, 2_300):
        plant(owner, number)
    answer = await api.get("/audit/log", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="audit-')
    assert "content-length" not in answer.headers
    header, *rows = csv.reader(io.StringIO(answer.content.decode(), newline=""), strict=True)
    assert header == COLUMNS
    assert [int(row[-1]) for row in rows] == [*range(2_299, 99, -1), 7, 6, 5, 4, 3, 2, 1]
    by_number = {row[-1]: dict(zip(header, row, strict=True)) for row in rows}
    assert by_number["7"]["client_address"] == f"'{hostile}"
    assert json.loads(by_number["7"]["constraints"]) == {"a": "ä, b"}
    assert by_number["6"]["receipt_ids"] == f"2611170036700300000202 {RECEIPT}"
    assert by_number["1"]["occurred_at"] == "2026-11-20T10:01:00Z"


async def test_a_file_that_would_be_cut_off_is_refused(api, monkeypatch):
    monkeypatch.setattr(audit_log, "_MOST_IN_FILE", 5)  # a million rows would say no more
    answer = await api.get("/audit/log", params={"format": "csv"})
    assert (answer.status_code, answer.json()["field"]) == (422, "format")
    assert (await api.get("/audit/log", params={"format": "csv", "outcome": "answered"})).status_code == 200


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"since": "2026-11-20T00:00:00Z"}, "since"),
        ({"from": "2026-11-20"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"receipt_id": "2611170036700300000104"}, "receipt_id"),
        ({"customer_id": "Maria Kowalski"}, "customer_id"),
        ({"route": "'; DROP TABLE audit.events; --"}, "route"),
        ({"outcome": "fine"}, "outcome"),
        ({"limit": 101}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "WyIyMDI2LTExLTIwIiwgIngiXQ"}, "cursor"),
        ({"format": "csv", "cursor": "WyIyMDI2LTExLTIwIiwgIngiXQ"}, "cursor"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(api, asked, field):
    answer = await api.get("/audit/log", params=asked)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


async def test_a_parameter_that_is_none_is_told_the_names_that_are(api):
    answer = await api.get("/audit/log", params={"since": "2026-11-20T00:00:00Z"})
    assert "from" in answer.json()["detail"]
    assert "until" not in answer.json()["detail"]


def test_no_role_but_the_officers_reads_the_trail_whatever_the_api_forgets(settings, sign_ins, owner):
    plant(owner, 1)
    seen = {}
    with connect(settings, DatabaseRole.API) as api:
        for name in ("rep.all", "supervisor.east", "fraud", "admin", "till.367", "privacy"):
            with api.transaction():
                api.execute("SELECT set_config('app.scope', %s, true)", (sign_ins.principal(name).scope_id,))
                seen[name] = len(api.execute("SELECT * FROM audit.trail").fetchall())
        seen[""] = len(api.execute("SELECT * FROM audit.trail").fetchall())
        api.commit()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            api.execute("SELECT * FROM audit.events")
    assert seen == dict.fromkeys(("rep.all", "supervisor.east", "fraud", "admin", "till.367", ""), 0) | {"privacy": 1}


@pytest.mark.parametrize("asked", [{}, {"customer_id": "C0000001"}, {"outcome": "refused"}])
def test_for_another_role_not_one_event_is_looked_at(settings, sign_ins, owner, asked):
    plant(owner, 1)
    params = audit_log.AuditFilter().parameters() | audit_log._END | {"rows": 51} | asked
    statement = b"EXPLAIN (ANALYZE, FORMAT JSON) " + audit_log._SQL["list_events"].encode()
    looked_at = {}
    with connect(settings, DatabaseRole.API) as api:
        for name in ("rep.all", "privacy"):
            with api.transaction():
                api.execute("SELECT set_config('app.scope', %s, true)", (sign_ins.principal(name).scope_id,))
                (plan,) = api.execute(statement, params, prepare=False).fetchone()
            looked_at[name] = sum(looks(plan[0]["Plan"]))
    assert (looked_at["rep.all"], looked_at["privacy"] > 0) == (0, True)


def looks(node):
    """Yield how often each node of a plan that reads the trail was run."""
    if "events" in node.get("Relation Name", node.get("Index Name", "")):
        yield node["Actual Loops"]
    for child in node.get("Plans", ()):
        yield from looks(child)


PLANNED = {
    "principal_id": ({"principal_id": "rep.00077"}, "principal_id_occurred_at_idx"),
    "customer_id": ({"customer_id": "C0012345"}, "customer_ids_idx"),
    "receipt_id": ({"receipt_id": RECEIPT}, "receipt_ids_idx"),
    "a rare route": ({"route": "POST /export/receipts"}, "route_occurred_at_event_id_idx"),
    "a rare outcome": ({"outcome": "failed"}, "outcome_occurred_at_event_id_idx"),
    "a rare purpose": ({"purpose": "audit"}, "purpose_occurred_at_event_id_idx"),
    "what is frequent": (
        {"route": EVENT["route"], "outcome": "answered", "purpose": "customer_service"},
        "pkey",
    ),
    "everything": ({}, "pkey"),
}


@pytest.fixture
def officers_scope(sign_ins, owner):
    """The scope of an officer, and a hundred thousand events in three months that were made after the indexes."""
    for month in ("2026-12-01", "2027-01-01"):
        owner.execute("SELECT audit.make_partitions(%s)", [month])
    owner.execute(
        "INSERT INTO audit.events SELECT gen_random_uuid(), %s::timestamptz + n * interval '1 minute', "
        "format('rep.%%s', lpad((n %% 500)::text, 5, '0')), 'cs_rep', 's', 'GET /receipt/{receipt_id}', "
        "CASE WHEN n %% 10000 = 0 THEN 'failed' ELSE 'answered' END, 200, ARRAY[lpad(n::text, 22, '0')], "
        "ARRAY[format('C%%s', lpad((n %% 20000)::text, 7, '0'))], 'customer_service', '', '127.0.0.1', 'r' "
        "FROM generate_series(1, 100000) AS n",
        (datetime(2026, 12, 15, tzinfo=UTC),),
    )
    owner.execute("ANALYZE audit.events")
    return sign_ins.principal("privacy").scope_id


def test_each_filter_has_its_index_in_every_month(settings, officers_scope):
    found = {}
    with connect(settings, DatabaseRole.API) as api, api.transaction():
        api.execute("SELECT set_config('app.scope', %s, true)", (officers_scope,))
        for name, (asked, _) in PLANNED.items():
            params = audit_log.AuditFilter().parameters() | audit_log._END | {"rows": 51} | asked
            statement = b"EXPLAIN (FORMAT JSON) " + audit_log._SQL["list_events"].encode()
            (plan,) = api.execute(statement, params, prepare=False).fetchone()
            found[name] = set(used_in_months(plan[0]["Plan"]))
    months = ("2026_12", "2027_01", "2027_02")
    assert found == {name: {f"events_{month}_{index}" for month in months} for name, (_, index) in PLANNED.items()}


def used_in_months(node):
    """Yield the indexes by which a plan reads the months of the trail, and the names of those it reads whole."""
    if node["Node Type"] == "Seq Scan" and node["Relation Name"].startswith("events_20"):
        yield f"all of {node['Relation Name']}"
    if node.get("Index Name", "").startswith("events_20"):
        yield node["Index Name"]
    for child in node.get("Plans", ()):
        yield from used_in_months(child)
