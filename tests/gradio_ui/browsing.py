"""What a person does in a browser, and what is watched meanwhile."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, expect

from configs.settings import Settings

FLAGS = [
    "--no-sandbox",  # the tests may run as root, where Chromium has no sandbox
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
WAIT_MS = 20_000


class Watch:
    """What happens in the pages of a browser: where requests go, and what fails."""

    def __init__(self, context: BrowserContext):
        self.hosts: set[str] = set()
        self.errors: list[str] = []
        context.on(
            "request", lambda request: self.hosts.add(urlsplit(request.url).hostname or urlsplit(request.url).scheme)
        )
        context.on("weberror", lambda error: self.errors.append(str(error.error)))


def sign_in(context: BrowserContext, settings: Settings, principal: str = "rep.east", path: str = "/") -> Page:
    """Open the portal and choose whom to be on the development provider's page."""
    page = context.new_page()
    page.goto(f"{settings.portal.public_url}{path}")
    assert urlsplit(page.url).port == settings.serve.port, "an unknown browser is sent to the identity provider"
    page.click(f"button[value='{principal}']")
    expect(page.locator(".rl-top")).to_be_visible()
    if "/rep/" in page.url:
        expect(page.locator("#rl-q")).to_be_focused()
    return page


def ask(page: Page, text: str) -> None:
    page.fill("#rl-q", text)
    page.keyboard.press("Enter")
    expect(page.locator("#rl-found-box :is(.rl-results, .rl-none, .rl-message)")).to_be_visible()
    expect(page.locator("body:not(.rl-busy)")).to_be_visible()


def open_page(page: Page, settings: Settings, path: str) -> None:
    """Go to another page of the portal, and wait until it is filled."""
    page.goto(f"{settings.portal.public_url}{path}/")
    expect(page.locator(".rl-top")).to_be_visible()
    expect(page.locator("#rl-desk .rl-card").first).to_be_visible()
    expect(page.locator("body:not(.rl-busy)")).to_be_visible()


def keeps_to_itself(page: Page, watch: Watch) -> None:
    """Hold a page to what all promise: no failure, no request to elsewhere, nothing kept but light or dark."""
    assert watch.errors == []
    assert watch.hosts <= {"127.0.0.1", "blob"}, "no request may leave the machine"
    kept = page.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]")
    assert set(kept) <= {"receipts-theme"}
    assert page.evaluate("document.cookie") == ""
