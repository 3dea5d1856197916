"""Where imported data is moved to."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.anchors import AnchorUnreadable, remembered_weeks, weeks_until

SUNDAY = date(2017, 12, 31)


@given(today=st.dates(date(2018, 1, 2), date(2080, 1, 1)))
def test_the_last_day_moves_to_the_latest_same_weekday_before_today(today):
    moved = SUNDAY + timedelta(weeks=weeks_until(SUNDAY, today))
    assert moved < today <= moved + timedelta(days=7)
    assert moved.weekday() == SUNDAY.weekday()


def test_a_second_import_on_another_day_moves_nothing(tmp_path):
    first = remembered_weeks(tmp_path / "state", SUNDAY, date(2026, 11, 23))
    again = remembered_weeks(tmp_path / "state", SUNDAY, date(2027, 3, 1))
    assert first == again == 464
    assert json.loads((tmp_path / "state" / "imports.json").read_text()) == {
        "complete-journey": {"shift_weeks": 464, "last_day": "2026-11-22"}
    }


def test_other_imports_in_the_file_are_kept(tmp_path):
    (tmp_path / "imports.json").write_text('{"another": {"shift_weeks": 3}}')
    remembered_weeks(tmp_path, SUNDAY, date(2026, 11, 23))
    assert json.loads((tmp_path / "imports.json").read_text())["another"] == {"shift_weeks": 3}


@pytest.mark.parametrize("content", ["not json", "[1]", '{"complete-journey": 3}'])
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "imports.json").write_text(content)
    with pytest.raises(AnchorUnreadable, match="is not a JSON object"):
        remembered_weeks(tmp_path, SUNDAY, date(2026, 11, 23))
