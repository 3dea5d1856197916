"""The gateway over real gRPC and a real Postgres."""

import asyncio

import grpc
import psycopg
import pytest

from configs.settings import Settings
from ingest.generated import wire_pb2
from ingest.server import running
from receipts.errors import Unavailable
from tests.fixtures.retail import make_customer, make_receipt, make_store
from tests.ingest.till_double import (
    CUSTOMERS,
    STORES,
    batch,
    connected,
    open_stream,
    record,
    serving,
    streaming,
)


def _count(connection: psycopg.Connection, table: str) -> int:
    return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


async def test_an_acknowledged_receipt_is_readable_at_once(gateway: str, ingest: psycopg.Connection) -> None:
    receipt = make_receipt()
    async with streaming(gateway) as till:
        await till.say(record(0, receipt.canonical()))
        await till.hear_ack(0)
        row = ingest.execute("SELECT document, region_id, purchased_on::text, card_last4, skus FROM retail.receipts")
        assert row.fetchall() == [(receipt.canonical(), 1, "2026-11-17", ["4242"], ["840361", "1029743"])]
        assert (await till.end())[0] is grpc.StatusCode.OK


async def test_a_batch_has_one_offset_and_acks_never_pass_what_came(gateway: str, ingest: psycopg.Connection) -> None:
    async with streaming(gateway) as till:
        for offset in range(3):
            numbers = range(offset * 50 + 1, offset * 50 + 51)
            await till.say(batch(offset, [make_receipt(sequence_number=n).canonical() for n in numbers]))
        last = -1
        while last < 2:
            ack = (await till.hear()).ack.durable_up_to
            assert last <= ack <= 2
            last = ack
        assert _count(ingest, "retail.receipts") == 150
        assert _count(ingest, "ingest.outbox WHERE bronze_table = 'bronze.receipts'") == 150


async def test_a_receipt_sent_again_changes_nothing(gateway: str, ingest: psycopg.Connection) -> None:
    text = make_receipt().canonical()
    async with streaming(gateway) as till:
        await till.say(batch(0, [text, text]), record(1, text))
        await till.hear_ack(1)
    async with streaming(gateway) as till:
        await till.say(record(0, text))
        await till.hear_ack(0)
    assert _count(ingest, "retail.receipts") == 1
    assert _count(ingest, "ingest.outbox WHERE bronze_table = 'bronze.receipts'") == 1


async def test_a_correction_is_kept_and_does_not_replace_what_serves(gateway: str, ingest: psycopg.Connection) -> None:
    first, second = make_receipt(), make_receipt(operator_id="7")
    async with streaming(gateway) as till:
        await till.say(batch(0, [first.canonical(), second.canonical(), second.canonical()]))
        await till.say(record(1, second.canonical()), record(2, first.canonical()))
        await till.hear_ack(2)
    served = ingest.execute("SELECT document FROM retail.receipts").fetchall()
    queued = ingest.execute(
        "SELECT payload FROM ingest.outbox WHERE record_key = %s ORDER BY sequence", [first.receipt_id]
    )
    assert served == [(first.canonical(),)]
    assert [payload for (payload,) in queued] == [first.canonical(), second.canonical()]


async def test_a_malformed_record_is_quarantined_and_the_stream_lives_on(
    gateway: str, ingest: psycopg.Connection
) -> None:
    async with streaming(gateway) as till:
        await till.say(record(0, '{"receipt_type": "sale"'), record(1, b"\xff\xfe\x00"), record(2, ""))
        await till.say(record(3, make_receipt().canonical()))
        await till.hear_ack(3)
        assert (await till.end())[0] is grpc.StatusCode.OK
    reasons = ingest.execute("SELECT reason FROM ingest.quarantine ORDER BY quarantine_id").fetchall()
    assert sorted(reasons) == [
        ("The record is empty.",),
        ("The record is not valid JSON.",),
        ("The record is not valid JSON.",),
    ]
    assert _count(ingest, "retail.receipts") == 1
    assert _count(ingest, "ingest.outbox WHERE refusal IS NOT NULL") == 3


async def test_a_receipt_of_an_unknown_store_waits_in_quarantine(gateway: str, ingest: psycopg.Connection) -> None:
    async with streaming(gateway) as till:
        await till.say(record(0, make_receipt(store_id=999).canonical()))
        await till.hear_ack(0)
    (reason,) = ingest.execute("SELECT reason FROM ingest.quarantine").fetchone()
    assert reason == "store_id: store 999 is not known; send its store record, then replay this one."


async def test_a_new_store_opens_within_the_same_breath(gateway: str, ingest: psycopg.Connection) -> None:
    async with streaming(gateway, STORES) as office, streaming(gateway) as till:
        await till.say(record(0, make_receipt(store_id=999).canonical()))  # looked for in vain
        await till.hear_ack(0)
        await office.say(record(0, make_store(store_id=999, name="Troy Hill").canonical()))
        await office.hear_ack(0)
        await till.say(record(1, make_receipt(store_id=999, sequence_number=2).canonical()))
        await till.hear_ack(1)
    assert _count(ingest, "retail.receipts WHERE store_id = 999") == 1


async def test_stores_and_customers_take_their_latest_version(gateway: str, ingest: psycopg.Connection) -> None:
    renamed = make_store(name="East Liberty Market", region="Pittsburgh Far East")
    async with streaming(gateway, STORES) as office, streaming(gateway, CUSTOMERS) as desk:
        await office.say(batch(0, [make_store(store_id=12, name="A").canonical(), renamed.canonical()]))
        await office.hear_ack(0)
        versions = [make_customer(), make_customer(email="m@example.com", home_store_id=12), make_customer(phone="")]
        await desk.say(batch(0, [customer.canonical() for customer in versions]))
        await desk.hear_ack(0)
    assert ingest.execute("SELECT name FROM retail.stores WHERE store_id = 367").fetchone() == ("East Liberty Market",)
    assert ingest.execute("SELECT name FROM access.regions").fetchone() == ("Pittsburgh Far East",)
    contact = ingest.execute(
        "SELECT email, email_masked, phone_masked, region_ids FROM retail.customers JOIN retail.customer_contacts "
        "USING (customer_id)"
    )
    assert contact.fetchall() == [("maria.kowalski@example.com", "m***@example.com", "", [1])]
    assert _count(ingest, "ingest.outbox WHERE bronze_table = 'bronze.customers'") == 3


async def test_a_card_number_is_destroyed_and_never_acknowledged_into_the_tables(
    gateway: str, ingest: psycopg.Connection
) -> None:
    number = "4111 1111 1111 1111"
    line = {"line_number": 1, "sku": "1", "description": f"CARD {number}", "quantity": 1, "unit_price_cents": 0}
    async with streaming(gateway) as till:
        await till.say(record(0, make_receipt(lines=[line | {"amount_cents": 0}]).canonical()))
        await till.say(record(1, f'{{"note": "{number}"'))
        await till.hear_ack(1)
    held = ingest.execute("SELECT reason, payload FROM ingest.quarantine ORDER BY quarantine_id").fetchall()
    queued = ingest.execute("SELECT payload FROM ingest.outbox WHERE refusal IS NOT NULL").fetchall()
    assert len(held) == len(queued) == 2
    assert not any("1111" in text for row in held + queued for text in row)
    assert "lines.0.description: holds a full card number, which is never accepted." in [reason for reason, _ in held]


async def test_an_oversized_record_is_quarantined_in_part(gateway: str, ingest: psycopg.Connection) -> None:
    async with streaming(gateway) as till:
        await till.say(record(0, "x" * 5_000_000))
        await till.hear_ack(0)
    reason, size = ingest.execute("SELECT reason, length(payload) FROM ingest.quarantine").fetchone()
    assert reason.startswith("The record has 5000000 bytes; at most 1048576 are accepted")
    assert size == 1_048_576


async def test_offsets_out_of_order_end_the_stream_after_what_came_before(
    gateway: str, ingest: psycopg.Connection
) -> None:
    async with streaming(gateway) as till:
        await till.say(record(0, make_receipt().canonical()), record(2, make_receipt(sequence_number=2).canonical()))
        await till.hear_ack(0)
        assert await till.status() == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "offset 2 is out of order: expected 1, one for each message.",
        )
    assert _count(ingest, "retail.receipts") == 1


async def test_a_stream_that_is_not_opened_first_is_refused(gateway: str) -> None:
    async with connected(gateway) as till:
        await till.say(record(0, "{}"))
        assert await till.status() == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "The first message must open the stream.",
        )


async def test_opening_a_stream_twice_is_refused(gateway: str) -> None:
    async with streaming(gateway) as till:
        await till.say(open_stream())
        code, sentence = await till.status()
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert sentence.startswith("The stream is open already")


async def test_a_table_that_is_not_there_is_refused_by_name(gateway: str) -> None:
    async with connected(gateway) as till:
        await till.say(open_stream("retail.pos.nothing"))
        code, sentence = await till.status()
        assert code is grpc.StatusCode.NOT_FOUND
        assert "retail.pos.receipts" in sentence


async def test_a_header_that_names_another_table_is_refused(gateway: str) -> None:
    async with connected(gateway, ("x-databricks-zerobus-table-name", CUSTOMERS)) as till:
        await till.say(open_stream())
        assert (await till.status())[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_formats_that_are_not_taken_are_refused(gateway: str) -> None:
    expected = {
        wire_pb2.AVRO: grpc.StatusCode.UNIMPLEMENTED,
        wire_pb2.RECORD_FORMAT_UNSPECIFIED: grpc.StatusCode.INVALID_ARGUMENT,
        wire_pb2.PROTO: grpc.StatusCode.INVALID_ARGUMENT,  # without a descriptor
    }
    for record_format, status in expected.items():
        async with connected(gateway) as till:
            await till.say(open_stream(record_format=record_format))
            assert (await till.status())[0] is status


async def test_a_record_of_another_format_than_the_stream_ends_it(gateway: str) -> None:
    async with streaming(gateway) as till:
        await till.say(wire_pb2.FromTill(record=wire_pb2.OneRecord(offset=0, proto=b"")))
        code, sentence = await till.status()
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert sentence == "The stream was opened for json records, but this one is proto."


async def test_many_tills_at_once_lose_and_double_nothing(gateway: str, ingest: psycopg.Connection) -> None:
    async def one_till(register: int) -> None:
        async with streaming(gateway) as till:
            for offset in range(40):
                number = offset // 2 + 1  # every receipt twice
                await till.say(record(offset, make_receipt(register_id=register, sequence_number=number).canonical()))
            await till.hear_ack(39)

    await asyncio.gather(*(one_till(register) for register in range(1, 11)))
    assert _count(ingest, "retail.receipts") == 200
    assert _count(ingest, "ingest.outbox WHERE bronze_table = 'bronze.receipts'") == 200


async def test_a_stopping_gateway_asks_the_tills_to_come_back_and_acknowledges_what_they_sent(
    open_shop: Settings, ingest: psycopg.Connection
) -> None:
    address = f"127.0.0.1:{open_shop.ingest.port}"
    async with running(open_shop):
        await serving(address)
        leave = asyncio.Event()
        finishing = asyncio.create_task(_finish_when_asked(address, leave))
        await leave.wait()
    assert await finishing is grpc.StatusCode.OK
    assert _count(ingest, "retail.receipts") == 2


async def _finish_when_asked(address: str, opened: asyncio.Event) -> grpc.StatusCode:
    """Be a till that sends one receipt, and another one that was under way when it is asked to close."""
    async with streaming(address) as till:
        await till.say(record(0, make_receipt().canonical()))
        await till.hear_ack(0)
        opened.set()
        asked = await till.hear()
        assert asked.close_soon.within.seconds == 1
        await till.say(record(1, make_receipt(sequence_number=2).canonical()))
        await till.hear_ack(1)
        return (await till.end())[0]


async def test_a_till_that_is_not_heard_is_held_and_not_forgotten(
    open_shop: Settings, ingest: psycopg.Connection
) -> None:
    narrow = open_shop.model_copy(update={"ingest": open_shop.ingest.model_copy(update={"max_unacked_records": 3})})
    address = f"127.0.0.1:{narrow.ingest.port}"
    async with running(narrow):
        await serving(address)
        async with streaming(address) as till:
            await till.say(*(record(n, make_receipt(sequence_number=n + 1).canonical()) for n in range(50)))
            await till.hear_ack(49)
    assert _count(ingest, "retail.receipts") == 50


async def test_a_second_gateway_on_the_same_port_says_so(gateway: str, open_shop: Settings) -> None:
    with pytest.raises(Unavailable, match="is another one running"):
        async with running(open_shop):
            raise AssertionError("two gateways share a port")
