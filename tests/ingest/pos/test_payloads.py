"""What a till puts on its disk: records within limits, and never a card number."""

import json

import pytest

from ingest.pos.payloads import as_payload, without_card_numbers
from ingest.validation import Origin, parse
from receipts import bronze
from receipts.errors import InvalidInput
from receipts.models import Receipt
from tests.fixtures.retail import MILK, make_receipt

CARD = "4111 1111 1111 1111"
PLAIN = CARD.replace(" ", "")


def with_line(**fields: object) -> str:
    record = json.loads(make_receipt().canonical())
    record["lines"][0] |= fields
    return json.dumps(record)


@pytest.mark.parametrize(
    "text",
    [
        with_line(description=f"GIFT {CARD}"),
        with_line(sku=PLAIN),
        with_line(line_number=int(PLAIN)),
        with_line(**{CARD: 1}),
        with_line(description="GIFT 4111").replace("4111", "".join(f"\\u00{ord(digit):x}" for digit in PLAIN)),
        f"card={CARD}, and no JSON",
    ],
)
def test_a_card_number_is_destroyed_and_the_gateway_refuses_the_rest(text: str) -> None:
    spooled = without_card_numbers(text)
    assert "1111" not in spooled
    assert "1111" not in json.dumps(spooled).encode().decode("unicode_escape")
    origin = Origin(bronze.RECEIPTS.name, "test", make_receipt().purchased_at)
    with pytest.raises(ValueError, match="validation error"):
        Receipt.model_validate_json(spooled)
    assert parse(spooled.encode(), origin, 100_000).bronze.refusal


def test_a_card_number_behind_a_key_that_comes_twice_is_destroyed_too() -> None:
    twice = f'"operator_id":"{CARD}","operator_id":"7","lines"'
    assert "1111" not in without_card_numbers(make_receipt().canonical().replace('"lines"', twice))


@pytest.mark.parametrize(
    "text",
    [
        make_receipt().canonical(),
        make_receipt(lines=[{**MILK, "sku": "36000000000081"}]).canonical(),
        make_receipt(lines=[{**MILK, "sku": "4000000000006"}]).canonical(),
        "{}",
        "no JSON",
    ],
)
def test_what_the_gateway_accepts_is_stored_as_it_came(text: str) -> None:
    assert without_card_numbers(text) == text


def test_the_products_above_would_pass_for_cards_elsewhere() -> None:
    assert "36000000000081" not in without_card_numbers(with_line(description="36000000000081"))


@pytest.mark.parametrize(("text", "problem"), [(" ", "number 3 is empty"), ("x" * 10_420_225, "has 10420225 bytes")])
def test_a_record_that_cannot_be_sent_is_not_taken(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        as_payload(text, 3)
