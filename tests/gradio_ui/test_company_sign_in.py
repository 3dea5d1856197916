"""Signing in through a company's own provider, in a real browser: npm's `oidc-provider` proves who somebody is."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import BrowserContext, expect

from configs.settings import Settings
from receipts.identity import display
from tests.fixtures.identity_provider import IdentityProvider
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.gradio_ui.browsing import Watch
from tests.gradio_ui.conftest import running

RECEIPT = make_receipt()


@pytest.fixture
def company(settings: Settings, owner: psycopg.Connection, identity_provider: IdentityProvider) -> Iterator[Settings]:
    """The portal and its API behind the provider, where somebody is who is rep.east here."""
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=[RECEIPT])
    identity_provider.tell(person="4711", claims={"name": "Renee East"})
    behind = identity_provider.behind(settings)
    for running_now in running(behind, {"auth", "lookup", "customers", "context"}):
        owner.execute(
            "INSERT INTO access.identities (issuer, subject, principal_id) VALUES (%s, '4711', 'rep.east')",
            (identity_provider.issuer,),
        )
        yield running_now


def test_a_deep_link_leads_through_the_companys_provider_and_back(
    company: Settings, context: BrowserContext, watch: Watch, identity_provider: IdentityProvider
):
    page = context.new_page()
    visited: list[str] = []
    page.on("framenavigated", lambda frame: visited.append(frame.url))
    page.on("response", lambda answer: visited.append(answer.url))
    page.goto(f"{company.portal.public_url}/rep/?receipt={RECEIPT.receipt_id}")
    expect(page.locator(".rl-number")).to_have_text(display(RECEIPT.receipt_id))
    assert page.url == f"{company.portal.public_url}/rep/?receipt={RECEIPT.receipt_id}"
    provider = urlsplit(identity_provider.issuer).port
    assert provider in {urlsplit(url).port for url in visited}, "the company's provider was asked"
    assert page.evaluate("document.cookie") == ""
    page.click(".rl-menu summary")
    expect(page.locator(".rl-menu-body")).to_contain_text("Renee East")
    page.click(".rl-menu-body button")
    expect(page.locator("h1")).to_have_text("You are signed out")
    assert watch.hosts == {"127.0.0.1"}


def test_whoever_the_company_does_not_let_in_sees_nothing(
    company: Settings, context: BrowserContext, identity_provider: IdentityProvider
):
    identity_provider.tell(denies=True)
    page = context.new_page()
    page.goto(f"{company.portal.public_url}/rep/?receipt={RECEIPT.receipt_id}")
    expect(page.locator("body")).to_contain_text("was cancelled or refused")
    page.goto(f"{company.portal.public_url}/rep/config")
    expect(page.locator("body")).not_to_contain_text("dependencies")


def test_a_session_that_ends_in_the_middle_of_work_goes_on_after_the_companys_sign_in(
    company: Settings, owner: psycopg.Connection, context: BrowserContext
):
    page = context.new_page()
    page.goto(f"{company.portal.public_url}/rep/")
    expect(page.locator("#rl-q")).to_be_focused()
    owner.execute("DELETE FROM portal.sessions")
    page.fill("#rl-q", RECEIPT.receipt_id)
    page.keyboard.press("Enter")
    dialog = page.locator(".rl-dialog")
    expect(dialog).to_contain_text("Your session has ended")
    with context.expect_page() as opened:
        dialog.locator("a").click()
    expect(opened.value.locator("h1")).to_have_text("You are signed in again")
    expect(dialog).to_have_count(0)
    expect(page.locator("#rl-q")).to_have_value(RECEIPT.receipt_id)
    expect(page.locator(".rl-number")).to_have_text(display(RECEIPT.receipt_id))
