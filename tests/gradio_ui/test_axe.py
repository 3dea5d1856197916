"""Every page, light and dark, by the rules of WCAG 2.2 AA as axe-core can check them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from configs.settings import Settings
from tests.fixtures.npm import installed
from tests.gradio_ui import pantry
from tests.gradio_ui.browsing import ask, open_page, sign_in

_AXE = Path(__file__).parents[1] / "fixtures" / "axe"
_RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}"
# Gradio wraps everything in a main element of its own and gives its blocks no roles; we answer for what is within.
PAGES = {
    "supervisor.east": ["/rep", "/supervisor"],
    "fraud": ["/fraud"],
    "privacy": ["/privacy"],
    "admin": ["/admin"],
}


@pytest.fixture(scope="session")
def axe() -> str:
    """The checker's own source."""
    installed(_AXE)
    return (_AXE / "node_modules" / "axe-core" / "axe.min.js").read_text()


def violations(page: Page, axe: str) -> list[str]:
    """Return what breaks a rule: the rule, and where."""
    page.evaluate(axe)
    found = page.evaluate(f"axe.run(document, {_RULES})")["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("person", PAGES)
def test_no_page_breaks_a_rule_in_light_or_dark(
    settings: Settings, owner: psycopg.Connection, portal: Settings, context: BrowserContext, axe: str, person: str
):
    bought = pantry.shopping(datetime.now(UTC))
    pantry.stock(settings, owner, bought)
    page = sign_in(context, portal, person)
    page.emulate_media(reduced_motion="reduce")  # colours on their way from light to dark are no page of anybody's
    for path in PAGES[person]:
        open_page(page, portal, path)
        if path == "/rep":
            ask(page, "chicken from East Liberty")
            page.locator(".rl-result").first.click()
            expect(page.locator(".rl-customer")).to_be_visible()
            page.click("[data-rl-do=mail]")
            page.click("[data-rl-do=fields]")
        for _ in range(2):
            assert violations(page, axe) == []
            page.click("[data-rl-theme]")
