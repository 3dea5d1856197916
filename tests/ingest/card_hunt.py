"""Looks for full card numbers wherever a gateway could have left one."""

import asyncio
import logging
import re
import urllib.request
from collections.abc import Iterable, Iterator

import psycopg
import pytest
from psycopg import sql

from configs.settings import Settings
from ingest.drainer import drain
from receipts.bronze import TABLES
from receipts.lake import lake_of
from tests.receipts.test_card_numbers import luhn_digit

# Every length from 13 to 19; what the networks publish for testing, and two made up for the lengths they leave out.
CARDS = (
    "4222222222222",
    "30569309025904",
    "378282246310005",
    "4111111111111111",
    "5555555555554444",
    "2223003122003222",
    "3530111333300000",
    "6200000000000005",
    f"5018717204410318{luhn_digit('5018717204410318')}",
    f"63041234567890123{luhn_digit('63041234567890123')}",
    "6304000000000000018",
)


def _digits(text: str) -> str:
    """Return the digits of a text in order, whatever their script, their escapes and what stands between them."""
    plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    digits = re.sub(r"\D+", "", plain)
    return digits if digits.isascii() else "".join(str(int(digit)) for digit in digits)


def _found(text: str) -> str | None:
    digits = _digits(text)
    return text if any(card in digits for card in CARDS) else None


def _database(owner: psycopg.Connection) -> Iterator[str]:
    """Yield every value of every table, save digests."""
    tables = owner.execute(
        "SELECT table_schema, table_name, array_agg(column_name::text ORDER BY ordinal_position) "
        "FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) "
        "WHERE table_schema IN ('ingest', 'retail') AND table_type = 'BASE TABLE' AND data_type <> 'bytea' "
        "GROUP BY table_schema, table_name"
    ).fetchall()
    assert ("ingest", "quarantine") in {(schema, table) for schema, table, _ in tables}
    for schema, table, columns in tables:
        values = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns)
        query = sql.SQL("SELECT {} FROM {}").format(values, sql.Identifier(schema, table))
        for row in owner.execute(query):
            yield from (value for value in row if value is not None)


def _bronze(settings: Settings) -> Iterator[str]:
    """Yield every value of every table, and the lines of their logs."""
    lake = lake_of(settings)
    tables = [lake.open(table.name).to_pyarrow_table() for table in TABLES if lake.exists(table.name)]
    assert sum(len(table) for table in tables) > 1  # more than the store's record
    for table in tables:
        yield from (str(value) for row in table.to_pylist() for value in row.values())
    for log in settings.state_dir.rglob("_delta_log/*.json"):
        yield from log.read_text().splitlines()


def _logged(records: Iterable[logging.LogRecord]) -> Iterator[str]:
    for one in records:
        yield from (one.getMessage(), str(one.msg), str(one.args), str(one.exc_info and one.exc_info[1]))


def _scraped(settings: Settings) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.ingest.metrics_port}/metrics", timeout=20) as answer:
        return answer.read().decode()


async def assert_nowhere(settings: Settings, owner: psycopg.Connection, caplog: pytest.LogCaptureFixture) -> None:
    """Drain, then look through Postgres, Bronze, the log and the metrics."""
    await asyncio.to_thread(drain, settings)
    scraped = await asyncio.to_thread(_scraped, settings)
    for name, texts in (
        ("Postgres", _database(owner)),
        ("Bronze", _bronze(settings)),
        ("the log", _logged(caplog.records)),
        ("the metrics", scraped.splitlines()),
    ):
        found = next(filter(None, map(_found, texts)), None)
        assert found is None, f"{name} holds a card number: {found}"
