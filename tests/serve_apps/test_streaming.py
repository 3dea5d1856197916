"""Answers that are written while they are read, over a real server: on record before they begin, and ended in time."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import httpx
import psycopg
import pytest
from fastapi import APIRouter, Depends

from configs.limits import CustomerCap
from receipts.access import Permission
from serve_apps import streaming
from serve_apps.api import build_api
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.serving import Serving, ServingContext, serving_context
from serve_apps.streaming import StreamedAnswer
from tests.fixtures.whole_api import serving_one

router = APIRouter()
Reader = Annotated[Caller, Depends(guard(Permission.READ_RECEIPTS))]
ENDLESS = "SELECT repeat('x', 100000) FROM generate_series(1, 1000000)"
SLOW = "SELECT pg_sleep(60)::text FROM generate_series(1, 3)"
BEGUN: list[str] = []


@router.get("/trail")
async def trail(caller: Reader, serving: Serving) -> StreamedAnswer:
    async def body() -> AsyncIterator[bytes]:
        BEGUN.append("trail")
        with psycopg.connect(str(serving.settings.database.dsn.get_secret_value())) as owner:
            yield json.dumps(owner.execute("SELECT payload FROM audit.spool").fetchall()).encode()

    return StreamedAnswer(body(), "application/json", "trail.json")


@router.get("/rows")
async def rows(caller: Reader, serving: Serving) -> StreamedAnswer:
    serving.long_reads.require_room()
    return StreamedAnswer(_rows(serving, caller, ENDLESS), "text/plain", "rows.txt")


@router.get("/slow")
async def slow(caller: Reader, serving: Serving) -> StreamedAnswer:
    return StreamedAnswer(_rows(serving, caller, SLOW), "text/plain", "slow.txt")


@router.get("/broken")
async def broken(caller: Reader) -> StreamedAnswer:
    async def body() -> AsyncIterator[bytes]:
        yield b"the first half, "
        raise ValueError("of Maria Kowalski")

    return StreamedAnswer(body(), "text/plain", "broken.txt")


@router.get("/crowd")
async def crowd(caller: Reader) -> StreamedAnswer:
    async def body() -> AsyncIterator[bytes]:
        BEGUN.append("crowd")
        yield b"everybody"

    caller.record(customer_ids=[f"C{number}" for number in range(10)])
    return StreamedAnswer(body(), "text/plain", "crowd.txt")


async def _rows(serving: ServingContext, caller: Caller, statement: str) -> AsyncIterator[bytes]:
    yield b"head\n"
    reading = serving.long_reads.read(caller.principal, statement, {}, 10)
    try:
        async for found in reading:
            yield "".join(text for (text,) in found).encode()
    finally:
        await reading.aclose()


@pytest.fixture
def served(settings, sign_ins):
    """The address of an application that streams, for reps who may open five customers an hour."""
    BEGUN.clear()
    few = settings.limits.model_copy(update={"customers": CustomerCap(opened=5, listed=5)})
    settings = settings.model_copy(update={"limits": few})
    app = build_api("Streams", serving_context(settings), [router])
    with serving_one(settings, app, "/streams") as address:
        yield f"{address}/streams"


@pytest.fixture
def client(served, sign_ins):
    with httpx.Client(base_url=served, headers=sign_ins.headers("rep.east"), timeout=20) as client:
        yield client


def eventually(holds: Callable[[], bool], within_s: float) -> bool:
    """Say whether something comes to hold within a time."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def long_reads_at_work(owner: psycopg.Connection) -> int:
    """Count the connections that hold a cursor open or work on one."""
    return owner.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'receipts_api' AND state <> 'idle' "
        "AND query ~* 'long_read'"
    ).fetchone()[0]


def outcomes(owner: psycopg.Connection) -> dict[str, tuple[str, int]]:
    owner.execute("SELECT audit.project()")
    rows = owner.execute("SELECT route, outcome, status FROM audit.events").fetchall()
    return {route: (outcome, status) for route, outcome, status in rows}


def test_the_event_is_durable_before_the_body_begins(client):
    answer = client.get("/trail")
    assert answer.headers["content-disposition"] == 'attachment; filename="trail.json"'
    assert answer.headers["cache-control"] == "no-store"
    (((payload,),),) = (answer.json(),)
    (event,) = json.loads(payload)
    assert (event["request_id"], event["status"]) == (answer.headers["x-request-id"], 200)


def test_without_the_trail_the_body_never_begins(client, owner):
    owner.execute("REVOKE EXECUTE ON FUNCTION audit.extend FROM receipts_api")
    answer = client.get("/trail")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert BEGUN == []


def test_a_limit_that_refuses_the_answer_drops_its_body(client, owner):
    assert client.get("/crowd").status_code == 429
    assert BEGUN == []
    assert outcomes(owner) == {"GET /streams/crowd": ("refused", 429)}


def test_a_reader_that_leaves_ends_the_statement_at_once(client, owner):
    with client.stream("GET", "/rows") as answer:
        pieces = answer.iter_bytes()  # kept: without it httpx closes the answer
        assert next(pieces) == b"head\n"
        assert eventually(lambda: long_reads_at_work(owner) == 1, 5)
    assert eventually(lambda: long_reads_at_work(owner) == 0, 2)


def test_a_reader_that_leaves_ends_also_a_statement_that_has_found_nothing_yet(client, owner):
    with client.stream("GET", "/slow") as answer:
        pieces = answer.iter_bytes()
        assert next(pieces) == b"head\n"
        assert eventually(lambda: long_reads_at_work(owner) == 1, 5)
    assert eventually(lambda: long_reads_at_work(owner) == 0, 2), "it would have slept for a minute"


def test_a_reader_that_takes_nothing_is_left(served, sign_ins, owner, monkeypatch):
    monkeypatch.setattr(streaming, "_STALLED_S", 0.5)  # instead of a minute
    host, port = httpx.URL(served).host, httpx.URL(served).port
    with socket.create_connection((host, port)) as line:
        token = sign_ins.headers("rep.east")["Authorization"]
        line.sendall(f"GET /streams/rows HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n".encode())
        assert eventually(lambda: long_reads_at_work(owner) == 1, 5)
        assert eventually(lambda: long_reads_at_work(owner) == 0, 10), "its connection and snapshot would be held"


def test_what_breaks_half_way_is_no_whole_answer_and_logged_without_its_text(client, caplog):
    caplog.set_level(logging.INFO)
    with client.stream("GET", "/broken") as answer, pytest.raises(httpx.RemoteProtocolError):
        answer.read()
    assert "failed: ValueError" in caplog.text
    assert "Kowalski" not in caplog.text


def test_only_so_many_are_read_to_at_once(client, owner):
    readers = [client.stream("GET", "/rows") for _ in range(4)]
    answers = [reader.__enter__().iter_bytes() for reader in readers]
    assert [next(answer) for answer in answers] == [b"head\n"] * 4
    assert eventually(lambda: long_reads_at_work(owner) == 4, 5)
    refused = client.get("/rows")
    for reader in readers:
        reader.__exit__(None, None, None)
    assert (refused.status_code, refused.json()["detail"]) == (
        503,
        "4 long downloads are under way; try again in a minute.",
    )
    assert eventually(lambda: long_reads_at_work(owner) == 0, 2)
    with client.stream("GET", "/rows") as answer:
        assert answer.status_code == 200


async def test_a_long_read_may_take_longer_than_a_statement_of_the_role(settings, sign_ins, owner):
    hasty = settings.model_copy(update={"database": settings.database.model_copy(update={"statement_timeout_ms": 200})})
    reads = serving_context(hasty).long_reads
    found = reads.read(sign_ins.principal("rep.east"), "SELECT pg_sleep(0.1) FROM generate_series(1, 5)", {}, 5)
    assert [len(page) async for page in found] == [5]
    forbidden = reads.read(sign_ins.principal("rep.east"), "SELECT lo_create(0)", {}, 5)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await anext(forbidden)
    await forbidden.aclose()
