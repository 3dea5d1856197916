"""Every metric of a replica moves when what it counts happens, and none can hold what a caller says."""

import re

import pytest
from prometheus_client import generate_latest

from configs.limits import LimitSettings, Rate
from receipts.access import Role
from receipts.identity import receipt_id
from serve_apps import history, lookup
from serve_apps.exposition import LABELS, PREFIX, Whose, registry_of
from tests.fixtures.retail import make_receipt, make_store, store_rows
from tests.fixtures.serving import running
from tests.fixtures.tcp_proxy import through

RECEIPT = make_receipt()
ROUTE = "GET /receipt/{receipt_id}"


@pytest.fixture
def shop(settings, sign_ins):
    store_rows(settings, stores=[make_store()], receipts=[RECEIPT])
    return settings


def told(app, name, **labels):
    """Return one sample of a replica that serves the application in slot 3; none where it was not told."""
    own = {"application": "lookup", "slot": "3"}
    return registry_of(app, Whose("lookup", 3)).get_sample_value(f"{PREFIX}_{name}", own | labels)


async def test_what_takes_the_short_way_is_counted_there_with_its_stages(shop, sign_ins):
    app = lookup.build_app(shop)
    unknown = receipt_id(RECEIPT.natural_key._replace(sequence_number=999))
    async with running(app, "/receipt") as client:
        headers = sign_ins.headers("rep.east")
        for path, given in [(RECEIPT.receipt_id, headers), (RECEIPT.receipt_id, headers), (unknown, headers)]:
            await client.get(f"/receipt/{path}", headers=given)
        await client.get(f"/receipt/{unknown}")
        answers = {status: told(app, "requests_total", route=ROUTE, status=status) for status in ("200", "404", "401")}
        assert answers == {"200": 2, "404": 1, "401": 1}
        assert told(app, "request_seconds_count", route=ROUTE) == 4
        for stage in ("lookup_queue", "lookup_database"):
            assert told(app, "stage_seconds_count", stage=stage) == 3
        parts = [told(app, "stage_seconds_sum", stage=stage) for stage in ("lookup_queue", "lookup_database")]
        assert 0 < sum(parts) < told(app, "request_seconds_sum", route=ROUTE)
        assert told(app, "stage_seconds_count", stage="audit_database") == 1, "the refusal's own event"
        assert told(app, "question_requests_count", question="lookup") == 3
        assert told(app, "tokens_total", outcome="verified") == 1
        assert told(app, "tokens_total", outcome="remembered") == 2
        assert told(app, "audit_chains_total", question="lookup") >= 1
        assert told(app, "ready") == told(app, "limit_store_up") == 1
        assert told(app, "limit_holders") == 1
        assert 0 <= told(app, "revocations_age_seconds") < 60
        assert 0 <= told(app, "keys_age_seconds") < 600
        assert told(app, "pool_connections", server="primary") >= 1
        assert told(app, "process_cpu_seconds_total") > 0
    assert told(app, "ready") == 0


async def test_all_other_routes_are_counted_by_their_template(shop, sign_ins):
    app = lookup.build_app(shop)
    async with running(app, "/receipt") as client:
        headers = sign_ins.headers("rep.east")
        await client.post("/receipt/batch", json={"receipt_ids": [RECEIPT.receipt_id]}, headers=headers)
        await client.get(f"/receipt/{RECEIPT.receipt_id}?x=1", headers=headers)
        await client.get("/receipt/no/such/route/Maria", headers=headers)
        await client.request("MARIA", "/receipt/1", headers=headers)
    text = generate_latest(registry_of(app, Whose("lookup", 3))).decode()
    assert told(app, "requests_total", route="POST /receipt/batch", status="200") == 1
    assert told(app, "requests_total", route=ROUTE, status="422") == 1
    assert told(app, "requests_total", route="GET /receipt (no route reached)", status="404") == 1
    assert told(app, "stage_seconds_count", stage="limits") >= 1
    assert "aria" not in text
    assert RECEIPT.receipt_id not in text


async def test_what_is_refused_is_counted_by_its_reason(shop, sign_ins):
    limits = LimitSettings(person=Rate(count=1, seconds=3_600, burst=1), credit=1)
    app = lookup.build_app(shop.model_copy(update={"limits": limits}))
    async with running(app, "/receipt") as client:
        for _ in range(4):
            await client.get(f"/receipt/{RECEIPT.receipt_id}", headers=sign_ins.headers("rep.east"))
        refused = told(app, "refusals_total", reason="requests")
        assert refused == told(app, "requests_total", route=ROUTE, status="429") >= 2
        await client.get(f"/receipt/{RECEIPT.receipt_id}", headers={"Authorization": "Bearer x"})
        assert told(app, "tokens_total", outcome="refused") == 1
        session = sign_ins.principal("rep.east").session_id
        app.state.context.tokens.revocations.sessions = frozenset({session})
        await client.get(f"/receipt/{RECEIPT.receipt_id}", headers=sign_ins.headers("rep.east"))
        assert told(app, "tokens_total", outcome="ended") == 1
        app.state.context.tokens.revocations.good_until = 0
        await client.get(f"/receipt/{RECEIPT.receipt_id}", headers=sign_ins.headers("rep.east"))
        assert told(app, "tokens_total", outcome="unknown") == 1


async def test_a_database_that_goes_away_is_seen(shop, sign_ins, postgres_proxy):
    app = lookup.build_app(through(shop, postgres_proxy))
    async with running(app, "/receipt") as client:
        headers = sign_ins.headers("rep.east")
        await client.get(f"/receipt/{RECEIPT.receipt_id}", headers=headers)
        assert told(app, "audit_failures_total", question="lookup") == 0
        postgres_proxy.cut()
        await client.get(f"/receipt/{RECEIPT.receipt_id}", headers=headers)
        assert told(app, "audit_failures_total", question="lookup") == 1
        assert told(app, "audit_retries_total", question="lookup") >= 1
        assert told(app, "requests_total", route=ROUTE, status="503") == 1


async def test_a_history_is_read_on_the_primary_where_there_is_no_standby(shop, sign_ins):
    app = history.build_app(shop)
    async with running(app, "/customers") as client:
        await client.get("/customers/C0000001/receipts", headers=sign_ins.headers("rep.east"))
    assert told(app, "stage_seconds_count", stage="read_primary") == 1
    assert told(app, "stage_seconds_count", stage="read_standby") == told(app, "reads_confirmed_total") == 0
    assert told(app, "stage_seconds_count", stage="audit_queue") == 1


def test_every_metric_is_named_for_serving_with_its_unit_and_no_label_can_hold_personal_data(shop):
    names = set()
    for family in registry_of(lookup.build_app(shop), Whose("lookup", 0)).collect():
        names.add(family.name)
        assert re.fullmatch(r"receipts_serve_[a-z_]+", family.name), family.name
        assert not family.name.endswith(("_ms", "_kb", "_mb", "_minutes")), "Prometheus counts in base units"
        assert family.documentation
        for sample in family.samples:
            assert {"application", "slot"} <= sample.labels.keys() <= LABELS
    assert len(names) > 20
    assert not {role.value for role in Role} & names
