"""Who may do what: a golden table that a person must change."""

import importlib

import pytest

from receipts.access import Permission
from serve_apps.capabilities import CAPABILITIES, SIGN_IN
from serve_apps.guard import Guard
from tests.fixtures.serving import PRINCIPALS, running

# Every route of the API and the one permission it needs.
ROUTES = {
    "GET /receipt/{receipt_id}": Permission.READ_RECEIPTS,
    "GET /receipt/{receipt_id}/timeline": Permission.READ_RECEIPTS,
    "POST /receipt/batch": Permission.READ_RECEIPTS,
    "GET /receipt/": Permission.READ_RECEIPTS,
    "POST /receipt/deliver/": Permission.DELIVER_RECEIPTS,
    "POST /receipt/deliver/{delivery_id}/undo": Permission.DELIVER_RECEIPTS,
    "GET /receipt/deliver/{delivery_id}": Permission.DELIVER_RECEIPTS,
    "GET /receipt/deliver/": Permission.DELIVER_RECEIPTS,
    "GET /customers/{customer_id}/receipts": Permission.READ_RECEIPTS,
    "POST /customers/{customer_id}/contacts/reveal": Permission.REVEAL_CONTACTS,
    "GET /cs/context/{customer_id}": Permission.READ_CUSTOMERS,
    "GET /cs/context/{customer_id}/summary": Permission.READ_CUSTOMERS,
    "POST /search/fuzzy/": Permission.SEARCH_RECEIPTS,
    "POST /search/": Permission.SEARCH_RECEIPTS,
    "POST /fraud/flags": Permission.FLAG_FRAUD,
    "GET /fraud/flags": Permission.FLAG_FRAUD,
    "POST /fraud/flags/{flag_id}/review": Permission.FLAG_FRAUD,
    "GET /fraud/patterns": Permission.READ_FRAUD_PATTERNS,
    "GET /fraud/patterns/summary": Permission.READ_FRAUD_PATTERNS,
    "GET /fraud/patterns/{pattern_id}/receipts": Permission.READ_FRAUD_PATTERNS,
    "GET /admin/status": Permission.OPERATE,
    "GET /admin/quarantine/": Permission.OPERATE,
    "GET /admin/quarantine/orders/{order_id}": Permission.OPERATE,
    "GET /admin/quarantine/{quarantine_id}": Permission.OPERATE,
    "POST /admin/quarantine/{quarantine_id}/orders": Permission.OPERATE,
    "GET /audit/log": Permission.READ_AUDIT,
    "POST /export/receipts": Permission.EXPORT_RECEIPTS,
    "GET /export/receipts/": Permission.EXPORT_RECEIPTS,
    "GET /export/receipts/{export_id}": Permission.EXPORT_RECEIPTS,
    "GET /export/receipts/{export_id}/file": Permission.EXPORT_RECEIPTS,
    "POST /compliance/requests": Permission.FULFIL_PRIVACY_REQUESTS,
    "GET /compliance/requests": Permission.FULFIL_PRIVACY_REQUESTS,
    "GET /compliance/requests/{request_id}": Permission.FULFIL_PRIVACY_REQUESTS,
    "POST /compliance/requests/{request_id}/steps": Permission.FULFIL_PRIVACY_REQUESTS,
}
# Well-formed, and nobody's.
IDS = {
    "receipt_id": "2611170036700300000103", "customer_id": "C0000001", "quarantine_id": 1, "order_id": 1, "flag_id": 1,
    "delivery_id": "00000000-0000-0000-0000-000000000001", "pattern_id": "0" * 32, "request_id": 1,
    "export_id": "0198c0de-0000-7000-8000-000000000000",
}  # fmt: skip
# Nobody is signed in yet where one signs in.
PUBLIC = {
    "GET /auth/.well-known/openid-configuration",
    "GET /auth/jwks",
    "GET /auth/authorize",
    "POST /auth/authorize",
    "GET /auth/callback",
    "POST /auth/token",
    "POST /auth/revoke",
    "GET /auth/logout",
}
# Which role may call which of the routes above.
_REP = {
    Permission.READ_RECEIPTS, Permission.READ_CUSTOMERS, Permission.SEARCH_RECEIPTS, Permission.DELIVER_RECEIPTS,
}  # fmt: skip
_SUPERVISOR = {*_REP, Permission.REVEAL_CONTACTS, Permission.FLAG_FRAUD, Permission.EXPORT_RECEIPTS}
MATRIX = {
    "cs_rep": _REP,
    "supervisor": _SUPERVISOR,
    "fraud_team": {*_SUPERVISOR, Permission.READ_FRAUD_PATTERNS},
    "privacy_officer": {Permission.READ_AUDIT, Permission.FULFIL_PRIVACY_REQUESTS},
    "admin": {Permission.OPERATE},
    "till": set(),
}


def routes_of(settings, capability):
    """Yield each route of an application and the permissions its dependencies declare."""
    app = importlib.import_module(capability.module).build_app(settings)
    for included in app.routes:
        for route in included.effective_route_contexts():
            declared = [one.call.permission for one in _below(route.dependant) if isinstance(one.call, Guard)]
            for method in route.methods:
                yield f"{method} {capability.prefix}{route.path}", declared


def _below(dependant):
    for one in dependant.dependencies:
        yield one
        yield from _below(one)


def test_every_route_declares_the_one_permission_of_the_table(settings):
    found = {name: declared for one in CAPABILITIES for name, declared in routes_of(settings, one)}
    assert found == {name: [permission] for name, permission in ROUTES.items()}


def test_only_sign_in_is_public(settings):
    assert dict(routes_of(settings, SIGN_IN)) == {name: [] for name in PUBLIC}


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda one: one.name)
async def test_each_role_may_call_exactly_what_the_matrix_says(settings, sign_ins, capability):
    app = importlib.import_module(capability.module).build_app(settings)
    async with running(app, capability.prefix) as client:
        for route, permission in ROUTES.items():
            method, path = route.split(" ")
            whose = max((one.prefix for one in CAPABILITIES if path.startswith(f"{one.prefix}/")), key=len)
            if whose != capability.prefix:
                continue
            path = path.format(**IDS)
            for name, (role, _, _) in PRINCIPALS.items():
                answer = await client.request(method, path, headers=sign_ins.headers(name))
                assert (answer.status_code != 403) == (permission in MATRIX[role]), f"{name} at {route}"
