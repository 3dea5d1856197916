"""Records of one till are read without holding up the others."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from configs.settings import Settings
from ingest.access import ANYONE
from ingest.intake import Intake
from ingest.link import Link
from ingest.store_directory import StoreDirectory
from receipts.lake import lake_of
from tests.fixtures.retail import MILK, make_receipt


@asynccontextmanager
async def _intake(settings: Settings) -> AsyncIterator[Intake]:
    """An intake whose stores have been read, so that nothing but a record is left to read."""
    link = Link(settings)
    directory = StoreDirectory(link, lake_of(settings))
    await directory.covering(set())
    try:
        yield Intake("bronze.receipts", "test", lambda record: record, directory, 1_048_576, ANYONE)
    finally:
        await link.close()


@pytest.mark.parametrize(
    "text", ["4 " * 200_000, "4111-1111-" * 40_000, "\\u0034" * 60_000], ids=["blanks", "dashes", "escapes"]
)
async def test_while_a_large_record_is_read_everybody_else_gets_a_turn(open_shop: Settings, text: str) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    description = json.dumps(MILK["description"])
    payload = make_receipt().canonical().replace(description, f'"{text}"', 1).encode()
    assert len(payload) > 100_000
    async with _intake(open_shop) as intake:
        other = asyncio.create_task(others())
        (record,) = await intake.validate([payload])
        other.cancel()
    assert record.bronze.refusal is not None
    assert turns > 20  # read in between all of it would be a handful


async def test_a_record_of_very_many_wrong_lines_is_refused_for_the_first_of_them(open_shop: Settings) -> None:
    document = {**json.loads(make_receipt().canonical()), "lines": [{"x": 1}] * 100_000}
    async with _intake(open_shop) as intake:
        (record,) = await intake.validate([json.dumps(document).encode()])
    assert record.bronze.refusal is not None
    assert record.bronze.refusal.startswith("lines.0.")
