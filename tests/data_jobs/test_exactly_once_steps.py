"""A run is killed at any step of any batch, and goes on: lake and Postgres come to what an undisturbed run makes."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg import sql

from configs.settings import Settings
from data_jobs.catalogue import TABLES
from data_jobs.declaration import Kind, Table
from data_jobs.sync import SERVED
from data_jobs.sync_verification import compare
from receipts import bronze
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake, lake_of
from receipts.models import Receipt
from tests.data_jobs.doomed import Step, run
from tests.data_jobs.landing import RECEIVED_AT, land, land_payloads, rows_of
from tests.fixtures.retail import CHICKEN, MILK, make_receipt, make_store

NOON = datetime(2026, 11, 17, 17, 0, tzinfo=UTC)
_MODULES = {"batches", "commits", "parts", "slices", "sync", "sync_backfill", "sync_marks", "sync_writing"}
_OWN_TABLES = [table for table in TABLES if table.kind is not Kind.FILLED or table.name == "silver.quarantine"]


@dataclass(frozen=True, slots=True)
class Landing:
    """What arrives in one commit of Bronze: receipts, and so many payloads that are none."""

    receipts: tuple[Receipt, ...]
    broken: int


def _receipt(number: int, customer: str | None, days_before: int, kind: str, amount: int) -> Receipt:
    return make_receipt(
        sequence_number=number + 10,
        customer_id=customer,
        store_id=367 + number % 2,  # of the receipt's key, as is the business date
        business_date=(NOON - timedelta(days=number * 9)).date(),
        purchased_at=NOON - timedelta(days=number * 9 + days_before),
        receipt_type=kind,
        lines=[MILK, {**CHICKEN, "amount_cents": amount, "unit_price_cents": amount}],
    )


def a_receipt() -> st.SearchStrategy[Receipt]:
    """Draw one of few receipts in one of many versions, so that repeats, corrections, moves and voids are common."""
    return st.builds(
        _receipt,
        number=st.integers(1, 6),
        customer=st.sampled_from([None, "C0000001", "C0000002"]),
        days_before=st.integers(0, 1),
        kind=st.sampled_from(["sale", "sale", "void"]),
        amount=st.integers(1, 5_000),
    )


LANDING = st.builds(Landing, st.lists(a_receipt(), min_size=1, max_size=8).map(tuple), st.integers(0, 2))
KILL = st.tuples(st.integers(0, 1_000), st.integers(0, 1_000))  # which of the steps, and which time that it is made


@pytest.fixture
def undisturbed(settings: Settings, postgres_server: Any, template_database: str) -> Iterator[Settings]:
    """Settings of a second platform with a database of its own, for the run that nobody kills."""
    name = f"{psycopg.conninfo.conninfo_to_dict(settings.database.dsn.get_secret_value())['dbname']}_undisturbed"
    postgres_server.create_database(name, template_database)
    database = settings.database.model_copy(update={"dsn": type(settings.database.dsn)(postgres_server.dsn(name))})
    state_dir = settings.state_dir.with_name(name)
    yield settings.model_copy(update={"state_dir": state_dir, "database": database})
    postgres_server.drop_database(name)
    shutil.rmtree(state_dir, ignore_errors=True)


# The fixtures are emptied for every example.
@hypothesis_settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=st.lists(st.tuples(LANDING, st.lists(KILL, min_size=1, max_size=3)), min_size=1, max_size=3))
def test_killed_again_and_again_a_run_comes_to_what_an_undisturbed_run_makes(
    settings: Settings, undisturbed: Settings, history: list[tuple[Landing, list[tuple[int, int]]]]
) -> None:
    doomed, calm = _emptied(settings), _emptied(undisturbed)
    for number, (landing, kills) in enumerate(history):
        _land(doomed, number, landing)
        _copy_bronze(doomed, calm)
        steps = run(undisturbed).steps
        for which, time in kills:
            where = sorted(steps)[which % len(steps)]
            last = Step(where, 1 + time % steps[where])
            note(f"{last}, after landing {number}: {'killed' if run(settings, last).killed else 'not met'}")
        assert not run(settings).killed
    _check(settings, undisturbed, [landing for landing, _ in history])


def test_killed_wherever_a_function_returns_a_run_comes_to_what_an_undisturbed_run_makes(
    settings: Settings, undisturbed: Settings
) -> None:
    doomed, calm = _emptied(settings), _emptied(undisturbed)
    landings: list[Landing] = []
    seen: list[dict[str, int]] = []
    for number in range(5):  # the first run back-fills Postgres, later ones follow
        landings.append(_landing(number))
        _land(calm, number, landings[-1])
        seen.append({where: times for where, times in run(undisturbed).steps.items() if where.startswith("return of")})
    _copy_bronze(calm, doomed)
    once = [Step(where, 1) for where in sorted(seen[0].keys() - seen[-1].keys())]
    # Every commit is its own step; of the rest, each function once.
    each_time = [
        Step(where, time)
        for where, times in sorted(seen[-1].items())
        for time in range(1, 1 + (times if ".commit_" in where else 1))
    ]
    killed = list[Step]()
    for step in (*once, *each_time):
        landings.append(_landing(len(landings)))
        _land(doomed, len(landings), landings[-1])
        killed += [step] * run(settings, step).killed  # and it goes on with the next landing
    _copy_bronze(doomed, calm)
    assert not run(settings).killed
    assert not run(undisturbed).killed
    assert set(killed) >= set(each_time), set(each_time) - set(killed)
    assert {step.where.split("return of ")[1].split(".")[0] for step in killed} == _MODULES
    _check(settings, undisturbed, landings)


def _landing(number: int) -> Landing:
    """Return a new customer's receipt of a new day, corrections of two older ones, and a payload that is no receipt."""
    customers = {number: f"C{number:07d}", max(0, number - 2): "C0000001", 3: "C0000002"}
    receipts = [_receipt(each, customer, each % 2, "sale", 100 + number) for each, customer in customers.items()]
    return Landing(tuple(receipts), 1)


def _check(settings: Settings, undisturbed: Settings, landings: list[Landing]) -> None:
    """Hold lake and Postgres against those of the undisturbed run, against each other, and against plain sums."""
    doomed, calm = lake_of(settings), lake_of(undisturbed)
    for table in _OWN_TABLES:
        assert _rows(doomed, table) == _rows(calm, table), table.name
    _check_sums(doomed, landings)
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        for table in SERVED:
            found = compare(doomed, connection, table)
            assert found.equal, found
    assert _served(settings) == _served(undisturbed)


def _copy_bronze(doomed: Lake, calm: Lake) -> None:
    shutil.copytree(doomed.uri("bronze"), calm.uri("bronze"), dirs_exist_ok=True)


def _emptied(settings: Settings) -> Lake:
    """Take away what the example before left, in lake and Postgres, and put the stores into Bronze."""
    lake = lake_of(settings)
    shutil.rmtree(lake.root, ignore_errors=True)
    with psycopg.connect(settings.database.dsn.get_secret_value(), autocommit=True) as owner:
        found = owner.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('retail', 'sync')"
        ).fetchall()
        owner.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(sql.Identifier(*each) for each in found)))
    land(lake, bronze.STORES, [make_store(), make_store(store_id=368, name="Gary", region_id=2)])
    return lake


def _land(lake: Lake, number: int, landing: Landing) -> None:
    at = RECEIVED_AT + timedelta(minutes=number)
    receipts = [(receipt.receipt_id, receipt.canonical()) for receipt in landing.receipts]
    broken = [(None, f"broken {number} {each}") for each in range(landing.broken)]
    land_payloads(lake, bronze.RECEIPTS, receipts + broken, at)


def _rows(lake: Lake, table: Table) -> list[tuple[Any, ...]]:
    """Return all rows of a table in an order of their own."""
    if not lake.exists(table.name):
        return []
    rows = rows_of(lake, table.name)
    nested = [name for name, kind in rows.schema.items() if kind.is_nested()]
    texts = rows.with_columns(pl.col(name).map_elements(repr, pl.String) for name in nested)
    return sorted(texts.rows(), key=repr)


def _check_sums(lake: Lake, landings: list[Landing]) -> None:
    """Hold counts and totals against what arrived, added up in plain Python."""
    last = {receipt.receipt_id: receipt for landing in landings for receipt in landing.receipts}
    silver = rows_of(lake, "silver.receipts")
    assert dict(silver["receipt_id", "document"].iter_rows()) == {i: r.canonical() for i, r in last.items()}
    assert rows_of(lake, "silver.quarantine").height == sum(landing.broken for landing in landings)
    sales = sum(receipt.total_cents for receipt in last.values() if receipt.receipt_type == "sale")
    assert rows_of(lake, "gold.store_days")["sales_cents"].sum() == sales


def _served(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Return what Postgres holds of every served relation, but for which version of a receipt it met first."""
    with psycopg.connect(settings.database.dsn.get_secret_value(), autocommit=True) as owner:
        return {
            table.served_as.relation: sorted(
                owner.execute(
                    sql.SQL("SELECT to_jsonb(r) - 'refined_at' - 'first_digest' FROM {} r").format(
                        sql.Identifier("retail", table.served_as.relation)
                    )
                ).fetchall(),
                key=repr,
            )
            for table in SERVED
            if table.served_as is not None
        }
