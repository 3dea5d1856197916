"""Fraud signals by example; that they follow every correction is in test_folds.py."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from data_jobs.catalogue import find_table
from data_jobs.tables.gold_fraud_signals import SIGNALS
from receipts import bronze
from receipts.lake import Lake
from receipts.models import Receipt
from tests.data_jobs.landing import RECEIVED_AT, land, refine_here, rows_of
from tests.fixtures.retail import MILK, make_receipt, make_store

NOVEMBER = date(2026, 11, 1)
SALE_ID = make_receipt(sequence_number=900).receipt_id
LATER = RECEIVED_AT + timedelta(hours=1)


def a_return(number: int, **changes: Any) -> Receipt:
    """Return the return of a milk to a card of its own, with its original."""
    line = {**MILK, "quantity": -1.0, "amount_cents": -349}
    tender = {"tender_type": "credit", "amount_cents": -349, "card_last4": f"{number:04d}"}
    fields = {"receipt_type": "return", "lines": [line], "tenders": [tender], "original_receipt_id": SALE_ID}
    return make_receipt(sequence_number=number, **fields | changes)


def signals(lake: Lake) -> dict[tuple[str, str], dict[str, tuple[float, float]]]:
    """Return value and threshold by signal, of every subject that gives one in November."""
    rows = rows_of(lake, "gold.fraud_signals")
    assert set(rows["month"]) <= {NOVEMBER}
    return {
        (row["subject_type"], row["subject_id"]): {
            each["name"]: (each["value"], each["threshold"]) for each in row["signals"]
        }
        for row in rows.to_dicts()
        if row["signals"]
    }


def test_a_customer_who_returns_often_without_an_original_and_everywhere_gives_three_signals(lake: Lake) -> None:
    land(lake, bronze.STORES, [make_store(store_id=store, name=f"Store {store}") for store in (1, 2, 3)])
    returns = [a_return(n, store_id=1 + n % 3, original_receipt_id=None if n < 4 else SALE_ID) for n in range(1, 6)]
    land(lake, bronze.RECEIPTS, returns)
    refine_here(lake)
    assert signals(lake) == {
        ("customer", "C0000001"): {
            "many_returns": (5, 5),
            "returns_without_original": (3, 3),
            "returns_at_many_stores": (3, 3),
        }
    }


def test_one_card_that_takes_the_refunds_of_three_customers_of_a_store_gives_a_signal(lake_with_stores: Lake) -> None:
    tender = {"tender_type": "credit", "amount_cents": -349, "card_last4": "4242"}
    returns = [a_return(n, customer_id=f"C{n}", tenders=[tender]) for n in range(1, 4)]
    elsewhere = a_return(4, store_id=368, customer_id="C4", tenders=[tender])
    land(lake_with_stores, bronze.RECEIPTS, [*returns, elsewhere, a_return(5, customer_id=None, tenders=[tender])])
    refine_here(lake_with_stores)
    assert signals(lake_with_stores) == {("card", "367/4242"): {"one_card_for_many_customers": (3, 3)}}


def test_a_register_gives_signals_of_voids_and_returns_by_their_share(lake_with_stores: Lake) -> None:
    sales = [make_receipt(sequence_number=n, lines=[MILK], customer_id=None) for n in range(1, 11)]
    voids = [make_receipt(sequence_number=n, receipt_type="void", customer_id=None) for n in range(11, 16)]
    returns = [a_return(n, customer_id=None, original_receipt_id=None) for n in range(16, 21)]
    quiet = [make_receipt(sequence_number=n, register_id=4, receipt_type="void") for n in range(1, 5)]
    land(lake_with_stores, bronze.RECEIPTS, [*sales, *voids, *returns, *quiet])
    refine_here(lake_with_stores)
    assert signals(lake_with_stores) == {
        ("register", "367/3"): {
            "voided_share": (0.25, 0.05),
            "returned_share": (0.5, 0.25),
            "unlinked_share_of_returns": (1, 0.5),
        }
    }


def test_signals_go_when_the_receipts_they_were_made_of_are_corrected(lake_with_stores: Lake) -> None:
    returns = [a_return(n, original_receipt_id=None) for n in range(1, 4)]
    land(lake_with_stores, bronze.RECEIPTS, returns)
    refine_here(lake_with_stores)
    assert signals(lake_with_stores) == {("customer", "C0000001"): {"returns_without_original": (3, 3)}}
    land(lake_with_stores, bronze.RECEIPTS, [a_return(3)], LATER)
    refine_here(lake_with_stores)
    assert signals(lake_with_stores) == {}
    unknown = [a_return(n, customer_id=None, receipt_type="void") for n in range(1, 4)]
    land(lake_with_stores, bronze.RECEIPTS, unknown, LATER + timedelta(hours=1))
    refine_here(lake_with_stores)
    assert set(rows_of(lake_with_stores, "gold.fraud_signals")["subject_type"]) == {"register"}


def test_a_receipt_counts_in_the_month_of_its_stores_own_day(lake_with_stores: Lake) -> None:
    at = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)  # half past midnight in New York, the day before in Chicago
    on_the_first = {"business_date": "2026-11-01", "purchased_at": at}
    land(lake_with_stores, bronze.RECEIPTS, [a_return(n, store_id=366 + n, **on_the_first) for n in (1, 2)])
    refine_here(lake_with_stores)
    customers = rows_of(lake_with_stores, "gold.fraud_signals").filter(subject_type="customer").sort("month")
    assert customers.select("month", "returns", "returned_cents").rows() == [
        (date(2026, 10, 1), 1, -349),
        (NOVEMBER, 1, -349),
    ]


def test_an_operator_gives_signals_of_a_store_whatever_the_register(lake_with_stores: Lake) -> None:
    voids = [
        make_receipt(sequence_number=n, register_id=n, operator_id="OP7", receipt_type="void") for n in range(1, 6)
    ]
    others = [make_receipt(sequence_number=n, operator_id="OP8", lines=[MILK]) for n in range(10, 15)]
    land(lake_with_stores, bronze.RECEIPTS, [*voids, *others])
    refine_here(lake_with_stores)
    assert signals(lake_with_stores) == {("operator", "367/OP7"): {"voided_share": (1, 0.05)}}


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_a_signal_is_made_of_the_state_alone(signal) -> None:
    columns = set(find_table("gold.fraud_signals").schema.names)
    read = {*signal.value.meta.root_names(), *signal.enough.meta.root_names()}
    assert read <= columns - {"signals"}
