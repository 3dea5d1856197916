"""The benchmark's reps before a real portal: they see what a rep sees, and note what fails."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from cluster.benchmarks.portal_browser import missing, watch
from cluster.benchmarks.portal_reps import Rep, one_by_one, sign_in, together
from cluster.deploy import capabilities_of
from configs.settings import Settings
from tests.gradio_ui import pantry
from tests.gradio_ui.conftest import running


@pytest.fixture
def portal(settings: Settings, owner: psycopg.Connection) -> Iterator[Settings]:
    """The portal and the API with half a year of shopping."""
    pantry.stock(settings, owner, pantry.shopping(datetime.now(UTC)))
    yield from running(settings, {one.name for one in capabilities_of(settings)})


def clock() -> dict[str, float]:
    return {"clock": time.perf_counter()}


def test_reps_search_and_open_as_the_page_does_and_each_is_a_person(portal: Settings, owner: psycopg.Connection):
    reps = sign_in(portal, 3)
    alone, grown = one_by_one(portal, reps, 2, clock)
    assert Counter(event.kind for event in alone) == {"page": 3, "config": 3, "load": 3, "search": 6}
    assert grown["clock"] * 1_000 == pytest.approx(sum(e.took_ms for e in alone if e.kind == "search"), rel=0.5)
    events, begun = together(portal, reps, 0.1, 3.0)
    assert [event.failure for event in [*alone, *events] if event.failure] == []
    assert {event.kind for event in events} == {"page", "config", "load", "search", "open"}
    assert any(event.at >= begun for event in events)
    owner.execute("SELECT audit.project()")
    asked = owner.execute("SELECT DISTINCT principal_id FROM audit.events WHERE route = 'POST /search/'").fetchall()
    assert {name for (name,) in asked} == {rep.name for rep in reps}


def test_whoever_is_not_signed_in_any_more_counts_as_a_failure(portal: Settings):
    (rep, stranger) = sign_in(portal, 2)
    alone, _ = one_by_one(portal, [Rep(stranger.name, "unknown", rep.targets)], 1, clock)
    assert [(event.kind, event.failure[:4]) for event in alone] == [
        ("page", "303:"), ("config", "401:"), ("search", "401:"),
    ]  # fmt: skip


def test_a_browser_times_each_search_from_its_key(portal: Settings):
    assert missing() is None
    seen = watch(portal, sign_in(portal, 1), 4)
    assert seen.failed == []
    assert (len(seen.entered), len(seen.paused)) == (2, 2)
    assert min(seen.entered) > 10, "no search is as fast as what Gradio changes before"
    assert min(seen.paused) > 280, "the page waits for the next key"
