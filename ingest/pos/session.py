"""One stream from a till to the gateway: batches out, acks in, and noticing when the other side has gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc

from ingest.generated import wire_pb2, wire_pb2_grpc
from ingest.pos.ledger import Ledger
from ingest.pos.tokens import StreamRefused, Tokens

_TABLE_HEADER = "x-databricks-zerobus-table-name"
_CHANNEL_OPTIONS = (
    ("grpc.primary_user_agent", "receipts-till/0.2"),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),  # a new session is a new connection, with no back-off left over
    # A half-open connection is noticed within 80 s, not after TCP's hours: gRPC 1.85 waits a minute for the answer to
    # a ping. Sooner would take a slow line, full of what a till caught up with, for a dead one.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),  # an idle till pings for as long as the store is open
)
_FINAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
}
_ABOUT_ACCESS = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


@dataclass(frozen=True, slots=True)
class Access:
    """How a till gets in: by TLS or in plain text, with tokens or without."""

    tls: bool = False
    ca_pem: bytes | None = None  # None: the roots that gRPC trusts
    tokens: Tokens | None = None


PLAIN = Access()


@dataclass(frozen=True, slots=True)
class Line:
    """Where the records go: the gateway as host:port, the table, and how to get in."""

    target: str
    table: str
    access: Access = PLAIN
    ack_timeout_s: float = 60.0  # as the Zerobus SDK has it: then an open stream without acks is given up


class Session:
    """Runs one stream at a time over a ledger."""

    def __init__(self, ledger: Ledger, line: Line, on_ack: Callable[[], None]) -> None:
        self._ledger = ledger
        self._line = line
        self._on_ack = on_ack
        self._call: grpc.Call | None = None
        self._silent = False
        self.was_open = False  # whether the gateway opened the last stream

    def run(self) -> str | None:
        """Run a stream to its end; return what broke it, or None when it ended in order.

        Raises StreamRefused when the gateway says no, and Unavailable when no token can be had now.
        """
        tokens = self._line.access.tokens
        metadata = [(_TABLE_HEADER, self._line.table)]
        if tokens is not None:
            metadata.append(("authorization", f"Bearer {tokens.bearer()}"))
        self._silent = self.was_open = False
        number = self._ledger.begin()
        try:
            with _channel(self._line) as channel:
                call = wire_pb2_grpc.ZerobusStub(channel).EphemeralStream(
                    _messages(self._ledger, number, self._line.table), metadata=tuple(metadata)
                )
                self._call = call
                threading.Thread(target=self._watch, args=(number, call), name="till-watch", daemon=True).start()
                for answer in call:
                    self._hear(answer)
        except grpc.RpcError as error:
            return self._broken(error.code(), str(error.details()))
        finally:
            self._call = None
            self._ledger.end()
        return None

    def cancel(self) -> None:
        """Cut the stream that runs, if one does; what is not acknowledged stays in the ledger."""
        call = self._call
        if call is not None:
            call.cancel()

    def _hear(self, answer: wire_pb2.ToTill) -> None:
        kind = answer.WhichOneof("message")
        if kind == "opened":
            self.was_open = True
            self._ledger.opened()
        elif kind == "close_soon":
            self._ledger.stop()
        elif kind == "ack":
            self._ledger.acknowledge(answer.ack.durable_up_to)
            self._on_ack()

    def _watch(self, number: int, call: grpc.Call) -> None:
        if self._ledger.is_silent(number, self._line.ack_timeout_s):
            self._silent = True
            call.cancel()

    def _broken(self, code: grpc.StatusCode, details: str) -> str:
        if self._silent:
            return f"no answer for {self._line.ack_timeout_s:g} s"
        if code in _FINAL:
            sentence = f"The gateway at {self._line.target} refused the stream: {details}"
            raise StreamRefused(sentence, about_access=code in _ABOUT_ACCESS) from None
        return details


def _channel(line: Line) -> grpc.Channel:
    if not line.access.tls:
        return grpc.insecure_channel(line.target, options=_CHANNEL_OPTIONS)
    trust = grpc.ssl_channel_credentials(line.access.ca_pem)
    return grpc.secure_channel(line.target, trust, options=_CHANNEL_OPTIONS)


def _messages(ledger: Ledger, session: int, table: str) -> Iterator[wire_pb2.FromTill]:
    yield wire_pb2.FromTill(open=wire_pb2.OpenStream(table_name=table, record_format=wire_pb2.JSON))
    for offset, batch in ledger.batches(session):
        if len(batch.records) == 1:
            yield wire_pb2.FromTill(record=wire_pb2.OneRecord(offset=offset, json=batch.records[0]))
        else:
            records = wire_pb2.Payloads(records=batch.records)
            yield wire_pb2.FromTill(batch=wire_pb2.RecordBatch(offset=offset, json=records))
