"""Search by a sentence, with the real model over the real database."""

from __future__ import annotations

import logging

import psycopg
import pytest

from serve_apps.semantic import build_app
from tests.fixtures.searching import TODAY
from tests.fixtures.serving import running


@pytest.fixture
async def search(shelf, sign_ins):
    """Ask a sentence as a principal; returns the body."""
    async with running(build_app(shelf.settings), "/search") as client:

        async def ask(text, who="rep.east", expect=200, **more):
            question = {"text": text, "today": TODAY.isoformat(), **more}
            response = await client.post("/", json=question, headers=sign_ins.headers(who))
            assert response.status_code in ((200, 422) if expect is None else (expect,)), response.text
            return response.json()

        yield ask


async def test_fancy_cheese_finds_every_fine_cheese_first(search, shelf):
    answer = await search("fancy cheese")
    assert set(shelf.names(answer)[:2]) == {"cheeses", "more cheeses"}
    lines = {line["description"] for hit in answer["hits"][:2] for line in hit["highlights"]}
    assert lines == {"ROQUEFORT SOCIETE WEDGE", "BRIE PRESIDENT", "Gruyère Reserve", "MANCHEGO 6 MONTH"}
    reason = answer["hits"][0]["matched_on"][0]
    assert reason["field"] == "product"
    assert reason["kind"] == "approximate"
    assert "≈ similar to “fancy cheese”" in reason["reason"]


async def test_chicken_from_a_store_last_tuesday_finds_the_receipt(search, shelf):
    answer = await search("chicken from East Liberty last Tuesday")
    assert shelf.names(answer) == ["chicken"]
    kinds = {match["field"]: match["kind"] for match in answer["hits"][0]["matched_on"]}
    assert kinds == {"store": "exact", "date": "exact", "product": "exact"}
    assert [line["description"] for line in answer["hits"][0]["highlights"]] == ["CHIX: ROTISSERIE (HOT)"]
    assert [(part["kind"], part["value"]) for part in answer["understood"]] == [
        ("product", "chicken"),
        ("store", "East Liberty"),
        ("date", "2026-11-17"),
    ]
    text = "chicken from East Liberty last Tuesday"
    assert [text[slice(*part["span"])] for part in answer["understood"]] == [p["text"] for p in answer["understood"]]


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("something for a headache at shadyside", "drugs"),
        ("kibble for her dog end of october", "dog"),
        ("customer Theresa Bianchi mid november", "cheeses"),
        ("card ending 1234 last week", "chicken"),
        ("rotiserie chiken and milk at e liberty on the 17th", "chicken"),
        ("power for a flashlight, friday", "drugs"),
        ("salty snack and juice on nov 12", "snacks"),
    ],
)
async def test_a_sentence_finds_its_receipt_first(search, shelf, text, best):
    assert shelf.names(await search(text))[0] == best


async def test_a_bare_receipt_id_answers_that_receipt(search, shelf):
    receipt_id = shelf.receipts["cheeses"].receipt_id
    for text in (receipt_id, f"receipt {receipt_id[:6]}-{receipt_id[6:]} from last week"):
        answer = await search(text)
        assert shelf.names(answer) == ["cheeses"]
        assert answer["hits"][0]["score"] == 1
        assert answer["hits"][0]["matched_on"] == [
            {"field": "receipt", "kind": "exact", "reason": "has this receipt id"}
        ]


async def test_a_misread_receipt_id_is_told_apart_from_nothing(search, shelf):
    receipt_id = shelf.receipts["cheeses"].receipt_id
    wrong = receipt_id[:-1] + str((int(receipt_id[-1]) + 1) % 10)
    assert "check digits" in (await search(wrong, expect=422))["detail"]


@pytest.mark.parametrize(
    "text",
    ["chicken", "Maria Kowalski", "Mrs Kowalski last week", "card 1234", "in Cranberry", "C0000003", "fancy cheese"],
)
async def test_no_sentence_shows_a_rep_another_regions_receipt(search, shelf, text):
    for who, low, high in (("rep.east", 100, 199), ("rep.west", 200, 299)):
        answer = await search(text, who)
        assert all(low <= hit["receipt"]["store_id"] <= high for hit in answer["hits"])


async def test_another_regions_receipt_id_is_as_good_as_unknown(search, shelf):
    elsewhere = shelf.receipts["west chicken"].receipt_id
    assert (await search(elsewhere))["hits"] == []
    assert shelf.names(await search(elsewhere, "rep.west")) == ["west chicken"]


async def test_nothing_there_is_loosened_and_said(search, shelf):
    answer = await search("bananas at shadyside for $45.00 on the 13th")
    assert shelf.names(answer) == ["chicken elsewhere"]
    assert len(answer["relaxations"]) >= 2


async def test_a_card_is_never_given_up_for_other_peoples_receipts(search):
    assert (await search("card ending 9876 last tuesday"))["hits"] == []


@pytest.mark.parametrize(
    ("text", "word"),
    [("", "text"), ("   ", "text"), ("x" * 501, "text"), ("please find it", "understood"), ("??!!", "understood")],
)
async def test_a_sentence_without_substance_is_refused_with_its_reason(search, text, word):
    problem = await search(text, expect=422)
    assert word in problem["detail"]


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE retail.receipts; --",
        "𝓬𝓱𝓲𝓬𝓴𝓮𝓷 İstanbul ﬁsh",
        "chicken \u202e\u0000 at \ufeff East Liberty",
        "🍗" * 400,
        "$" * 300,
        "between " * 60,
        "9" * 480,
        "the 99th of 99/99/9999 at 99:99 for $99999999999999",
        "nov 31 feb 30 2/29",
        "(((((((((((" * 40,
        "last " * 90 + "tuesday",
        "under under over $5 $6 $7 $8 or so ish",
        "ﷺ" * 100,
        "a" * 500,
        "one hundred hundred hundred dollars",
        "999999 weeks ago",
        "over -5 dollars",
    ],
)
async def test_hostile_sentences_never_fail(search, text):
    assert (await search(text, expect=None)).get("status", 422) == 422


async def test_a_whole_card_number_is_never_repeated(search, shelf):
    answer = await search("paid with 4111 1111 1111 1234 at East Liberty")
    assert "4111" not in str(answer)
    assert shelf.names(answer) == ["chicken"]


async def test_neither_log_nor_audit_trail_hold_the_sentence(search, owner: psycopg.Connection, caplog):
    with caplog.at_level(logging.DEBUG):
        await search("fancy cheese for Theresa Bianchi")
    assert "bianchi" not in caplog.text.lower()
    owner.execute("SELECT audit.project()")
    row = owner.execute(
        "SELECT constraints, customer_ids FROM audit.events ORDER BY occurred_at DESC LIMIT 1"
    ).fetchone()
    assert row is not None
    assert "ianchi" not in row[0]
    assert "cheese" not in row[0]
    assert row[1] == ["C0000002"]


async def test_pages_follow_each_other(search, shelf):
    whole = shelf.names(await search("east liberty november"))
    first = await search("east liberty november", limit=2)
    second = await search("east liberty november", limit=2, cursor=first["next_cursor"])
    assert (shelf.names(first) + shelf.names(second)) == whole[:4]
    assert (await search("shadyside", cursor=first["next_cursor"], expect=422))["field"] == "cursor"


async def test_what_was_not_bought_excludes_and_how_it_was_paid_ranks(search, shelf):
    assert "chicken" in shelf.names(await search("milk at East Liberty"))
    answer = await search("milk at East Liberty, no chips")
    assert "milk there" not in shelf.names(answer)
    assert "chicken" in shelf.names(answer)
    paid = await search("last tuesday in East Liberty, paid cash")
    assert shelf.names(paid) == ["milk there", "chicken"]
    assert {"field": "tender", "kind": "exact", "reason": "paid by cash"} in paid["hits"][0]["matched_on"]
    assert ("tender", "cash") in [(part["kind"], part["value"]) for part in paid["understood"]]


async def test_an_address_in_a_sentence_finds_its_customers_receipts_only(search, shelf, owner):
    email = owner.execute("SELECT email FROM retail.customer_contacts WHERE customer_id = 'C0000001'").fetchone()[0]
    assert set(shelf.names(await search(f"{email} chicken"))) <= {"chicken"}
    answer = await search("nobody@example.com chicken")
    assert answer["hits"] == []
    assert answer["relaxations"] == ["No customer of your regions has that e-mail address or telephone number."]


async def test_each_part_says_how_sure_it_is(search):
    answer = await search("chicken at East Liberty")
    assert {part["kind"]: part["confidence"] for part in answer["understood"]} == {"product": 0.9, "store": 1.0}
