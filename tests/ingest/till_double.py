"""A till that can also say the wrong thing: raw messages in, what the gateway answered out."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ingest.generated import wire_pb2, wire_pb2_grpc

RECEIPTS = "retail.pos.receipts"
STORES = "retail.reference.stores"
CUSTOMERS = "retail.crm.customers"
_PATIENCE_S = 20  # for one answer: a deadline for a broken gateway, never waited for


def open_stream(table: str = RECEIPTS, record_format: int = wire_pb2.JSON, **fields: object) -> wire_pb2.FromTill:
    return wire_pb2.FromTill(open=wire_pb2.OpenStream(table_name=table, record_format=record_format, **fields))


def record(offset: int, payload: str | bytes) -> wire_pb2.FromTill:
    return wire_pb2.FromTill(record=wire_pb2.OneRecord(offset=offset, json=_bytes(payload)))


def batch(offset: int, payloads: Iterable[str | bytes]) -> wire_pb2.FromTill:
    records = wire_pb2.Payloads(records=[_bytes(payload) for payload in payloads])
    return wire_pb2.FromTill(batch=wire_pb2.RecordBatch(offset=offset, json=records))


class Conversation:
    """One open RPC: say messages, hear answers."""

    def __init__(self, call: grpc.aio.StreamStreamCall) -> None:
        self.call = call

    async def say(self, *messages: wire_pb2.FromTill) -> None:
        for message in messages:
            await self.call.write(message)

    async def hear(self) -> wire_pb2.ToTill:
        answer = await asyncio.wait_for(self.call.read(), _PATIENCE_S)
        assert answer is not grpc.aio.EOF, await self.call.details()
        return answer

    async def hear_ack(self, offset: int) -> None:
        """Read answers until everything up to the offset is acknowledged."""
        while (await self.hear()).ack.durable_up_to < offset:
            pass

    async def end(self) -> tuple[grpc.StatusCode, str]:
        """Stop sending, read to the end and return the status."""
        await self.call.done_writing()
        return await self.status()

    async def status(self) -> tuple[grpc.StatusCode, str]:
        async with asyncio.timeout(_PATIENCE_S):
            return await self.call.code(), await self.call.details()


@asynccontextmanager
async def connected(address: str, *metadata: tuple[str, str]) -> AsyncIterator[Conversation]:
    """Start an RPC as the SDK does: wait for the headers before saying anything."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = wire_pb2_grpc.ZerobusStub(channel).EphemeralStream(metadata=metadata)
        await asyncio.wait_for(call.initial_metadata(), _PATIENCE_S)
        try:
            yield Conversation(call)
        finally:
            call.cancel()


@asynccontextmanager
async def streaming(address: str, table: str = RECEIPTS) -> AsyncIterator[Conversation]:
    """Open a JSON stream for a table."""
    async with connected(address) as till:
        await till.say(open_stream(table))
        assert (await till.hear()).opened.stream_id
        yield till


async def serving(address: str) -> None:
    """Wait until the gateway's health says that it can store records."""
    async with grpc.aio.insecure_channel(address) as channel, asyncio.timeout(_PATIENCE_S):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        async for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return


def _bytes(payload: str | bytes) -> bytes:
    return payload.encode() if isinstance(payload, str) else payload
