"""Receipts spoilt on purpose."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date

import pytest
from pydantic import ValidationError

from ingest.sources.synthetic.dirt import DIRT, soiled_receipts
from ingest.sources.synthetic.history import history_receipts
from ingest.sources.synthetic.plan import Plan, make_plan
from receipts.card_numbers import contains_card_number
from receipts.models import Receipt


@pytest.fixture(scope="module")
def plan() -> Plan:
    days = {"start": date(2026, 1, 1), "end": date(2026, 1, 31)}
    return make_plan(receipts=2_000, seed=3, stores=5, customers=50, **days)


def test_no_dirt_is_no_change(plan):
    kinds: Counter[str] = Counter()
    assert list(soiled_receipts(plan, 0.0, kinds)) == list(history_receipts(plan))
    assert not kinds


def test_every_kind_comes_at_its_rate_and_two_runs_give_the_same_bytes(plan):
    first, second = Counter(), Counter()
    once = list(soiled_receipts(plan, 0.1, first))
    assert once == list(soiled_receipts(plan, 0.1, second))
    assert first == second
    assert set(first) == set(DIRT)
    assert 150 < first.total() < 250
    assert len(once) == 2_000 + first["duplicate"] + first["correction"]


def test_clean_receipts_among_the_dirt_are_untouched(plan):
    clean = set(history_receipts(plan))
    kinds: Counter[str] = Counter()
    kept = {text for text in soiled_receipts(plan, 0.1, kinds) if text in clean}
    assert len(kept) == 2_000 - kinds.total() + kinds["duplicate"] + kinds["correction"]


@pytest.mark.parametrize("kind", ["malformed", "wrong_total", "unknown_field"])
def test_a_spoilt_receipt_is_no_receipt(plan, kind):
    original = next(iter(history_receipts(plan)))
    (spoilt,) = DIRT[kind](original)
    with pytest.raises(ValidationError):
        Receipt.model_validate_json(spoilt)


def test_a_card_number_in_text_is_one_that_the_gateway_looks_for(plan):
    (spoilt,) = DIRT["card_number"](next(iter(history_receipts(plan))))
    assert contains_card_number(spoilt)


def test_an_unknown_store_is_a_valid_receipt_of_no_shop(plan):
    (spoilt,) = DIRT["unknown_store"](next(iter(history_receipts(plan))))
    assert Receipt.model_validate_json(spoilt).store_id == 99_999


def test_a_correction_is_another_valid_payload_under_the_same_key(plan):
    original, corrected = DIRT["correction"](next(iter(history_receipts(plan))))
    first, second = Receipt.model_validate_json(original), Receipt.model_validate_json(corrected)
    assert first.receipt_id == second.receipt_id
    assert first.canonical() != second.canonical()
    assert json.loads(corrected)["operator_id"] == "OP001"
