"""The gRPC service for tills: who may open a stream, and for what."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable

import grpc

from configs.settings import IngestSettings
from ingest.generated import wire_pb2, wire_pb2_grpc
from ingest.intake import Intake
from ingest.protobuf_records import json_reader
from ingest.store_directory import StoreDirectory
from ingest.stream import Context, ProtocolError, Stream
from ingest.writer import Writer
from receipts.bronze import STREAMS
from receipts.errors import InvalidInput

_TABLE_HEADER = "x-databricks-zerobus-table-name"
_CLOSE_WITHIN_S = 1.0  # what tills are told at a graceful stop: far above the time an ack takes


class Gateway(wire_pb2_grpc.ZerobusServicer):
    """The service. One per process, with one writer."""

    def __init__(self, writer: Writer, directory: StoreDirectory, settings: IngestSettings) -> None:
        self._writer = writer
        self._directory = directory
        self._settings = settings
        self._streams: set[Stream] = set()
        self._stopping = False

    async def EphemeralStream(  # noqa: N802 - the name is part of the wire contract
        self, request_iterator: AsyncIterator[wire_pb2.FromTill], context: Context
    ) -> None:
        """Serve one stream. Headers go first: the SDK says nothing until it has seen them."""
        await context.send_initial_metadata(())
        try:
            stream = self._open(await _first(request_iterator), context)
            self._streams.add(stream)
            try:
                opened = wire_pb2.StreamOpened(stream_id=str(uuid.uuid4()))
                await context.write(wire_pb2.ToTill(opened=opened))
                await stream.run(request_iterator, context)
            finally:
                self._streams.discard(stream)
        except ProtocolError as error:
            await context.abort(error.code, str(error))

    def ask_streams_to_close(self) -> None:
        """Take no new streams and tell the tills to finish theirs."""
        self._stopping = True
        for stream in self._streams:
            stream.ask_to_close(_CLOSE_WITHIN_S)

    def _open(self, message: wire_pb2.FromTill, context: Context) -> Stream:
        if message.WhichOneof("message") != "open":
            raise _invalid("The first message must open the stream.")
        if self._stopping or not self._writer.ready:
            raise ProtocolError(grpc.StatusCode.UNAVAILABLE, "The gateway cannot store records now; try again shortly.")
        asked, headers = message.open, _headers(context)
        if headers.get(_TABLE_HEADER, asked.table_name) != asked.table_name:
            raise _invalid(f"The header {_TABLE_HEADER} names another table than the message.")
        table = STREAMS.get(asked.table_name)
        if table is None:
            raise ProtocolError(grpc.StatusCode.NOT_FOUND, f"No such table; there are: {', '.join(sorted(STREAMS))}.")
        source = headers.get("user-agent", "unknown").split(" ")[0][:60]
        settings = self._settings
        intake = Intake(table.name, source, _reader(asked), self._directory, settings.max_record_bytes)
        return Stream(asked.record_format, intake, self._writer, settings.max_unacked_records)


async def _first(messages: AsyncIterator[wire_pb2.FromTill]) -> wire_pb2.FromTill:
    async for message in messages:
        return message
    raise _invalid("The stream ended before it was opened.")


def _headers(context: Context) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


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
