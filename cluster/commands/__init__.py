"""The `receipts` command: one module per family of commands, each imported only when it is used."""

from __future__ import annotations

import importlib
import sys

import typer

from configs.settings import SettingsError
from receipts.errors import ReceiptsError

# Order is the order of `receipts --help`. Heavy libraries are imported inside the commands, never by these modules.
_FAMILIES = (
    "platform", "demo", "principals", "ingest", "tills", "certificates", "stream", "quarantine", "sources", "imports",
    "pipeline", "lake", "replicas", "lineage", "audit", "serving", "portal", "mailer", "monitor", "load", "drill",
    "bench", "evaluation",
)  # fmt: skip

app = typer.Typer(
    name="receipts",
    help="Receipt lookup for retail customer service: run it, feed it, refine it, search it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; an expected failure is one sentence on stderr and exit status 1."""
    for family in _FAMILIES:
        importlib.import_module(f"cluster.commands.{family}").register(app)
    try:
        app()
    except (ReceiptsError, SettingsError) as error:
        sys.stderr.write(f"receipts: {error}\n")
        raise SystemExit(1) from None
