"""Date phrases, seen from Monday, 23 November 2026."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.understanding.almanac import HOLIDAYS, holiday
from serve_apps.understanding.dates import find_days
from serve_apps.understanding.slate import COVER, Slate

TODAY = date(2026, 11, 23)


def days(text, today=TODAY):
    found, _, _ = find_days(Slate.of(text), today)
    return found and tuple(day and day.isoformat() for day in (found.first, found.last))


def day(text):
    return (text, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-03", day("2026-10-03")),
        ("11/17", day("2026-11-17")),
        ("12/24", day("2025-12-24")),
        ("2/29", day("2024-02-29")),
        ("10/3/25", day("2025-10-03")),
        ("oct 3rd", day("2026-10-03")),
        ("3 October 2025", day("2025-10-03")),
        ("the third of october", day("2026-10-03")),
        ("the 28th", day("2026-10-28")),
        ("on the 9th of last month", day("2026-10-09")),
        ("last tuesday", day("2026-11-17")),
        ("monday", day("2026-11-16")),
        ("wensday evening", day("2026-11-18")),
        ("the tuesday before last", day("2026-11-10")),
        ("tuesday of last week", day("2026-11-17")),
        ("a week ago friday", day("2026-11-13")),
        ("two tuesdays ago", day("2026-11-10")),
        ("saturday the 14th", day("2026-11-14")),
        ("last week, probably wednesday", day("2026-11-18")),
        ("yesturday", day("2026-11-22")),
        ("last night", day("2026-11-22")),
        ("the day before yesterday", day("2026-11-21")),
        ("3 days ago", day("2026-11-20")),
        ("a couple of days ago", ("2026-11-19", "2026-11-23")),
        ("two weeks ago", ("2026-11-07", "2026-11-11")),
        ("about two weeks ago", ("2026-11-07", "2026-11-11")),
        ("last week", ("2026-11-16", "2026-11-22")),
        ("the week before last", ("2026-11-09", "2026-11-15")),
        ("week of nov 4", ("2026-11-02", "2026-11-08")),
        ("the first week of october", ("2026-10-01", "2026-10-07")),
        ("the last week of october", ("2026-10-25", "2026-10-31")),
        ("over the weekend", ("2026-11-21", "2026-11-22")),
        ("the weekend before last", ("2026-11-14", "2026-11-15")),
        ("memorial day weekend", ("2026-05-23", "2026-05-25")),
        ("early october", ("2026-10-01", "2026-10-10")),
        ("mid-october", ("2026-10-11", "2026-10-20")),
        ("late february", ("2026-02-21", "2026-02-28")),
        ("in june", ("2026-06-01", "2026-06-30")),
        ("september", ("2026-09-01", "2026-09-30")),
        ("the past 10 days", ("2026-11-13", "2026-11-23")),
        ("since halloween", ("2026-10-31", "2026-11-23")),
        ("before nov 3", (None, "2026-11-02")),
        ("after the 12th", ("2026-11-13", "2026-11-23")),
        ("right before halloween", ("2026-10-28", "2026-10-30")),
        ("the day after christmas", day("2025-12-26")),
        ("two days before halloween", day("2026-10-29")),
        ("around the 12th", ("2026-11-10", "2026-11-14")),
        ("the 22nd or so", ("2026-11-20", "2026-11-23")),
        ("maybe the 12th", day("2026-11-12")),
        ("nov 3-5", ("2026-11-03", "2026-11-05")),
        ("between the 3rd and the 5th", ("2026-11-03", "2026-11-05")),
        ("between the 20th and the 5th", ("2026-10-20", "2026-11-05")),
        ("from dec 28 to jan 3", ("2025-12-28", "2026-01-03")),
        ("friday or saturday", ("2026-11-20", "2026-11-21")),
        ("between friday and sunday", ("2026-11-20", "2026-11-22")),
        ("thanksgiving", day("2025-11-27")),
        ("on black friday", day("2025-11-28")),
    ],
)
def test_a_date_phrase_means_its_latest_past_occurrence(text, expected):
    assert days(text) == expected


@pytest.mark.parametrize(
    "text",
    ["halloween candy", "sun dried tomatoes", "1/2 gallon of milk", "easter eggs", "at 5:30", "around 5pm", "7up"],
)
def test_what_only_looks_like_a_date_is_none(text):
    assert days(text) is None


def test_dates_and_times_are_covered_and_nothing_else_is():
    _, mention, slate = find_days(Slate.of("milk last tuesday around 5pm at Oakland"), TODAY)
    assert mention.text == "last tuesday"
    assert slate.left.replace(COVER, "") == "milk   at oakland"


@given(st.dates(date(2005, 1, 1), date(2090, 1, 1)), st.sampled_from(sorted(HOLIDAYS)))
def test_a_holiday_lies_within_the_last_year_or_so(today, name):
    assert 0 <= (today - holiday(name, today)).days <= 400


@given(
    st.dates(date(2005, 1, 1), date(2090, 1, 1)),
    st.sampled_from(["the 31st", "feb 29", "last friday", "the weekend", "early march", "11/3", "the 5th or so"]),
)
def test_no_date_begins_in_the_future(today, text):
    first, _ = days(text, today)
    assert date.fromisoformat(first) <= today


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the first Saturday in October", day("2026-10-03")),
        ("first Monday of the month", day("2026-11-02")),
        ("the Wednesday before Halloween", day("2026-10-28")),
        ("the Friday after Veterans Day", day("2026-11-13")),
        ("Wed, no wait, Thursday", day("2026-11-19")),
        ("it wasn't the 12th, it was the 13th", day("2026-11-13")),
        ("not last Tuesday but the one before", day("2026-11-10")),
        ("yesterday or the day before", ("2026-11-21", "2026-11-22")),
        ("a week ago yesterday", day("2026-11-15")),
        ("3 or 4 days ago", ("2026-11-19", "2026-11-20")),
        ("maybe 2-3 weeks ago", ("2026-11-02", "2026-11-09")),
        ("3 wks ago", ("2026-10-31", "2026-11-04")),
        ("three nights ago", day("2026-11-20")),
        ("three Fridays back", day("2026-11-06")),
        ("last wknd", ("2026-11-21", "2026-11-22")),
        ("two weekends ago", ("2026-11-14", "2026-11-15")),
        ("the weekend of the 14th", ("2026-11-14", "2026-11-15")),
        ("the weekend of 11/14", ("2026-11-14", "2026-11-15")),
        ("sat/sun", ("2026-11-21", "2026-11-22")),
        ("this past summer", ("2026-06-01", "2026-08-31")),
        ("last fall", ("2025-09-01", "2025-11-30")),
        ("over the winter", ("2025-12-01", "2026-02-28")),
        ("sometime after Oct 5 but before Oct 10", ("2026-10-06", "2026-10-09")),
        ("on or before Nov 5", (None, "2026-11-05")),
        ("no earlier than Nov 5", ("2026-11-05", "2026-11-23")),
        ("eve of Thanksgiving", day("2025-11-26")),
        ("Christmas 2024", day("2024-12-25")),
        ("Thanksgiving morning", day("2025-11-27")),
        ("new years eve champagne", day("2025-12-31")),
        ("turkey day before thanksgiving", day("2025-11-26")),
        ("nov3", day("2026-11-03")),
        ("20261103", day("2026-11-03")),
        ("lane 12 nov 19", day("2026-11-19")),
        ("Frank, 10-24, beans", day("2026-10-24")),
        ("August receipt, window fan", ("2026-08-01", "2026-08-31")),
        ("Nov 6ish", ("2026-11-04", "2026-11-08")),
    ],
)
def test_a_phrase_of_a_representative_is_resolved(text, expected):
    assert days(text) == expected


@pytest.mark.parametrize(
    "text", ["halloween candy", "christmas lights and easter ham", "August Wilkins bought charcoal"]
)
def test_what_only_describes_a_thing_or_a_person_is_no_date(text):
    assert days(text) is None
