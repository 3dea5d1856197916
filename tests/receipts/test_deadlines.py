"""The clocks of the laws, against tables made by hand with a calendar."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.deadlines import Law, business_days_after, deadlines_of, federal_holidays

# As the Office of Personnel Management lists them.
KEPT = {
    2026: ["01-01", "01-19", "02-16", "05-25", "06-19", "07-03", "09-07", "10-12", "11-11", "11-26", "12-25"],
    2027: ["01-01", "01-18", "02-15", "05-31", "06-18", "07-05", "09-06", "10-11", "11-11", "11-25", "12-24"],
    2029: ["01-01", "01-15", "02-19", "05-28", "06-19", "07-04", "09-03", "10-08", "11-12", "11-22", "12-25"],
}


@pytest.mark.parametrize("year", KEPT)
def test_holidays_are_those_of_the_federal_list(year):
    assert sorted(federal_holidays(year)) == [date.fromisoformat(f"{year}-{day}") for day in KEPT[year]]


def test_a_new_years_day_on_a_saturday_is_kept_in_the_year_before():
    assert date(2027, 12, 31) in federal_holidays(2028)


@pytest.mark.parametrize(
    ("received", "due", "extended"),
    [
        ("2026-11-17", "2026-12-17", "2027-02-17"),
        ("2026-12-15", "2027-01-15", "2027-03-15"),
        ("2026-08-31", "2026-09-30", "2026-11-30"),  # September has no 31st
        ("2026-01-31", "2026-02-28", "2026-04-30"),
        ("2028-01-31", "2028-02-29", "2028-04-30"),  # a leap year
        ("2028-01-29", "2028-02-29", "2028-04-29"),
        ("2026-02-28", "2026-03-28", "2026-05-28"),  # the same date, not the last of the month
        ("2026-11-30", "2026-12-30", "2027-02-28"),
        ("2027-11-30", "2027-12-30", "2028-02-29"),
        ("2026-12-31", "2027-01-31", "2027-03-31"),
    ],
)
def test_a_month_of_the_gdpr_ends_on_the_same_date_or_on_the_months_last_day(received, due, extended):
    found = deadlines_of(Law.GDPR, date.fromisoformat(received))
    assert (found.confirm_by, str(found.due_on), str(found.extended_due_on)) == (None, due, extended)


@pytest.mark.parametrize(
    ("received", "confirm", "due", "extended"),
    [
        ("2026-03-02", "2026-03-16", "2026-04-16", "2026-05-31"),  # a Monday, no holiday
        ("2026-03-06", "2026-03-20", "2026-04-20", "2026-06-04"),  # a Friday
        ("2026-03-07", "2026-03-20", "2026-04-21", "2026-06-05"),  # a Saturday
        ("2026-03-08", "2026-03-20", "2026-04-22", "2026-06-06"),  # a Sunday
        ("2026-06-26", "2026-07-13", "2026-08-10", "2026-09-24"),  # Independence Day is kept on Friday the 3rd
        ("2026-12-18", "2027-01-05", "2027-02-01", "2027-03-18"),  # Christmas and New Year
        ("2027-12-17", "2028-01-04", "2028-01-31", "2028-03-16"),  # both are kept on the Fridays before
        ("2026-11-16", "2026-12-01", "2026-12-31", "2027-02-14"),  # Thanksgiving
    ],
)
def test_the_ccpa_counts_business_days_to_confirm_and_calendar_days_to_answer(received, confirm, due, extended):
    found = deadlines_of(Law.CCPA, date.fromisoformat(received))
    assert (str(found.confirm_by), str(found.due_on), str(found.extended_due_on)) == (confirm, due, extended)


@given(st.dates(date(2018, 1, 1), date(2090, 12, 31)), st.sampled_from(Law))
def test_no_deadline_is_earlier_or_later_than_any_reading_of_the_law(received, law):
    found = deadlines_of(law, received)
    assert timedelta(days=28) <= found.due_on - received <= timedelta(days=45)
    assert found.due_on < found.extended_due_on <= received + timedelta(days=92)
    if found.confirm_by is not None:
        assert timedelta(days=12) <= found.confirm_by - received <= timedelta(days=20)
        assert found.confirm_by.weekday() < 5


@given(st.dates(date(2018, 1, 1), date(2090, 12, 31)), st.integers(0, 12), st.integers(0, 12))
def test_business_days_add_up(day, some, more):
    assert business_days_after(business_days_after(day, some), more) == business_days_after(day, some + more)
