"""Dirt on purpose: what real tills send wrong, at a rate, so that quarantine and corrections have work."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ingest.sources.mixing import fraction, pick
from ingest.sources.synthetic.history import CHUNK, chunk_receipts, chunks
from ingest.sources.synthetic.plan import Plan

_TEST_CARD = "4111 1111 1111 1111"  # the networks' published test number: nobody's card
_UNKNOWN_STORE = 99_999
Document = dict[str, Any]


def soiled_receipts(plan: Plan, rate: float, kinds: Counter[str]) -> Iterator[str]:
    """Yield the plan's receipts, a share `rate` of them spoilt; counts what was done in `kinds`.

    A duplicate and a correction come right after their original and are further records. The same plan and rate
    give the same bytes.
    """
    for chunk in chunks(plan):
        texts = chunk_receipts(plan, chunk)
        numbers = chunk * CHUNK + np.arange(len(texts))
        spoilt = fraction(numbers, plan.seed, "dirt") < rate
        ways = pick(len(DIRT), numbers, plan.seed, "way").tolist()
        names = list(DIRT)
        for text, dirty, way in zip(texts, spoilt.tolist(), ways, strict=True):
            if not dirty:
                yield text
                continue
            kinds[names[way]] += 1
            yield from DIRT[names[way]](text)


def _malformed(text: str) -> list[str]:
    return [text[: len(text) * 3 // 5]]


def _wrong_total(text: str) -> list[str]:
    return [_changed(text, lambda receipt: {"total_cents": receipt["total_cents"] + 100})]


def _unknown_store(text: str) -> list[str]:
    return [_changed(text, lambda _: {"store_id": _UNKNOWN_STORE, "receipt_id": ""})]


def _unknown_field(text: str) -> list[str]:
    return [_changed(text, lambda _: {"till_software": "7.4.1"})]


def _card_number(text: str) -> list[str]:
    return [_changed(text, lambda _: {"operator_id": f"KEYED {_TEST_CARD}"})]


def _duplicate(text: str) -> list[str]:
    return [text, text]


def _correction(text: str) -> list[str]:
    """Send the receipt again as the supervisor who put it right: same key, other payload."""
    return [text, _changed(text, lambda _: {"operator_id": "OP001"})]


DIRT: Mapping[str, Callable[[str], list[str]]] = {
    "malformed": _malformed,
    "wrong_total": _wrong_total,
    "unknown_store": _unknown_store,
    "unknown_field": _unknown_field,
    "card_number": _card_number,
    "duplicate": _duplicate,
    "correction": _correction,
}


def _changed(text: str, change: Callable[[Document], Document]) -> str:
    receipt: Document = json.loads(text)
    return json.dumps({**receipt, **change(receipt)}, separators=(",", ":"), ensure_ascii=False)
