"""Commands of the portal family."""

from __future__ import annotations

from functools import partial

import typer


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("portal")(portal)


def portal() -> None:
    """Serve the portal until SIGTERM; what is being answered then is finished first."""
    # Imported here: Gradio takes seconds, and `receipts --help` must not.
    import uvicorn

    from configs.settings import load_settings
    from gradio_ui.asgi import build_app
    from receipts.logs import start_logs

    settings = load_settings()
    start_logs(settings, "portal")
    config = uvicorn.Config(
        partial(build_app, settings),
        factory=True,  # built in the server's event loop, which Gradio wants
        host=settings.portal.host,
        port=settings.portal.port,
        log_config=None,  # as every process of ours logs
        access_log=False,  # addresses of pages carry receipt numbers
        server_header=False,
        proxy_headers=False,  # a proxy in front is trusted by --forwarded-allow-ips only when someone sets it up
        timeout_keep_alive=75,  # longer than a proxy keeps its end, so that it never meets a closed connection
        timeout_graceful_shutdown=10,  # an answer takes milliseconds; what lasts longer is a heartbeat stream
    )
    server = uvicorn.Server(config)
    server.run()
    if not server.started:
        raise typer.Exit(1)  # uvicorn has said why
