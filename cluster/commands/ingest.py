"""Commands of the ingest family: run the gateway and the drainer."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from typing import Annotated

import typer

from cluster.commands import gateways, verifying
from configs.settings import load_settings
from receipts.logs import start_logs

_ingest = typer.Typer(help="The gateway for tills and the drainer to Bronze.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(_ingest, name="ingest")


gateways.add_to(_ingest)
verifying.add_to(_ingest)


@_ingest.command()
def gateway(
    slot: Annotated[int, typer.Option(min=0, max=127, help="Its number on this node.")] = 0,
    lifeline: Annotated[int | None, typer.Option(hidden=True, help="The fleet's socket, inherited.")] = None,
) -> None:
    """Take records from tills until SIGTERM: one gateway, by itself."""
    from ingest.lifeline import Lifeline
    from ingest.server import serve

    settings = load_settings()
    start_logs(settings, "gateway")
    asyncio.run(serve(settings, slot, None if lifeline is None else Lifeline(lifeline)))


@_ingest.command()
def drain(once: Annotated[bool, typer.Option(help="Drain what is there now and stop.")] = False) -> None:
    """Move the outbox into Bronze until SIGTERM."""
    from ingest.drainer import drain, drain_continuously
    from ingest.metrics import Metrics
    from receipts.metrics_server import serving_metrics

    settings = load_settings()
    start_logs(settings, "drainer")
    if once:
        sys.stdout.write(f"{drain(settings)} rows moved to Bronze\n")
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    metrics = Metrics()
    with serving_metrics(metrics.registry, settings.ingest.drainer_metrics_port, settings.ingest.metrics_host):
        drain_continuously(settings, stop, metrics)
