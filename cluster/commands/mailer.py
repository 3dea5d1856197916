"""Commands of the mail family."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("mailer")(mailer)


def mailer() -> None:
    """Mail the receipts that are due until SIGTERM; a message that is being handed over then is finished first."""
    # Imported here: what makes PDFs takes a moment, and `receipts --help` must not.
    import asyncio
    import signal

    from configs.settings import SettingsError, load_settings
    from receipts.logs import start_logs
    from receipts.metrics_server import serving_metrics
    from serve_apps.mailing.mailer import Mailer
    from serve_apps.mailing.metrics import Metrics
    from serve_apps.mailing.outlets import outlet_of

    settings = load_settings()
    outlet = outlet_of(settings)
    if outlet is None:
        raise SettingsError("RECEIPTS_MAIL__HOST is not set: there is no mail server to hand receipts to.")
    start_logs(settings, "mailer")
    metrics = Metrics()
    made = Mailer(settings, outlet, metrics)

    async def send() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await made.run(stop)

    mail = settings.mail
    with serving_metrics(metrics.registry, mail.metrics_port, mail.metrics_host, made.is_ready):
        asyncio.run(send())
