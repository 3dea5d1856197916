"""What people are found by follows the customers, whatever writes them and however many at once."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest

from cluster.migrations import FOLDER, list_migrations, migrate
from receipts.database import DatabaseRole, connect
from tests.fixtures.retail import make_customer, make_store, store_rows


def _pairs(owner: psycopg.Connection[Any]) -> set[tuple[str, str, str]]:
    return set(owner.execute("SELECT first_word, last_word, name_norm FROM search.name_pairs").fetchall())


def _words(owner: psycopg.Connection[Any]) -> set[str]:
    return {row[0] for row in owner.execute("SELECT word FROM search.name_keys").fetchall()}


def _enter(settings, *names: str, first: int = 1) -> None:
    customers = [
        make_customer(customer_id=f"C{number:07d}", first_name=name.split(" ", 1)[0], last_name=name.split(" ", 1)[1])
        for number, name in enumerate(names, first)
    ]
    store_rows(settings, stores=[make_store()], customers=customers)


def test_what_the_gateway_writes_is_known_at_once_and_once(settings, owner):
    _enter(settings, "Maria Kowalski", "Maria Kowalski", "Mary Ann Smith")
    assert _pairs(owner) == {
        ("maria", "kowalski", "maria kowalski"),
        ("mary", "ann", "mary ann smith"),
        ("mary", "smith", "mary ann smith"),
        ("ann", "smith", "mary ann smith"),
        ("maryann", "smith", "mary ann smith"),
        ("mary", "annsmith", "mary ann smith"),
    }
    assert _words(owner) == {"maria", "kowalski", "mary", "ann", "smith"}


def test_a_new_name_is_known_at_once_and_the_old_one_goes(settings, owner):
    _enter(settings, "Maria Kowalski")
    _enter(settings, "Maria Nowak")
    assert {name for *_, name in _pairs(owner)} == {"maria kowalski", "maria nowak"}
    assert owner.execute("SELECT search.forget_names()").fetchone() == (1,)
    assert {name for *_, name in _pairs(owner)} == {"maria nowak"}
    assert _words(owner) == {"maria", "nowak"}


def test_a_change_of_something_else_leaves_the_names_alone(settings, owner):
    _enter(settings, "Maria Kowalski")
    before = owner.execute("SELECT xmin::text, * FROM search.name_pairs").fetchall()
    owner.execute("UPDATE retail.customers SET region_ids = '{1,2}', city = 'Erie', name_norm = name_norm")
    assert owner.execute("SELECT xmin::text, * FROM search.name_pairs").fetchall() == before
    assert owner.execute("SELECT count(*) FROM search.names_left").fetchone() == (0,)


def test_a_name_goes_with_its_last_bearer_and_a_word_with_its_last_name(settings, owner):
    _enter(settings, "Maria Kowalski", "Maria Kowalski", "Maria Nowak")
    owner.execute("DELETE FROM retail.customers WHERE customer_id = 'C0000001'")
    assert owner.execute("SELECT search.forget_names()").fetchone() == (0,)
    assert len(_pairs(owner)) == 2
    owner.execute("DELETE FROM retail.customers WHERE customer_id = 'C0000002'")
    assert owner.execute("SELECT search.forget_names()").fetchone() == (1,)
    assert _words(owner) == {"maria", "nowak"}
    owner.execute("DELETE FROM retail.customers")
    owner.execute("SELECT search.forget_names()")
    assert _pairs(owner) == set()
    assert owner.execute("SELECT count(*) FROM search.name_keys").fetchone() == (0,)
    assert owner.execute("SELECT count(*) FROM search.names_left").fetchone() == (0,)


@pytest.mark.parametrize("surname", ["ﷺ" * 100, "x" * 100, "Ω" * 100, "가각갂" * 33, "a " * 50])
def test_no_name_that_a_customer_may_have_stops_the_gateway(settings, owner, surname):
    _enter(settings, f"Maria {surname}".strip())
    assert owner.execute("SELECT count(*) FROM retail.customers").fetchone() == (1,)


def test_gateways_that_write_the_same_names_at_once_do_not_deadlock(settings, owner):
    _enter(settings, "Somebody Else")
    names = [f"{first} {last}" for first in ("Ann", "Bea", "Cid", "Dov") for last in ("Xu", "Yang", "Zhu", "Wu")]
    failed: list[Exception] = []

    def write(number: int) -> None:
        try:
            for turn in range(3):
                order = names if number % 2 else names[::-1]
                _enter(settings, *order, first=1_000 * (number + 1) + 100 * turn)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failed.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failed == []
    assert len({name for *_, name in _pairs(owner)}) == len(names) + 1


def test_a_name_that_is_given_while_it_is_forgotten_stays(settings, owner):
    _enter(settings, "Maria Kowalski")
    owner.execute("DELETE FROM retail.customers")
    insert = (
        "INSERT INTO retail.customers (customer_id, first_name, last_name, name_norm, email_masked, phone_masked, "
        "city, customer_since, home_store_id, region_ids, payload_digest) "
        "VALUES ('C0000009', 'Maria', 'Kowalski', 'maria kowalski', '', '', '', '2020-01-01', 367, '{1}', '')"
    )
    with connect(settings, DatabaseRole.INGEST) as gateway:
        gateway.execute(insert)
        # Somebody who forgets now must wait for the gateway, or give up and leave the name for the next time.
        assert owner.execute("SELECT search.forget_names()").fetchone() == (None,)
        forgetting = threading.Thread(target=lambda: owner.execute("SELECT search.forget_names()"))
        forgetting.start()
        time.sleep(0.2)  # so that it waits; were it slower, the test would pass without having tried
        gateway.commit()
        forgetting.join()
    assert {name for *_, name in _pairs(owner)} == {"maria kowalski"}
    assert _words(owner) == {"maria", "kowalski"}


def test_the_migration_learns_the_names_that_are_there(postgres_server):
    postgres_server.create_database("people_before", "template0")
    try:
        dsn = postgres_server.dsn("people_before")
        before = [each for each in list_migrations(FOLDER) if each.number < 16]
        migrate(dsn, before)
        with psycopg.connect(dsn, autocommit=True) as old:
            old.execute(
                "INSERT INTO retail.customers (customer_id, first_name, last_name, name_norm, email_masked, "
                "phone_masked, city, customer_since, home_store_id, region_ids, payload_digest) "
                "SELECT 'C' || n, 'A', 'B', 'maria ' || chr(97 + n % 26) || 'kowalski', '', '', '', '2020-01-01', 1, "
                "'{1}', '' FROM generate_series(1, 100) n"
            )
        migrate(dsn)
        with psycopg.connect(dsn, autocommit=True) as new:
            assert len(_pairs(new)) == 26
            assert len(_words(new)) == 27
    finally:
        postgres_server.drop_database("people_before")


@pytest.mark.parametrize("role", [DatabaseRole.API, DatabaseRole.INGEST, DatabaseRole.PIPELINE, DatabaseRole.AUTH])
@pytest.mark.parametrize("table", ["name_pairs", "name_keys", "names_left"])
def test_no_process_reads_the_names_themselves(settings, role, table):
    with connect(settings, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"SELECT * FROM search.{table}")
