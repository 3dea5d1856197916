"""Generated receipts: valid, unique, repeatable, in season."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sources.synthetic.history import (
    CHUNK,
    chunk_receipts,
    chunks,
    history_customers,
    history_receipts,
    history_stores,
)
from ingest.sources.synthetic.plan import FIRST_REGISTER, Plan, make_plan, slots
from receipts.card_numbers import contains_card_number
from receipts.errors import InvalidInput
from receipts.models import Customer, Receipt, ReceiptType, Store

START, END = date(2025, 11, 23), date(2026, 11, 22)


def a_plan(**changes: object) -> Plan:
    sizes = {"receipts": 6_000, "seed": 7, "start": START, "end": END, "stores": 20, "customers": 500}
    return make_plan(**(sizes | changes))


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return list(history_receipts(a_plan()))


@pytest.fixture(scope="module")
def receipts(texts: list[str]) -> list[Receipt]:
    return [Receipt.model_validate_json(text) for text in texts]  # the model refuses sums that do not add up


def test_every_receipt_is_the_canonical_json_of_a_valid_receipt(texts, receipts):
    assert [receipt.canonical() for receipt in receipts] == texts
    assert not [text for text in texts if contains_card_number(text)]


def test_exactly_as_many_receipts_come_as_were_asked_for_and_no_two_share_a_number(receipts):
    assert len({receipt.receipt_id for receipt in receipts}) == len(receipts) == 6_000


@given(
    receipts=st.integers(1, 20_000),
    seed=st.integers(0, 2**63 - 1),
    days=st.integers(0, 800),
    stores=st.integers(1, 60),
)
@settings(max_examples=25)
def test_a_plan_gives_each_receipt_one_place(receipts, seed, days, stores):
    start = date(2024, 6, 1)
    plan = a_plan(receipts=receipts, seed=seed, stores=stores, start=start, end=start + timedelta(days=days))
    at = slots(plan, np.arange(receipts))
    assert (at.rank >= 0).all()
    assert (at.rank < at.peers).all()
    assert len(set(zip(at.cell.tolist(), at.rank.tolist(), strict=True))) == receipts
    assert at.day.max() <= days


@given(chunk=st.integers(0, 249_999), seed=st.integers(0, 2**31))
@settings(max_examples=5)
def test_a_chunk_of_a_billion_receipts_is_made_alone(chunk, seed):
    plan = a_plan(receipts=10**9, seed=seed, stores=50, customers=1_000_000)
    made = chunk_receipts(plan, chunk)
    assert len(made) == CHUNK
    sample = [Receipt.model_validate_json(text) for text in made[::200]]
    assert len({receipt.receipt_id for receipt in sample}) == len(sample)


def test_two_runs_give_the_same_bytes_and_chunks_may_come_in_any_order(texts):
    backwards = [chunk_receipts(a_plan(), chunk) for chunk in reversed(chunks(a_plan()))]
    assert list(itertools.chain.from_iterable(reversed(backwards))) == texts


def test_another_seed_gives_other_receipts(texts):
    assert not set(texts) & set(history_receipts(a_plan(seed=8)))


def test_a_receipt_belongs_to_the_local_day_of_its_shop(receipts):
    stores = {s.store_id: s for s in map(Store.model_validate_json, history_stores(a_plan()))}
    assert len({store.time_zone for store in stores.values()}) > 1
    for receipt in receipts:
        local = receipt.purchased_at.astimezone(ZoneInfo(stores[receipt.store_id].time_zone))
        assert local.date() == receipt.business_date
        assert local.hour >= 6
        assert START <= receipt.business_date <= END


def test_a_register_counts_up_without_gaps_in_the_order_of_time(receipts):
    by_register: dict[tuple[int, int, date], list[Receipt]] = {}
    for receipt in receipts:
        assert receipt.register_id >= FIRST_REGISTER
        by_register.setdefault((receipt.store_id, receipt.register_id, receipt.business_date), []).append(receipt)
    for till in by_register.values():
        till.sort(key=lambda receipt: receipt.purchased_at)
        numbers = [receipt.sequence_number for receipt in till]
        assert numbers == sorted(numbers)


def test_a_return_gives_back_lines_of_its_original_at_the_price_paid(receipts):
    known = {receipt.receipt_id: receipt for receipt in receipts}
    returns = [receipt for receipt in receipts if receipt.receipt_type is ReceiptType.RETURN]
    assert 0.01 * len(receipts) < len(returns) < 0.03 * len(receipts)
    for given_back in returns:
        original = known[given_back.original_receipt_id]
        assert original.receipt_type is ReceiptType.SALE
        assert timedelta(0) < given_back.business_date - original.business_date <= timedelta(days=28)
        assert (given_back.store_id, given_back.customer_id) == (original.store_id, original.customer_id)
        sold = {(line.sku, line.quantity, line.amount_cents, line.tax_cents) for line in original.lines}
        lines = given_back.lines
        back = {(line.sku, -line.quantity, -line.amount_cents, -line.tax_cents) for line in lines}
        assert back <= sold
        assert given_back.total_cents < 0


def test_a_void_was_never_paid(receipts):
    voids = [receipt for receipt in receipts if receipt.receipt_type is ReceiptType.VOID]
    assert voids
    assert not [receipt for receipt in voids if receipt.tenders]


def test_loyal_and_anonymous_customers_shop(receipts):
    customers = {c.customer_id: c for c in map(Customer.model_validate_json, history_customers(a_plan()))}
    loyal = [receipt for receipt in receipts if receipt.customer_id]
    assert 0.6 < len(loyal) / len(receipts) < 0.76
    assert {receipt.customer_id for receipt in loyal} <= set(customers)
    at_home = sum(customers[receipt.customer_id].home_store_id == receipt.store_id for receipt in loyal)
    assert at_home > 0.8 * len(loyal)


def test_shops_sell_by_weekday_and_holiday(receipts):
    by_day = Counter(receipt.business_date for receipt in receipts)
    saturdays = sum(n for day, n in by_day.items() if day.weekday() == 5)
    tuesdays = sum(n for day, n in by_day.items() if day.weekday() == 1)
    assert saturdays > 1.2 * tuesdays
    assert date(2025, 12, 25) not in by_day
    assert by_day[date(2025, 11, 26)] > 2 * by_day[date(2025, 11, 27)]  # the day before Thanksgiving, and the day


def test_people_pay_in_many_ways(receipts):
    ways = {tender.tender_type for receipt in receipts for tender in receipt.tenders}
    assert ways >= {"cash", "credit", "debit", "ebt", "mobile", "coupon"}


def test_without_customers_everybody_is_anonymous():
    plan = a_plan(receipts=200, customers=0)
    assert not list(history_customers(plan))
    assert not [text for text in history_receipts(plan) if '"customer_id"' in text]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"receipts": 0}, "receipts"),
        ({"stores": 1_000}, "stores"),
        ({"customers": 10**8}, "customers"),
        ({"start": END, "end": START}, "start"),
        ({"start": date(2025, 12, 25), "end": date(2025, 12, 25)}, "start"),
    ],
)
def test_an_impossible_plan_is_refused_by_the_field_that_is_wrong(changes, field):
    with pytest.raises(InvalidInput) as refusal:
        a_plan(**changes)
    assert refusal.value.field == field
