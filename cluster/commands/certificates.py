"""The command that makes the gateway's certificate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from configs.settings import PREFIX, load_settings


def register(app: typer.Typer) -> None:
    """Add this family's command."""
    app.command()(certificates)


def certificates(
    host: Annotated[
        list[str] | None, typer.Option(help="A name or address that tills reach the gateway by; repeatable.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=825, help="How long the gateway's certificate is valid.")] = 397,
    out: Annotated[Path | None, typer.Option(help="The folder to write to; else state_dir/certificates.")] = None,
) -> None:
    """Make an authority and the gateway's certificate, or renew it; safe to repeat.

    Without hosts: localhost, 127.0.0.1 and ::1. A running gateway takes a renewed certificate without a restart.
    """
    from cluster.certificates import ensure_certificates

    folder = (out or load_settings().state_dir / "certificates").absolute()
    made = ensure_certificates(folder, host or ["localhost", "127.0.0.1", "::1"], days)
    sys.stdout.write(
        f"{'made' if made.made else 'still good'}: {made.certificate}, valid until {made.expires_at:%Y-%m-%d}\n\n"
        "Settings of the gateway:\n"
        f"  {PREFIX}INGEST__TLS_CERTIFICATE={made.certificate}\n"
        f"  {PREFIX}INGEST__TLS_KEY={made.key}\n\n"
        "Environment of the tills (a till that also calls other servers: append it to its own bundle):\n"
        f"  SSL_CERT_FILE={made.authority}\n\n"
        f"Keep {folder / 'ca.key'} away from the gateway's machine: who has it can pretend to be the gateway.\n"
    )
