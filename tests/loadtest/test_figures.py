import io

import pytest
from rich.console import Console

from loadtest.figures import as_json, percentile, read_figures, show


def entry(name, times, failures=0):
    return {
        "name": name,
        "method": "GET",
        "num_requests": sum(times.values()),
        "num_failures": failures,
        "start_time": 100.0,
        "last_request_timestamp": 110.0,
        "response_times": times,
    }


def test_percentiles_come_from_the_histogram():
    counts = {"1": 50, "5": 45, "30": 4, "210": 1}
    assert [percentile(counts, share) for share in (0.5, 0.95, 0.99, 1.0)] == [1.0, 5.0, 30.0, 210.0]
    assert percentile({}, 0.5) == 0.0


def test_keys_are_compared_as_numbers():
    assert percentile({"9": 1, "10": 1, "100": 1}, 0.5) == 10.0


def test_routes_stand_with_the_busiest_first():
    figures = read_figures([entry("GET /b", {"3": 10}), entry("GET /a", {"2": 40}, failures=2)])
    assert [f.route for f in figures] == ["GET /a", "GET /b"]
    assert figures[0].per_second == pytest.approx(4.0)
    assert as_json(figures)[0] == {
        "route": "GET /a",
        "requests": 40,
        "failures": 2,
        "per_second": 4.0,
        "p50_ms": 2.0,
        "p95_ms": 2.0,
        "p99_ms": 2.0,
    }


def test_the_table_shows_every_route_and_its_failures():
    shown = io.StringIO()
    show(read_figures([entry("GET /receipt/{receipt_id}", {"2": 1_234}, failures=7)]), Console(file=shown, width=120))
    row = next(line for line in shown.getvalue().splitlines() if "/receipt/{receipt_id}" in line)
    assert "1,234" in row
    assert " 7 " in row


@pytest.mark.parametrize("width", [40, 80])
def test_a_narrow_terminal_cuts_no_route_and_no_figure(width):
    shown = io.StringIO()
    route = "GET /customers/{customer_id}/receipts"
    busy = entry(route, {"1234567": 123_456_789}, failures=123_456_789)
    show(read_figures([busy]), Console(file=shown, width=width))
    row = next(line for line in shown.getvalue().splitlines() if route in line)
    assert row.count("123,456,789") == 2
    assert row.count("1,234,567") == 3
