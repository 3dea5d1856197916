"""Searches for what nobody sane types: a clear refusal or an honest answer, never a failure."""

from __future__ import annotations

import pytest

from serve_apps import fuzzy, semantic
from tests.fixtures.searching import TODAY
from tests.fixtures.serving import running

SENTENCES = {
    "nothing": "",
    "spaces": " " * 400,
    "ten thousand letters": "a" * 10_000,
    "five hundred letters": "a" * 500,
    "emoji": "🧀🧀 last tuesday 🤷",
    "only emoji": "🧀" * 100,
    "SQL": "'; DROP TABLE retail.receipts; -- milk",
    "tsquery": "milk & ! | ( :* <->",
    "regex bomb": "(a+)+$ " + "a" * 60 + "!",
    "nested counts": "between 1 and " * 30,
    "spelt numbers": "twenty hundred " * 30,
    "commas and digits": "1," * 240,
    "right to left": "גבינה \u202eאתמול milk",
    "control characters": "milk\x00\x01\x1b[31m\x1f\x7f",
    "a lone surrogate's place": "milk \ufffd\ufffe",
    "combining marks": "m" + "\u0301" * 400,
    "a day that never is": "milk on February 30",
    "a day of another age": "milk on 2/29/1900",
    "a negative amount": "milk for -$5",
    "an amount without end": "milk for $" + "9" * 300,
    "a percent": "100%",
    "a template": "${7*7} {{7*7}} <script>alert(1)</script> milk",
    "format": "%s %(name)s {0} milk",
    "a path": "../../etc/passwd",
    "a long receipt id": "9" * 400,
}
FIELDS = [
    {"store": "\u0000"},
    {"store": "🏪" * 50},
    {"customer_name": "'" * 100},
    {"customer_name": "%_\\"},
    {"customer_name": "\u202e" * 50},
    {"customer_email": "a" * 199},
    {"customer_phone": "()" * 15},
    {"date_from": "2026-02-30"},
    {"date_from": "0000-00-00"},
    {"date_from": "2026-11-20", "date_to": "2026-11-19"},
    {"amount_cents": -(10**11)},
    {"amount_cents": 10**30},
    {"amount_cents": "12.50"},
    {"amount_min_cents": 5, "amount_max_cents": 1},
    {"card_last4": "١٢٣٤"},
    {"items": ["\u0000"]},
    {"items": ["!"]},
    {"items": ["milk & !"]},
    {"items": [""]},
    {"items": ["a"] * 9},
    {"tender": "cash' OR 1=1"},
    {"date_tolerance_days": -1},
    {"limit": 10**9},
]


@pytest.mark.parametrize("text", SENTENCES.values(), ids=SENTENCES)
async def test_any_sentence_is_answered_or_refused_in_words(shelf, sign_ins, text):
    async with running(semantic.build_app(shelf.settings), "/search") as client:
        question = {"text": text, "today": TODAY.isoformat()}
        answer = await client.post("/", json=question, headers=sign_ins.headers("rep.east"))
    assert answer.status_code in {200, 422}, answer.text
    body = answer.json()
    if answer.status_code == 422:
        assert body["detail"]
        assert body["field"] == "text"
    else:
        assert all(0 <= part["span"][0] < part["span"][1] <= len(text) for part in body["understood"])


@pytest.mark.parametrize("question", FIELDS, ids=str)
async def test_any_field_is_answered_or_refused_by_name(shelf, sign_ins, question):
    async with running(fuzzy.build_app(shelf.settings), "/search/fuzzy") as client:
        answer = await client.post("/", json=question, headers=sign_ins.headers("rep.east"))
    assert answer.status_code in {200, 422}, answer.text
    if answer.status_code == 422:
        assert answer.json()["detail"]
