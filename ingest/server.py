"""The gateway's process: its parts, its ports, its health, and how it stops without losing a record."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from configs.settings import Settings
from ingest.clients import ClientDirectory
from ingest.desk import serve_desk
from ingest.direct import DirectWay
from ingest.gateway import Gateway
from ingest.lifeline import Lifeline
from ingest.link import Link
from ingest.metrics import Metrics
from ingest.outbox_way import OutboxWay
from ingest.rpc_server import RpcServer
from ingest.store_directory import StoreDirectory
from ingest.token_endpoint import TokenEndpoint
from ingest.token_server import serving_tokens
from ingest.tokens import load_tokens
from ingest.writer import Writer
from receipts.lake import lake_of
from receipts.metrics_server import serving_metrics
from receipts.tracing import open_tracing

_log = logging.getLogger(__name__)


async def serve(settings: Settings, slot: int = 0, lifeline: Lifeline | None = None) -> None:
    """Run the gateway until SIGTERM or SIGINT; raise what made it fail if it did.

    `slot` is its number on this node. With a `lifeline` it is one of a fleet: it shares the port with the others and
    ends when the fleet does.
    """
    _collect_seldom()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        lifeline.watch(stop.set)
    async with running(settings, slot, lifeline) as working:
        _log.info("Gateway %d takes records on %s:%d.", slot, settings.ingest.host, settings.ingest.port)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((stopping, working), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if working.done():
            working.result()
    _log.info("The gateway has stopped.")


@asynccontextmanager
async def running(
    settings: Settings, slot: int = 0, lifeline: Lifeline | None = None
) -> AsyncGenerator[asyncio.Task[None]]:
    """Run a gateway for the length of the block; leaving it stops gracefully.

    Gives the task of its work, which ends only by failing. Raises Unavailable when a port is taken. The health service
    says SERVING, for the server and for the service, while records can be stored.
    """
    rpc = RpcServer(settings.ingest, shared=lifeline is not None)

    async def on_ready(*, ready: bool) -> None:
        await rpc.say(ready=ready)
        if ready and lifeline is not None:
            lifeline.tell_ready()

    async with AsyncExitStack() as parts:
        metrics, tokens, lake = Metrics(), load_tokens(settings), lake_of(settings)
        links = [Link(settings) for _ in range(3)]
        for link in links:
            parts.push_async_callback(link.close)
        directory = StoreDirectory(links[0], lake)
        direct = DirectWay(lake, settings.ingest)
        parts.push_async_callback(direct.close)
        writer = Writer(OutboxWay(links[1]), direct, directory, settings.ingest, on_ready, metrics)
        tracing = open_tracing(settings, "gateway")
        if tracing is not None:
            parts.push_async_callback(asyncio.to_thread, tracing.close)  # when all that is traced has ended
        gateway = Gateway(writer, directory, tokens, settings.ingest, metrics, tracing)
        port = settings.ingest.metrics_port + slot
        # First, to answer for as long as streams finish.
        parts.enter_context(serving_metrics(metrics.registry, port, settings.ingest.metrics_host, rpc.is_ready))
        endpoint = TokenEndpoint(ClientDirectory(links[2]), tokens)
        await rpc.start(gateway)
        work = asyncio.create_task(_work(writer, settings), name="gateway-work")
        parts.push_async_callback(_end, work)  # after the streams have ended: it makes their records durable
        parts.push_async_callback(rpc.stop, gateway.ask_streams_to_close)
        await parts.enter_async_context(serving_tokens(endpoint.app(), settings.ingest, shared=lifeline is not None))
        yield work


def _collect_seldom() -> None:
    """Spare the records that pass through the search for cycles, of which they have none.

    With Python's own thresholds it runs once in 700 allocations, a dozen receipts, and looks at all that is queued.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


async def _work(writer: Writer, settings: Settings) -> None:
    """Write records and look after refused ones. What the desk was at when it is cancelled it does again later."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run(), name="ingest-writer")
        tasks.create_task(serve_desk(settings, asyncio.Event()), name="quarantine-desk")


async def _end(work: asyncio.Task[None]) -> None:
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
