"""Groups of events follow from each other, each once, and what does not follow is noticed."""

import asyncio
import hashlib
from functools import partial

import orjson
import psycopg
import pytest

from configs.settings import Settings
from receipts.database import DatabaseRole, connect, open_connection
from serve_apps.audit_writer import AuditWriter

EVENT = {
    "occurred_at": "2026-11-20T10:00:00+00:00",
    "principal_id": "rep.east",
    "role": "cs_rep",
    "session_id": "s",
    "route": "GET /receipt/{receipt_id}",
    "outcome": "answered",
    "status": 200,
    "receipt_ids": ["2611170036700300000103"],
    "customer_ids": ["C1", "C2"],
    "purpose": "customer_service",
    "client_address": "127.0.0.9",
}


def event(number: int) -> dict[str, object]:
    return EVENT | {"request_id": f"request-{number}"}


def writer_of(settings: Settings) -> AuditWriter:
    return AuditWriter(partial(open_connection, settings, DatabaseRole.API))


def spooled(owner: psycopg.Connection) -> list[tuple]:
    return owner.execute("SELECT chain, seq, previous, digest, payload FROM audit.spool ORDER BY chain, seq").fetchall()


def recorded(owner: psycopg.Connection) -> list[str]:
    owner.execute("SELECT audit.project()")
    return [row[0] for row in owner.execute("SELECT request_id FROM audit.events ORDER BY request_id")]


async def test_every_group_covers_the_one_before_it(settings, owner):
    writer = writer_of(settings)
    for number in range(5):
        await asyncio.gather(*(writer.record(event(10 * number + n)) for n in range(number + 1)))
    await writer.aclose()
    rows = spooled(owner)
    assert len({chain for chain, *_ in rows}) == 1
    assert [seq for _, seq, *_ in rows] == list(range(1, len(rows) + 1))
    (head,) = owner.execute("SELECT root FROM audit.chains").fetchone()
    for _, _, previous, digest, payload in rows:
        assert previous == head
        assert digest == hashlib.sha256(previous + payload.encode()).digest()
        head = digest
    assert len(recorded(owner)) == 15
    assert owner.execute("SELECT count(*) FROM audit.faults").fetchone() == (0,)
    shown = owner.execute("SELECT receipt_ids, customer_ids, status, constraints FROM audit.events LIMIT 1").fetchone()
    assert shown == (EVENT["receipt_ids"], EVENT["customer_ids"], 200, "")


async def test_an_event_that_cannot_be_written_fails_alone(settings, owner):
    writer = writer_of(settings)
    told = await asyncio.gather(
        writer.record(event(1)), writer.record(event(2) | {"constraints": object()}), writer.record(event(3)),
        return_exceptions=True,
    )  # fmt: skip
    await writer.aclose()
    assert [type(one) for one in told] == [type(None), TypeError, type(None)]
    assert recorded(owner) == ["request-1", "request-3"]


async def test_taking_groups_apart_twice_or_at_once_doubles_nothing(settings, owner):
    writer = writer_of(settings)
    for number in range(3):
        await writer.record(event(number))
    await writer.aclose()

    def project():
        with connect(settings, DatabaseRole.PIPELINE) as connection:
            return connection.execute("SELECT audit.project()").fetchone()[0]

    counts = await asyncio.gather(*(asyncio.to_thread(project) for _ in range(4)))
    assert sorted(counts) == [0, 0, 0, 3]
    assert recorded(owner) == ["request-0", "request-1", "request-2"]
    positions = owner.execute("SELECT seq, events FROM audit.projections ORDER BY position").fetchall()
    assert positions == [(1, 1), (2, 1), (3, 1)]


async def test_the_same_group_again_is_durable_already_and_another_in_its_place_is_not(settings):
    connection = await open_connection(settings, DatabaseRole.API)
    chain, head = await (await connection.execute("SELECT chain, head FROM audit.open_chain()")).fetchone()

    async def extend(number: int, payload: str, of: int = chain) -> bytes | None:
        cursor = await connection.execute("SELECT audit.extend(%s, %s, %s, %s)", (of, number, head, payload))
        return (await cursor.fetchone())[0]

    digest = hashlib.sha256(head + b'[{"n": 1}]').digest()
    assert await extend(1, '[{"n": 1}]') == digest
    assert await extend(1, '[{"n": 1}]') == digest
    assert await extend(1, '[{"n": 2}]') is None
    assert await extend(1, "[]", of=chain - (3 << 32)) is None, "nobody writes to a chain of days ago"
    await connection.close()


async def test_a_writer_whose_place_is_taken_goes_on_in_another_chain(settings, owner):
    writer = writer_of(settings)
    await writer.record(event(1))
    ((chain, *_),) = spooled(owner)
    owner.execute("SELECT audit.extend(%s, 2, %s, '[]')", (chain, b"what a rival takes for the head"))
    await writer.record(event(2))
    await writer.aclose()
    assert [seq for _, seq, *_ in spooled(owner)] == [1, 2, 1]
    assert recorded(owner) == ["request-1", "request-2"]
    assert owner.execute("SELECT chain, seq FROM audit.faults").fetchall() == [(chain, 2)]


async def test_a_group_whose_fate_was_unknown_is_there_once(settings, owner):
    """The commit came through, and its answer did not: the connection broke in between."""
    writer = writer_of(settings)
    await writer.record(event(1))
    ((chain, _, _, head, _),) = spooled(owner)
    payload = orjson.dumps([event(2)]).decode()
    owner.execute("SELECT audit.extend(%s, 2, %s, %s)", (chain, head, payload))
    await writer.record(event(2))
    await writer.record(event(3))
    await writer.aclose()
    assert [(of, seq) for of, seq, *_ in spooled(owner)] == [(chain, 1), (chain, 2), (chain, 3)]
    assert recorded(owner) == ["request-1", "request-2", "request-3"]


async def test_events_beside_each_other_go_on_in_chains_of_their_own(settings, owner):
    writer = writer_of(settings)
    for number in range(40):
        await asyncio.gather(writer.record(event(2 * number)), asyncio.sleep(0), writer.record(event(2 * number + 1)))
    await writer.aclose()
    assert len(recorded(owner)) == 80
    assert owner.execute("SELECT count(*) FROM audit.faults").fetchone() == (0,)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit.spool SET payload = replace(payload, 'rep.east', 'rep.west') WHERE seq = 2",
        "DELETE FROM audit.spool WHERE seq = 2",
        "UPDATE audit.spool SET digest = sha256('x') WHERE seq = 2",
    ],
)
async def test_a_group_that_was_changed_or_taken_out_is_noticed(settings, owner, tampering):
    writer = writer_of(settings)
    for number in range(3):
        await writer.record(event(number))
    await writer.aclose()
    owner.execute("SET session_replication_role = replica")  # as a superuser may, whom no trigger stops
    owner.execute(tampering)
    owner.execute("SELECT audit.project()")
    assert owner.execute("SELECT count(*) FROM audit.faults").fetchone()[0] >= 1


def test_even_the_owner_cannot_change_the_spool(settings, owner):
    owner.execute("INSERT INTO audit.spool VALUES (1, 1, now(), '', '', '[]')")
    for statement in ("UPDATE audit.spool SET payload = ''", "DELETE FROM audit.spool", "TRUNCATE audit.spool_other"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            owner.execute(statement)
