"""The pipeline takes the audit trail's groups apart."""

import orjson
import psycopg
import pytest

from configs.settings import Settings
from data_jobs.audit_trail import project_trail
from data_jobs.trail.keeping import copy_trail
from receipts.database import DatabaseRole, connect
from tests.data_jobs.trail.writing import TODAY, event


def test_all_groups_are_taken_apart_and_then_none_is_left(settings: Settings, owner: psycopg.Connection) -> None:
    chain, head = owner.execute("SELECT chain, head FROM audit.open_chain()").fetchone()
    for seq in range(1, 1_502):
        owner.execute("SELECT audit.extend(%s, %s, %s, '[]')", (chain, seq, head))
        (head,) = owner.execute("SELECT sha256(%s || '[]'::bytea)", (head,)).fetchone()
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        assert project_trail(connection) == 1_501
        assert project_trail(connection) == 0
    assert owner.execute("SELECT projected, head FROM audit.chains").fetchone() == (1_501, head)
    assert owner.execute("SELECT count(*) FROM audit.faults").fetchone() == (0,)


_EVENT = orjson.dumps([event(TODAY, 1)]).decode()
_LONG = "".join(map(str, range(20_000)))  # digits that do not compress into a third of a page
_UNREADABLE = {
    "no JSON": "not JSON",
    "a NUL": '["\\u0000"]',
    "no array": "{}",
    "no objects": "[1]",
    "an empty object": "[{}]",
    "nested deeper than the stack": "[" * 200_000 + "]" * 200_000,
    "no instant": _EVENT.replace(f"{TODAY}T", "infinityT"),
    "no such day": _EVENT.replace(f"{TODAY}T", "2026-02-30T"),
    "a status out of range": _EVENT.replace("200", "99999"),
    "no text": _EVENT.replace('"rep.east"', "null"),
    "a principal longer than an index takes": _EVENT.replace("rep.east", _LONG),
    "a customer longer than an index takes": _EVENT.replace('"C1"', f'"{_LONG}"'),
    "a receipt longer than an index takes": _EVENT.replace('"receipt_ids":[', f'"receipt_ids":["{_LONG}",'),
    "a route longer than an index takes": _EVENT.replace('"route":"', f'"route":"{_LONG}'),
    "an outcome longer than an index takes": _EVENT.replace('"outcome":"', f'"outcome":"{_LONG}'),
    "a purpose longer than an index takes": _EVENT.replace('"purpose":"', f'"purpose":"{_LONG}'),
    "no list": _EVENT.replace('["C1","C2"]', "7"),
}


@pytest.mark.parametrize("what", _UNREADABLE)
def test_a_group_that_cannot_be_read_is_noted_and_holds_nothing_up(
    settings: Settings, owner: psycopg.Connection, what: str
) -> None:
    assert _UNREADABLE[what] != _EVENT
    chain, head = owner.execute("SELECT chain, head FROM audit.open_chain()").fetchone()
    with connect(settings, DatabaseRole.API) as taken_over:
        for seq, payload in enumerate((_EVENT, _UNREADABLE[what], _EVENT), 1):
            (head,) = taken_over.execute("SELECT audit.extend(%s, %s, %s, %s)", (chain, seq, head, payload)).fetchone()
        taken_over.commit()
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        assert project_trail(connection) == 3
        copied = [(done.table, done.rows) for done in copy_trail(settings, connection)]
    assert owner.execute("SELECT chain, seq FROM audit.faults").fetchall() == [(chain, 2)]
    told = owner.execute("SELECT seq, events FROM audit.projections ORDER BY seq").fetchall()
    assert told == [(1, 1), (2, 0), (3, 1)]
    assert copied == [("audit.groups", 3), ("audit.events", 2)]
