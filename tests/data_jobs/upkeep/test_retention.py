"""Rows go when their time is over, with what tells of a person and without what does not."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from data_jobs.batches import refine
from data_jobs.catalogue import find_table
from data_jobs.changes import find_changes
from data_jobs.events.log import record_events
from data_jobs.upkeep import retention
from data_jobs.upkeep.maintained import BRONZE, find_kept
from data_jobs.upkeep.retention import GRACE_DAYS, RefinementBehind, retain
from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import land, land_payloads, refine_here, rows_of, run_here
from tests.fixtures.retail import CHICKEN, MILK, make_receipt

SILVER, QUARANTINE, BRONZE_RECEIPTS = (
    find_kept(name) for name in ("silver.receipts", "silver.quarantine", "bronze.receipts")
)
assert SILVER.retention is not None
DAYS = SILVER.retention.days
FIRST = date(2026, 11, 1)
TODAY = FIRST + timedelta(days=DAYS + GRACE_DAYS + 5)  # what was sold on the first five days has expired
EXPIRED_DAYS = 5
ALL = ("silver.receipts", "silver.receipt_lines", "gold.customer_profiles", "gold.spending_insights")


def _receipt(day: int, **fields: object):
    on = FIRST + timedelta(days=day)
    at = datetime(on.year, on.month, on.day, 17, tzinfo=UTC)
    return make_receipt(**{"sequence_number": day + 1, "business_date": on, "purchased_at": at} | fields)


def _refine_only(lake: Lake, name: str) -> None:
    while refine(lake, find_table(name), run_here, 2) is not None:
        pass


def _land_days(lake: Lake, days: int) -> None:
    """Land one receipt a day; the customer of even days is another one than that of odd days."""
    for day in range(days):
        receipt = _receipt(day, customer_id=f"C{day % 2}", lines=[MILK, CHICKEN])
        land(lake, bronze.RECEIPTS, [receipt], receipt.purchased_at + timedelta(minutes=1))
    refine_here(lake)


def test_expired_receipts_go_with_their_lines_and_what_they_tell_of_customers(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _land_days(lake, 12)
    (done,) = retain(lake, TODAY, [SILVER])
    assert (done.table, done.rows) == (SILVER.name, EXPIRED_DAYS)
    refine_here(lake)
    assert rows_of(lake, SILVER.name)["business_date"].min() == FIRST + timedelta(days=EXPIRED_DAYS)
    lines = rows_of(lake, "silver.receipt_lines")
    assert lines.height == 2 * 7
    assert lines["purchased_on"].min() == FIRST + timedelta(days=EXPIRED_DAYS)
    profiles = rows_of(lake, "gold.customer_profiles").sort("customer_id")
    assert profiles["visits"].to_list() == [3, 4]
    assert profiles["lifetime_spend_cents"].to_list() == [3 * 1048, 4 * 1048]
    spent = rows_of(lake, "gold.spending_insights")
    assert spent["spend_cents"].sum() == 7 * 1048


def test_sums_that_tell_of_nobody_keep_what_expired_receipts_brought(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _land_days(lake, 12)
    sums = ("gold.store_days", "gold.product_sales")
    before = {name: rows_of(lake, name).sort(find_table(name).key) for name in sums}
    list(retain(lake, TODAY, [SILVER]))
    refine_here(lake)
    for name in sums:
        assert rows_of(lake, name).sort(find_table(name).key).equals(before[name]), name
    day = 8  # a correction of what has not expired still moves them
    corrected = _receipt(day, customer_id="C0", lines=[MILK])
    land(lake, bronze.RECEIPTS, [corrected], corrected.purchased_at + timedelta(hours=1))
    refine_here(lake)
    difference = sum(before["gold.store_days"]["sales_cents"]) - rows_of(lake, "gold.store_days")["sales_cents"].sum()
    assert difference == CHICKEN["amount_cents"]


def test_expiries_and_corrections_of_one_round_are_told_apart(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _land_days(lake, 12)
    total = rows_of(lake, "gold.product_sales")["sales_cents"].sum()
    receipts = find_table("silver.receipts")
    version = lake.open(receipts.name).version()
    for hour, lines in ((1, [MILK]), (2, [CHICKEN])):  # nobody reads between the two corrections and the expiry
        corrected = _receipt(8, customer_id="C0", lines=lines)
        land(lake, bronze.RECEIPTS, [corrected], corrected.purchased_at + timedelta(hours=hour))
        _refine_only(lake, receipts.name)
        list(retain(lake, TODAY, [SILVER]))
    changed = find_changes(lake, receipts.name, version, lake.open(receipts.name).version(), 10**9)
    assert len({file.version for file in changed.files}) == 3
    refine_here(lake)
    assert rows_of(lake, "gold.product_sales")["sales_cents"].sum() == total - MILK["amount_cents"]
    assert rows_of(lake, "gold.store_days")["sales_cents"].sum() == total - MILK["amount_cents"]
    assert rows_of(lake, "gold.spending_insights")["spend_cents"].sum() == 6 * 1048 + CHICKEN["amount_cents"]
    assert rows_of(lake, "silver.receipt_lines").height == 6 * 2 + 1


def test_retention_goes_in_bounded_commits_oldest_first_and_a_second_run_finds_nothing(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _land_days(lake, 12)
    runs = retain(lake, TODAY, [SILVER], commit_rows=2)
    assert next(runs).rows == 2
    assert rows_of(lake, SILVER.name)["business_date"].min() == FIRST + timedelta(days=2)
    runs.close()  # killed here
    assert [done.rows for done in retain(lake, TODAY, [SILVER], commit_rows=2)] == [2, 1]
    assert list(retain(lake, TODAY, [SILVER])) == []


def test_bronze_is_rewritten_without_expired_rows_and_nobody_hears_of_it(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _land_days(lake, 12)
    version = lake.open("bronze.receipts").version()
    assert sum(done.rows for done in retain(lake, TODAY, [BRONZE_RECEIPTS])) == EXPIRED_DAYS
    left = rows_of(lake, "bronze.receipts")
    assert left.height == 7
    assert left["received_at"].min() >= datetime(2026, 11, 6, tzinfo=UTC)
    head = lake.open("bronze.receipts").version()
    assert find_changes(lake, "bronze.receipts", version, head, 10**9).files == ()
    assert refine_here(lake) == []


def test_refused_rows_go_after_their_own_time(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    for day in (0, 1, 30):
        land_payloads(
            lake, bronze.RECEIPTS, [(None, f"{day}")], datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=day)
        )
    refine_here(lake)
    assert QUARANTINE.retention is not None
    today = FIRST + timedelta(days=QUARANTINE.retention.days + GRACE_DAYS + 2)
    assert sum(done.rows for done in retain(lake, today)) == 2
    assert rows_of(lake, QUARANTINE.name)["payload"].to_list() == ["30"]
    assert rows_of(lake, "bronze.receipts").height == 3  # what is made of Bronze is kept for longer


def test_nothing_expires_while_refinement_is_behind(lake_with_stores: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_with_stores
    _land_days(lake, 12)
    late = _receipt(0, customer_id="C9")
    land(lake, bronze.RECEIPTS, [late], late.purchased_at + timedelta(days=DAYS))
    monkeypatch.setattr(retention, "_LONGEST_LAG", timedelta(0))
    with pytest.raises(RefinementBehind, match=r"silver\.receipts has not read"):
        list(retain(lake, TODAY, [SILVER]))
    refine_here(lake)
    assert sum(done.rows for done in retain(lake, TODAY, [SILVER])) == EXPIRED_DAYS


def test_bronze_is_kept_as_long_as_what_is_made_of_it() -> None:
    kept = {table.name: table.retention for table in BRONZE}
    assert kept["bronze.receipts"] is not None
    assert (kept["bronze.receipts"].column, kept["bronze.receipts"].days) == ("received_at", DAYS)
    assert kept["bronze.stores"] is None


def test_the_log_holds_no_key_of_an_expired_row(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _land_days(lake, 12)
    gone = rows_of(lake, SILVER.name).filter(pl.col("business_date") == FIRST)["receipt_id"].item()
    list(retain(lake, TODAY, [SILVER]))
    head = lake.open(SILVER.name).version()
    assert gone not in str(lake.read_commit(SILVER.name, head))


def test_an_expired_receipt_that_is_sent_again_is_refused_and_counted_once(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    _land_days(lake, 12)
    before = rows_of(lake, "gold.store_days").sort("store_id", "day")
    list(retain(lake, TODAY, [SILVER]))
    again = _receipt(0, customer_id="C0", lines=[MILK, CHICKEN])
    land(lake, bronze.RECEIPTS, [again], again.purchased_at + timedelta(days=DAYS))
    refine_here(lake)
    assert rows_of(lake, "gold.store_days").sort("store_id", "day").equals(before)
    (refused,) = rows_of(lake, QUARANTINE.name).to_dicts()
    assert refused["expectation"] == "still_kept"
    assert refused["reason"] == f"Rows from before {FIRST + timedelta(days=EXPIRED_DAYS)} have expired."


def test_events_of_batches_expire_too(lake_with_stores: Lake) -> None:
    lake, events = lake_with_stores, find_kept("events.pipeline")
    _land_days(lake, 2)
    assert record_events(lake) > 0
    assert list(retain(lake, datetime.now(UTC).date(), [events])) == []
    assert sum(done.rows for done in retain(lake, datetime.now(UTC).date() + timedelta(days=200), [events])) > 0
    assert rows_of(lake, events.name).is_empty()
