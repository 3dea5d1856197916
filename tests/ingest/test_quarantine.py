"""Refused records are held, shown and replayed."""

import psycopg
import pytest

from configs.settings import Settings
from ingest.quarantine import Filter, find_refusal, list_refusals, replay
from receipts.errors import NotFound
from tests.fixtures.retail import make_receipt, make_store, store_rows
from tests.ingest.till_double import record, streaming


async def test_a_receipt_is_accepted_on_replay_once_its_store_is_known(
    gateway: str, open_shop: Settings, ingest: psycopg.Connection
) -> None:
    early = make_receipt(store_id=12)
    async with streaming(gateway) as till:
        await till.say(record(0, early.canonical()), record(1, "{}"))
        await till.hear_ack(1)
    malformed, waiting = sorted(await list_refusals(open_shop), key=lambda one: one.reason)
    assert "store 12 is not known" in waiting.reason
    assert (await find_refusal(open_shop, waiting.quarantine_id)).payload == early.canonical()
    first = await replay(open_shop)
    assert {outcome.quarantine_id: outcome.reason for outcome in first} == {
        waiting.quarantine_id: waiting.reason,
        malformed.quarantine_id: malformed.reason,
    }
    store_rows(open_shop, stores=[make_store(store_id=12, name="Shadyside")])
    outcomes = await replay(open_shop, [waiting.quarantine_id])
    assert outcomes[0].reason is None
    assert ingest.execute("SELECT document FROM retail.receipts").fetchall() == [(early.canonical(),)]
    queued = ingest.execute(
        "SELECT refusal IS NULL FROM ingest.outbox WHERE record_key = %s ORDER BY sequence", [early.receipt_id]
    ).fetchall()
    assert queued == [(False,), (True,)]  # Bronze keeps both: refused, and accepted later
    assert [one.quarantine_id for one in await list_refusals(open_shop)] == [malformed.quarantine_id]
    assert len(await list_refusals(open_shop, Filter(state=None))) == 2


async def test_the_same_refused_payload_is_held_once(
    gateway: str, open_shop: Settings, ingest: psycopg.Connection
) -> None:
    async with streaming(gateway) as till:
        await till.say(record(0, "[]"), record(1, "[]"))
        await till.hear_ack(1)
    assert len(await list_refusals(open_shop)) == 1
    assert ingest.execute("SELECT count(*) FROM ingest.outbox WHERE refusal IS NOT NULL").fetchone() == (1,)


async def test_a_number_that_is_not_held_is_named(settings: Settings) -> None:
    with pytest.raises(NotFound, match="the number 41"):
        await find_refusal(settings, 41)
    with pytest.raises(NotFound, match="the number 41"):
        await replay(settings, [41])
