import pytest

from loadtest.figures import percentile, read_bars, read_figures
from loadtest.pacing import DUE
from loadtest.strain import Strain
from receipts.errors import InvalidInput

CALM = {"strain": {"driver:1": Strain().as_json()}, "errors": [], "exceptions": [], "seconds": 10.0}


def entry(name, times, failures=0, method="GET", by_second=None):
    return {
        "name": name,
        "method": method,
        "num_requests": sum(times.values()),
        "num_failures": failures,
        "response_times": times,
        "num_reqs_per_sec": by_second or {},
    }


def test_percentiles_come_from_the_histogram():
    counts = {"1": 50, "5": 45, "30": 4, "210": 1}
    assert [percentile(counts, share) for share in (0.5, 0.95, 0.99, 1.0)] == [1.0, 5.0, 30.0, 210.0]
    assert percentile({}, 0.5) == 0.0


def test_keys_are_compared_as_numbers():
    assert percentile({"9": 1, "10": 1, "100": 1}, 0.5) == 10.0


def test_routes_stand_with_the_busiest_first():
    figures = read_figures([entry("GET /b", {"3": 10}), entry("GET /a", {"2": 40}, failures=2)], CALM)
    assert (figures.requests, figures.failures) == (50, 2)
    assert figures.as_json()["routes"] == [
        {
            "route": "GET /a",
            "requests": 40,
            "failures": 2,
            "per_second": 4.0,
            "p50_ms": 2.0,
            "p95_ms": 2.0,
            "p99_ms": 2.0,
        },
        {
            "route": "GET /b",
            "requests": 10,
            "failures": 0,
            "per_second": 1.0,
            "p50_ms": 3.0,
            "p95_ms": 3.0,
            "p99_ms": 3.0,
        },
    ]


def test_what_limits_refused_is_a_failure_and_counted_apart():
    errors = [
        {"route": "GET /a", "error": "expected 200, got 503", "occurrences": 2},
        {"route": "GET /a", "error": "refused by a limit: customers-opened", "occurrences": 5},
    ]
    figures = read_figures([entry("GET /a", {"2": 40}, failures=7)], CALM | {"errors": errors})
    assert (figures.failures, figures.limited, figures.holds()) == (7, 5, False)
    assert [one.occurrences for one in figures.complaints] == [5, 2]


def test_an_error_in_the_load_test_itself_is_no_success():
    figures = read_figures([entry("GET /a", {"2": 40})], CALM | {"exceptions": ["KeyError: 'hits'"]})
    assert not figures.holds()
    assert figures.complaints[0].error == "KeyError: 'hits'"


def test_a_rate_is_what_came_between_ramp_up_and_end():
    by_second = {str(second): 10 for second in range(100, 103)} | {str(second): 50 for second in range(103, 110)}
    asked = [
        entry("GET /receipt/{receipt_id}", {"4": 380}),
        entry("from when it was due", {"4": 300, "900": 80}, method=DUE, by_second=by_second),
    ]
    figures = read_figures(asked, CALM, rate=100.0, ramp_up_s=1.0)
    assert figures.requests == 380, "a lookup counts once, however often it is timed"
    assert (figures.arrivals.reached_per_second, figures.arrivals.share) == (50.0, 0.5)
    assert figures.arrivals.since_due.p95_ms == 900.0
    assert figures.routes[0].p95_ms == 4.0


def test_bars_are_read_and_held():
    bars = read_bars(["GET /a=5", "POST /search/=40.5", "all=3", "GET /never=1"])
    assert bars == {"GET /a": 5.0, "POST /search/": 40.5, "all": 3.0, "GET /never": 1.0}
    told = [entry("GET /a", {"2": 95, "9": 5}), entry("POST /search/", {"41": 10}, method="POST")]
    figures = read_figures(told, CALM, bars=bars)
    assert [bar.holds for bar in figures.bars] == [True, False, False, False]
    assert [bar.value for bar in figures.bars] == [2.0, 41.0, 41.0, 0.0]
    assert not figures.holds()
    assert read_figures(told, CALM, bars={"all": 41.0}).holds()


@pytest.mark.parametrize("text", ["", "GET /a", "=5", "GET /a=fast", "GET /a=-1"])
def test_what_is_no_bar_is_refused(text):
    with pytest.raises(InvalidInput, match="is no bar; expected ROUTE=MS"):
        read_bars([text])
