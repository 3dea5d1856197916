"""How commands print for machines, and where their processes log."""

from __future__ import annotations

import logging
import sys

import orjson


def print_json(value: object) -> None:
    """Print a value as indented JSON on standard output."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def log_to_stderr(level: str) -> None:
    """Send this process' log to standard error, one line an event."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
