"""The gateway's gRPC port: what is served on it besides the tills' streams, its certificate, and how it closes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from configs.settings import IngestSettings
from ingest.certificate import server_credentials
from ingest.generated import wire_pb2_grpc
from receipts.errors import Unavailable

SERVICE = "databricks.zerobus.Zerobus"
_OPTIONS = (
    ("grpc.max_receive_message_length", 16 * 2**20),  # a till's SDK sends up to 10 MiB and resends what is refused
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)
_UNDER_WAY_BYTES = 512 * 1024  # of a stream: 4 s of a line of 1 Mbit/s; 64 KiB, gRPC's default, costs batches a third
# Then the streams that are left are cut and their tills resend what was not acknowledged. Short, because the port is
# closed meanwhile and the SDK of a till gives up after about 8 s: stop and start must fit into that.
_GRACE_S = 2.0
_ANSWER_S = 1.0  # for the loop to answer another thread: it turns in milliseconds unless something blocks it
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class RpcServer:
    """A server for one gateway, with health and reflection. `shared`: other gateways listen on the same port."""

    def __init__(self, settings: IngestSettings, *, shared: bool) -> None:
        self._settings = settings
        # Unless it is meant, a second gateway on the same port must fail, not take half of the tills.
        reuse = ("grpc.so_reuseport", int(shared))
        self._server = grpc.aio.server(options=(*_OPTIONS, *_keepalive(settings), reuse))
        self._loop: asyncio.AbstractEventLoop | None = None  # set once the health service knows what to say
        self._health = health.aio.HealthServicer()  # pyright: ignore[reportAttributeAccessIssue] - the stubs lack aio

    async def start(self, gateway: wire_pb2_grpc.ZerobusServicer) -> None:
        """Listen. Not ready yet, as the health service says. Raises Unavailable when the port is taken."""
        await self.say(ready=False)
        self._loop = asyncio.get_running_loop()
        wire_pb2_grpc.add_ZerobusServicer_to_server(gateway, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        chain, key = self._settings.tls_certificate, self._settings.tls_key
        address = f"{self._settings.host}:{self._settings.port}"
        try:
            if chain and key:
                self._server.add_secure_port(address, server_credentials(chain, key))
            else:
                self._server.add_insecure_port(address)
            await self._server.start()
        except RuntimeError as error:
            raise Unavailable(f"The gateway cannot listen on {address}: is another one running?") from error

    async def say(self, *, ready: bool) -> None:
        """Say by the health service whether records can be stored."""
        for name in ("", SERVICE):
            await self._health.set(name, _SERVING if ready else _NOT_SERVING)

    def is_ready(self) -> bool:
        """Return what the health service says, for other threads: a loop that hangs is not ready."""
        if self._loop is None:
            return False
        question = self._health.Check(health_pb2.HealthCheckRequest(service=SERVICE), None)
        asked = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return asked.result(_ANSWER_S).status == _SERVING
        except TimeoutError:
            asked.cancel()
            return False

    async def stop(self, ask_streams_to_close: Callable[[], None]) -> None:
        """Take no more streams, let those that are open finish, and close the port."""
        await self._health.enter_graceful_shutdown()
        ask_streams_to_close()
        await self._server.stop(_GRACE_S)


def _keepalive(settings: IngestSettings) -> tuple[tuple[str, int], ...]:
    """Return the options by which half-open connections are noticed: in 30 s by default, not after TCP's hours.

    What counts is `ping_timeout_ms`: gRPC 1.85 never starts the timer of `keepalive_timeout_ms`, and waits a minute.
    Data does not count as an answer, and an answer waits behind what its till has sent. So what is under way is
    bounded instead of probed for, else a slow line that is full would be taken for a dead one.
    """
    answer_ms = round(settings.keepalive_timeout_s * 1000)
    return (
        ("grpc.keepalive_time_ms", round(settings.keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", answer_ms),
        ("grpc.http2.ping_timeout_ms", answer_ms),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _UNDER_WAY_BYTES),
    )
