"""The pages of supervisors, the fraud team, privacy officers and administrators, before the whole API, in a browser."""

from __future__ import annotations

import csv
from datetime import UTC, datetime

import psycopg
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from cluster.bulletin import publish
from configs.settings import Settings
from receipts.models import Receipt
from tests.cluster.test_bulletin import a_look
from tests.fixtures.serving import plant_pattern
from tests.gradio_ui import pantry
from tests.gradio_ui.browsing import Watch, keeps_to_itself, open_page, sign_in


@pytest.fixture
def receipts(settings: Settings, owner: psycopg.Connection) -> list[Receipt]:
    """Half a year of shopping."""
    bought = pantry.shopping(datetime.now(UTC))
    pantry.stock(settings, owner, bought)
    return bought


def settled(page: Page) -> None:
    expect(page.locator("body:not(.rl-busy)")).to_be_visible()


def test_a_supervisor_takes_receipts_away_and_sees_how_far_it_is(
    receipts: list[Receipt], portal: Settings, context: BrowserContext, watch: Watch, picture
):
    page = sign_in(context, portal, "supervisor.east")
    expect(page.locator("#rl-q")).to_be_focused()
    page.click(".rl-nav >> text=Supervision")
    first = min(one.business_date for one in receipts)
    page.fill("[name=date_from]", str(first))
    page.select_option("[data-rl-form=export] [name=reason]", "chargeback")
    export = page.locator("[data-rl-export]")
    for _ in range(5):  # what is limited is refused while the store of the limits is slow, on a loaded machine
        page.click("[data-rl-form=export] [type=submit]")
        expect(page.locator("[data-rl-export], #rl-said-box .rl-message")).not_to_have_count(0)
        if export.count():
            break
    expect(export).to_contain_text("0 of")
    with page.expect_download() as begun:
        export.locator("a").click()
    with begun.value.path().open(newline="") as file:
        rows = list(csv.DictReader(file))
    east = [one for one in receipts if one.store_id == receipts[0].store_id]
    assert {one.receipt_id for one in east} <= {row["receipt_id"] for row in rows}
    assert {row["exported_by"] for row in rows} == {"supervisor.east"}
    assert not any("@" in value for row in rows for value in row.values() if value)
    expect(export).to_have_attribute("data-rl-state", "done")
    expect(export).to_contain_text(f"{len(rows):,} of {len(rows):,} rows")

    page.fill("[data-rl-form=raise] [name=subject_id]", receipts[0].receipt_id)
    page.fill("[data-rl-form=raise] [name=note]", "Came back <b>twice</b> ${1+1}")
    page.click("[data-rl-form=raise] [type=submit]")
    flag = page.locator("[data-rl-flag]").first
    expect(flag).to_contain_text("Came back <b>twice</b> ${1+1}")
    expect(flag).to_contain_text("You raised it")
    picture(page, "supervisor")
    other = sign_in(context.browser.new_context(), portal, "fraud", "/supervisor/")
    other.fill("[data-rl-form=review] [name=note]", "A large family")
    other.click("[data-rl-form=review] >> text=Clear")
    expect(other.locator("[data-rl-flag]")).to_have_count(0)
    other.click(".rl-tabs >> text=Cleared")
    expect(other.locator("[data-rl-flag]")).to_contain_text("A large family")
    keeps_to_itself(page, watch)


def test_the_fraud_team_goes_from_a_pattern_down_to_its_receipts(
    receipts: list[Receipt], portal: Settings, owner: psycopg.Connection, context: BrowserContext, watch: Watch, picture
):
    store, customer = receipts[0].store_id, receipts[0].customer_id
    for number in range(3):
        plant_pattern(owner, f"{number:032d}", region_ids=[1], store_ids=[store], subject_id=customer)
    page = sign_in(context, portal, "fraud", "/fraud/")
    pattern = page.locator("#rl-patterns-box [data-rl-send=drill]")
    expect(pattern).to_have_count(3)
    expect(page.locator("#rl-plots-box svg").first).to_be_visible()
    pattern.first.click()
    expect(page.locator("#rl-drill-box h2")).to_have_text("Its receipts")
    settled(page)
    picture(page, "fraud")
    keeps_to_itself(page, watch)


def test_a_privacy_officer_sees_who_looked_and_keeps_requests_to_their_clocks(
    receipts: list[Receipt], portal: Settings, owner: psycopg.Connection, context: BrowserContext, watch: Watch, picture
):
    rep = sign_in(context, portal, path=f"/rep/?receipt={receipts[0].receipt_id}")
    expect(rep.locator(".rl-customer h2")).to_have_text("Maria Kowalski")
    owner.execute("SELECT audit.project()")
    officers = context.browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    page = sign_in(officers, portal, "privacy")
    assert page.url.endswith("/privacy/")
    page.fill("[data-rl-form=trail] [name=principal_id]", "rep.east")
    page.fill("[data-rl-form=trail] [name=customer_id]", receipts[0].customer_id or "")
    page.click("[data-rl-form=trail] [type=submit]")
    expect(page.locator("#rl-trail-box tbody tr").first).to_contain_text("rep.east")
    settled(page)
    routes = page.locator("#rl-trail-box code").all_inner_texts()
    assert "GET /receipt/{receipt_id}" in routes
    with page.expect_download() as begun:
        page.click("#rl-trail-box a[download]")
    with begun.value.path().open(newline="") as file:
        assert {row["principal_id"] for row in csv.DictReader(file)} == {"rep.east"}

    page.fill("[data-rl-form=request] [name=customer_id]", receipts[0].customer_id or "")
    page.select_option("[data-rl-form=request] [name=request]", "erasure")
    page.click("[data-rl-form=request] [type=submit]")
    case = page.locator("[data-rl-case]")
    expect(case).to_have_attribute("data-rl-state", "received")
    expect(page.locator("#rl-requests-box")).to_contain_text("due")
    case.locator("button[value=verify_identity]").click()
    expect(case).to_have_attribute("data-rl-state", "verified")
    case.locator("button[value=refuse]").click()  # needs a reason
    expect(page.locator("#rl-said-box")).to_contain_text("is needed to refuse")
    expect(case).to_have_attribute("data-rl-state", "verified")
    picture(page, "privacy")
    keeps_to_itself(page, watch)


def test_an_administrator_sees_the_platform_and_replays_a_refused_record(
    receipts: list[Receipt], portal: Settings, owner: psycopg.Connection, context: BrowserContext, watch: Watch, picture
):
    owner.execute(
        "INSERT INTO ingest.quarantine (bronze_table, received_at, source, reason, kind, payload, payload_digest) "
        "VALUES ('bronze.receipts', now(), 'till', 'totals do not add up', 'invalid', '{\"a\": 1}', 'x')"
    )
    page = sign_in(context, portal, "admin")
    assert page.url.endswith("/admin/")
    expect(page.locator("[data-rl-healthy]")).to_contain_text("The monitor has not told anything yet")
    publish(portal, a_look(portal))
    expect(page.locator("#rl-status-box")).to_contain_text("the nightly job vacuum failed")  # asked again by itself
    expect(page.locator(".rl-parts .rl-part-well").first).to_contain_text("PostgreSQL")
    page.click("#rl-refusals-box [data-rl-send=record]")
    record = page.locator("[data-rl-record]")
    expect(record.locator("textarea")).to_have_value('{\n  "a": 1\n}')
    picture(page, "admin")
    record.locator("textarea").fill('{"a": ')
    record.locator("button[value=fix]").click()
    expect(page.locator("#rl-said-box")).to_contain_text("is no JSON")
    expect(record.locator("textarea")).to_have_value('{"a": ')  # what was typed stays
    page.locator("[data-rl-record] button[value=replay]").click()
    expect(page.locator("#rl-said-box")).to_contain_text("is given")
    assert owner.execute("SELECT action, ordered_by FROM ingest.desk_orders").fetchall() == [("replay", "admin")]
    keeps_to_itself(page, watch)


def test_a_page_of_another_role_is_refused_and_says_so(portal: Settings, context: BrowserContext):
    page = sign_in(context, portal)
    for path in ("/supervisor", "/fraud", "/privacy", "/admin"):
        answer = page.goto(f"{portal.portal.public_url}{path}/")
        assert answer is not None
        assert answer.status == 403
        expect(page.locator("main")).to_contain_text("cs rep does not include this page")


def test_a_page_of_a_role_is_usable_at_390_pixels(receipts: list[Receipt], portal: Settings, context: BrowserContext):
    page = sign_in(context, portal, "supervisor.east")
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, portal, "/supervisor")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
