"""Named SQL blocks read from the .sql file that stands beside a Python module."""

from __future__ import annotations

import re
from importlib import resources
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)\s*$", re.MULTILINE)
# Quoted text stays as it is; what is not quoted loses its comments and line breaks.
_QUOTED = r"(?P<quoted>'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
_COMMENT = re.compile(rf"{_QUOTED}|--[^\n]*", re.DOTALL)
_SPACES = re.compile(rf"{_QUOTED}|\s+", re.DOTALL)
_SEMICOLON = re.compile(rf"{_QUOTED}|;", re.DOTALL)


class SqlFileError(Exception):
    """A .sql file breaks the house's rules; says which block and how."""


class SqlBlocks(dict[str, LiteralString]):
    """The blocks of one file by name; a misspelt name says which ones there are."""

    def __missing__(self, name: str) -> LiteralString:
        raise SqlFileError(f"no SQL block {name!r}; there are: {', '.join(sorted(self))}")


def load_sql(package: str, name: str) -> SqlBlocks:
    """Return the blocks of `<package>/<name>.sql`, each prefixed `/* name.block */` for slow-query logs.

    A block starts with `-- name: find_receipt` and ends with a semicolon. Comments are stripped, because a
    percent sign in one breaks psycopg's placeholders. Raises SqlFileError on a duplicate or unfinished block and
    on one that holds two statements, as a block with a misspelt `-- name:` line after it would.
    """
    text = resources.files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return parse_sql(text, name)


def parse_sql(text: str, name: str) -> SqlBlocks:
    """Split the text of a .sql file into its blocks; see `load_sql`."""
    blocks = SqlBlocks()
    starts = list(_NAME.finditer(text))
    if not starts:
        raise SqlFileError(f"{name}.sql has no '-- name:' block")
    for i, start in enumerate(starts):
        end = starts[i + 1].start() if i + 1 < len(starts) else len(text)
        block = start["name"]
        body = _COMMENT.sub(lambda found: found["quoted"] or "", text[start.end() : end])
        body = _SPACES.sub(lambda found: found["quoted"] or " ", body).strip()
        if block in blocks:
            raise SqlFileError(f"{name}.sql has two blocks named {block}")
        if not body.endswith(";"):
            raise SqlFileError(f"{name}.sql: the block {block} does not end with a semicolon")
        if sum(found["quoted"] is None for found in _SEMICOLON.finditer(body)) > 1:
            raise SqlFileError(f"{name}.sql: the block {block} holds more than one statement")
        # Text of our own files, never of users: safe to treat as literal.
        blocks[block] = cast("LiteralString", f"/* {name}.{block} */ {body[:-1]}")
    return blocks
