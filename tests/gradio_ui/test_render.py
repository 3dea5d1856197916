import re
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import pytest
from markupsafe import Markup

from gradio_ui import render
from gradio_ui.answers import CustomerContext, FullReceipt, Highlight, History, Hit, SearchAnswer
from tests.fixtures.retail import CHICKEN, MILK, make_customer, make_receipt, make_store

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
PAYLOADS = [
    "<script>window.__ran=1</script>",
    "<img src=x onerror=window.__ran=1>",
    "\"'><svg onload=window.__ran=1>",
    "${window.__ran=1}",
    "`${window.__ran=1}`",
    "{{constructor.constructor('window.__ran=1')()}}",
    "{{{value}}}",
    "[x](javascript:window.__ran=1)",
    "</textarea><b>bold</b>",
    "javascript:window.__ran=1",
]


class Page(HTMLParser):
    """What a browser would make of the HTML: its elements with attributes, and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(str(html))  # Markup would escape what the parser puts together

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.text += " "

    def handle_data(self, data):
        self.text += data


def words(html: str) -> str:
    return " ".join(Page(html).text.split())


def found(**overrides) -> FullReceipt:
    return FullReceipt(receipt=make_receipt(**overrides), store=make_store())


def answer(**overrides) -> SearchAnswer:
    hit = {
        "receipt": render.summarise(found()).model_dump(),
        "matched_on": [
            {"field": "product", "kind": "approximate", "reason": "rotisserie is near chicken"},
            {"field": "store", "kind": "exact", "reason": "East Liberty"},
        ],
        "highlights": [{"line_number": 2, "description": "CHIX: ROTISSERIE (HOT)"}],
    }
    understood = [
        {"kind": "product", "text": "chicken", "value": "chicken", "span": [0, 7]},
        {"kind": "date", "text": "last Tuesday", "value": "2026-11-17", "span": [25, 37]},
    ]
    return SearchAnswer.model_validate({"hits": [hit], "understood": understood, **overrides})


def profile(**overrides) -> dict:
    return {
        "lifetime_spend_cents": 353_249,
        "visits": 56,
        "average_basket_cents": 6_308,
        "days_between_visits": 2.83,
        "top_categories": [{"category": "CHEESE", "spend_cents": 97_300}, {"category": "MEAT", "spend_cents": 29_600}],
        "spend_by_month": [{"month": "2026-10", "spend_cents": 70_800}, {"month": "2026-11", "spend_cents": 63_600}],
        "recent_pattern": "15 visits in 30 days.",
        **overrides,
    }


def context(first_name: str = "Maria", **overrides) -> CustomerContext:
    person = make_customer(first_name=first_name).model_dump() | {"email_masked": "m•••@example.com"}
    return CustomerContext.model_validate(
        {"customer": person | {"phone_masked": "•••67"}, "profile": profile(**overrides)}
    )


def test_a_result_shows_store_local_time_total_and_why():
    text = words(render.results(answer(), "chicken", NOW))
    assert "1 receipt" in text
    assert "East Liberty" in text
    assert "Tue Nov 17 · 6:05 PM" in text  # 23:05 UTC is 18:05 in Pittsburgh
    assert "$10.48" in text
    assert "6 days ago" in text
    assert "approximate match: rotisserie is near chicken" in text
    assert "exact match: East Liberty" in text


def test_what_matched_comes_first_and_is_marked():
    html = render.results(answer(), "chicken", NOW)
    assert "<mark>Chix: rotisserie (hot)</mark>" in html
    assert html.index("Chix") < html.index("Fluid milk")
    assert 'data-rl-lines="2"' in html


def test_repeated_items_are_counted_once():
    receipt = render.summarise(found(lines=[MILK, {**MILK, "line_number": 2}, {**CHICKEN, "line_number": 3}]))
    items = render.shown_items(
        Hit(receipt=receipt, highlights=(Highlight(line_number=3, description="CHIX: ROTISSERIE (HOT)"),))
    )
    assert [(i.description, i.times, i.marked) for i in items] == [
        ("CHIX: ROTISSERIE (HOT)", 1, True),
        ("FLUID MILK WHITE ONLY", 2, False),
    ]


def test_chips_say_dates_in_words_and_carry_their_place_in_the_query():
    html = render.understood(answer(), NOW)
    assert "Tue Nov 17" in words(html)
    assert 'data-rl-drop="25,37"' in html


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("amount", "30.00..50.00", "$30 – $50"),
        ("amount", "12.99", "$12.99"),
        ("amount", "..20.00", "up to $20"),
        ("amount", "20.00..", "from $20"),
        ("date", "2026-11-16..2026-11-22", "Mon Nov 16 – Sun Nov 22"),
        ("date", "2025-12-24", "Wed Dec 24, 2025"),
        ("product", "half..half", "half..half"),
        ("without", "tuna", "not tuna"),
        ("tender", "gift_card", "gift card"),
    ],
)
def test_chips_say_ranges_as_people_write_them(kind, value, shown):
    assert render.chip_value(kind, value, 2026) == shown


def test_no_match_offers_to_drop_each_part():
    html = render.results(answer(hits=[]), "chicken last Tuesday", NOW)
    assert "No receipt matches all of that" in html
    assert "without “chicken”" in words(html)
    assert "without “last Tuesday”" in words(html)


def test_a_number_that_was_given_opens_by_itself():
    receipt = found()
    assert f'data-rl-autoopen="{receipt.receipt.receipt_id}"' in render.single(receipt, NOW)


def test_the_paper_adds_up_as_the_till_printed_it():
    text = words(render.paper(found(tax_cents=70, total_cents=1118), frozenset({2})))
    head = ["6343 Penn Avenue", "Tue 11/17/2026", "6:05 PM", "Register 3", "No 000001"]
    foot = ["Tax 0.70", "TOTAL $11.18", "Visa •••• 4242 11.18", "You saved $1.00", "261117-00367-003-000001-"]
    for part in [*head, "Savings -1.00", "Subtotal 10.48", *foot]:
        assert part in text
    assert "CHIX: ROTISSERIE (HOT) 7.99" in text  # before its discount: what the shelf said


def test_the_line_that_matched_is_marked_on_the_paper():
    marked = re.findall(r'rl-marked"><span>([^<]*)<', render.paper(found(), frozenset({2})))
    assert marked == ["CHIX: ROTISSERIE (HOT)"]


def test_equal_lines_are_put_together_and_still_add_up():
    receipt = make_receipt(lines=[MILK, {**MILK, "line_number": 2}, {**CHICKEN, "line_number": 3}])
    first, second = render.group_lines(receipt.lines, frozenset({2}))
    assert (first.times, first.gross_cents, first.marked) == (2, 698, True)
    assert (second.times, second.gross_cents, second.discount_cents) == (1, 799, 100)


def test_a_return_is_stamped_and_leads_to_its_original():
    original = make_receipt().receipt_id
    html = render.paper(found(receipt_type="return", sequence_number=9, original_receipt_id=original), frozenset())
    assert '<div class="rl-stamp">return</div>' in html
    assert f'data-rl-open="{original}"' in html


def test_the_customer_panel_shows_masked_contacts_and_whole_amounts():
    receipt = render.summarise(found())
    html = render.customer(context(), History(receipts=(receipt,)), receipt.receipt_id, NOW)
    text = words(html)
    numbers = ["$3,532 spent", "56 visits", "2.8 days apart"]
    for part in ["Maria Kowalski", "m•••@example.com", "•••67", *numbers, "Cheese", "15 visits in 30 days.", "Oct"]:
        assert part in text
    assert "maria.kowalski" not in html
    assert 'aria-current="true"' in html


def test_a_customer_without_a_profile_still_has_a_panel():
    bare = context().model_copy(update={"profile": None})
    assert "being prepared" in render.customer(bare, History(receipts=()), "", NOW)


def test_a_search_that_many_fit_says_how_far_it_looked_back():
    assert "looked back to Wed Nov 4." in render.results(answer(searched_from="2026-11-04"), "milk", NOW)
    assert "looked back" not in render.results(answer(), "milk", NOW)


def test_what_was_given_up_is_said_where_nothing_was_found_too():
    html = render.results(answer(hits=[], relaxations=["No customer of your regions has that number."]), "x", NOW)
    assert "No customer of your regions has that number." in html


@pytest.mark.parametrize("payload", PAYLOADS)
def test_data_is_shown_as_it_is_written_and_never_becomes_an_element(payload: str):
    line = {**MILK, "description": payload}
    receipt = FullReceipt(
        receipt=make_receipt(lines=[line], operator_id=payload[:40]), store=make_store(name=payload, street=payload)
    )
    hit = Hit(receipt=render.summarise(receipt), highlights=(Highlight(line_number=1, description=payload),))
    parts = [
        render.results(SearchAnswer(hits=(hit,), relaxations=(payload,)), payload, NOW),
        render.results(answer(hits=[], understood=[], relaxations=[payload]), payload, NOW),
        render.understood(
            answer(understood=[{"kind": payload, "text": payload, "value": payload, "span": [0, 1]}]), NOW
        ),
        render.paper(receipt, frozenset()),
        render.customer(context(payload, recent_pattern=payload), History(receipts=(hit.receipt,)), "", NOW),
        render.top(payload, payload, payload),
        render.landing(payload),
        render.message(payload, payload, request_id=payload),
    ]
    for html in parts:
        assert isinstance(html, Markup)
        page = Page(html)
        assert payload.split(" ", maxsplit=1)[0] in page.text
        assert not {"script", "img", "b onload", "textarea"} & {tag for tag, _ in page.elements}
        assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
        assert not [
            a for _, attributes in page.elements if "javascript:" in (attributes.get("href") or "") for a in attributes
        ]


@pytest.mark.parametrize(
    ("days", "said"),
    [(0, "today"), (1, "yesterday"), (6, "6 days ago"), (59, "59 days ago"), (90, "3 months ago"), (900, "")],
)
def test_how_long_ago_counts_the_stores_own_days(days: int, said: str):
    when = datetime.fromordinal(date(2026, 11, 23).toordinal() - days)
    summary = render.summarise(found()).model_copy(
        update={"purchased_local": when.replace(hour=23), "purchased_at": when.replace(hour=23, tzinfo=UTC)}
    )
    assert render.ago(summary, NOW) == said


def test_a_purchase_late_in_the_stores_evening_is_today_though_it_is_tomorrow_in_utc():
    summary = render.summarise(found(purchased_at=datetime(2026, 11, 18, 2, 0, tzinfo=UTC)))
    assert render.ago(summary, datetime(2026, 11, 18, 3, 0, tzinfo=UTC)) == "today"


@pytest.mark.parametrize(
    ("name", "letters"), [("Rita Park", "RP"), ("Ellen van Brandt", "EB"), ("Cher", "C"), ("${1}", "?"), ("", "?")]
)
def test_initials_come_from_the_first_and_last_word(name: str, letters: str):
    assert render.initials(name) == letters
