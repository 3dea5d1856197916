"""The gateway's process: its port, its health, its writer, and how it stops without losing a record."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from configs.settings import IngestSettings, Settings
from ingest.gateway import Gateway
from ingest.generated import wire_pb2_grpc
from ingest.lifeline import Lifeline
from ingest.link import Link
from ingest.store_directory import StoreDirectory
from ingest.writer import Writer
from receipts.errors import Unavailable

_log = logging.getLogger(__name__)
SERVICE = "databricks.zerobus.Zerobus"
_OPTIONS = (
    ("grpc.max_receive_message_length", 16 * 2**20),  # a till's SDK sends up to 10 MiB and resends what is refused
    ("grpc.keepalive_time_ms", 20_000),  # half-open connections are noticed in 30 s, not after TCP's hours
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)
# Then the streams that are left are cut and their tills resend what was not acknowledged. Short, because the port is
# closed meanwhile and the SDK of a till gives up after about 8 s: stop and start must fit into that.
_GRACE_S = 2.0
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def serve(settings: Settings, slot: int = 0, lifeline: Lifeline | None = None) -> None:
    """Run the gateway until SIGTERM or SIGINT; raise what made the writer fail if it did.

    `slot` is its number on this node. With a `lifeline` it is one of a fleet: it shares the port with the others and
    ends when the fleet does.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        lifeline.watch(stop.set)
    async with running(settings, lifeline) as writing:
        _log.info("Gateway %d takes records on %s:%d.", slot, settings.ingest.host, settings.ingest.port)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((stopping, writing), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if writing.done():
            writing.result()
    _log.info("The gateway has stopped.")


@asynccontextmanager
async def running(settings: Settings, lifeline: Lifeline | None = None) -> AsyncGenerator[asyncio.Task[None]]:
    """Run a gateway for the length of the block; leaving it stops gracefully.

    Gives the writer's task, which ends only by failing. Raises Unavailable when the port is taken. The health service
    says SERVING, for the server and for the service, while records can be stored.
    """
    health_service = health.aio.HealthServicer()  # pyright: ignore[reportAttributeAccessIssue] - the stubs lack aio

    async def on_ready(*, ready: bool) -> None:
        await health_service.set("", _SERVING if ready else _NOT_SERVING)
        await health_service.set(SERVICE, _SERVING if ready else _NOT_SERVING)
        if ready and lifeline is not None:
            lifeline.tell_ready()

    await on_ready(ready=False)
    links = Link(settings), Link(settings)
    directory = StoreDirectory(links[0])
    writer = Writer(links[1], directory, settings.ingest, on_ready)
    gateway = Gateway(writer, directory, settings.ingest)
    # Unless it is meant, a second gateway on the same port must fail, not take half of the tills.
    server = grpc.aio.server(options=(*_OPTIONS, ("grpc.so_reuseport", int(lifeline is not None))))
    wire_pb2_grpc.add_ZerobusServicer_to_server(gateway, server)
    health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
    await _listen(server, settings.ingest)
    writing = asyncio.create_task(writer.run(), name="ingest-writer")
    try:
        yield writing
    finally:
        await health_service.enter_graceful_shutdown()
        gateway.ask_streams_to_close()
        await server.stop(_GRACE_S)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        for link in links:
            await link.close()


async def _listen(server: grpc.aio.Server, settings: IngestSettings) -> None:
    address = f"{settings.host}:{settings.port}"
    try:
        server.add_insecure_port(address)
        await server.start()
    except RuntimeError as error:
        raise Unavailable(f"The gateway cannot listen on {address}: is another one running?") from error
