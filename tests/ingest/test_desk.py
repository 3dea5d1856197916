"""The desk in a gateway performs orders once, judges waiting records again, and outlives Postgres."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psycopg
import pytest

from configs.settings import Settings
from ingest.desk import serve_desk, work_round
from ingest.judging import Desk
from ingest.link import Link
from tests.fixtures.retail import make_receipt, make_store
from tests.fixtures.tcp_proxy import TcpProxy, through
from tests.ingest.till_double import record, streaming

_DEADLINE_S = 60
EARLY = make_receipt(store_id=12)
CORRECT = make_receipt(sequence_number=77)
_ORDER = """
    INSERT INTO ingest.desk_orders (quarantine_id, action, payload, ordered_by)
    VALUES (%s, %s, %s, 'admin') RETURNING order_id
"""


@pytest.fixture
async def held(open_shop: Settings, owner: psycopg.Connection) -> Callable[..., int]:
    """Put a refused record into quarantine and return its number."""

    def _hold(payload: str, kind: str = "malformed", missing_store_id: int | None = None) -> int:
        row = owner.execute(
            "INSERT INTO ingest.quarantine (bronze_table, received_at, source, reason, payload, payload_digest, kind,"
            " missing_store_id) VALUES ('bronze.receipts', now(), 'till', 'Because.', %s, sha256(%s::bytea), %s, %s)"
            " RETURNING quarantine_id",
            (payload, payload.encode(), kind, missing_store_id),
        ).fetchone()
        return row[0]

    return _hold


@asynccontextmanager
async def _desk(settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """Run a desk for the length of the block; it ends because it is told to."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve_desk(settings, stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, _DEADLINE_S)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in Postgres, which sets no event of ours
            await asyncio.sleep(0.05)


def _order(owner: psycopg.Connection, quarantine_id: int, action: str, payload: str | None = None) -> int:
    return owner.execute(_ORDER, (quarantine_id, action, payload)).fetchone()[0]


def _outcomes(owner: psycopg.Connection) -> list[str | None]:
    return [row[0] for row in owner.execute("SELECT outcome FROM ingest.desk_orders ORDER BY order_id")]


def _states(owner: psycopg.Connection) -> list[tuple[str, str | None]]:
    return owner.execute("SELECT state, accepted_key FROM ingest.quarantine ORDER BY quarantine_id").fetchall()


def _receipts(owner: psycopg.Connection) -> set[str]:
    return {row[0] for row in owner.execute("SELECT document FROM retail.receipts")}


async def test_every_kind_of_order_is_performed_by_the_role_of_the_gateway(
    open_shop: Settings, owner: psycopg.Connection, held: Callable[..., int]
) -> None:
    acceptable = make_receipt(sequence_number=5)
    _order(owner, held(acceptable.canonical()), "replay")
    _order(owner, held("{}"), "fix", CORRECT.canonical())
    _order(owner, held("[]"), "dismiss")
    users = "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = current_database() AND usename <> 'postgres'"
    async with _desk(open_shop):
        await _until(lambda: None not in _outcomes(owner))
        assert owner.execute(users).fetchall() == [("receipts_ingest",)]
    assert _outcomes(owner) == ["accepted", "accepted", "dismissed"]
    assert _states(owner) == [
        ("replayed", acceptable.receipt_id),
        ("fixed", CORRECT.receipt_id),
        ("dismissed", None),
    ]
    assert _receipts(owner) == {acceptable.canonical(), CORRECT.canonical()}
    queued = owner.execute("SELECT record_key, source FROM ingest.outbox WHERE refusal IS NULL AND store_id = 367")
    assert {(acceptable.receipt_id, "till"), (CORRECT.receipt_id, "quarantine:2")} <= set(queued.fetchall())
    assert owner.execute("SELECT count(payload) FROM ingest.desk_orders").fetchone() == (0,)


async def test_two_desks_at_once_do_each_order_once(
    open_shop: Settings, owner: psycopg.Connection, held: Callable[..., int]
) -> None:
    wholes = [make_receipt(sequence_number=n) for n in range(1, 41)]
    for whole in wholes:
        _order(owner, held(json.dumps({"n": whole.sequence_number})), "fix", whole.canonical())
    links = [Link(open_shop) for _ in range(2)]
    done = await asyncio.gather(*(work_round(link, Desk(100_000)) for link in links))
    for link in links:
        await link.close()
    assert sum(done) == len(wholes)
    assert _outcomes(owner) == ["accepted"] * len(wholes)
    queued = "SELECT record_key FROM ingest.outbox WHERE bronze_table = 'bronze.receipts' ORDER BY record_key"
    assert [row[0] for row in owner.execute(queued)] == sorted(whole.receipt_id for whole in wholes)


async def test_two_orders_for_one_record_store_it_once(
    open_shop: Settings, owner: psycopg.Connection, held: Callable[..., int]
) -> None:
    quarantine_id = held("{}")
    for number in (1, 2):
        _order(owner, quarantine_id, "fix", make_receipt(sequence_number=number).canonical())
    _order(owner, quarantine_id, "dismiss")
    async with _desk(open_shop), _desk(open_shop):
        await _until(lambda: None not in _outcomes(owner))
    assert len(_receipts(owner)) == 1
    assert _states(owner)[0][0] == "fixed"


async def test_a_correction_that_is_still_wrong_stays_held_and_the_order_says_why(
    open_shop: Settings, owner: psycopg.Connection, held: Callable[..., int]
) -> None:
    quarantine_id = held("{}")
    card = make_receipt(operator_id="4111 1111 1111 1111").canonical()
    for payload in (CORRECT.model_copy(update={"total_cents": 1}).canonical(), EARLY.canonical(), card, "no JSON"):
        _order(owner, quarantine_id, "fix", payload)
    _order(owner, quarantine_id, "replay")
    async with _desk(open_shop):
        await _until(lambda: None not in _outcomes(owner))
    wrong_total, unknown, guarded, no_json, replayed = _outcomes(owner)
    assert "total_cents is 1" in wrong_total
    assert "store 12 is not known" in unknown
    assert guarded == "operator_id: holds a full card number, which is never accepted."
    assert "not valid JSON" in no_json
    row = owner.execute("SELECT state, reason, payload, missing_store_id FROM ingest.quarantine").fetchone()
    assert row == ("held", replayed, "{}", None)  # what is held is judged by itself, never by a failed correction
    assert "is required" in replayed
    assert _receipts(owner) == set()


async def test_a_record_that_waits_for_its_store_is_accepted_once_the_store_has_come(
    gateway: str, open_shop: Settings, owner: psycopg.Connection
) -> None:
    async with streaming(gateway) as till:
        await till.say(record(0, EARLY.canonical()), record(1, make_receipt(store_id=13).canonical()))
        await till.hear_ack(1)
    assert _states(owner) == [("held", None)] * 2
    async with streaming(gateway, "retail.reference.stores") as headquarters:
        await headquarters.say(record(0, make_store(store_id=12, name="Shadyside").canonical()))
        await headquarters.hear_ack(0)
    await _until(lambda: _receipts(owner) == {EARLY.canonical()})
    accepted, waiting = sorted(_states(owner), reverse=True)
    assert (accepted, waiting) == (("replayed", EARLY.receipt_id), ("held", None))


async def test_a_judged_record_whose_store_came_but_is_wrong_otherwise_is_not_judged_for_ever(
    open_shop: Settings, owner: psycopg.Connection, held: Callable[..., int]
) -> None:
    held("{}", "unknown_store", 367)
    link = Link(open_shop)
    assert [await work_round(link, Desk(100_000)) for _ in range(2)] == [1, 0]
    await link.close()
    row = owner.execute("SELECT state, kind, missing_store_id FROM ingest.quarantine").fetchone()
    assert row == ("held", "malformed", None)


async def test_the_desk_outlives_postgres_and_does_then_what_was_ordered(
    open_shop: Settings,
    owner: psycopg.Connection,
    held: Callable[..., int],
    postgres_proxy: TcpProxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    far = through(open_shop, postgres_proxy)
    first, second = held("{}"), held("[]")
    async with _desk(far) as task:
        _order(owner, first, "dismiss")
        await _until(lambda: _outcomes(owner) == ["dismissed"])
        postgres_proxy.cut()
        _order(owner, second, "fix", CORRECT.canonical())
        await _until(lambda: "waits for Postgres" in caplog.text)
        assert not task.done()
        assert _outcomes(owner) == ["dismissed", None]
        postgres_proxy.restore()
        await _until(lambda: _outcomes(owner) == ["dismissed", "accepted"])
    assert _receipts(owner) == {CORRECT.canonical()}
    assert caplog.text.count("waits for Postgres") == 1


async def test_the_desk_stops_when_told_while_postgres_is_away(
    open_shop: Settings, postgres_proxy: TcpProxy, caplog: pytest.LogCaptureFixture
) -> None:
    postgres_proxy.cut()
    async with _desk(through(open_shop, postgres_proxy)):
        await _until(lambda: "waits for Postgres" in caplog.text)


async def test_an_order_that_is_cut_off_is_performed_once_and_whole(
    open_shop: Settings, owner: psycopg.Connection, held: Callable[..., int], postgres_proxy: TcpProxy
) -> None:
    _order(owner, held("{}"), "fix", CORRECT.canonical())
    link = Link(through(open_shop, postgres_proxy))
    postgres_proxy.cut_after(b"ingest.desk_orders\nSET done_at")
    with contextlib.suppress(psycopg.Error):  # the commit may have been on its way already
        await work_round(link, Desk(100_000))
    postgres_proxy.restore()
    await _until(lambda: _idle(owner))
    whole = (_outcomes(owner), _receipts(owner))
    assert whole in (([None], set()), (["accepted"], {CORRECT.canonical()}))
    await work_round(link, Desk(100_000))
    await link.close()
    assert (_outcomes(owner), _receipts(owner)) == (["accepted"], {CORRECT.canonical()})
    assert owner.execute("SELECT count(*) FROM ingest.outbox WHERE store_id = 367").fetchone() == (2,)  # store, receipt


def _idle(owner: psycopg.Connection) -> bool:
    busy = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'receipts_ingest'"
        " AND state <> 'idle'"
    )
    return owner.execute(busy).fetchone() == (0,)
