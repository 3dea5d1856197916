"""A search as a person sees it: typed in Debian's Chromium, timed from the key until the result stands in the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING

from cluster.benchmarks.portal_reps import Rep, cookie_name
from cluster.doctor import find_chromium
from configs.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Page

_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
_WAIT_MS = 20_000
_WARM = 2  # searches of each browser
_PUT = "(text) => { const box = document.getElementById('rl-q'); box.value = text; box.focus(); }"
# Takes the time of the last key, and that when the result has become another; Gradio's own parts change before.
_WATCH = """
() => { window.receiptsWait = new Promise((resolve) => {
  const box = document.getElementById("rl-found-box");
  const shown = () => box.querySelector(".rl-results, .rl-none, .rl-message")?.outerHTML ?? "";
  const before = shown();
  let began = null;
  const key = (event) => { began = event.timeStamp; };
  window.addEventListener("keydown", key, true);
  const end = (told) => { window.removeEventListener("keydown", key, true); list.disconnect(); resolve(told); };
  const list = new MutationObserver(() => {
    if (began !== null && shown() !== before)
      end({ took: performance.now() - began, wrong: box.querySelector(".rl-message")?.textContent ?? "" });
  });
  list.observe(box, { childList: true, subtree: true, characterData: true });
  setTimeout(() => end({ wrong: "no other result within 15 s" }), 15000);
}); }
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """Milliseconds from Enter, and from the last key without Enter, until the result stood in the page; failures."""

    entered: list[float] = field(default_factory=list)
    paused: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def missing() -> str | None:
    """Say what has to be installed first, or None."""
    if find_spec("playwright") is None:
        return "Playwright (pip install playwright)"
    return "Chromium (apt-get install chromium)" if find_chromium() is None else None


def watch(settings: Settings, reps: Sequence[Rep], searches: int) -> Seen:
    """Let each rep search so often in a browser of their own."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  comes with the tests and not with the platform

    seen = Seen()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=_FLAGS)
        for rep in reps:
            with browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US") as context:
                context.set_default_timeout(_WAIT_MS)
                own = {"name": cookie_name(settings), "value": rep.cookie, "url": settings.portal.public_url}
                context.add_cookies([own])  # pyright: ignore[reportArgumentType]  a TypedDict of Playwright's own
                page = context.new_page()
                page.goto(f"{settings.portal.public_url}/rep/")
                page.wait_for_selector("#rl-q")
                for number, text in enumerate(islice(rep.memories(), _WARM + searches)):
                    _search(page, text, seen, enters=number % 2 == 0, counts=number >= _WARM)
        browser.close()
    return seen


def _search(page: Page, text: str, seen: Seen, *, enters: bool, counts: bool) -> None:
    page.wait_for_selector("body:not(.rl-busy)")
    # Put there without a word: what is typed would be asked for by itself, on a slow machine before Enter is pressed.
    page.evaluate(_PUT, text if enters else text[:-1])
    page.evaluate(_WATCH)
    page.keyboard.press("Enter" if enters else text[-1])
    told = page.evaluate("() => window.receiptsWait")
    if told["wrong"]:
        seen.failed.append(told["wrong"])
    elif counts:
        (seen.entered if enters else seen.paused).append(told["took"])
