"""Reads go to standbys that follow closely: nothing is missed there, nobody sees more, and no death is noticed."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from cluster import postgres, postgres_server
from configs.settings import Settings
from receipts.access import Principal, Role
from receipts.database import DatabaseRole, conninfo, standby_conninfos
from receipts.postgres_servers import read_servers
from serve_apps import context, fuzzy, history
from serve_apps.exposition import Whose, registry_of
from serve_apps.serving import ServingContext, serving_context
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.serving import SignIns, running
from tests.fixtures.standbys import home, kill, replay_stopped, superuser

NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)
PATIENCE_S = 60  # for what happens within a second or two on a machine that has nothing else to do
_sequence = iter(range(1, 100_000))


def receipt(customer_id: str, minute: int = 0, **overrides):
    number, at = next(_sequence), NOON + timedelta(minutes=minute)
    return make_receipt(customer_id=customer_id, sequence_number=number, purchased_at=at, **overrides)


@pytest.fixture(scope="module")
def shop(one_standby: Settings) -> Settings:
    """A store, a customer with three receipts, and one without, on both servers; any lag is close enough."""
    customers = [make_customer(), make_customer(customer_id="C0000003", email="", phone="")]
    store_rows(
        one_standby, stores=[make_store()], customers=customers, receipts=[receipt("C0000001", n) for n in range(3)]
    )
    return with_database(one_standby, max_replica_lag_s=3_600.0)


@pytest.fixture
def east(shop: Settings) -> dict[str, str]:
    return SignIns(shop).headers("rep.east")


def with_database(settings: Settings, **changes) -> Settings:
    return settings.model_copy(update={"database": settings.database.model_copy(update=changes)})


@asynccontextmanager
async def served(module, settings: Settings, prefix: str) -> AsyncIterator[httpx.AsyncClient]:
    """Run an application and wait until it reads from the standby."""
    app = module.build_app(settings)
    async with running(app, prefix) as client:
        await until_read_from(app.state.context, standby=True)
        yield client


async def until_read_from(serving: ServingContext, *, standby: bool) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await serving.reads.run(is_standby) != standby:  # noqa: ASYNC110  # nobody tells when that changes
            await asyncio.sleep(0.05)


async def is_standby(connection: psycopg.AsyncConnection) -> bool:
    return (await (await connection.execute("SELECT pg_is_in_recovery()")).fetchone())[0]


def followed(settings: Settings) -> None:
    """Wait until the standby has all that was written."""
    with superuser(settings) as owner:
        (position,) = owner.execute("SELECT pg_current_wal_lsn()::text").fetchone()
    (standby,) = read_servers(settings).standbys
    deadline = time.monotonic() + PATIENCE_S
    with superuser(settings, standby) as connection:
        while connection.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position]).fetchone() != (True,):
            assert time.monotonic() < deadline


async def test_history_context_and_search_are_answered_by_a_standby(shop: Settings, east):
    async with (
        served(context, shop, "/cs") as cs,
        served(history, shop, "/customers") as customers,
        served(fuzzy, shop, "/search/fuzzy") as searches,
    ):
        followed(shop)
        with replay_stopped(shop):
            store_rows(shop, customers=[make_customer(city="Cranberry")], receipts=[receipt("C0000001", 5)])
            assert (await cs.get("/cs/context/C0000001", headers=east)).json()["customer"]["city"] == "Pittsburgh"
            listed = (await customers.get("/customers/C0000001/receipts", headers=east)).json()["receipts"]
            found = (await searches.post("/search/fuzzy/", headers=east, json={"store": "East Liberty"})).json()["hits"]
            assert len(listed) == len(found) == 3
        followed(shop)
        assert (await cs.get("/cs/context/C0000001", headers=east)).json()["customer"]["city"] == "Cranberry"
        assert len((await customers.get("/customers/C0000001/receipts", headers=east)).json()["receipts"]) == 4


async def test_what_a_standby_has_not_received_yet_is_found_on_the_primary(shop: Settings, east):
    async with (
        served(context, shop, "/cs") as cs,
        served(history, shop, "/customers") as customers,
        served(fuzzy, shop, "/search/fuzzy") as searches,
    ):
        with replay_stopped(shop):
            new, first = receipt("C0000009"), receipt("C0000003")
            store_rows(shop, customers=[make_customer(customer_id="C0000009")], receipts=[new, first])
            assert (await cs.get("/cs/context/C0000009", headers=east)).status_code == 200
            for customer_id, rung in (("C0000009", new), ("C0000003", first)):
                page = (await customers.get(f"/customers/{customer_id}/receipts", headers=east)).json()
                assert [one["receipt_id"] for one in page["receipts"]] == [rung.receipt_id]
            answer = await searches.post("/search/fuzzy/", headers=east, json={"customer_id": "C0000009"})
            assert [hit["receipt"]["receipt_id"] for hit in answer.json()["hits"]] == [new.receipt_id]
            assert (await cs.get("/cs/context/C9999999", headers=east)).status_code == 404


async def test_no_receipt_is_lost_between_a_page_of_the_primary_and_one_of_a_standby(shop: Settings, east):
    known = [receipt("C0000010", minute) for minute in (10, 30)]
    store_rows(shop, customers=[make_customer(customer_id="C0000010")], receipts=known)
    followed(shop)
    async with (
        running(history.build_app(of_ones_own(shop)), "/customers") as primary,
        served(history, shop, "/customers") as both,
    ):
        with replay_stopped(shop):
            late = receipt("C0000010", 20)  # of a till that was offline
            store_rows(shop, receipts=[late])
            path = "/customers/C0000010/receipts"
            page = (await primary.get(path, params={"limit": 1}, headers=east)).json()
            assert [one["receipt_id"] for one in page["receipts"]] == [known[1].receipt_id]
            rest = (await both.get(path, params={"cursor": page["next_cursor"]}, headers=east)).json()["receipts"]
            assert [one["receipt_id"] for one in rest] == [late.receipt_id, known[0].receipt_id]


def of_ones_own(settings: Settings, **changes) -> Settings:
    """Return settings that reach the same primary as a server of one's own, so without its standbys."""
    passwords = {role.value: conninfo_to_dict(conninfo(settings, role))["password"] for role in DatabaseRole}
    given = {name: SecretStr(password) for name, password in passwords.items()}
    return with_database(settings, dsn=SecretStr(postgres.admin_dsn(settings)), role_passwords=given, **changes)


async def test_of_the_hosts_that_may_be_read_the_one_that_is_the_primary_is_left_alone(shop: Settings):
    servers = read_servers(shop)
    ports = ",".join(str(one.port) for one in (servers.primary, *servers.standbys))
    own = of_ones_own(shop, read_dsn=SecretStr(f"host=127.0.0.1,127.0.0.1 port={ports} dbname=receipts"))
    serving = serving_context(own)
    async with serving.pool, serving.reads:
        await until_read_from(serving, standby=True)
        assert {await serving.reads.run(is_standby) for _ in range(20)} == {True}


async def test_a_standby_that_falls_behind_is_not_read_until_it_has_caught_up(shop: Settings):
    app = history.build_app(with_database(shop, max_replica_lag_s=2.0))
    async with running(app, "/customers"):
        await until_read_from(app.state.context, standby=True)
        with replay_stopped(shop):
            store_rows(shop, receipts=[receipt("C0000001")])
            await until_read_from(app.state.context, standby=False)
        await until_read_from(app.state.context, standby=True)


@pytest.fixture
def api_on_standby(shop: Settings) -> Iterator[psycopg.Connection]:
    """The API's own login on the standby."""
    followed(shop)
    (login,) = standby_conninfos(shop, DatabaseRole.API).values()
    with psycopg.connect(login, autocommit=True) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        yield connection


SEEN: dict[str, int] = {"rep.east": 1, "supervisor.east": 1, "rep.all": 1, "fraud": 1, "rep.west": 0, "nobody": 0}


@pytest.mark.parametrize(("principal", "rows"), SEEN.items())
@pytest.mark.parametrize(
    "read",
    [
        "SELECT 1 FROM retail.find_context(%s, 'C0000001')",
        "SELECT 1 FROM retail.list_receipts(%s, 'C0000001', 'infinity', '', 1)",
        "SELECT 1 FROM (SELECT set_config('app.scope', %s, false) OFFSET 0) AS scope, retail.stores LIMIT 1",
    ],
)
def test_a_standby_shows_each_role_what_the_primary_does(shop: Settings, api_on_standby, principal, rows, read):
    if principal == "nobody":
        scope = Principal("nobody", Role.CS_REP, "3f0e5a0c-0000-4000-8000-000000000000", "none").scope_id
    else:
        scope = SignIns(shop).principal(principal).scope_id
        followed(shop)
    with superuser(shop) as owner:
        on_primary = as_api(owner, read, scope)
    expected = 1 if "retail.stores" in read else rows  # the stores' names are no secret
    assert len(api_on_standby.execute(read, [scope]).fetchall()) == len(on_primary) == expected


def as_api(owner: psycopg.Connection, read: str, scope: str) -> list[tuple[int, ...]]:
    owner.execute("SET SESSION AUTHORIZATION receipts_api")
    return owner.execute(read, [scope]).fetchall()


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("SELECT * FROM retail.customer_contacts", psycopg.errors.InsufficientPrivilege),
        ("SELECT * FROM access.scopes", psycopg.errors.InsufficientPrivilege),
        ("CREATE TEMPORARY TABLE mine (n integer)", psycopg.errors.ReadOnlySqlTransaction),
        ("DELETE FROM retail.receipts", psycopg.errors.ReadOnlySqlTransaction),
        ("SELECT audit.open_chain()", psycopg.errors.ReadOnlySqlTransaction),
        ("SELECT pg_sleep(30)", psycopg.errors.QueryCanceled),
    ],
)
def test_a_standby_refuses_what_the_primary_refuses_and_every_write(api_on_standby, statement, refusal):
    with pytest.raises(refusal):
        api_on_standby.execute(statement)


async def test_a_standby_that_is_killed_or_hangs_fails_no_request(shop: Settings, east):
    (standby,) = read_servers(shop).standbys
    app = history.build_app(shop)
    async with running(app, "/customers") as client:
        await until_read_from(app.state.context, standby=True)
        answers = await asyncio.gather(*asked_while(client, east, lambda: kill(shop, standby)))
        assert {answer.status_code for answer in answers} == {200}
        await asyncio.to_thread(postgres.start, shop)
        await until_read_from(app.state.context, standby=True)
        family = processes(shop)
        try:
            answers = await asyncio.gather(
                *asked_while(client, east, lambda: [one.send_signal(signal.SIGSTOP) for one in family])
            )
            assert {answer.status_code for answer in answers} == {200}
        finally:
            for one in family:
                one.send_signal(signal.SIGCONT)
        await until_read_from(app.state.context, standby=True)


def asked_while(client: httpx.AsyncClient, headers: dict[str, str], happens: Callable[[], object]) -> list:
    """Return requests of which the first ones are under way when something happens."""

    async def ask(number: int) -> httpx.Response:
        await asyncio.sleep(number * 0.01)
        if number == 10:
            await asyncio.to_thread(happens)
        return await client.get("/customers/C0000001/receipts", headers=headers)

    return [ask(number) for number in range(60)]


def processes(settings: Settings) -> list[psutil.Process]:
    (standby,) = read_servers(settings).standbys
    server = postgres_server.postmaster(home(settings, standby))
    return [server, *server.children(recursive=True)]


async def test_what_was_read_where_and_how_far_the_standby_is_behind_is_counted(shop: Settings, east):
    app = history.build_app(shop)
    registry = registry_of(app, Whose("customers", 0))

    def told(name: str, **labels: str) -> float | None:
        own = {"application": "customers", "slot": "0"}
        return registry.get_sample_value(f"receipts_serve_{name}", own | labels)

    def reads() -> dict[str, float | None]:
        return {server: told("stage_seconds_count", stage=f"read_{server}") for server in ("standby", "primary")} | {
            "confirmed": told("reads_confirmed_total")
        }

    async with running(app, "/customers") as client:
        await until_read_from(app.state.context, standby=True)
        before = reads()
        await client.get("/customers/C0000001/receipts", headers=east)
        found = reads()
        await client.get("/customers/C9999999/receipts", headers=east)
        missed = reads()
        assert told("standby_read", server="replica1") == 1
        assert 0 <= told("standby_lag_seconds", server="replica1") < 3_600
        assert told("pool_connections", server="replica1") >= 1
    assert found == before | {"standby": before["standby"] + 1}
    assert missed == {"standby": found["standby"] + 1, "primary": found["primary"] + 1, "confirmed": 1}
