import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from markupsafe import Markup

from gradio_ui import customer_panel, render, wording
from gradio_ui.answers import (
    Contacts,
    CustomerContext,
    Delivery,
    FullReceipt,
    Highlight,
    History,
    Hit,
    SearchAnswer,
    Story,
)  # fmt: skip
from gradio_ui.navigation import REP
from gradio_ui.sessions import Session
from receipts.access import Role
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


def session(role: Role = Role.CS_REP) -> Session:
    return Session("rep.east", role, "Renee East", "token", NOW)


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
    text = words(render.results(answer(), {"text": "chicken"}, NOW))
    assert "1 receipt" in text
    assert "East Liberty" in text
    assert "Tue Nov 17 · 6:05 PM" in text  # 23:05 UTC is 18:05 in Pittsburgh
    assert "$10.48" in text
    assert "6 days ago" in text
    assert "approximate match: rotisserie is near chicken" in text
    assert "exact match: East Liberty" in text


def test_what_matched_comes_first_and_is_marked():
    html = render.results(answer(), {"text": "chicken"}, NOW)
    assert "<mark>Chix: rotisserie (hot)</mark>" in html
    assert html.index("Chix") < html.index("Fluid milk")
    assert 'data-rl-lines="2"' in html


def test_repeated_items_are_counted_once():
    receipt = render.summarise(found(lines=[MILK, {**MILK, "line_number": 2}, {**CHICKEN, "line_number": 3}]))
    items = wording.shown_items(
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
    assert wording.chip_value(kind, value, 2026) == shown


def test_no_match_offers_to_drop_each_part():
    html = render.results(answer(hits=[]), {"text": "chicken last Tuesday"}, NOW)
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


def test_a_return_is_stamped_and_leads_to_its_original():
    original = make_receipt().receipt_id
    html = render.paper(found(receipt_type="return", sequence_number=9, original_receipt_id=original), frozenset())
    assert '<div class="rl-stamp">return</div>' in html
    assert f'data-rl-open="{original}"' in html


def test_the_customer_panel_shows_masked_contacts_and_whole_amounts():
    html = customer_panel.panel(context(), session())
    text = words(html)
    numbers = ["$3,532 spent", "56 visits", "2.8 days apart"]
    for part in ["Maria Kowalski", "m•••@example.com", "•••67", *numbers, "Cheese", "15 visits in 30 days.", "Oct"]:
        assert part in text
    assert "maria.kowalski" not in html
    assert "Reveal" not in text


def test_who_may_reveal_contacts_is_asked_why():
    html = customer_panel.panel(context(), session(Role.SUPERVISOR))
    assert 'data-rl-form="reveal"' in html
    assert "to confirm who is calling" in words(html)


def test_the_history_marks_the_open_receipt_and_offers_what_is_older_and_newer():
    receipt = render.summarise(found())
    page = History(customer_id="C1", receipts=(receipt,), next_cursor="older-than-this")
    first = customer_panel.history(page, receipt.receipt_id, NOW)
    assert 'aria-current="true"' in first
    assert "older-than-this" in first
    assert "Newest" not in first
    assert "Newest" in customer_panel.history(page, receipt.receipt_id, NOW, is_first=False)


def test_contacts_in_clear_say_for_how_long_and_that_it_is_on_record():
    shown = Contacts(customer_id="C1", email="maria@example.com", phone="412", masked_again_at=NOW)
    assert "Shown for 30 s. On record" in words(customer_panel.clear(shown, 29.6))


def delivery(**overrides) -> Delivery:
    told = {"delivery_id": "d", "receipt_id": "1", "email_masked": "m***@example.com", "status": "scheduled"}
    return Delivery.model_validate({**told, "send_at": NOW, **overrides})


def test_a_mail_can_be_taken_back_only_before_it_goes():
    waiting = render.snack(delivery(), 5.7)
    assert "in 6 s" in words(waiting)
    assert "data-rl-undo" in waiting
    for status, said in [("sending", "Sending to"), ("sent", "Sent to m•••@"), ("cancelled", "Not sent")]:
        html = render.snack(delivery(status=status), 0)
        assert said in words(html)
        assert "data-rl-undo" not in html
    assert "mailbox is full" in words(render.snack(delivery(status="failed", detail="The mailbox is full."), 0))


def test_the_story_of_a_receipt_is_told_by_the_stores_clock():
    events = [
        {"at": "2026-11-17T23:05:00Z", "kind": "sold"},
        {"at": "2026-11-18T15:00:00Z", "kind": "viewed", "by": "Renee East", "times": 3},
    ]
    story = Story.model_validate({"receipt_id": "1", "events": events})
    text = words(render.story(story, make_store().time_zone, NOW))
    assert "Sold Tue Nov 17 · 6:05 PM" in text
    assert "Viewed by Renee East, 3 times Wed Nov 18" in text


def test_the_bar_leads_to_the_pages_of_the_role_alone():
    assert 'href="/supervisor/"' in render.top(session(Role.SUPERVISOR), REP)
    alone = render.top(session(), REP)
    assert "rl-nav" not in alone
    assert 'id="rl-q"' in alone


def test_a_customer_without_a_profile_still_has_a_panel():
    bare = context().model_copy(update={"profile": None})
    assert "being prepared" in customer_panel.panel(bare, session())


def test_a_search_that_many_fit_says_how_far_it_looked_back():
    assert "looked back to Wed Nov 4." in render.results(answer(searched_from="2026-11-04"), {"text": "milk"}, NOW)
    assert "looked back" not in render.results(answer(), {"text": "milk"}, NOW)


def test_what_was_given_up_is_said_where_nothing_was_found_too():
    html = render.results(
        answer(hits=[], relaxations=["No customer of your regions has that number."]), {"text": "x"}, NOW
    )
    assert "No customer of your regions has that number." in html


@pytest.mark.parametrize("payload", PAYLOADS)
def test_data_is_shown_as_it_is_written_and_never_becomes_an_element(payload: str):
    line = {**MILK, "description": payload}
    receipt = FullReceipt(
        receipt=make_receipt(lines=[line], operator_id=payload[:40]), store=make_store(name=payload, street=payload)
    )
    hit = Hit(receipt=render.summarise(receipt), highlights=(Highlight(line_number=1, description=payload),))
    parts = [
        render.results(SearchAnswer(hits=(hit,), relaxations=(payload,)), {"text": payload}, NOW),
        render.results(answer(hits=[], understood=[], relaxations=[payload]), {"text": payload}, NOW),
        render.understood(
            answer(understood=[{"kind": payload, "text": payload, "value": payload, "span": [0, 1]}]), NOW
        ),
        render.paper(receipt, frozenset()),
        customer_panel.panel(context(payload, recent_pattern=payload), session(Role.SUPERVISOR)),
        customer_panel.history(
            History(customer_id=payload, receipts=(hit.receipt,), next_cursor=payload), payload, NOW
        ),
        customer_panel.clear(Contacts(customer_id="C", email=payload, phone=payload, masked_again_at=NOW), 1),
        render.more(answer(next_cursor=payload), {"text": payload}, payload, 1) + payload,
        render.snack(delivery(status="failed", detail=payload, email_masked=payload), 0),
        render.story(
            Story.model_validate(
                {"receipt_id": payload, "events": [{"at": NOW, "kind": "viewed", "by": payload, "detail": payload}]}
            ),
            make_store().time_zone,
            NOW,
        ),
        render.top(replace(session(), principal_id=payload, display_name=payload), REP),
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
