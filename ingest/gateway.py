"""The gRPC service for tills: who may open a stream, and for what.

The statuses a stream ends with, besides OK once the till half-closed it and everything was acknowledged:

- UNAUTHENTICATED: no token where one is required, one that is not valid, or one that expired while the stream went on.
- PERMISSION_DENIED: the token may not write this table: stores and customers are for credentials of all stores.
- NOT_FOUND: there is no such table.
- INVALID_ARGUMENT: the protocol was broken: another message before the opening one or a second one of it, an offset
  that is missing or out of order, an empty message, payloads of another format, a header that names another table, a
  descriptor that cannot be used.
- UNIMPLEMENTED: Avro.
- UNAVAILABLE: records cannot be stored now, the gateway stops, or the stream was not opened in time; come back.
- RESOURCE_EXHAUSTED: this gateway has as many streams as it takes; come back.

A record never ends a stream: one that cannot be accepted is acknowledged into quarantine, also when it is of a store
that the token does not cover.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING

import grpc

from configs.settings import IngestSettings
from ingest.access import ANYONE, Claims
from ingest.generated import wire_pb2, wire_pb2_grpc
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.protobuf_records import json_reader
from ingest.store_directory import StoreDirectory
from ingest.stream import Context, ProtocolError, Stream
from ingest.tokens import Tokens
from ingest.traces import begin_opening, opening_of
from ingest.writer import Writer
from receipts import bronze
from receipts.errors import InvalidInput, Unauthenticated
from receipts.lake import LakeTable
from receipts.tracing import within

if TYPE_CHECKING:
    from receipts.spans import Tracing

_TABLE_HEADER = "x-databricks-zerobus-table-name"
_CLOSE_WITHIN_S = 1.0  # what tills are told at a graceful stop: far above the time an ack takes
_OPEN_WITHIN_S = 30.0  # from the connection to the opening message: who says nothing holds a place for nothing


class Gateway(wire_pb2_grpc.ZerobusServicer):
    """The service. One per process, with one writer."""

    def __init__(
        self,
        writer: Writer,
        directory: StoreDirectory,
        tokens: Tokens,
        settings: IngestSettings,
        metrics: Metrics,
        tracing: Tracing | None = None,
    ) -> None:
        self._writer = writer
        self._directory = directory
        self._tokens = tokens
        self._settings = settings
        self._metrics = metrics
        self._tracing = tracing
        self._calls = 0  # streams, those included that are not open yet
        self._streams: set[Stream] = set()
        self._stopping = False

    async def EphemeralStream(  # noqa: N802 - the name is part of the wire contract
        self, request_iterator: AsyncIterator[wire_pb2.FromTill], context: Context
    ) -> None:
        """Serve one stream. Headers go first: the SDK says nothing until it has seen them."""
        self._calls += 1
        self._metrics.streams.set(self._calls)
        try:
            await context.send_initial_metadata(())
            await self._serve(request_iterator, context)
        except ProtocolError as error:
            self._metrics.streams_refused.labels(error.code.name).inc()
            await context.abort(error.code, str(error))
        finally:
            self._calls -= 1
            self._metrics.streams.set(self._calls)

    def ask_streams_to_close(self) -> None:
        """Take no new streams and tell the tills to finish theirs."""
        self._stopping = True
        for stream in self._streams:
            stream.ask_to_close(_CLOSE_WITHIN_S)

    async def _serve(self, messages: AsyncIterator[wire_pb2.FromTill], context: Context) -> None:
        if self._calls > self._settings.max_streams:
            sentence = f"This gateway has {self._settings.max_streams} streams, which is all it takes; try again."
            raise ProtocolError(grpc.StatusCode.RESOURCE_EXHAUSTED, sentence)
        since_ns = begin_opening(self._tracing)
        headers = _headers(context)
        claims = self._claims(headers)
        with within(opening_of(self._tracing, headers, claims.client_id, since_ns)):
            stream = self._open(await _first(messages), headers, claims)
        self._streams.add(stream)
        try:
            opened = wire_pb2.StreamOpened(stream_id=str(uuid.uuid4()))
            await context.write(wire_pb2.ToTill(opened=opened))
            await stream.run(messages, context)
        finally:
            self._streams.discard(stream)

    def _claims(self, headers: Mapping[str, str]) -> Claims:
        """Return what the stream's token allows; a token that nobody asked for is held to all the same."""
        header = headers.get("authorization")
        if header is None and not self._settings.require_token:
            return ANYONE
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ProtocolError(
                grpc.StatusCode.UNAUTHENTICATED, "Open the stream with 'authorization: Bearer <token>'."
            )
        try:
            return self._tokens.verify(token)
        except Unauthenticated as error:
            raise ProtocolError(grpc.StatusCode.UNAUTHENTICATED, str(error)) from error

    def _open(self, message: wire_pb2.FromTill, headers: Mapping[str, str], claims: Claims) -> Stream:
        if message.WhichOneof("message") != "open":
            raise _invalid("The first message must open the stream.")
        if self._stopping or not self._writer.ready:
            raise ProtocolError(grpc.StatusCode.UNAVAILABLE, "The gateway cannot store records now; try again shortly.")
        asked = message.open
        table = _table(asked.table_name, headers, claims)
        source = headers.get("user-agent", "unknown").split(" ")[0][:60]
        settings = self._settings
        intake = Intake(table.name, source, _reader(asked), self._directory, settings.max_record_bytes, claims)
        return Stream(asked.record_format, intake, self._writer, settings, self._metrics, self._tracing)


async def _first(messages: AsyncIterator[wire_pb2.FromTill]) -> wire_pb2.FromTill:
    try:
        async with asyncio.timeout(_OPEN_WITHIN_S):
            async for message in messages:
                return message
    except TimeoutError:
        sentence = f"The stream was not opened within {_OPEN_WITHIN_S:.0f} s."
        raise ProtocolError(grpc.StatusCode.UNAVAILABLE, sentence) from None
    raise _invalid("The stream ended before it was opened.")


def _headers(context: Context) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def _table(name: str, headers: Mapping[str, str], claims: Claims) -> LakeTable:
    """Return the table of a stream that these claims may write."""
    if headers.get(_TABLE_HEADER, name) != name:
        raise _invalid(f"The header {_TABLE_HEADER} names another table than the message.")
    table = bronze.STREAMS.get(name)
    if table is None:
        known = ", ".join(sorted(bronze.STREAMS))
        raise ProtocolError(grpc.StatusCode.NOT_FOUND, f"No such table; there are: {known}.")
    if table is not bronze.RECEIPTS and not claims.all_stores:
        sentence = f"This token is for single stores; {name} takes a credential of all stores."
        raise ProtocolError(grpc.StatusCode.PERMISSION_DENIED, sentence)
    return table


def _reader(asked: wire_pb2.OpenStream) -> Callable[[bytes], bytes | None]:
    """Return how payloads of the asked format become JSON."""
    if asked.record_format == wire_pb2.JSON:
        return lambda payload: payload
    if asked.record_format == wire_pb2.PROTO:
        try:
            return json_reader(asked.descriptor_proto)
        except InvalidInput as error:
            raise _invalid(f"{error}.") from error
    if asked.record_format == wire_pb2.AVRO:
        raise ProtocolError(grpc.StatusCode.UNIMPLEMENTED, "Avro records are not taken; send JSON or protobuf.")
    raise _invalid("The record format must be JSON or PROTO.")


def _invalid(sentence: str) -> ProtocolError:
    return ProtocolError(grpc.StatusCode.INVALID_ARGUMENT, sentence)
