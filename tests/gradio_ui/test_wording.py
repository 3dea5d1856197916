from datetime import UTC, date, datetime

import pytest

from gradio_ui import render, wording
from tests.gradio_ui.test_render import NOW, found


@pytest.mark.parametrize(
    ("days", "said"),
    [(0, "today"), (1, "yesterday"), (6, "6 days ago"), (59, "59 days ago"), (90, "3 months ago"), (900, "")],
)
def test_how_long_ago_counts_the_stores_own_days(days: int, said: str):
    when = datetime.fromordinal(date(2026, 11, 23).toordinal() - days)
    summary = render.summarise(found()).model_copy(
        update={"purchased_local": when.replace(hour=23), "purchased_at": when.replace(hour=23, tzinfo=UTC)}
    )
    assert wording.ago(summary, NOW) == said


def test_a_purchase_late_in_the_stores_evening_is_today_though_it_is_tomorrow_in_utc():
    summary = render.summarise(found(purchased_at=datetime(2026, 11, 18, 2, 0, tzinfo=UTC)))
    assert wording.ago(summary, datetime(2026, 11, 18, 3, 0, tzinfo=UTC)) == "today"


@pytest.mark.parametrize(
    ("name", "letters"), [("Rita Park", "RP"), ("Ellen van Brandt", "EB"), ("Cher", "C"), ("${1}", "?"), ("", "?")]
)
def test_initials_come_from_the_first_and_last_word(name: str, letters: str):
    assert wording.initials(name) == letters
