"""The people of a load test: entered by an administrator, each with a secret of its own, and revoked afterwards."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg

from cluster.administering import as_owner, new_secret, put_on_record
from cluster.errors import PlatformError
from cluster.postgres import admin_dsn
from configs.settings import EMBEDDED, Settings
from loadtest.kit import Kit, Person, deal_regions
from loadtest.targets import sample_targets
from receipts.errors import InvalidInput
from receipts.sql import load_sql

PROGRAM = "load.program"  # to the limits a program, where the replicas' settings name it (`limits.services`)
MOST_PEOPLE = 50_000
_NOTE = "receipts load"  # what tells them from services of the same name that somebody entered by hand
_PURPOSE = "load test"
_SQL = load_sql("cluster", "load_people")


def require_consent(settings: Settings, *, given: bool) -> None:
    """Raise PlatformError unless this is a platform for trying things out, or its administrator says yes."""
    if settings.environment != EMBEDDED and not given:
        raise PlatformError(
            f"This is no embedded platform but {settings.environment}: the people of a load test read real receipts. "
            "Say --in-production if that is meant, and keep the file as you keep its passwords."
        )


def make_kit(settings: Settings, people: int, samples: int, lasts: timedelta) -> Kit:
    """Draw a sample of receipts and enter so many people and the program, whose secrets end after `lasts`.

    Those of an earlier test get new secrets: its kit is worth nothing any more. It is put on record. Raises NotFound
    while there are no receipts, and InvalidInput when one of the names is somebody else's.
    """
    sample = sample_targets(settings, samples)
    expires_at = datetime.now(UTC) + lasts
    made = [
        _person(f"load.rep-{number:05d}", region) for number, region in enumerate(deal_regions(sample, people), start=1)
    ]
    program = _person(PROGRAM, None)
    with as_owner(settings) as connection:
        _enter(connection, [*made, program], expires_at)
        constraints = {"people": people, "expires_at": expires_at.isoformat(timespec="seconds")}
        put_on_record(connection, "receipts load prepare", _PURPOSE, constraints)
    return Kit(
        expires_at=expires_at,
        people=tuple(person for person, _ in made),
        program=program[0],
        sample=sample,
    )


def revoke_people(settings: Settings) -> int:
    """Take the secrets of all people of load tests back and end their sessions; returns how many. Safe to repeat."""
    with as_owner(settings) as connection:
        (count,) = connection.execute(_SQL["revoke_people"], {"note": _NOTE}).fetchone() or (0,)
        if count:
            put_on_record(connection, "receipts load clean-up", _PURPOSE, {"people": count})
    return int(str(count))


@contextmanager
def only_load_test(settings: Settings) -> Generator[None]:
    """Let no other command prepare or clean up meanwhile. Raises PlatformError when one is at it already."""
    with psycopg.connect(admin_dsn(settings), connect_timeout=5, autocommit=True) as connection:
        if connection.execute(_SQL["take_lock"]).fetchone() != (True,):
            raise PlatformError("Another load test is at work on this platform; wait for its end.")
        yield


def _person(name: str, region: int | None) -> tuple[Person, bytes]:
    secret, digest = new_secret()
    regions = None if region is None else frozenset({region})
    return Person(client_id=name, secret=secret, region_ids=regions), digest


def _enter(
    connection: psycopg.Connection[tuple[object, ...]], people: Sequence[tuple[Person, bytes]], expires_at: datetime
) -> None:
    names = [person.client_id for person, _ in people]
    row = {
        "names": names,
        "digests": [digest for _, digest in people],
        "regions": [next(iter(person.region_ids)) if person.region_ids else None for person, _ in people],
        "note": _NOTE,
        "expires_at": expires_at,
    }
    entered = {name for (name,) in connection.execute(_SQL["enter_people"], row)}
    if taken := sorted(set(names) - entered):
        raise InvalidInput("name", f"{taken[0]} is somebody else's, and the load test needs that name")
