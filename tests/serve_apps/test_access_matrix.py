"""Every role, at every route, about what lies in its own regions and in others: what it is answered and what is noted.

The statuses follow from three rules, read aloud: who is not signed in gets 401; whose role lacks the permission of
`receipts/access.py` gets 403, whatever was asked about; who has it gets what lies in the own regions, and of the rest
learns nothing: 404 where one thing was named, an answer without it where many were.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from receipts.access import PERMISSIONS, Role
from serve_apps.audit import ANONYMOUS
from serve_apps.capabilities import capabilities_of
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.serving import SignIns, plant_pattern
from tests.fixtures.whole_api import whole_api
from tests.serve_apps.test_guard import IDS, PUBLIC, ROUTES, routes_of

EAST, WEST = 1, 2
SEES = {"east": {EAST}, "west": {WEST}, "all": {EAST, WEST}}  # three scopes: regions of one, of the other, all
CALLERS = [(role, scope) for role in Role for scope in SEES]
EXPORT = IDS["export_id"]
OUTCOMES = {
    200: "answered",
    201: "answered",
    202: "answered",
    404: "not_found",
    409: "invalid",
    401: "refused",
    403: "refused",
}


@dataclass(frozen=True)
class Subject:
    """What is asked about: a receipt of a region and its customer, who shops nowhere else."""

    region: int
    receipt_id: str
    customer_id: str
    sequence_number: int
    store_id: int
    last_name: str
    delivery_id: str
    undone_id: str  # of a delivery that was taken back
    flags: Iterator[int]  # raised about the customer, of which each can be reviewed once


@dataclass(frozen=True)
class Route:
    """How a route is asked about a subject, and what a caller who may not see the subject is answered.

    `hidden` is None where the answer does not depend on regions.
    """

    path: Callable[[Subject], str]
    body: Callable[[Subject], dict[str, Any]] | None = None
    found: int = 200
    hidden: int | None = 404


# One line a route. A new route has no line yet, and the first test below says so.
ASKED = {
    "GET /receipt/{receipt_id}": Route(lambda s: f"/receipt/{s.receipt_id}"),
    "GET /receipt/": Route(
        lambda s: (
            f"/receipt/?store_id={s.store_id}&business_date=2026-11-17&register_id=3"
            f"&sequence_number={s.sequence_number}"
        )
    ),
    "GET /receipt/{receipt_id}/timeline": Route(lambda s: f"/receipt/{s.receipt_id}/timeline"),
    "POST /receipt/batch": Route(lambda s: "/receipt/batch", lambda s: {"receipt_ids": [s.receipt_id]}, hidden=200),
    "POST /receipt/deliver/": Route(
        lambda s: "/receipt/deliver/", lambda s: {"receipt_id": s.receipt_id, "email": "a@example.com"}, found=202
    ),
    "POST /receipt/deliver/{delivery_id}/undo": Route(lambda s: f"/receipt/deliver/{s.undone_id}/undo"),
    "GET /receipt/deliver/{delivery_id}": Route(lambda s: f"/receipt/deliver/{s.delivery_id}"),
    "GET /receipt/deliver/": Route(lambda s: f"/receipt/deliver/?receipt_id={s.receipt_id}"),
    "GET /customers/{customer_id}/receipts": Route(lambda s: f"/customers/{s.customer_id}/receipts"),
    "POST /customers/{customer_id}/contacts/reveal": Route(
        lambda s: f"/customers/{s.customer_id}/contacts/reveal", lambda s: {"reason": "call_back"}
    ),
    "GET /cs/context/{customer_id}": Route(lambda s: f"/cs/context/{s.customer_id}"),
    "GET /cs/context/{customer_id}/summary": Route(lambda s: f"/cs/context/{s.customer_id}/summary"),
    "POST /search/fuzzy/": Route(lambda s: "/search/fuzzy/", lambda s: {"customer_id": s.customer_id}, hidden=200),
    "POST /search/": Route(lambda s: "/search/", lambda s: {"text": s.receipt_id}, hidden=200),
    "POST /fraud/flags": Route(
        lambda s: "/fraud/flags",
        lambda s: {"subject": "customer", "subject_id": s.customer_id, "reason": "other", "note": s.last_name},
        found=201,
    ),
    "GET /fraud/flags": Route(lambda s: f"/fraud/flags?subject_id={s.customer_id}", hidden=200),
    "POST /fraud/flags/{flag_id}/review": Route(
        lambda s: f"/fraud/flags/{next(s.flags)}/review", lambda s: {"outcome": "cleared", "note": ""}
    ),
    "GET /fraud/patterns": Route(lambda s: "/fraud/patterns", hidden=200),
    "GET /fraud/patterns/summary": Route(lambda s: "/fraud/patterns/summary", hidden=200),
    "GET /fraud/patterns/{pattern_id}/receipts": Route(lambda s: f"/fraud/patterns/{s.region:032d}/receipts"),
    "GET /admin/status": Route(lambda s: "/admin/status", hidden=None),
    "GET /admin/quarantine/": Route(lambda s: "/admin/quarantine/", hidden=None),
    "GET /admin/quarantine/{quarantine_id}": Route(lambda s: "/admin/quarantine/1", hidden=None),
    "GET /admin/quarantine/orders/{order_id}": Route(lambda s: "/admin/quarantine/orders/1", hidden=None),
    "POST /admin/quarantine/{quarantine_id}/orders": Route(
        lambda s: "/admin/quarantine/1/orders", lambda s: {"action": "dismiss"}, found=202, hidden=None
    ),
    "GET /audit/log": Route(lambda s: f"/audit/log?customer_id={s.customer_id}", hidden=None),
    # Somebody else's exports are not there for anybody; test_export has one's own.
    "POST /export/receipts": Route(
        lambda s: "/export/receipts",
        lambda s: {
            "date_from": "2026-11-17", "date_to": "2026-11-17", "store_ids": [s.store_id], "format": "csv",
            "reason": "legal",
        },
        found=201, hidden=None,
    ),
    "GET /export/receipts/": Route(lambda s: "/export/receipts/", hidden=None),
    "GET /export/receipts/{export_id}": Route(lambda s: f"/export/receipts/{EXPORT}", found=404, hidden=None),
    "GET /export/receipts/{export_id}/file": Route(lambda s: f"/export/receipts/{EXPORT}/file", found=404, hidden=None),
    "POST /compliance/requests": Route(
        lambda s: "/compliance/requests",
        lambda s: {"kind": "access", "law": "gdpr", "customer_id": s.customer_id, "channel": "phone"},
        found=201, hidden=None,
    ),
    "GET /compliance/requests": Route(lambda s: f"/compliance/requests?customer_id={s.customer_id}", hidden=None),
    "GET /compliance/requests/{request_id}": Route(lambda s: "/compliance/requests/1", hidden=None),
    # Nothing is complete that has not begun; test_compliance takes every step from every state.
    "POST /compliance/requests/{request_id}/steps": Route(
        lambda s: "/compliance/requests/1/steps", lambda s: {"step": "complete"}, found=409, hidden=None
    ),
}  # fmt: skip


def expected(route: str, role: Role | None, scope: str, subject: Subject) -> int:
    """Say the three rules of this module's first lines."""
    if role is None:
        return 401
    if ROUTES[route] not in PERMISSIONS[role]:
        return 403
    hidden = ASKED[route].hidden
    return ASKED[route].found if hidden is None or subject.region in SEES[scope] else hidden


@pytest.fixture
def subjects(settings, owner):
    """A store, a customer and a receipt in each of two regions, a refused record with an order, and a request."""
    made = []
    for region, store_id, customer, name in ((EAST, 367, "C0000001", "Kowalski"), (WEST, 400, "C0000002", "Bianchi")):
        receipt = make_receipt(store_id=store_id, customer_id=customer, sequence_number=region)
        store_rows(
            settings,
            stores=[make_store(store_id=store_id, name=f"Store of {name}", region_id=region)],
            customers=[
                make_customer(customer_id=customer, last_name=name, email=f"{name}@example.com", home_store_id=store_id)
            ],
            receipts=[receipt],
        )
        owner.execute(
            "INSERT INTO retail.customer_profiles VALUES (%s, %s, 1048, 1, NULL, %s)",
            (customer, [region], json.dumps({"recent_pattern": f"1 visit, at Store of {name}."})),
        )
        deliveries = [_delivery(owner, receipt.receipt_id, status) for status in ("sent", "cancelled")]
        flags = owner.execute(
            "INSERT INTO fraud.flags (subject, subject_id, reason, note, raised_by) "
            "SELECT 'customer', %s, 'other', %s, 'somebody' FROM generate_series(1, 100) RETURNING flag_id",
            (customer, name),
        ).fetchall()
        plant_pattern(
            owner, f"{region:032d}", region_ids=[region], store_ids=[store_id], subject_id=customer, explanation=name
        )
        each = (flag_id for (flag_id,) in flags)
        made.append(Subject(region, receipt.receipt_id, customer, region, store_id, name, *deliveries, each))
    owner.execute(
        "INSERT INTO ingest.quarantine (bronze_table, received_at, source, reason, payload, payload_digest) "
        "VALUES ('bronze.receipts', now(), 'till', 'no JSON', '{', 'x')"
    )
    owner.execute("INSERT INTO ingest.desk_orders (quarantine_id, action, ordered_by) VALUES (1, 'dismiss', 'admin')")
    owner.execute(
        "INSERT INTO compliance.requests (kind, law, customer_id, channel, received_on, due_on, extended_due_on, "
        "opened_by) VALUES ('access', 'gdpr', 'C0000001', 'phone', now(), now(), now(), 'privacy')"
    )
    return made


def _delivery(owner, receipt_id: str, status: str) -> str:
    """Store a delivery of a receipt and return its id."""
    row = owner.execute(
        "INSERT INTO mail.deliveries (receipt_id, gift, on_file, email_masked, address_digest, requested_by, status, "
        "sent_at) VALUES (%s, false, false, 'a***@example.com', '', 'somebody', %s, now()) RETURNING delivery_id::text",
        (receipt_id, status),
    ).fetchone()
    return row[0]


@pytest.fixture
def callers(settings, sign_ins, owner):
    """A signed header for each role in each scope, and none for nobody."""
    headers: dict[tuple[Role | None, str], dict[str, str]] = {(None, "all"): {}}
    for role, scope in CALLERS:
        regions = [] if scope == "all" else sorted(SEES[scope])
        owner.execute(
            "INSERT INTO access.principals (principal_id, role, display_name, region_ids, all_regions) "
            "VALUES (%s, %s, 'somebody', %s, %s)",
            (f"{role}.{scope}.matrix", role, regions, scope == "all"),
        )
        headers[role, scope] = SignIns(settings).headers(f"{role}.{scope}.matrix")
    return headers


def shown(answer: Any, subject: Subject) -> bool:
    """Say whether an answer tells anything of a subject (its store is called like its customer) but the given ids."""
    told = answer.json()
    told.pop("not_found", None)
    of_deliveries = told.get("deliveries", [told] if "delivery_id" in told else [])
    if any(one["receipt_id"] == subject.receipt_id for one in of_deliveries):
        return True
    return subject.last_name in answer.text or subject.receipt_id in str(told.get("receipts", told.get("hits", "")))


def test_every_route_has_its_cells(settings):
    found = {name for one in capabilities_of(settings) for name, _ in routes_of(settings, one)}
    assert found == ASKED.keys() | PUBLIC


async def test_each_cell_is_answered_and_noted_as_the_rules_say(settings, owner, subjects, callers):
    wrong, noted = [], {}
    async with whole_api(settings) as api:
        for (role, scope), headers in callers.items():
            for name, route in ASKED.items():
                for subject in subjects:
                    body = route.body(subject) if route.body else None
                    method = name.split(" ")[0]
                    answer = await api.ask(method, route.path(subject), json=body, headers=headers)
                    cell = f"{role} of {scope} at {name} about region {subject.region}"
                    status = expected(name, role, scope, subject)
                    if answer.status_code != status:
                        wrong.append(f"{cell}: {answer.status_code} instead of {status}")
                    may_see = status < 300 and subject.region in SEES[scope]
                    if route.hidden is not None and shown(answer, subject) != may_see:
                        wrong.append(f"{cell}: {'nothing' if may_see else 'something'} was shown")
                    who = f"{role}.{scope}.matrix" if role else ANONYMOUS
                    noted[answer.headers["x-request-id"]] = (who, role or ANONYMOUS, OUTCOMES[status], status)
    assert wrong == []
    assert len(noted) == (len(CALLERS) + 1) * len(ASKED) * len(subjects), "each request has an id of its own"
    assert events(owner) == noted


async def test_a_route_of_the_sign_in_answers_everybody_alike(settings, owner, callers):
    async with whole_api(settings) as api:
        for name in PUBLIC:
            method, path = name.split(" ")
            statuses = {(await api.ask(method, path, headers=headers)).status_code for headers in callers.values()}
            assert len(statuses) == 1, f"{name}: {statuses}"
            assert statuses <= {200, 400, 404, 422}
    found = owner_events_of_routes(owner)
    assert all(found[name] == len(callers) for name in PUBLIC), found


@pytest.mark.parametrize("token", ["x", "a.b.c", "Bearer", "null"])
async def test_who_brings_no_token_of_ours_is_nobody(settings, sign_ins, subjects, token):
    async with whole_api(settings) as api:
        for name, route in ASKED.items():
            method = name.split(" ")[0]
            answer = await api.ask(method, route.path(subjects[0]), headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401, name


def events(owner) -> dict[str, tuple[str, str, str, int]]:
    """Return who, as what, with what outcome and status, of each request on record. Fails when one is there twice."""
    while owner.execute("SELECT audit.project()").fetchone()[0]:
        pass
    rows = owner.execute("SELECT request_id, principal_id, role, outcome, status FROM audit.events").fetchall()
    assert len({row[0] for row in rows}) == len(rows), "a request is on record twice"
    return {row[0]: tuple(row[1:]) for row in rows}


def owner_events_of_routes(owner) -> dict[str, int]:
    """Return how many requests of each route are on record."""
    events(owner)
    return dict(owner.execute("SELECT route, count(*) FROM audit.events GROUP BY route").fetchall())
