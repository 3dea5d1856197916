"""The portal in a real browser, before the real API: what a rep sees and does."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import BrowserContext, Route, expect

from configs.settings import Settings
from receipts.identity import display
from receipts.models import Receipt
from tests.fixtures.retail import MILK, make_customer, make_receipt, make_store
from tests.gradio_ui import pantry
from tests.gradio_ui.browsing import Watch, ask, sign_in

ASKED = "chicken from East Liberty last Tuesday"
PAYLOADS = [
    "<img src=x onerror=window.__ran=1>",
    "<script>window.__ran=1</script>",
    "${window.__ran=1}",
    "`${window.__ran=1}`",
    "{{constructor.constructor('window.__ran=1')()}}",
    "<svg/onload=window.__ran=1>",
    "'\"><b onclick=window.__ran=1>x",
    "[x](javascript:window.__ran=1)",
    "<iframe srcdoc='<script>parent.__ran=1</script>'>",
    "</script><script>window.__ran=1//",
]


@pytest.fixture
def receipts(settings: Settings, owner: psycopg.Connection) -> list[Receipt]:
    """Half a year of shopping; the first is chicken in East Liberty last Tuesday."""
    bought = pantry.shopping(datetime.now(UTC))
    pantry.stock(settings, owner, bought)
    return bought


def test_a_rep_signs_in_searches_and_opens_a_receipt_by_keyboard_alone(
    receipts: list[Receipt], portal: Settings, context: BrowserContext, watch: Watch, picture
):
    page = sign_in(context, portal)
    expect(page.locator(".rl-landing")).to_contain_text("Renee")
    picture(page, "start")
    page.keyboard.type(ASKED)
    page.keyboard.press("Enter")
    first = page.locator(".rl-result").first
    expect(first).to_contain_text("East Liberty")
    expect(first.locator("mark").first).to_contain_text(re.compile("chicken", re.IGNORECASE))
    expect(first.locator(".rl-why .rl-reason").first).to_be_visible()
    expect(page.locator(".rl-chip")).to_have_count(3)
    picture(page, "results")

    target = page.locator(f".rl-result[data-rl-open='{receipts[0].receipt_id}']")
    expect(target).to_contain_text("6:05 PM")
    page.keyboard.press("ArrowDown")
    while "rl-active" not in (target.get_attribute("class") or ""):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    paper = page.locator(".rl-paper")
    expect(paper).to_contain_text("6343 Penn Avenue")
    expect(paper.locator(".rl-number")).to_have_text(display(receipts[0].receipt_id))
    expect(paper.locator(".rl-marked").first).to_contain_text("ROTISSERIE CHICKEN")
    expect(page.locator(".rl-customer h2")).to_have_text("Maria Kowalski")
    expect(page.locator(".rl-facts")).not_to_contain_text("maria.kowalski@")
    expect(page.locator(".rl-result[aria-selected=true]")).to_have_count(1)
    assert page.url.endswith(f"?receipt={receipts[0].receipt_id}")
    picture(page, "receipt")
    page.click("[data-rl-theme]")
    page.mouse.move(0, 0)
    picture(page, "dark")

    kept = json.loads(page.evaluate("JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)])"))
    assert kept == [[["receipts-theme", "dark"]], []]
    assert page.evaluate("document.cookie") == ""
    assert watch.hosts == {"127.0.0.1"}, "no request may leave the machine"
    assert watch.errors == []


def test_a_link_to_a_receipt_survives_sign_in_and_a_number_opens_by_itself(
    receipts: list[Receipt], portal: Settings, context: BrowserContext, watch: Watch
):
    page = sign_in(context, portal, path=f"/rep/?receipt={receipts[1].receipt_id}")
    expect(page.locator(".rl-number")).to_have_text(display(receipts[1].receipt_id))
    ask(page, display(receipts[0].receipt_id))
    expect(page.locator(".rl-number")).to_have_text(display(receipts[0].receipt_id))
    page.click("[data-rl-copy]")
    expect(page.locator(".rl-said")).to_have_text("Number copied")
    assert page.evaluate("navigator.clipboard.readText()") == display(receipts[0].receipt_id)
    page.click(".rl-history button:not([aria-current])")
    expect(page.locator(".rl-number")).not_to_have_text(display(receipts[0].receipt_id))
    assert watch.errors == []


def test_nothing_found_offers_what_to_drop(
    receipts: list[Receipt], portal: Settings, context: BrowserContext, watch: Watch, picture
):
    page = sign_in(context, portal)
    ask(page, "card ending 9999 at Shadyside")
    expect(page.locator(".rl-none")).to_contain_text("without")
    picture(page, "no-match")
    page.locator(".rl-none [data-rl-drop]").first.click()
    expect(page.locator(".rl-chip")).to_have_count(1)
    expect(page.locator(".rl-result").first).to_be_visible()
    assert watch.errors == []


def test_what_was_given_up_to_find_something_is_said(
    receipts: list[Receipt], portal: Settings, context: BrowserContext, watch: Watch
):
    page = sign_in(context, portal)
    ask(page, "chicken at Shadyside on 2020-02-03")
    expect(page.locator(".rl-relaxed li").first).to_be_visible()
    page.locator(".rl-chip [data-rl-select]").first.click()
    assert page.evaluate("getSelection().toString()") == "chicken"
    assert watch.errors == []


def test_a_search_that_the_network_lost_can_be_sent_again(
    receipts: list[Receipt], portal: Settings, context: BrowserContext
):
    page = sign_in(context, portal)
    context.set_offline(True)
    page.fill("#rl-q", ASKED)
    page.keyboard.press("Enter")
    expect(page.locator(".rl-notice")).to_contain_text("cannot answer at the moment")
    context.set_offline(False)
    page.keyboard.press("Enter")
    expect(page.locator(".rl-result").first).to_contain_text("East Liberty")


def test_a_portal_without_its_database_says_so_and_answers_when_it_is_back(
    receipts: list[Receipt], portal: Settings, owner: psycopg.Connection, context: BrowserContext
):
    page = sign_in(context, portal)
    owner.execute("ALTER TABLE portal.sessions RENAME TO sessions_away")
    page.fill("#rl-q", ASKED)
    page.keyboard.press("Enter")
    expect(page.locator(".rl-notice")).to_contain_text("cannot answer at the moment")
    owner.execute("ALTER TABLE portal.sessions_away RENAME TO sessions")
    page.keyboard.press("Enter")
    expect(page.locator(".rl-result").first).to_contain_text("East Liberty")


def test_of_what_is_asked_while_an_answer_is_under_way_the_last_counts(
    receipts: list[Receipt], portal: Settings, context: BrowserContext
):
    page = sign_in(context, portal)
    asked: list[str] = []
    held: list[Route] = []

    def hold(route: Route) -> None:
        asked.append(route.request.post_data_json["event_data"]["text"])
        held.append(route) if len(held) == 0 else route.continue_()

    page.route("**/run/predict", hold)
    with page.expect_request("**/run/predict"):
        page.fill("#rl-q", "fancy cheese")
        page.keyboard.press("Enter")
    for text in ("milk", ASKED):
        page.fill("#rl-q", text)
        page.keyboard.press("Enter")
    held[0].continue_()
    expect(page.locator(".rl-chip")).to_have_count(3)
    expect(page.locator(".rl-result").first).to_contain_text("East Liberty")
    assert asked == ["fancy cheese", ASKED]


def test_asking_again_in_the_moment_of_a_failure_is_answered(
    receipts: list[Receipt], portal: Settings, context: BrowserContext
):
    page = sign_in(context, portal)
    page.route("**/run/predict", lambda route: route.abort(), times=1)
    page.evaluate(
        """() => new MutationObserver((_, self) => {
            if (!document.querySelector('.rl-notice')) return;
            self.disconnect();
            const enter = new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true });
            document.querySelector('#rl-q').dispatchEvent(enter);
        }).observe(document.body, { childList: true })"""
    )
    page.fill("#rl-q", ASKED)
    page.keyboard.press("Enter")
    expect(page.locator(".rl-result").first).to_contain_text("East Liberty")
    expect(page.get_by_text("Error", exact=True)).to_have_count(0)


def test_the_page_is_usable_at_390_pixels(
    receipts: list[Receipt], portal: Settings, context: BrowserContext, watch: Watch, picture
):
    page = sign_in(context, portal)
    page.set_viewport_size({"width": 390, "height": 844})
    ask(page, ASKED)
    picture(page, "mobile-results")
    page.locator(f".rl-result[data-rl-open='{receipts[0].receipt_id}']").click()
    expect(page.locator(".rl-paper")).to_be_visible()
    expect(page.locator(".rl-customer")).to_be_attached()
    picture(page, "mobile-receipt")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.querySelector('#rl-detail').scrollWidth") == 390
    small = page.evaluate(
        "[...document.querySelectorAll('#rl-detail button')].filter(b => b.offsetParent && b.offsetHeight < 38).length"
    )
    assert small == 0, "a finger needs room"
    page.click("[data-rl-do=back]")
    expect(page.locator(".rl-result").first).to_be_visible()
    expect(page.locator(".rl-paper")).to_be_hidden()
    assert watch.errors == []


def test_a_session_that_ends_keeps_the_search_on_the_screen(
    receipts: list[Receipt], portal: Settings, owner: psycopg.Connection, context: BrowserContext
):
    page = sign_in(context, portal)
    owner.execute("DELETE FROM portal.sessions")
    page.fill("#rl-q", ASKED)
    page.keyboard.press("Enter")
    dialog = page.locator(".rl-dialog")
    expect(dialog).to_contain_text("Your session has ended")
    with context.expect_page() as opened:
        dialog.locator("a").click()
    opened.value.click("button[value='rep.east']")
    expect(opened.value.locator("h1")).to_have_text("You are signed in again")
    expect(dialog).to_have_count(0)
    expect(page.locator("#rl-q")).to_have_value(ASKED)
    expect(page.locator(".rl-result").first).to_contain_text("East Liberty")


def test_a_role_without_the_page_is_told_and_can_leave(portal: Settings, context: BrowserContext):
    page = context.new_page()
    page.goto(portal.portal.public_url)
    page.click("button[value='privacy']")
    expect(page.locator(".rl-brand")).to_have_text("Privacy")
    page.goto(f"{portal.portal.public_url}/rep/")
    expect(page.locator("main")).to_contain_text("privacy officer does not include this page")
    page.click("button")
    expect(page.locator("h1")).to_have_text("You are signed out")


def test_another_name_of_this_machine_leads_to_the_one_that_cookies_belong_to(
    portal: Settings, context: BrowserContext
):
    page = context.new_page()
    page.goto(f"http://localhost:{portal.portal.port}/rep/?receipt=1")
    page.click("button[value='rep.east']")
    expect(page.locator("#rl-q")).to_be_visible()
    assert page.url == f"{portal.portal.public_url}/rep/?receipt=1"


def test_signing_out_leads_out_and_stays_out(portal: Settings, context: BrowserContext):
    page = sign_in(context, portal)
    page.click(".rl-menu summary")
    page.click(".rl-menu-body button")
    expect(page.locator("h1")).to_have_text("You are signed out")
    page.goto(f"{portal.portal.public_url}/rep/")
    assert urlsplit(page.url).port == portal.serve.port


def test_hostile_names_in_every_field_are_shown_and_run_nothing(
    settings: Settings, owner: psycopg.Connection, portal: Settings, context: BrowserContext, watch: Watch
):
    fields = ({"sku": f"9{i:03d}", "line_number": i, "description": text} for i, text in enumerate(PAYLOADS, 1))
    lines = [
        {**MILK, **field, "category": field["description"], "department": field["description"]} for field in fields
    ]
    store = make_store(name=PAYLOADS[0], aliases=PAYLOADS[1:3], street=PAYLOADS[3], city=PAYLOADS[4], phone=PAYLOADS[2])
    customer = make_customer(first_name=PAYLOADS[5], last_name=PAYLOADS[2], city=PAYLOADS[1])
    tenders = [{"tender_type": "credit", "amount_cents": 349 * len(lines), "card_brand": "${window.__ran=1}"}]
    receipt = make_receipt(lines=lines, operator_id="<img src=x onerror=__ran=1>", tenders=tenders)
    pantry.stock(settings, owner, [receipt], stores=[store], customers=[customer])
    page = sign_in(context, portal)
    page.keyboard.type("/")  # in the box it is a letter
    ask(page, f"milk {PAYLOADS[0]} {PAYLOADS[2]}")
    ask(page, "card 4242 for $34.90")
    ask(page, receipt.receipt_id)
    expect(page.locator(".rl-paper")).to_contain_text(PAYLOADS[1])
    expect(page.locator(".rl-head strong")).to_have_text(PAYLOADS[0])
    expect(page.locator(".rl-customer h2")).to_contain_text(PAYLOADS[5])
    for element in page.locator("#rl-desk :is(.rl-row, .rl-person, .rl-items, .rl-head, .rl-chip)").all():
        element.click(force=True, trial=True)
    assert page.evaluate("window.__ran") is None
    assert page.locator("#rl-desk :is(img, iframe, script, b[onclick])").count() == 0
    assert watch.hosts == {"127.0.0.1"}
    assert watch.errors == []
