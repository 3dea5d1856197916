"""Tills that say anything in any order: always the documented status, and the gateway serves the next one."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

import grpc
import grpc.aio
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from configs.settings import Settings
from ingest.generated import wire_pb2, wire_pb2_grpc
from ingest.server import running
from ingest.tokens import Tokens, load_tokens
from tests.fixtures.retail import make_receipt
from tests.ingest.till_double import (
    RECEIPTS,
    STORES,
    Conversation,
    batch,
    connected,
    open_stream,
    record,
    serving,
    streaming,
)

_DEADLINE_S = 60
_numbers = count(1)
_one_gateway_for_all = settings(
    max_examples=30,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a hang costs a minute each time: it is not made smaller
)


def _good() -> str:
    return make_receipt(sequence_number=next(_numbers) % 999_999 + 1).canonical()


class Step(NamedTuple):
    """A message of a till by its offset, and whether it breaks the protocol."""

    say: Callable[[int], wire_pb2.FromTill]
    is_offence: bool = False


_KEEPS = {
    "a receipt": Step(lambda offset: record(offset, _good())),
    "garbage": Step(lambda offset: record(offset, b"\xff\x00{")),
    "0 bytes": Step(lambda offset: record(offset, b"")),
    "10 MiB": Step(lambda offset: record(offset, b"1" * 10_420_224)),
    "an empty batch": Step(lambda offset: batch(offset, [])),
    "a batch": Step(lambda offset: batch(offset, [_good(), "", "{}", _good()])),
    "a huge batch": Step(lambda offset: batch(offset, [b"x"] * 5_000)),
    "of another table": Step(lambda offset: record(offset, '{"store_id": 1, "name": "x"}')),
    "a foreign store": Step(lambda offset: record(offset, make_receipt(store_id=98_765).canonical())),
}
_BREAKS = {
    "offset ahead": Step(lambda offset: record(offset + 1, _good()), is_offence=True),
    "offset again": Step(lambda offset: record(offset - 1, _good()), is_offence=True),
    "offset below": Step(lambda _: record(-(2**63), _good()), is_offence=True),
    "no offset": Step(lambda _: wire_pb2.FromTill(record=wire_pb2.OneRecord(json=b"{}")), is_offence=True),
    "opened again": Step(lambda _: open_stream(), is_offence=True),
    "empty message": Step(lambda _: wire_pb2.FromTill(), is_offence=True),
    "no payload": Step(lambda offset: wire_pb2.FromTill(record=wire_pb2.OneRecord(offset=offset)), is_offence=True),
    "protobuf": Step(
        lambda offset: wire_pb2.FromTill(record=wire_pb2.OneRecord(offset=offset, proto=b"\x08\x01")), is_offence=True
    ),
    "protobuf batch": Step(
        lambda offset: wire_pb2.FromTill(
            batch=wire_pb2.RecordBatch(offset=offset, proto=wire_pb2.Payloads(records=[b""]))
        ),
        is_offence=True,
    ),
}
_STEPS = _KEEPS | _BREAKS


class Heard(NamedTuple):
    """What a till heard until its stream ended."""

    opened: bool
    acks: list[int]
    status: grpc.StatusCode


def _converse(address: str, messages: list[wire_pb2.FromTill]) -> Heard:
    """Say all of it whatever is answered and hear to the end; gRPC's asyncio client would hide the status."""
    opened, acks = False, []
    with grpc.insecure_channel(address) as channel:
        call = wire_pb2_grpc.ZerobusStub(channel).EphemeralStream(iter(messages), timeout=_DEADLINE_S)
        try:
            for answer in call:
                if answer.WhichOneof("message") == "opened":
                    opened = True
                else:
                    acks.append(answer.ack.durable_up_to)
        except grpc.RpcError:
            return Heard(opened, acks, call.code())
        return Heard(opened, acks, call.code())


async def _is_well(gateway: str) -> bool:
    async with streaming(gateway) as till:
        await till.say(record(0, _good()))
        await till.hear_ack(0)
        return (await till.end())[0] is grpc.StatusCode.OK


@_one_gateway_for_all
@given(names=st.lists(st.sampled_from(sorted(_KEEPS)) | st.sampled_from(sorted(_STEPS)), max_size=8))
async def test_every_conversation_ends_as_documented_and_acknowledges_what_came_before(
    gateway: str, names: list[str]
) -> None:
    offence = next((i for i, name in enumerate(names) if _STEPS[name].is_offence), None)
    messages = [open_stream(), *(_STEPS[name].say(offset) for offset, name in enumerate(names))]
    heard = await asyncio.to_thread(_converse, gateway, messages)
    assert heard.status is (grpc.StatusCode.OK if offence is None else grpc.StatusCode.INVALID_ARGUMENT)
    assert heard.opened
    assert heard.acks == sorted(set(heard.acks))
    assert (heard.acks or [-1])[-1] == (len(names) if offence is None else offence) - 1
    assert await _is_well(gateway)


@_one_gateway_for_all
@given(
    table=st.sampled_from([RECEIPTS, STORES, "", "bronze.receipts", "x" * 10_000]),
    record_format=st.sampled_from(wire_pb2.RecordFormat.values()),
    descriptor=st.binary(max_size=100),
)
async def test_every_opening_has_its_status(gateway: str, table: str, record_format: int, descriptor: bytes) -> None:
    opening = open_stream(table, record_format, descriptor_proto=descriptor)
    status = (await asyncio.to_thread(_converse, gateway, [opening])).status
    if table not in {RECEIPTS, STORES}:
        assert status is grpc.StatusCode.NOT_FOUND
    elif record_format == wire_pb2.JSON:
        assert status is grpc.StatusCode.OK
    elif record_format == wire_pb2.AVRO:
        assert status is grpc.StatusCode.UNIMPLEMENTED
    elif record_format == wire_pb2.PROTO:
        assert status in {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}
    else:
        assert status is grpc.StatusCode.INVALID_ARGUMENT


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_frames = st.builds(
    lambda kind, flags, stream, body, cut: (
        len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body
    )[: cut or None],
    st.integers(0, 12),
    st.integers(0, 255),
    st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 3]),
    st.binary(max_size=60),
    st.integers(0, 20),
)


@_one_gateway_for_all
@given(noise=st.binary(max_size=200) | st.lists(_frames, max_size=6).map(lambda frames: _PREFACE + b"".join(frames)))
async def test_noise_on_the_line_harms_nobody(gateway: str, noise: bytes) -> None:
    host, port = gateway.split(":")
    async with asyncio.timeout(_DEADLINE_S):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(noise)
        await writer.drain()
        writer.transport.abort()
        assert await _is_well(gateway)


async def test_a_till_that_never_reads_its_acks_fills_nothing_and_is_forgotten(open_shop: Settings) -> None:
    narrow = open_shop.ingest.model_copy(update={"max_unacked_bytes": 2_048})
    address = f"127.0.0.1:{narrow.port}"
    before = len(asyncio.all_tasks())
    async with running(open_shop.model_copy(update={"ingest": narrow})):
        await serving(address)
        async with streaming(address) as till:
            for offset in range(200):
                await till.say(record(offset, _good()))
            await till.call.done_writing()
            await till.hear_ack(199)
        for _ in range(5):
            async with streaming(address) as till:  # vanishes with records under way
                await till.say(*(record(offset, _good()) for offset in range(20)))
        assert await _is_well(address)
    async with asyncio.timeout(_DEADLINE_S):
        while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - gRPC's own tasks end without telling anybody
            await asyncio.sleep(0.05)


async def test_a_stream_whose_token_runs_out_is_asked_to_come_back_and_ended_after_its_acks(
    open_shop: Settings,
) -> None:
    key = load_tokens(open_shop)._key
    token = Tokens(key, lifetime_s=4).mint("till-1", frozenset({367}), all_stores=False)
    address = f"127.0.0.1:{open_shop.ingest.port}"
    async with running(open_shop):
        await serving(address)
        async with connected(address, ("authorization", f"Bearer {token}")) as till:
            await till.say(open_stream())
            heard = [(await till.hear()).WhichOneof("message")]
            await till.say(record(0, _good()), record(1, make_receipt(store_id=98_765).canonical()))
            with pytest.raises(grpc.aio.AioRpcError) as ended:  # the status comes after all that was said before it
                await _hear_all(till, heard)
            assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert {"ack", "close_soon"} <= set(heard)


async def _hear_all(till: Conversation, heard: list[str | None]) -> None:
    while True:
        heard.append((await till.hear()).WhichOneof("message"))
