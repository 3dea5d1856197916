"""Lists that go on, and searches by single fields, in a real browser before the real API."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from playwright.sync_api import BrowserContext, expect

from configs.settings import Settings
from receipts.models import Receipt
from tests.gradio_ui import pantry
from tests.gradio_ui.browsing import Watch, ask, sign_in


@pytest.fixture
def receipts(settings: Settings, owner: psycopg.Connection) -> list[Receipt]:
    """Half a year of shopping."""
    bought = pantry.shopping(datetime.now(UTC))
    pantry.stock(settings, owner, bought)
    return bought


def test_a_list_goes_on_where_it_ended_and_nothing_stands_there_twice(
    receipts: list[Receipt], portal: Settings, context: BrowserContext, watch: Watch
):
    page = sign_in(context, portal)
    ask(page, "at East Liberty")
    results = page.locator(".rl-result")
    expect(results).to_have_count(20)
    page.click("#rl-results-more")
    expect(page.locator("#rl-results-more")).to_have_count(0)
    shown = [one.get_attribute("data-rl-open") for one in results.all()]
    assert len(set(shown)) == len(shown) > 20
    assert {one.receipt_id for one in receipts if one.store_id == receipts[0].store_id} <= set(shown)
    results.nth(22).click()
    expect(page.locator(".rl-receipt")).to_have_attribute("data-rl-shown", str(shown[22]))
    expect(results.nth(22)).to_have_attribute("aria-selected", "true")
    ask(page, "at Shadyside")  # another question begins anew
    expect(results.first).to_contain_text("Shadyside")
    assert watch.errors == []


def test_single_fields_find_a_receipt_and_say_which_did(
    receipts: list[Receipt], portal: Settings, context: BrowserContext, watch: Watch, picture
):
    wanted = receipts[0]
    page = sign_in(context, portal)
    page.click("[data-rl-do=fields]")
    expect(page.locator("#rl-fields [name=store]")).to_be_focused()
    page.fill("[name=store]", "East Liberty")
    for end in ("from", "to"):
        page.fill(f"#rl-fields [name=date_{end}]", f"{wanted.business_date}")
    page.fill("#rl-fields [name=amount_min]", f"{wanted.total_cents / 100 - 0.01:.2f}")
    page.fill("#rl-fields [name=amount_max]", f"{wanted.total_cents / 100 + 0.01:.2f}")
    page.fill("#rl-fields [name=item]", "chicken")
    picture(page, "fields")
    page.click("#rl-fields [type=submit]")
    first = page.locator(".rl-result").first
    expect(first).to_have_attribute("data-rl-open", wanted.receipt_id)
    expect(first.locator(".rl-why")).to_contain_text("East Liberty")
    page.click("#rl-fields [type=reset]")
    page.click("#rl-fields [type=submit]")
    expect(page.locator("#rl-found-box")).to_contain_text("fill in at least one field")
    page.keyboard.press("Escape")
    expect(page.locator("#rl-fields")).to_be_hidden()
    assert watch.errors == []


def test_a_customers_older_receipts_come_twenty_at_a_time(
    receipts: list[Receipt], portal: Settings, context: BrowserContext, watch: Watch
):
    page = sign_in(context, portal, path=f"/rep/?receipt={receipts[0].receipt_id}")
    history = page.locator("#rl-history-box .rl-history button")
    bought = sum(one.customer_id == receipts[0].customer_id for one in receipts)
    assert 20 < bought <= 40
    expect(history).to_have_count(20)
    newest = history.first.get_attribute("data-rl-open")
    page.click("#rl-history-box >> text=Older")
    expect(history).to_have_count(bought - 20)
    page.click("#rl-history-box >> text=Newest")
    expect(history.first).to_have_attribute("data-rl-open", str(newest))
    assert watch.errors == []
