"""How commands print for machines."""

from __future__ import annotations

import sys

import orjson


def print_json(value: object) -> None:
    """Print a value as indented JSON on standard output."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
