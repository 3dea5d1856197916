"""The database refuses a second time: whatever the serving role reads without any WHERE lies in the scope's regions."""

from __future__ import annotations

import uuid

import psycopg
import pytest

from receipts.database import DatabaseRole, connect
from tests.fixtures.retail import make_customer, make_receipt, make_return, make_store, store_rows
from tests.fixtures.serving import plant_pattern

EAST, WEST = 1, 2
SCHEMAS = [
    "access", "audit", "auth", "compliance", "fraud", "ingest", "mail", "operations", "retail", "search", "sync",
]  # fmt: skip
ORIGINAL = make_receipt(sequence_number=900).receipt_id  # named by a return of either region
# What the serving role may read, and the regions a row belongs to, as SQL over its columns with a superuser's eyes.
REGIONAL = {
    "retail.receipts": "ARRAY[region_id]",
    "retail.customers": "region_ids",
    "retail.customer_profiles": "region_ids",
    "fraud.flags": "(SELECT c.region_ids FROM retail.customers c WHERE c.customer_id = t.subject_id)",
    "retail.fraud_patterns": "region_ids",
    "retail.spending_insights": (
        "(SELECT p.region_ids FROM retail.customer_profiles p WHERE p.customer_id = t.customer_id)"
    ),
    "mail.deliveries": "(SELECT ARRAY[r.region_id] FROM retail.receipts r WHERE r.receipt_id = t.receipt_id)",
}
KEYS = {"fraud.flags": "subject_id", "retail.fraud_patterns": "subject_id"}  # where it is not customer_id
# Belongs to no region: what is sold where, and what only operators are let to by the guard of their routes.
EVERYWHERE = {
    "access.regions", "ingest.desk_orders", "ingest.quarantine", "retail.product_embeddings", "retail.products",
    "retail.stores", "sync.watermarks",
}  # fmt: skip
# Told to some roles only, in whatever region: tests of their own say to which (test_audit_log,
# test_compliance, test_export).
BY_ROLE = {"audit.trail", "compliance.requests", "compliance.steps", "retail.exports"}
# Functions of ours that the serving role may call, each with arguments as wide as they go.
READING = {
    "retail.find_receipts": "SELECT receipt_id FROM retail.find_receipts(%(scope)s, %(receipts)s)",
    "retail.find_context": (
        "SELECT f.customer_id FROM unnest(%(customers)s::text[]) c, retail.find_context(%(scope)s, c) f"
    ),
    "retail.list_receipts": (
        "SELECT f.receipt_id FROM unnest(%(customers)s::text[]) c, "
        "retail.list_receipts(%(scope)s, c, 'infinity', '', 1000) f WHERE f.receipt_id IS NOT NULL"
    ),
    "retail.find_receipts_on_record": (
        "SELECT f.receipt_id FROM audit.open_chain() o, retail.find_receipts_on_record(%(scope)s, "
        "array_to_string(%(receipts)s::text[], ','), '{\"a\":1' || E'\\n' || '{\"a\":1', o.chain, 1, o.head) f "
        "WHERE f.body IS NOT NULL OR f.customer_id IS NOT NULL"
    ),
    "mail.schedule": (
        "SELECT f.receipt_id FROM unnest(%(receipts)s::text[]) r, "
        "mail.schedule(r, 'a@example.com', '', false, 'rep', NULL, 60) f WHERE f.receipt_id IS NOT NULL"
    ),
    "mail.list_sent": ("SELECT r FROM unnest(%(receipts)s::text[]) r, mail.list_sent(r, 1000)"),
    "fraud.regions_of": "SELECT c FROM unnest(%(customers)s::text[]) c WHERE fraud.regions_of('customer', c) <> '{}'",
    "audit.list_views": "SELECT r FROM unnest(%(receipts)s::text[]) r, audit.list_views(r, 1000)",
    "search.list_returns": f"SELECT receipt_id FROM search.list_returns('{ORIGINAL}', 1000)",
    "retail.reveal_contacts": ("SELECT c FROM unnest(%(customers)s::text[]) c, retail.reveal_contacts(%(scope)s, c)"),
    "search.find_customers_by_contact": (
        "SELECT customer_id FROM search.find_customers_by_contact('maria.kowalski@example.com', NULL, 1000)"
    ),
    "search.find_people": (
        "SELECT DISTINCT unnest(customer_ids) FROM search.find_people(ARRAY['maria', 'kowalski'], ARRAY[1, 2], "
        "ARRAY[1, 2], ARRAY[0, 0]::real[], 1000, 1000)"
    ),
    "search.search_customers": ("SELECT customer_id FROM search.search_customers(ARRAY['kowalski'], 1000)"),
    "search.search_receipts": (
        "SELECT document::jsonb ->> 'receipt_id' FROM search.search_receipts(NULL, NULL, NULL, '2000-01-01', "
        "'2099-12-31', 0, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, "
        "NULL, NULL, NULL, NULL, NULL, NULL, 1000)"
    ),
}
# Functions that read no retail data; some only compute and are open to every role.
OTHERS = {
    "auth.list_ended_sessions", "retail.operator_key", "retail.sku_keys", "search.search_terms",
    "search.varied_products", "search.coverage",
    "search.all_but_one", "search.likeness_costs", "search.told_share",
    "access.my_regions", "access.my_role", "access.my_principal", "compliance.take_step",
    "audit.chain_day", "audit.extend", "audit.open_chain", "audit.today", "retail.name_keys",
    "operations.find_status",
}  # fmt: skip


@pytest.fixture
def filled(settings, owner):
    """Two regions, in each a store, a customer with a profile and insights, and a return that somebody looked at."""
    ids: dict[int, tuple[str, str]] = {}
    for region, store_id in ((EAST, 367), (WEST, 400)):
        customer = f"C000000{region}"
        receipt = make_return(ORIGINAL, store_id=store_id, customer_id=customer)
        store_rows(
            settings,
            stores=[make_store(store_id=store_id, region_id=region)],
            customers=[make_customer(customer_id=customer, home_store_id=store_id)],
            receipts=[receipt],
        )
        note_look(owner, receipt.receipt_id)
        owner.execute("INSERT INTO retail.customer_profiles VALUES (%s, %s, 1, 1, now(), '{}')", (customer, [region]))
        fill_row(owner, "retail.spending_insights", customer_id=customer)
        fill_row(owner, "mail.deliveries", customer_id=customer, receipt_id=receipt.receipt_id, status="sent")
        fill_row(owner, "fraud.flags", subject="customer", subject_id=customer, reason="other")
        plant_pattern(owner, f"{region:032d}", subject_id=customer, region_ids=[region])
        ids[region] = (receipt.receipt_id, customer)
    return ids


def note_look(owner, receipt_id: str) -> None:
    """Put a look at a receipt on record."""
    owner.execute(
        "INSERT INTO audit.events VALUES (gen_random_uuid(), now(), 'rep.all', 'cs_rep', '', "
        "'GET /receipt/{receipt_id}', 'answered', 200, %s, '{}', 'customer_service', '', '', '')",
        ([receipt_id],),
    )


def fill_row(owner, table: str, **given: str) -> None:
    """Insert a row with these columns, and any value in the others that need one."""
    schema, name = table.split(".")
    columns = owner.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
        "AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'",
        (schema, name),
    ).fetchall()
    values = {column: "2026-11-01" if kind == "date" else "1" for column, kind in columns} | given
    names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    owner.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))


def scope_of(sign_ins, name: str) -> str:
    return sign_ins.principal(name).scope_id


SCOPES = {"rep.east": {EAST}, "rep.west": {WEST}, "rep.all": {EAST, WEST}, "supervisor.east": {EAST}}


def test_all_that_the_serving_role_may_read_or_call_is_listed_here(owner):
    tables = owner.execute(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm') "
        "AND c.relnamespace::regnamespace::text = ANY (%s) "
        "AND has_any_column_privilege('receipts_api', c.oid, 'SELECT')",
        (SCHEMAS,),
    ).fetchall()
    assert {row[0] for row in tables} == REGIONAL.keys() | EVERYWHERE | BY_ROLE
    functions = owner.execute(
        "SELECT p.oid::regproc::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE n.nspname = ANY (%s) AND has_function_privilege('receipts_api', p.oid, 'EXECUTE') "
        "AND has_schema_privilege('receipts_api', n.oid, 'USAGE') AND p.prorettype <> 'trigger'::regtype",
        (SCHEMAS,),
    ).fetchall()
    assert {row[0] for row in functions} == READING.keys() | OTHERS


@pytest.mark.parametrize("table", REGIONAL)
def test_a_forgotten_where_shows_the_scopes_regions_only(settings, owner, sign_ins, filled, table):
    key = KEYS.get(table, "customer_id")
    keys = owner.execute(f"SELECT t.{key}, {REGIONAL[table]} FROM {table} t").fetchall()
    assert {tuple(regions) for _, regions in keys} == {(EAST,), (WEST,)}, "the test has rows of both"
    regions_of = {key: set(regions) for key, regions in keys}
    with connect(settings, DatabaseRole.API) as api:
        for name, regions in SCOPES.items():
            with api.transaction():
                api.execute("SELECT set_config('app.scope', %s, true)", (scope_of(sign_ins, name),))
                seen = {row[0] for row in api.execute(f"SELECT {key} FROM {table}").fetchall()}
            assert seen == {key for key, of in regions_of.items() if of & regions}, name


@pytest.mark.parametrize("function", READING)
def test_a_function_asked_for_everything_shows_the_scopes_regions_only(settings, sign_ins, filled, function):
    everything = {"receipts": [r for r, _ in filled.values()], "customers": [c for _, c in filled.values()]}
    region_of = {key: region for region, keys in filled.items() for key in keys}
    with connect(settings, DatabaseRole.API) as api:
        for name, regions in SCOPES.items():
            scope = scope_of(sign_ins, name)
            with api.transaction():
                api.execute("SELECT set_config('app.scope', %s, true)", (scope,))
                rows = api.execute(READING[function], everything | {"scope": scope}).fetchall()
            assert sorted(region_of[row[0]] for row in rows) == sorted(regions), name


@pytest.mark.parametrize("table", REGIONAL)
@pytest.mark.parametrize("handle", [None, "", str(uuid.UUID(int=0)), str(uuid.UUID(int=1))])
def test_without_a_scope_or_with_an_invented_one_there_is_nothing(settings, filled, table, handle):
    with connect(settings, DatabaseRole.API) as api, api.transaction():
        if handle is not None:
            api.execute("SELECT set_config('app.scope', %s, true)", (handle,))
        assert api.execute(f"SELECT * FROM {table}").fetchall() == []


@pytest.mark.parametrize("column", ["region_ids", "all_regions", "scope_id"])
def test_the_serving_role_cannot_read_or_make_scopes(settings, sign_ins, column):
    with connect(settings, DatabaseRole.API) as api:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            api.execute(f"SELECT {column} FROM access.scopes")
        api.rollback()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            api.execute("UPDATE access.scopes SET all_regions = true")


def test_a_scope_tells_the_role_behind_it_and_an_older_one_no_role(settings, owner, sign_ins):
    older = owner.execute(
        "INSERT INTO access.scopes (region_ids, all_regions) VALUES ('{1}', false) RETURNING scope_id"
    ).fetchone()
    roles = {name: scope_of(sign_ins, name) for name in ("rep.east", "supervisor.east", "privacy")}
    assert roles["rep.east"] != roles["supervisor.east"], "one region, two roles, two scopes"
    found = {}
    with connect(settings, DatabaseRole.API) as api:
        for name, scope in (roles | {"older": str(older[0]), "invented": str(uuid.UUID(int=1)), "": ""}).items():
            with api.transaction():
                api.execute("SELECT set_config('app.scope', %s, true)", (scope,))
                found[name] = api.execute("SELECT access.my_role(), access.my_regions()").fetchone()
    assert found == {
        "rep.east": ("cs_rep", [1]),
        "supervisor.east": ("supervisor", [1]),
        "privacy": ("privacy_officer", list(range(1, 9))),
        "older": (None, [1]),
        "invented": (None, None),
        "": (None, None),
    }


def test_a_scope_does_not_outlive_its_transaction(settings, sign_ins, filled):
    with connect(settings, DatabaseRole.API) as api:
        everything = {"receipts": [r for r, _ in filled.values()], "scope": scope_of(sign_ins, "rep.all")}
        assert len(api.execute(READING["retail.find_receipts"], everything).fetchall()) == 2
        api.commit()
        assert api.execute("SELECT * FROM retail.receipts").fetchall() == []


@pytest.mark.parametrize("column", ["email", "email_norm", "phone", "phone_norm", "address", "customer_id"])
def test_the_serving_role_cannot_read_contacts_but_by_the_function(settings, sign_ins, filled, column):
    with connect(settings, DatabaseRole.API) as api, api.transaction():
        api.execute("SELECT set_config('app.scope', %s, true)", (scope_of(sign_ins, "rep.all"),))
        with pytest.raises(psycopg.errors.InsufficientPrivilege), api.transaction():
            api.execute(f"SELECT {column} FROM retail.customer_contacts")


def test_the_owner_of_the_tables_sees_no_more_than_the_scope_in_its_own_functions(settings, owner, sign_ins, filled):
    for name, regions in SCOPES.items():
        with owner.transaction():
            owner.execute("SET LOCAL ROLE receipts_owner")
            assert owner.execute("SELECT * FROM retail.customer_contacts").fetchall() == []
            owner.execute("SELECT set_config('app.scope', %s, true)", (scope_of(sign_ins, name),))
            seen = {row[0] for row in owner.execute("SELECT customer_id FROM retail.customer_contacts").fetchall()}
        assert seen == {filled[region][1] for region in regions}, name
