"""No full card number of an imported file reaches a disk or a log, wherever in the file it stands."""

import logging
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import psycopg
import pytest

from configs.settings import Settings
from tests.fixtures.retail import make_receipt
from tests.ingest.adapters.poslog_writer import HEAD, TAIL, transaction
from tests.ingest.card_hunt import CARDS, assert_nowhere
from tests.ingest.test_importing import NEW_YORK, bring_in

_PLACE = re.compile(r'(?<=>)[^<>]+(?=</)|(?<==")[^"]+(?=")')  # the text of an element, the value of an attribute


def _spelled(card: str) -> Iterator[str]:
    yield from (separator.join(card[i : i + 4] for i in range(0, len(card), 4)) for separator in ("", " ", "-", "."))
    yield "".join(f"&#{ord(digit)};" for digit in card)
    yield "".join(chr(ord(digit) + 0xFEE0) for digit in card)


def _transactions() -> Iterator[str]:
    """Yield a transaction for each of its places, with a card number there, and some with it beside all of them."""
    whole = transaction(make_receipt(operator_id="17"), NEW_YORK)
    places = [match.span() for match in _PLACE.finditer(whole)]
    assert len(places) > 20
    for (start, end), card in product(places, CARDS[:6]):
        yield from (whole[:start] + one + whole[end:] for one in _spelled(card))
    for one in _spelled(CARDS[3]):
        yield whole.replace("<RetailTransaction>", f"<Note>{one}</Note><RetailTransaction>")
        yield whole.replace("<RetailTransaction>", f"<!-- {one} --><RetailTransaction>")
        yield whole.replace("<RetailTransaction>", f'<RetailTransaction Note="{one}">')


async def test_no_card_number_of_a_poslog_is_stored_or_logged(
    gateway: str, open_shop: Settings, owner: psycopg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "log.xml"
    all_of_them = list(_transactions())
    path.write_text(f"{HEAD}{''.join(all_of_them)}{TAIL}")
    report = await bring_in(open_shop, path)
    assert (report.records, report.broken) == (len(all_of_them), None)
    assert report.refused > len(all_of_them) // 2
    await assert_nowhere(open_shop, owner, caplog)


@pytest.mark.parametrize("end", ["<{}", "<Transaction>{}", "<Transaction a={}>", "&{};", "<a{0}></b{0}>", '<a {}="1">'])
async def test_why_a_file_is_broken_repeats_no_card_number(
    gateway: str,
    open_shop: Settings,
    owner: psycopg.Connection,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    end: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "log.xml"
    path.write_text(f"{HEAD}{transaction(make_receipt(), NEW_YORK)}{end.format(CARDS[3])}")
    report = await bring_in(open_shop, path)
    assert report.broken
    assert CARDS[3] not in report.broken
    await assert_nowhere(open_shop, owner, caplog)
