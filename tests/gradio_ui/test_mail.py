"""A receipt mailed, taken back and told of, and contact data shown for half a minute, in a real browser."""

from __future__ import annotations

import asyncio
import io
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from pypdf import PdfReader

from cluster.deploy import capabilities_of
from configs.settings import Settings
from receipts.identity import display
from receipts.models import Receipt
from tests.fixtures.smtp_server import MailServer, Received, mail_server
from tests.gradio_ui import pantry
from tests.gradio_ui.browsing import Watch, keeps_to_itself, sign_in
from tests.gradio_ui.conftest import running
from tests.gradio_ui.test_browser import ASKED
from tests.serve_apps.mailing.posting import mailing, mailing_by

_UNDO_S = 3.0  # half of what a rep has: long enough for a hand, short for a test


@pytest.fixture
def mails() -> Iterator[MailServer]:
    """A real SMTP server."""
    with mail_server() as server:
        yield server


@pytest.fixture
def receipts(settings: Settings, owner: psycopg.Connection) -> list[Receipt]:
    """Half a year of shopping; the first is chicken in East Liberty last Tuesday."""
    bought = pantry.shopping(datetime.now(UTC))
    pantry.stock(settings, owner, bought)
    return bought


@pytest.fixture
def counter(settings: Settings, receipts: list[Receipt], mails: MailServer) -> Iterator[Settings]:
    """The portal, the whole API and a mailer."""
    platform = mailing_by(settings, mails, undo_s=_UNDO_S, interval_s=0.2)
    with mailer(platform):
        yield from running(platform, {one.name for one in capabilities_of(platform)})


@contextmanager
def mailer(settings: Settings) -> Iterator[None]:
    """Run a mailer in a thread of its own while the block lasts."""
    stop = threading.Event()

    async def run() -> None:
        async with mailing(settings):
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def arrived(mails: MailServer, count: int) -> list[Received]:
    """Wait for mail in a thread: in this one Playwright's loop runs."""
    with ThreadPoolExecutor(1) as other:
        return other.submit(asyncio.run, mails.arrived(count)).result()


def snack(page: Page, said: str) -> None:
    expect(page.locator(".rl-snack")).to_contain_text(said)


def test_search_open_mail_and_undo_by_keyboard_alone(  # noqa: PLR0917 - fixtures, each a part of the real thing
    counter: Settings,
    receipts: list[Receipt],
    owner: psycopg.Connection,
    context: BrowserContext,
    watch: Watch,
    mails: MailServer,
    picture,
):
    page = sign_in(context, counter)
    page.keyboard.type(ASKED)
    page.keyboard.press("Enter")
    target = page.locator(f".rl-result[data-rl-open='{receipts[0].receipt_id}']")
    expect(target).to_be_visible()
    while "rl-active" not in (target.get_attribute("class") or ""):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".rl-number")).to_have_text(display(receipts[0].receipt_id))
    page.keyboard.press("c")
    expect(page.locator(".rl-said")).to_have_text("Number copied")
    page.keyboard.press("e")
    expect(page.locator(".rl-mail")).to_contain_text("the address on file, m•••")
    page.keyboard.press("Escape")
    expect(page.locator(".rl-mail")).to_be_hidden()
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    snack(page, "Sending to m•••")
    picture(page, "mail-undo")
    page.keyboard.press("u")
    snack(page, "Not sent: taken back in time")
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    snack(page, "Sent to m•••")
    (mail,) = arrived(mails, 1)
    assert mail.recipients == ["maria.kowalski@example.com"]
    (attached,) = mail.message.iter_attachments()
    pdf = PdfReader(io.BytesIO(attached.get_content())).pages[0].extract_text()
    assert display(receipts[0].receipt_id) in pdf
    assert "ROTISSERIE CHICKEN" in pdf
    kinds = {part.get_content_type() for part in mail.message.walk()}
    assert {"text/plain", "text/html", "application/pdf"} <= kinds
    expect(page.locator(".rl-event-mailed")).to_contain_text("Mailed by Renee")
    expect(page.locator(".rl-event-sold")).to_contain_text("Sold")
    owner.execute("SELECT audit.project()")
    looks = owner.execute("SELECT count(*) FROM audit.events WHERE route = 'GET /receipt/{receipt_id}'").fetchone()
    assert looks == (1,), "one look at it, however often its story was told"
    assert "maria.kowalski" not in page.content()
    keeps_to_itself(page, watch)


def test_a_gift_receipt_goes_to_an_address_that_the_customer_says(
    counter: Settings, receipts: list[Receipt], context: BrowserContext, watch: Watch, mails: MailServer
):
    page = sign_in(context, counter, path=f"/rep/?receipt={receipts[0].receipt_id}")
    page.click("[data-rl-do=mail]")
    page.check("[name=to][value=typed]")
    page.fill(".rl-mail [name=email]", "gran@example.com")
    page.check("[name=gift]")
    page.click(".rl-mail [type=submit]")
    snack(page, "Sent to g•••")
    (mail,) = arrived(mails, 1)
    assert mail.recipients == ["gran@example.com"]
    text = mail.message.get_body(("plain",)).get_content()
    assert "ROTISSERIE CHICKEN" in text
    assert not re.search(r"\d+\.\d\d", text), "a gift has no prices"
    assert watch.errors == []


def test_a_mail_server_that_refuses_is_told_of_and_never_by_the_address(
    counter: Settings, receipts: list[Receipt], context: BrowserContext, mails: MailServer
):
    mails.answers["RCPT"] = ["550 5.1.1 no such user maria.kowalski@example.com"]
    page = sign_in(context, counter, path=f"/rep/?receipt={receipts[0].receipt_id}")
    page.click("[data-rl-do=mail]")
    page.click(".rl-mail [type=submit]")
    snack(page, "Could not be sent to m•••")
    assert "maria.kowalski" not in page.content()


def test_contacts_are_revealed_for_a_reason_that_is_on_record_and_masked_again(
    counter: Settings,
    receipts: list[Receipt],
    owner: psycopg.Connection,
    context: BrowserContext,
    watch: Watch,
    picture,
):
    page = sign_in(context, counter, "supervisor.east", f"/rep/?receipt={receipts[0].receipt_id}")
    page.clock.install()
    expect(page.locator(".rl-customer")).not_to_contain_text("maria.kowalski@")
    page.click(".rl-reveal summary")
    page.select_option("[name=reason]", "call_back")
    page.click(".rl-reveal [type=submit]")
    clear = page.locator(".rl-clear")
    expect(clear).to_contain_text("maria.kowalski@example.com")
    picture(page, "reveal")
    owner.execute("SELECT audit.project()")
    told = owner.execute(
        "SELECT principal_id, customer_ids, constraints FROM audit.events WHERE route LIKE '%reveal'"
    ).fetchall()
    assert [(who, whose) for who, whose, _ in told] == [("supervisor.east", [receipts[0].customer_id])]
    assert "call_back" in str(told[0][2])
    context.set_offline(True)  # the page hides them by itself
    page.clock.run_for(31_000)
    expect(clear).to_have_count(0)
    assert "maria.kowalski@" not in page.content()
    context.set_offline(False)
    assert [error for error in watch.errors if "fetch" not in error] == []


def test_a_rep_is_offered_no_reveal(counter: Settings, receipts: list[Receipt], context: BrowserContext):
    page = sign_in(context, counter, path=f"/rep/?receipt={receipts[0].receipt_id}")
    expect(page.locator(".rl-customer h2")).to_have_text("Maria Kowalski")
    expect(page.locator(".rl-reveal")).to_have_count(0)
