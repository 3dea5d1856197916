"""Whole sentences as representatives type them, seen from Monday, 23 November 2026."""

from __future__ import annotations

import itertools
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.identity import NaturalKey, receipt_id
from serve_apps.understanding.parser import Knowledge, parse
from serve_apps.understanding.query import Query, StoreNames
from serve_apps.understanding.stores import gazetteer, match_store

TODAY = date(2026, 11, 23)
STORES = gazetteer(
    [
        StoreNames(1, "Elm Grove", ("Elm Gr",)),
        StoreNames(2, "Cranberry Township", ("Cranberry",)),
        StoreNames(3, "Robinson", ()),
        StoreNames(4, "St. Clair", ("Saint Clair",)),
        StoreNames(5, "Harbor Point", ("The Harbor",)),
        StoreNames(6, "Northgate", ()),
        StoreNames(7, "Northgate Plaza", ()),
    ]
)
KNOWN = Knowledge(STORES)


def read(text, known=KNOWN) -> dict[str, object]:
    """Return what was understood, without what was not."""
    query = parse(text, TODAY, known)
    facts = {
        "store": query.store_name,
        "days": query.days and (str(query.days.first), str(query.days.last)),
        "cents": query.cents and (query.cents.low, query.cents.high),
        "card": query.card_last4,
        "customer": query.customer_name or query.customer_id,
        "products": list(query.product_terms),
    }
    return {name: value for name, value in facts.items() if value}


TUESDAY = ("2026-11-17", "2026-11-17")

SENTENCES = [
    ("chicken from elm grove last tuesday", {"products": ["chicken"], "store": "Elm Grove", "days": TUESDAY}),
    ("fancy cheese", {"products": ["fancy cheese"]}),
    (
        "customer bought a rotisserie chicken and a gallon of milk at the Harbor around $35 on saturday",
        {"products": ["rotisserie chicken", "milk"], "store": "Harbor Point", "cents": (2500, 4500), "days": ("2026-11-21",) * 2},
    ),
    ("receipt for Mrs. Nowak, northgate", {"customer": "Nowak", "store": "Northgate"}),
    ("northgate plaza, 11/2", {"store": "Northgate Plaza", "days": ("2026-11-02",) * 2}),
    (
        "lady says she bought cranberry juice in elm grove yesterday for about 20 bucks",
        {"products": ["cranberry juice"], "store": "Elm Grove", "days": ("2026-11-22",) * 2, "cents": (1000, 3000)},
    ),
    ("groceries in Cranberry", {"store": "Cranberry Township"}),
    ("cranbery twonship, under $15", {"store": "Cranberry Township", "cents": (None, 1500)}),
    ("visa ending in 4242", {"card": "4242"}),
    ("card x0077 at robinson", {"card": "0077", "store": "Robinson"}),
    ("last four 1234, elm grove", {"card": "1234", "store": "Elm Grove"}),
    ("paid with her 9911 amex", {"card": "9911"}),
    ("John Smith's receipt from last week", {"customer": "John Smith", "days": ("2026-11-16", "2026-11-22")}),
    ("Mr Robinson came in on friday", {"customer": "Robinson", "days": ("2026-11-20",) * 2}),
    ("maria gonzalez purchased halloween candy oct 28", {"customer": "maria gonzalez", "products": ["halloween candy"], "days": ("2026-10-28",) * 2}),
    ("somebody named Dan O'Brien spent fifty bucks or so", {"customer": "Dan O'Brien", "cents": (4000, 6000)}),
    ("the customer's name is Wei Zhang", {"customer": "Wei Zhang"}),
    ("customer C0001234 last tuesday", {"customer": "C0001234", "days": TUESDAY}),
    ("Mary Beth Kowalczyk, st clair", {"customer": "Mary Beth Kowalczyk", "store": "St. Clair"}),
    ("diapers and wipes two weeks ago, thirty something dollars", {"products": ["diapers", "wipes"], "days": ("2026-11-07", "2026-11-11"), "cents": (3000, 3999)}),
    ("where's my receipt for the turkey I got last tuesday?", {"products": ["turkey"], "days": TUESDAY}),
    ("mac and cheese and 2% milk", {"products": ["mac and cheese", "2% milk"]}),
    ("ham & cheese, half and half, chips", {"products": ["ham & cheese", "half and half", "chips"]}),
    ("12 pack of coke and 7up", {"products": ["coke", "7up"]}),
    ("a bunch of bananas, 5 lbs of sugar", {"products": ["bananas", "sugar"]}),
    ("return: toaster $24.99 robinson", {"products": ["toaster"], "cents": (2499, 2499), "store": "Robinson"}),
    ("new york strip steaks at northgate", {"products": ["new york strip steaks"], "store": "Northgate"}),
    ("needs copy of receipt, birthday cake, last sunday", {"products": ["birthday cake"], "days": ("2026-11-22",) * 2}),
    ("hi can you pls find it, total was 82.13", {"cents": (8213, 8213)}),
    ("saint clair store, between nov 3 and nov 7", {"store": "St. Clair", "days": ("2026-11-03", "2026-11-07")}),
    ("robinson store in october", {"store": "Robinson", "days": ("2026-10-01", "2026-10-31")}),
    ("elm grov, oatmeal", {"store": "Elm Grove", "products": ["oatmeal"]}),
    ("frozen pizzas @ elm grove", {"products": ["frozen pizzas"], "store": "Elm Grove"}),
    ("roses on valentine's day", {"products": ["roses"], "days": ("2026-02-14",) * 2}),
    ("call 412-555-1234 about the salmon", {"products": ["salmon"]}),
    ("bought wine, jane.doe@example.com", {"products": ["wine"]}),
    ("Theresa Marino bought shampoo", {"customer": "Theresa Marino", "products": ["shampoo"]}),
    ("easter candy and a ham", {"products": ["easter candy", "ham"]}),
    ("she paid twenty two dollars for olive oil", {"cents": (2200, 2200), "products": ["olive oil"]}),
    ("granny smith apples", {"products": ["granny smith apples"]}),
    ("ginger ale and jack daniels", {"products": ["ginger ale", "jack daniels"]}),
    ("Jasper Fenwick, the 4th", {"customer": "Jasper Fenwick", "days": ("2026-11-04",) * 2}),
    ("nguyen thi lan, robinson, fish sauce", {"customer": "nguyen thi lan", "store": "Robinson", "products": ["fish sauce"]}),
    ("L. St. James, northgate", {"customer": "L. St. James", "store": "Northgate"}),
    ("T.J. Maddox, elm grove", {"customer": "T.J. Maddox", "store": "Elm Grove"}),
    ("my name is Maria del Carmen Ortiz", {"customer": "Maria del Carmen Ortiz"}),
    ("Siegfried von Hohenberg, 10/13/26", {"customer": "Siegfried von Hohenberg", "days": ("2026-10-13",) * 2}),
    ("NAME DELGADO", {"customer": "DELGADO"}),
    ("name tyrell young, wipes", {"customer": "tyrell young", "products": ["wipes"]}),
    ("last name Kowalski, Northgate", {"customer": "Kowalski", "store": "Northgate"}),
    ("Candace Berry wants a copy", {"customer": "Candace Berry"}),
    ("Jimmy Dean sausage and Dr Pepper", {"products": ["jimmy dean sausage", "dr pepper"]}),
    ("mr. clean magic erasers", {"products": ["mr clean magic erasers"]}),
    ("birthday card and a gift bag, robinson", {"products": ["birthday card", "gift bag"], "store": "Robinson"}),
    ("bakery order, cupcakes", {"products": ["cupcakes"]}),
    ("Robinson, not Northgate", {"store": "Robinson"}),
    ("half a pound of swiss cheese", {"products": ["swiss cheese"]}),
    ("the strawberries were moldy", {"products": ["strawberries"]}),
    ("card ending seven seven one two", {"card": "7712"}),
    ("debit card ending 0042, 10/30, northgate", {"card": "0042", "days": ("2026-10-30",) * 2, "store": "Northgate"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SENTENCES, ids=[text for text, _ in SENTENCES])
def test_a_sentence_is_understood(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize("text", [text for text, _ in SENTENCES])
def test_every_mention_stands_where_it_says(text):
    query = parse(text, TODAY, KNOWN)
    for mention in query.mentions:
        start, end = mention.span
        if not mention.text.startswith("card ending"):
            assert text[start:end].strip() == mention.text
    spans = [mention.span for mention in query.mentions]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_what_was_not_bought_is_told_from_what_was():
    query = parse("salmon, not the tuna, no milk, without butter", TODAY, KNOWN)
    assert query.product_terms == ("salmon",)
    assert query.without_terms == ("tuna", "milk", "butter")
    assert parse("no sugar added cookies", TODAY, KNOWN).without_terms == ()


def test_how_many_were_bought_stands_beside_what():
    query = parse("two rotisserie chickens, 3 bags of ice and bread", TODAY, KNOWN)
    assert dict(zip(query.product_terms, query.quantities, strict=True)) == {
        "rotisserie chickens": 2,
        "ice": 3,
        "bread": None,
    }


@pytest.mark.parametrize(
    ("text", "tender"),
    [
        ("milk, paid cash", "cash"),
        ("milk, paid in cash", "cash"),
        ("milk with a check", "check"),
        ("milk on food stamps", "ebt"),
        ("milk, debit", "debit"),
        ("paid with a gift card, milk", "gift_card"),
        ("milk with apple pay", "mobile"),
        ("she used her visa, milk", "credit"),
    ],
)
def test_how_it_was_paid_is_understood(text, tender):
    query = parse(text, TODAY, KNOWN)
    assert query.tenders == (tender,)
    assert query.product_terms == ("milk",)


def test_a_gift_card_that_was_bought_is_a_product():
    query = parse("$50 in gift cards", TODAY, KNOWN)
    assert (query.product_terms, query.tenders) == (("gift cards",), ())


def test_an_address_and_a_number_of_a_customer_are_found():
    query = parse("Jane.Doe@Example.com or (412) 555-0199, wine", TODAY, KNOWN)
    assert (query.email, query.phone, query.product_terms) == ("jane.doe@example.com", "4125550199", ("wine",))


def test_what_nothing_else_claimed_is_less_sure_than_what_shops_sell():
    sure, left_over = (m.confidence for m in parse("salmon and zorblax", TODAY, KNOWN).mentions)
    assert left_over < sure <= 1


def test_a_receipt_id_is_found_in_any_grouping():
    digits = receipt_id(NaturalKey(101, 4, date(2026, 11, 17), 123))
    grouped = f"{digits[:6]}-{digits[6:11]}-{digits[11:14]}-{digits[14:20]}-{digits[20:]}"
    for text in (digits, grouped, f"look up receipt #{grouped} please"):
        assert parse(text, TODAY, KNOWN).receipt_id == digits


def test_a_misread_receipt_id_is_noted_and_is_no_amount():
    digits = receipt_id(NaturalKey(101, 4, date(2026, 11, 17), 123))
    query = parse(digits[:-1] + str((int(digits[-1]) + 1) % 10), TODAY, KNOWN)
    assert query.is_empty
    assert "check digits" in query.notes[0]


def test_a_whole_card_number_leaves_only_its_end():
    query = parse("card 4111-1111-1111-1111 at robinson", TODAY, KNOWN)
    assert query.card_last4 == "1111"
    assert "4111" not in str(query)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("bay leaves", ("bay leaves",)),  # both words are conversation in a sentence
        ("  All Purpose", ("all purpose",)),
        ("the customer leaves", ()),
        ("thank you", ()),
        ("leaves", ()),
        ("all purpose bay leaves all purpose", ()),
    ],
)
def test_a_few_words_of_the_catalogue_alone_are_goods(typed, meant):
    known = Knowledge(STORES, frozenset({"bay", "leave", "all", "purpose", "thank", "you"}))
    assert parse(typed, TODAY, known).product_terms == meant


def test_with_a_catalogue_small_talk_is_dropped_and_typing_errors_stay():
    known = Knowledge(STORES, frozenset({"roquefort", "rotisserie", "chicken"}))
    assert read("it was raining sideways, rotiserie thing", known) == {"products": ["rotiserie"]}
    assert read("roquefort", known) == {"products": ["roquefort"]}


def test_a_name_shared_by_two_stores_means_both():
    shared = gazetteer(
        [StoreNames(1, "Main Street East", ("Main Street",)), StoreNames(2, "Main Street West", ("Main Street",))]
    )
    assert parse("milk at main street", TODAY, Knowledge(shared)).store_ids == (1, 2)


@pytest.mark.parametrize(
    ("typed", "store"),
    [("elmgrove", 1), ("Elm Groove", 1), ("cranbery", 2), ("robbinson", 3), ("saint claire", 4), ("nothgate", 6)],
)
def test_a_store_is_found_with_a_typing_error(typed, store):
    assert match_store(typed, STORES).store_ids == (store,)


def test_a_word_that_is_no_store_finds_none():
    assert match_store("pumpernickel", STORES) is None
    assert match_store("", STORES) is None


@given(st.text(max_size=500))
def test_any_text_is_parsed_and_gives_the_same_query_twice(text):
    query = parse(text, TODAY, KNOWN)
    assert isinstance(query, Query)
    assert parse(text, TODAY, KNOWN) == query
    assert all(0 <= mention.span[0] <= mention.span[1] <= len(text) for mention in query.mentions)


_WORDS = [
    "last",
    "tuesday",
    "before",
    "between",
    "and",
    "$",
    "30",
    "50",
    "or",
    "so",
    "11/3",
    "nov",
    "the",
    "5th",
    "card",
    "ending",
    "1234",
    "around",
    "under",
    "mrs",
    "smith",
    "elm",
    "grove",
    "weeks",
    "ago",
    "-",
    ",",
    "/",
    "99",
    ":",
    "ish",
]


@given(st.lists(st.sampled_from(_WORDS), max_size=60))
def test_any_heap_of_the_grammars_own_words_is_parsed(heap):
    assert isinstance(parse(" ".join(heap), TODAY, KNOWN), Query)
