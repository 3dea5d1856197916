import io

import pytest
from rich.console import Console

from loadtest.figures import read_figures
from loadtest.pacing import DUE
from loadtest.showing import show
from tests.loadtest.test_figures import CALM, entry


def shown(figures, width=120):
    written = io.StringIO()
    show(figures, Console(file=written, width=width))
    return written.getvalue()


def test_the_report_shows_every_route_what_failed_and_why():
    errors = [{"route": "GET /a", "error": "refused by a limit: requests [odd]", "occurrences": 7}]
    told = shown(read_figures([entry("GET /a", {"2": 1_234}, failures=7)], CALM | {"errors": errors}))
    row = next(line for line in told.splitlines() if line.strip().startswith("GET /a"))
    assert row.split() == ["GET", "/a", "1,234", "7", "123.4", "2", "2", "2"]
    assert "refused by a limit: requests [odd]" in told
    assert "1,234 requests in 10 s, 7 failed, of which 7 were refused by a limit." in told


def test_a_rate_that_was_not_reached_is_said_to_tell_nothing_else():
    asked = [
        entry("GET /receipt/{receipt_id}", {"4": 100}),
        entry("from when it was due", {"900": 100}, method=DUE, by_second={str(n): 10 for n in range(10)}),
    ]
    told = shown(read_figures(asked, CALM, rate=100.0))
    assert "10.0 of 100.0 lookups/s reached" in told
    assert "The rate was not reached" in told
    assert "receipts bench lookup" in told


@pytest.mark.parametrize("width", [40, 80])
def test_a_narrow_terminal_cuts_no_route_and_no_figure(width):
    route = "GET /customers/{customer_id}/receipts"
    busy = entry(route, {"1234567": 123_456_789}, failures=123_456_789)
    row = next(line for line in shown(read_figures([busy], CALM), width).splitlines() if route in line)
    assert row.count("123,456,789") == 2
    assert row.count("1,234,567") == 3
