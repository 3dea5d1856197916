"""A load test's people: entered, entered again, revoked, and on record each time."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from cluster.errors import PlatformError
from cluster.load_people import PROGRAM, make_kit, only_load_test, require_consent, revoke_people
from cluster.services import add_service, list_services
from configs.settings import load_settings
from receipts.access import Role
from receipts.database import DatabaseRole, connect
from receipts.errors import InvalidInput, NotFound
from tests.fixtures.retail import make_receipt, make_store, store_rows

HOUR = timedelta(hours=1)


@pytest.fixture
def filled(settings):
    stores = [make_store(), make_store(store_id=400, name="Troy Hill", aliases=[], region_id=2)]
    receipts = [make_receipt(sequence_number=n + 1, store_id=stores[n % 2].store_id) for n in range(40)]
    store_rows(settings, stores=stores, receipts=receipts)
    return settings


def _is_secret_of(owner: psycopg.Connection, person) -> bool:
    row = owner.execute(
        "SELECT secret_digest, revoked_at, expires_at FROM auth.clients WHERE client_id = %s", (person.client_id,)
    ).fetchone()
    return row[0] == hashlib.sha256(person.secret.encode()).digest() and row[1] is None


def test_everybody_is_a_rep_of_one_region_or_all_with_a_secret_that_ends(filled, owner):
    before = datetime.now(UTC)
    kit = make_kit(filled, 20, 100, HOUR)
    assert before + HOUR <= kit.expires_at <= datetime.now(UTC) + HOUR
    assert [person.client_id for person in kit.people[:2]] == ["load.rep-00001", "load.rep-00002"]
    assert {frozenset({1}), frozenset({2}), None} == {person.region_ids for person in kit.people}
    assert all(_is_secret_of(owner, person) for person in (*kit.people, kit.program))
    for person in kit.people:
        row = owner.execute(
            "SELECT role, region_ids, all_regions, active FROM access.principals WHERE principal_id = %s",
            (person.client_id,),
        ).fetchone()
        assert row == ("cs_rep", sorted(person.region_ids or ()), person.region_ids is None, True)
    assert {one.expires_at for one in list_services(filled)} == {kit.expires_at}


def test_entering_again_gives_other_secrets_and_makes_nobody_twice(filled, owner):
    first = make_kit(filled, 4, 100, HOUR)
    revoke_people(filled)
    second = make_kit(filled, 6, 100, HOUR)
    assert len(list_services(filled)) == 6 + 1
    assert all(_is_secret_of(owner, person) for person in (*second.people, second.program))
    assert not any(_is_secret_of(owner, person) for person in first.people)


def test_revoking_ends_their_sessions_and_nobody_elses(filled, owner):
    kit = make_kit(filled, 2, 100, HOUR)
    add_service(filled, "load.balancer", Role.CS_REP, [1], all_regions=False, note="no load test")
    with connect(filled, DatabaseRole.AUTH) as connection:
        for name in (kit.people[0].client_id, "load.balancer"):
            connection.execute(
                "INSERT INTO auth.sessions (session_id, principal_id, client_id, expires_at, tokens_until) "
                "VALUES (%s, %s, %s, now() + interval '1 hour', now() + interval '1 hour')",
                (f"of {name}", name, name),
            )
    assert revoke_people(filled) == 3
    assert revoke_people(filled) == 0
    with connect(filled, DatabaseRole.API) as connection:
        ended = connection.execute("SELECT * FROM auth.list_ended_sessions()").fetchall()
    assert ended == [("of load.rep-00001",)]
    alive = owner.execute("SELECT principal_id FROM access.principals WHERE active").fetchall()
    assert alive == [("load.balancer",)]


def test_a_name_that_is_somebody_elses_is_left_alone(filled, owner):
    add_service(filled, PROGRAM, Role.CS_REP, [1], all_regions=False, note="a program of our own")
    with pytest.raises(InvalidInput, match=r"load\.program is somebody else's"):
        make_kit(filled, 2, 100, HOUR)
    assert [one.client_id for one in list_services(filled)] == [PROGRAM], "nobody is half entered"


def test_it_is_on_record_and_the_trail_is_whole(filled, owner):
    make_kit(filled, 2, 100, HOUR)
    revoke_people(filled)
    revoke_people(filled)
    owner.execute("SELECT audit.project()")
    events = owner.execute(
        "SELECT route, principal_id, role, purpose, constraints FROM audit.events ORDER BY occurred_at"
    ).fetchall()
    assert [event[:4] for event in events] == [
        ("receipts load prepare", "postgres", "administrator", "load test"),
        ("receipts load clean-up", "postgres", "administrator", "load test"),
    ]
    assert json.loads(events[0][4])["people"] == 2
    assert json.loads(events[1][4]) == {"people": 3}
    assert owner.execute("SELECT count(*) FROM audit.faults").fetchone() == (0,)


def test_without_receipts_nobody_is_entered(settings):
    with pytest.raises(NotFound, match="no receipts to load-test with"):
        make_kit(settings, 2, 100, HOUR)
    assert list_services(settings) == []


def test_two_load_tests_at_once_would_take_each_others_people(settings):
    refused = pytest.raises(PlatformError, match="Another load test is at work")
    with only_load_test(settings), refused, only_load_test(settings):
        raise AssertionError("it was let in")
    with only_load_test(settings):
        pass


def test_elsewhere_than_on_an_embedded_platform_an_administrator_says_yes(settings):
    production = settings.model_copy(update={"environment": "production"})
    with pytest.raises(PlatformError, match="Say --in-production if that is meant"):
        require_consent(production, given=False)
    require_consent(production, given=True)
    require_consent(settings, given=False)


def test_the_program_of_the_load_test_is_one_to_the_limits_of_an_embedded_platform():
    assert load_settings({}).limits.service_ids == {PROGRAM}
