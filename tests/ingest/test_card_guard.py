"""No full card number reaches a disk or a log, wherever in a record it stands and however it is written.

PCI DSS 3.4. What is deliberately left alone is stated by the tests at the end.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator
from itertools import count, product
from typing import Any

import grpc
import psycopg
import pytest

from configs.settings import Settings
from ingest.generated import wire_pb2
from receipts.card_numbers import DESTROYED
from tests.fixtures.retail import MILK, make_customer, make_receipt, make_store
from tests.ingest.card_hunt import CARDS, assert_nowhere
from tests.ingest.protobuf_writer import describe, encode, message_class
from tests.ingest.till_double import (
    CUSTOMERS,
    STORES,
    batch,
    connected,
    open_stream,
    record,
    streaming,
)
from tests.receipts.test_card_numbers import luhn_digit

GROUPINGS = ("", " ", "-", ".")
_HERE = "@card@"  # where the card number goes
_IN_BATCH = 50  # records


def _grouped(card: str, separator: str) -> str:
    return separator.join(card[i : i + 4] for i in range(0, len(card), 4))


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in text)


def _wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in text)


ENCODINGS = (lambda text: text, _escaped, _wide, lambda text: _escaped(_wide(text)))


def _receipt(**changes: Any) -> dict[str, Any]:
    whole = json.loads(make_receipt().canonical())
    del whole["receipt_id"]
    return whole | {"operator_id": "17"} | changes


def _line(**changes: Any) -> dict[str, Any]:
    return _receipt(lines=[dict(MILK) | changes, *_receipt()["lines"][1:]])


def _tender(**changes: Any) -> dict[str, Any]:
    return _receipt(tenders=[_receipt()["tenders"][0] | changes])


_TEXTS_OF_RECEIPTS = (
    "receipt_id",
    "receipt_type",
    "business_date",
    "purchased_at",
    "operator_id",
    "customer_id",
    "currency",
    "original_receipt_id",
)
_TEXTS_OF_LINES = ("sku", "description", "department", "category", "unit")
_TEXTS_OF_TENDERS = ("tender_type", "card_brand", "card_last4")
_NUMBERS = ("store_id", "register_id", "sequence_number", "subtotal_cents", "tax_cents", "total_cents", "note")
_NUMBERS_OF_LINES = ("line_number", "quantity", "unit_price_cents", "amount_cents", "note")


def _texts() -> Iterator[dict[str, Any]]:
    """Yield receipts with a place for a card number in each text, in unknown fields and in names of fields."""
    yield from (_receipt(**{name: _HERE}) for name in _TEXTS_OF_RECEIPTS)
    yield from (_line(**{name: _HERE}) for name in _TEXTS_OF_LINES)
    yield from (_tender(**{name: _HERE}) for name in _TEXTS_OF_TENDERS)
    yield from (_receipt(note=note) for note in (_HERE, f"card {_HERE}, 12/28", [{"deep": [_HERE]}], {_HERE: 1}))
    yield from (_receipt(**{_HERE: "x"}), _line(**{_HERE: 1}), _line(note={"pan": _HERE}))
    yield _line(description=f"PAID {_HERE} THANKS")
    yield _receipt(store_id=_HERE)  # text where a number belongs


def _numbers() -> Iterator[dict[str, Any]]:
    yield from (_receipt(**{name: _HERE}) for name in _NUMBERS)
    yield from (_line(**{name: _HERE}) for name in _NUMBERS_OF_LINES)
    yield _tender(amount_cents=_HERE)


def _documents(texts: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield each record with each card number in each spelling."""
    ways = [encoding(_grouped(card, separator)) for card, separator, encoding in product(CARDS, GROUPINGS, ENCODINGS)]
    for text in map(json.dumps, texts):
        yield from (text.replace(_HERE, way) for way in ways)


def _numeric_documents() -> Iterator[str]:
    for text, card in product(map(json.dumps, _numbers()), CARDS):
        spellings = (card, f"-{card}", f"{card}.0", f"{card[0]}.{card[1:]}e{len(card) - 1}")
        yield from (text.replace(f'"{_HERE}"', spelling) for spelling in spellings)


def _told_apart(documents: Iterable[str]) -> list[str]:
    """Give each record a number of its own, since the same refused text is held once."""
    return [f'{{"n":"no. {n}",{document[1:]}' for n, document in enumerate(documents)]


def _kinds(owner: psycopg.Connection) -> dict[str, int]:
    return dict(owner.execute("SELECT kind, count(*) FROM ingest.quarantine GROUP BY kind").fetchall())


async def test_no_card_number_of_any_receipt_is_stored_or_logged(
    gateway: str, open_shop: Settings, owner: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    documents = _told_apart([*_documents(_texts()), *_numeric_documents()])
    async with streaming(gateway) as till:
        for offset, first in enumerate(range(0, len(documents), _IN_BATCH)):
            await till.say(batch(offset, documents[first : first + _IN_BATCH]))
        await till.hear_ack((len(documents) - 1) // _IN_BATCH)
        assert (await till.end())[0] is grpc.StatusCode.OK
    assert _kinds(owner) == {"card_number": len(documents)}
    destroyed = "SELECT count(*) FROM ingest.quarantine WHERE strpos(payload, %s) > 0"
    assert owner.execute(destroyed, [DESTROYED]).fetchone() == (len(documents),)
    assert owner.execute("SELECT count(*) FROM retail.receipts").fetchone() == (0,)
    await assert_nowhere(open_shop, owner, caplog)


async def test_a_receipt_that_is_right_but_for_a_card_number_is_refused_by_the_name_of_the_field(
    gateway: str, open_shop: Settings, owner: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    card, wide = "4111111111111111", _wide("4111111111111111")
    fields = {
        "operator_id": _receipt(operator_id=f"no. {card}"),
        "customer_id": _receipt(customer_id=_grouped(card, "-")),
        "lines.0.sku": _line(sku=_grouped(card, ".")),
        "lines.0.description": _line(description=f"GIFT {wide}"),
        "lines.0.department": _line(department=_grouped(card, " ")),
        "lines.0.category": _line(category=card),
        "tenders.0.card_brand": _tender(card_brand=f"visa {card}"),
    }
    async with streaming(gateway) as till:
        await till.say(*(record(n, json.dumps(whole)) for n, whole in enumerate(fields.values())))
        await till.hear_ack(len(fields) - 1)
    refused = owner.execute("SELECT kind, reason FROM ingest.quarantine").fetchall()
    sentence = "holds a full card number, which is never accepted."
    assert sorted(refused) == sorted(("card_number", f"{field}: {sentence}") for field in fields)
    await assert_nowhere(open_shop, owner, caplog)


@pytest.mark.parametrize(
    ("table", "whole"),
    [(STORES, make_store(store_id=12)), (CUSTOMERS, make_customer(customer_id="C0000012"))],
    ids=["stores", "customers"],
)
async def test_no_card_number_in_a_text_of_a_store_or_customer_is_stored_or_logged(
    gateway: str, open_shop: Settings, owner: psycopg.Connection, caplog: pytest.LogCaptureFixture, table: str, whole
) -> None:
    caplog.set_level(logging.DEBUG)
    fields = whole.model_dump(mode="json")
    places = [fields | {name: _HERE} for name, value in fields.items() if isinstance(value, str)]
    places += [fields | {"aliases": ["A", _HERE]}, fields | {_HERE: {_HERE: _HERE}}]
    documents = list(_documents(places))
    async with streaming(gateway, table) as till:
        await till.say(
            *(batch(n, [one]) for n, one in enumerate(_told_apart(documents))), batch(len(documents), documents)
        )
        await till.hear_ack(len(documents))
    assert set(_kinds(owner)) == {"card_number"}
    assert owner.execute("SELECT count(*) FROM retail.stores").fetchone() == (1,)
    assert owner.execute("SELECT count(*) FROM retail.customers").fetchone() == (0,)
    await assert_nowhere(open_shop, owner, caplog)


async def test_no_card_number_of_a_protobuf_record_is_stored_or_logged(
    gateway: str, open_shop: Settings, owner: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    example = _receipt(n="", note="", receipt_id="", original_receipt_id="", loyalty=1, ratio=1.0)
    descriptor = describe("TillReceipt", example, "acme.pos")
    kind = message_class(descriptor, "acme.pos")
    texts = [name for name, value in example.items() if isinstance(value, str) and name != "n"]
    wholes = [_receipt(**{name: _HERE}) for name in texts]
    wholes += [_line(**{name: _HERE}) for name in _TEXTS_OF_LINES]
    wholes += [_tender(**{name: _HERE}) for name in _TEXTS_OF_TENDERS]
    spelled = [
        json.loads(json.dumps(whole).replace(_HERE, encoding(_grouped(card, separator))))
        for whole, card, separator, encoding in product(wholes, CARDS, GROUPINGS, ENCODINGS[::2])
    ]
    spelled += [_receipt(**{name: int(card)}) for name in ("loyalty", "total_cents") for card in CARDS[:-1]]
    spelled += [_receipt(ratio=float(card)) for card in CARDS if len(card) < 16]
    payloads = [encode(kind, whole | {"n": f"no. {n}"}) for n, whole in enumerate(spelled)]
    async with connected(gateway) as till:
        await till.say(
            open_stream(record_format=wire_pb2.PROTO, descriptor_proto=descriptor.SerializeToString()),
            wire_pb2.FromTill(record=wire_pb2.OneRecord(offset=0, proto=payloads[0])),
            wire_pb2.FromTill(batch=wire_pb2.RecordBatch(offset=1, proto=wire_pb2.Payloads(records=payloads[1:]))),
        )
        assert (await till.hear()).opened.stream_id
        await till.hear_ack(1)
    assert _kinds(owner) == {"card_number": len(payloads)}
    await assert_nowhere(open_shop, owner, caplog)


async def test_what_is_no_json_or_too_large_or_no_table_holds_no_card_number_either(
    gateway: str, open_shop: Settings, owner: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    most = open_shop.ingest.max_record_bytes
    card = "4111111111111111"
    whole = [
        card,
        f'"{card}"',
        f"[{_grouped(card, ' ')}",
        f"%B{card}^KOWALSKI/MARIA^2812101?",  # a magnetic stripe
        f";{card}=2812101123?",
        f'{{"{card}',
        b"\xff" + card.encode() + b"\xfe",
        card[:8].encode() + b"\xa0" + card[8:].encode(),  # the hard space of Latin-1
        b"\x00".join((card[:8].encode(), card[8:].encode())),
        json.dumps({"x" * 60 + f" {card}": 1}),  # the reason shortens long names
        json.dumps({"note": f"{card} " + "x" * most}),
    ]
    cut = [f"{'x' * (most - kept)}{card}" for kept in range(1, len(card))]  # what is held ends within the number
    async with streaming(gateway) as till:
        await till.say(*(record(n, payload) for n, payload in enumerate([*whole, *cut])))
        await till.hear_ack(len(whole) + len(cut) - 1)
    async with connected(gateway) as till:
        await till.say(open_stream(card))
        assert (await till.status())[0] is grpc.StatusCode.NOT_FOUND
    await assert_nowhere(open_shop, owner, caplog)
    assert set(_kinds(owner)) == {"card_number", "too_large"}
    held = "\n".join(row[0] + row[1] for row in owner.execute("SELECT payload, reason FROM ingest.quarantine"))
    assert not re.search(r"41{6}", held), "a part of the number that PCI DSS 3.5 forbids to keep is held"


# What is left alone ---------------------------------------------------------------------------------------------


def _gtin_that_passes_luhn(prefix: str, length: int) -> str:
    for number in count(0):
        body = f"{prefix}{number:0{length - 1 - len(prefix)}d}"
        check = -sum(int(c) * (1 if i % 2 else 3) for i, c in enumerate(reversed(body))) % 10  # GS1 7.9
        if luhn_digit(body) == str(check):
            return f"{body}{check}"
    raise AssertionError


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(_line(sku=_gtin_that_passes_luhn("4", 13)), id="a GTIN-13 as sku"),
        pytest.param(_line(sku=_gtin_that_passes_luhn("36", 14)), id="a GTIN-14 as sku"),
        pytest.param(_line(quantity=0.4111111111111111), id="a fraction"),
        pytest.param(_line(description=f"LOT 99{CARDS[3]}99 X"), id="digits within a longer number"),
        pytest.param(_line(description="IMEI 353879234252633"), id="a phone's number"),
        pytest.param(_line(description="NDEyMjIyMjIyMjIyMg=="), id="base64"),
        pytest.param(_line(description="4111x1111x1111x1111"), id="digits parted by letters"),
        pytest.param(_line(description="SERIAL 4111111111111112"), id="digits that fail the Luhn check"),
    ],
)
async def test_what_only_resembles_a_card_number_is_accepted(
    gateway: str, ingest: psycopg.Connection, whole: dict[str, Any]
) -> None:
    async with streaming(gateway) as till:
        await till.say(record(0, json.dumps(whole)))
        await till.hear_ack(0)
    assert ingest.execute("SELECT reason FROM ingest.quarantine").fetchall() == []
    assert ingest.execute("SELECT count(*) FROM retail.receipts").fetchone() == (1,)


async def test_a_product_code_is_left_alone_as_sku_only(gateway: str, ingest: psycopg.Connection) -> None:
    code = _gtin_that_passes_luhn("4", 13)
    async with streaming(gateway) as till:
        elsewhere = (_line(description=code), _line(sku=f"{code}-1"), _line(sku=CARDS[0]))
        await till.say(*(record(n, json.dumps(whole)) for n, whole in enumerate(elsewhere)))
        await till.hear_ack(2)
    assert ingest.execute("SELECT kind FROM ingest.quarantine").fetchall() == [("card_number",)] * 3
