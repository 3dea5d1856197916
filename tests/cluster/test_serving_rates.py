"""Requests a second and their p95 over the last minute, also over a replica that began anew."""

import time

import pytest

from cluster import serving_rates
from cluster.serving_rates import Rates, note_rates, serving_now


def exposition(asked: int, slow: int, failed: int, slot: int = 0) -> str:
    """Return what one replica says that has answered so many, some of them in more than 10 ms, some with 503."""
    own = f'application="lookup",slot="{slot}",route="GET /receipt/{{receipt_id}}"'
    return (
        f'receipts_serve_requests_total{{{own},status="200"}} {asked - failed}.0\n'
        f'receipts_serve_requests_total{{{own},status="503"}} {failed}.0\n'
        f'receipts_serve_request_seconds_bucket{{{own},le="0.005"}} {asked - slow}.0\n'
        f'receipts_serve_request_seconds_bucket{{{own},le="0.01"}} {asked - slow}.0\n'
        f'receipts_serve_request_seconds_bucket{{{own},le="0.05"}} {asked}.0\n'
        f'receipts_serve_request_seconds_bucket{{{own},le="+Inf"}} {asked}.0\n'
    )


def test_rates_are_of_the_last_minute():
    rates = Rates()
    assert rates.take(exposition(1_000, 1_000, 0), 0.0) == {}
    assert rates.take(exposition(1_600, 1_001, 6), 30.0) == {
        "lookup": {"requests_per_s": 20.0, "failing_per_s": 0.2, "p95_ms": 5.0}
    }
    rates.take(exposition(2_200, 1_001, 6), 60.0)
    assert rates.take(exposition(2_800, 1_601, 6), 90.0)["lookup"] == {
        "requests_per_s": 20.0, "failing_per_s": 0.0, "p95_ms": 50.0,
    }  # fmt: skip


def test_a_replica_that_began_anew_or_came_later_counts_what_it_has_answered_since():
    rates = Rates()
    rates.take(exposition(500, 0, 0), 0.0)
    again = exposition(100, 0, 0) + exposition(200, 0, 0, slot=1)
    assert rates.take(again, 10.0)["lookup"]["requests_per_s"] == 30.0


def test_where_nothing_was_asked_there_is_no_percentile():
    rates = Rates()
    rates.take(exposition(5, 0, 0), 0.0)
    assert rates.take(exposition(5, 0, 0), 10.0)["lookup"] == {
        "requests_per_s": 0.0, "failing_per_s": 0.0, "p95_ms": None,
    }  # fmt: skip


def test_what_was_noted_is_told_until_it_is_of_another_time(settings, monkeypatch):
    lookup = {"requests_per_s": 20.0, "failing_per_s": 0.0, "p95_ms": 5.0}
    assert serving_now(settings)["applications"]["lookup"] == {"running": 0, "wanted": 1}
    note_rates(settings, {"lookup": lookup})
    assert serving_now(settings)["applications"]["lookup"] == {"running": 0, "wanted": 1, **lookup}
    monkeypatch.setattr(serving_rates, "_STALE_S", 0.0)  # instead of waiting for a minute
    assert serving_now(settings)["applications"]["lookup"] == {"running": 0, "wanted": 1}
    assert time.time() - serving_rates._file(settings).stat().st_mtime == pytest.approx(0, abs=60)
