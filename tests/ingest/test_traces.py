"""What a collector hears of tills: openings, messages, groups and windows, and nothing of what is in a receipt."""

import threading

import pytest

from ingest.drainer import drain_continuously
from ingest.server import running
from receipts.trace_context import traceparent
from tests.fixtures.retail import make_customer, make_receipt
from tests.ingest.till_double import CUSTOMERS, batch, connected, open_stream, record, serving

CALLER = ("traceparent", traceparent(0xABCDEF, 0x123456, sampled=True))


async def deliver(settings, *messages, table="retail.pos.receipts", metadata=()):
    """Send messages on a stream of their own to a gateway of their own; all spans have been sent then."""
    address = f"127.0.0.1:{settings.ingest.port}"
    async with running(settings):
        await serving(address)
        async with connected(address, *metadata) as till:
            await till.say(open_stream(table))
            assert (await till.hear()).opened.stream_id
            await till.say(*messages)
            await till.hear_ack(len(messages) - 1)
            await till.end()


async def test_a_message_is_traced_from_its_reading_to_its_ack_and_its_group_links_to_it(open_shop, collector):
    receipts = [make_receipt(sequence_number=number).canonical() for number in range(1, 4)]
    await deliver(collector.traced(open_shop), record(0, receipts[0]), batch(1, receipts[1:]))
    single, both = collector.named("gateway.message")
    assert (single.attributes["receipts.records"], both.attributes["receipts.records"]) == (1, 2)
    assert single.resource["service.name"] == "gateway"
    opening = collector.one("gateway.open")
    assert single.links_to(opening)
    assert both.links_to(opening)
    assert collector.below(single) == ["validate"]
    groups = collector.named("gateway.group")
    for message in (single, both):
        (group,) = [group for group in groups if group.links_to(message)]
        assert "records.record_receipts" in collector.below(group)
        assert group.span.start_time_unix_nano <= message.span.end_time_unix_nano


async def test_a_till_is_believed_only_where_it_is_named(open_shop, collector):
    await deliver(collector.traced(open_shop), record(0, make_receipt().canonical()), metadata=(CALLER,))
    trusted = collector.traced(open_shop, trusted_clients="anyone")
    await deliver(trusted, record(0, make_receipt().canonical()), metadata=(CALLER,))
    own, believed = collector.named("gateway.open")
    assert int.from_bytes(own.span.trace_id) != 0xABCDEF
    assert int.from_bytes(believed.span.trace_id) == 0xABCDEF


async def test_nothing_of_a_record_is_told_accepted_or_refused(open_shop, collector):
    customer, receipt = make_customer(), make_receipt()
    wrong = receipt.canonical().replace('"total_cents":', '"Kowalski":')
    traced = collector.traced(open_shop)
    await deliver(traced, record(0, receipt.canonical()), record(1, wrong), record(2, "maria.kowalski@example.com"))
    await deliver(traced, record(0, customer.canonical()), table=CUSTOMERS)
    assert len(collector.named("gateway.message")) == 4
    sent = b"".join(collector.bodies).lower()
    secret = [
        receipt.receipt_id,
        customer.customer_id,
        customer.first_name,
        customer.last_name,
        customer.email,
        customer.phone,
    ]
    assert [text for text in secret if text.lower().encode() in sent] == []


@pytest.mark.usefixtures("gateway")
async def test_without_a_collector_a_till_may_send_what_it_likes(open_shop, collector):
    async with connected(f"127.0.0.1:{open_shop.ingest.port}", CALLER) as till:
        await till.say(open_stream(), record(0, make_receipt().canonical()))
        await till.hear_ack(0)
    assert collector.bodies == []


def test_a_window_is_a_trace_and_an_idle_drainer_has_none(open_shop, collector):
    stop = threading.Event()
    drained: list[str] = []

    def at(step: str) -> None:
        drained.append(step)
        if step == "committed":
            stop.set()

    # The fixture's own store is what waits in the outbox.
    drain_continuously(collector.traced(open_shop, share=0), stop, at=at)
    window = collector.one("drainer.window")
    assert window.resource["service.name"] == "drainer"
    assert "drainer.list_rows" in collector.below(window)
