"""Commands of the monitor family."""

from __future__ import annotations

import signal
import threading

import typer


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("monitor")(monitor)


def monitor() -> None:
    """Look at all parts of the platform every few seconds and serve what is seen to Prometheus, until SIGTERM."""
    from cluster.monitor import watch_over
    from configs.settings import load_settings
    from receipts.logs import start_logs

    settings = load_settings()
    start_logs(settings, "monitor")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    watch_over(settings, stop)
