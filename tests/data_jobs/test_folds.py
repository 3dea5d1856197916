"""However history is cut into batches, every sum comes to the same, and to what plain Python adds up, to the cent."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from data_jobs.catalogue import TABLES, find_table
from data_jobs.declaration import SIGN, Kind, polars_schema
from data_jobs.folds import ROWS, SumBelowNothing, additive
from receipts.lake import Lake
from receipts.models import Receipt
from tests.data_jobs.histories import (
    HISTORIES,
    STORES,
    SUMS,
    Delete,
    Expire,
    Land,
    Left,
    Line,
    Player,
    Refine,
    Step,
    Version,
    what_is_left,
)
from tests.data_jobs.landing import rows_of

Sums = dict[Any, tuple[Any, ...]]


@contextmanager
def empty_lake() -> Iterator[Lake]:
    """Give every example a lake of its own."""
    with tempfile.TemporaryDirectory() as folder:
        yield Lake(f"{folder}/lake")


def rows(lake: Lake, name: str) -> pl.DataFrame:
    """Return the rows of a table, in the order of its key."""
    table = find_table(name)
    if not lake.exists(name):
        return pl.DataFrame(schema=polars_schema(table.schema))
    return rows_of(lake, name).sort(table.key)


def by_key(lake: Lake, name: str, *columns: str) -> Sums:
    """Return columns of a table by its key."""
    key = find_table(name).key
    return {row[: len(key)]: row[len(key) :] for row in rows(lake, name).select(*key, *columns).rows()}


def printed(versions: list[Version]) -> Iterator[tuple[Receipt, int, date]]:
    """Yield receipts with their store and that store's day."""
    for version in versions:
        receipt, store = version.receipt(), STORES[version.store]
        yield receipt, store.store_id, store.local_day(receipt.purchased_at)


def added(entries: Iterator[tuple[Any, tuple[int, ...]]]) -> Sums:
    """Add up tuples by key."""
    sums: dict[Any, list[tuple[int, ...]]] = defaultdict(list)
    for key, figures in entries:
        sums[key].append(figures)
    return {key: tuple(map(sum, zip(*figures, strict=True))) for key, figures in sums.items()}


def _store_days(versions: list[Version]) -> Iterator[tuple[Any, tuple[int, ...]]]:
    for receipt, store, day in printed(versions):
        kind, total, counted = receipt.receipt_type, receipt.total_cents, receipt.receipt_type != "void"
        kinds = [int(kind == each) for each in ("sale", "return", "void")]
        cents = [total * kinds[0], total * kinds[1], receipt.tax_cents * counted, receipt.discount_cents * counted]
        known = kinds[0] and receipt.customer_id is not None
        yield (store, day), (1, *kinds, *cents, len(receipt.lines) * counted, int(known))


def _product_sales(versions: list[Version]) -> Iterator[tuple[Any, tuple[int, ...]]]:
    for receipt, _, day in printed(versions):
        sale = receipt.receipt_type == "sale"
        for line in receipt.lines if receipt.receipt_type != "void" else ():
            cents = (line.amount_cents * sale, line.amount_cents * (not sale), line.discount_cents)
            yield (line.sku, day), (1, round(line.quantity * 1000), *cents)


def _spending(versions: list[Version]) -> Iterator[tuple[Any, tuple[int, ...]]]:
    for receipt, _, day in printed(versions):
        if receipt.customer_id is not None and receipt.receipt_type != "void":
            for line in receipt.lines:
                key = (receipt.customer_id, line.category, day.replace(day=1))
                yield key, (1, line.amount_cents, line.discount_cents)


def _subjects(versions: list[Version]) -> Iterator[tuple[Any, tuple[int, ...]]]:
    for receipt, store, day in printed(versions):
        kinds = [int(receipt.receipt_type == each) for each in ("sale", "return", "void")]
        cents = (receipt.total_cents * kinds[0], receipt.total_cents * kinds[1])
        figures = (1, *kinds, *cents, int(kinds[1] and receipt.original_receipt_id is None))
        subjects = [(f"{store}/{receipt.register_id}", "register")]
        subjects += [(f"{store}/{receipt.operator_id}", "operator")] if receipt.operator_id else []
        if kinds[1]:
            subjects += [(f"{store}/{each.card_last4}", "card") for each in receipt.tenders if each.card_last4]
            subjects += [(receipt.customer_id, "customer")] if receipt.customer_id else []
        for subject in subjects:
            yield (*subject, day.replace(day=1)), figures


def _returns_by(versions: list[Version], subject_type: str) -> dict[Any, Counter[Any]]:
    """Count returns of customers by store, or of cards by customer."""
    counts: dict[Any, Counter[Any]] = defaultdict(Counter)
    for receipt, store, day in printed(versions):
        card, month = receipt.tenders[0].card_last4, day.replace(day=1)
        if receipt.receipt_type == "return" and receipt.customer_id is not None:
            if subject_type == "customer":
                counts[receipt.customer_id, "customer", month][store] += 1
            elif card is not None:
                counts[f"{store}/{card}", "card", month][receipt.customer_id] += 1
    return counts


def check_signals(lake: Lake, versions: list[Version]) -> None:
    """Hold the sums behind the fraud signals against those of plain Python."""
    sums = ("rows", "sales", "returns", "voids", "sales_cents", "returned_cents", "unlinked_returns")
    assert by_key(lake, "gold.fraud_signals", *sums) == added(_subjects(versions))
    for name, subject_type in (("by_store", "customer"), ("by_customer", "card")):
        found = {
            key: Counter(dict(map(dict.values, lists)))
            for key, (lists,) in by_key(lake, "gold.fraud_signals", name).items()
            if lists
        }
        assert found == _returns_by(versions, subject_type)


def _hurried(versions: list[Version]) -> Iterator[tuple[Any, tuple[int, ...], tuple[datetime, int] | None]]:
    """Yield what each receipt adds to its customer and to its card, and the moment of a sale."""
    regions = {store.store_id: store.region_id for store in STORES}
    for receipt, store, day in printed(versions):
        sale, month = receipt.receipt_type == "sale", day.replace(day=1)
        moment = (receipt.purchased_at, store) if sale else None
        cents = (receipt.total_cents * sale, receipt.total_cents * (not sale))
        if receipt.receipt_type != "void" and receipt.customer_id is not None:
            yield (receipt.customer_id, "customer", month), (1, int(sale), int(not sale), *cents), moment
        card = receipt.tenders[0].card_last4
        if sale and card is not None:
            yield (f"{regions[store]}//{card}", "card", month), (1, 1, 0, *cents), moment


def check_bursts(lake: Lake, versions: list[Version]) -> None:
    """Hold the sums and moments behind bursts against those of plain Python."""
    sums = ("rows", "sales", "returns", "sales_cents", "returned_cents")
    entries = list(_hurried(versions))
    assert by_key(lake, "gold.shopping_bursts", *sums) == added((key, figures) for key, figures, _ in entries)
    moments: dict[Any, Counter[Any]] = defaultdict(Counter)
    for key, _, moment in entries:
        moments[key].update([moment] if moment else [])
    found = {
        key: Counter({(each["at"], each["store_id"]): each["sales"] for each in listed})
        for key, (listed,) in by_key(lake, "gold.shopping_bursts", "moments").items()
    }
    assert found == moments


def profiles(versions: list[Version]) -> Sums:
    """Return what a profile's own columns come to."""
    by_customer: dict[str, list[tuple[Receipt, int, date]]] = defaultdict(list)
    for receipt, store, day in printed(versions):
        if receipt.customer_id is not None and receipt.receipt_type != "void":
            by_customer[receipt.customer_id].append((receipt, store, day))
    return {(customer,): _profile(own) for customer, own in by_customer.items()}


def _profile(own: list[tuple[Receipt, int, date]]) -> tuple[Any, ...]:
    sales = [each for each in own if each[0].receipt_type == "sale"]
    spend = sum(receipt.total_cents for receipt, _, _ in own)
    at: list[datetime] = [receipt.purchased_at for receipt, _, _ in sales]
    days = [day for _, _, day in sales]
    visits: Counter[int] = Counter(store for _, store, _ in sales)
    last: dict[int, datetime] = {}
    for receipt, store, _ in own:
        last[store] = max(last.get(store, receipt.purchased_at), receipt.purchased_at)
    favourite = max(last, key=lambda store: (visits[store], last[store], -store))
    regions = sorted({store.region_id for store in STORES if store.store_id in last})
    figures = (spend, len(sales), len(own) - len(sales), sum(receipt.total_cents for receipt, _, _ in sales))
    return (*figures, min(days, default=None), max(days, default=None), max(at, default=None), favourite, regions)


def check(lake: Lake, left: Left) -> None:
    """Hold every sum against one that plain Python makes of the versions that serve."""
    counts = ("rows", "sales", "returns", "voids")
    cents = ("sales_cents", "returned_cents", "tax_cents", "discount_cents")
    # What tells of nobody stays what it was when a receipt expires.
    days = by_key(lake, "gold.store_days", *counts, *cents, "lines", "known_customers_sales")
    assert days == added(_store_days(left.ever))
    sales = ("rows", "quantity_thousandths", "sales_cents", "returned_cents", "discount_cents")
    assert by_key(lake, "gold.product_sales", *sales) == added(_product_sales(left.ever))
    spending = by_key(lake, "gold.spending_insights", "rows", "spend_cents", "discount_cents")
    assert spending == added(_spending(left.serving))
    totals = ("lifetime_spend_cents", "visits", "returns", "sales_cents")
    ends = ("first_visit_on", "last_visit_on", "last_visit_at", "favourite_store_id", "region_ids")
    assert by_key(lake, "gold.customer_profiles", *totals, *ends) == profiles(left.serving)
    check_signals(lake, left.serving)
    check_bursts(lake, left.serving)


def a_version(number: int, **changes: Any) -> Version:
    """Return a sale of C1 in the first store."""
    fields: dict[str, Any] = {
        "number": number, "kind": "sale", "store": 0, "customer": "C1", "days": 0, "hour": 17,
        "lines": (Line(0, 1_000, 349, 0),), "tax": 7, "card": "4242", "operator": "OP1", "original": False,
        "received": 0,
    }  # fmt: skip
    return Version(**fields | changes)


def test_every_folded_table_takes_part() -> None:
    assert set(SUMS) == {table.name for table in TABLES if table.kind is Kind.FOLDED}


@example(  # a customer's last receipt moves to another customer, store and day, after a late one has come
    [
        Land((a_version(0), a_version(5, received=5))),
        Refine(frozenset(SUMS)),
        Land((a_version(5, customer="C2", store=1, hour=3, received=9), a_version(3, kind="return"))),
        Refine(frozenset(["silver.receipt_lines", "gold.product_sales"])),
        Land((a_version(5, received=7),)),
    ],
    2,
)
@example(  # a receipt is taken out before all have heard of it, and comes again in an older version
    [
        Land((a_version(1, received=9, tax=3), a_version(2))),
        Refine(frozenset(["gold.store_days"])),
        Delete(frozenset([1, 2])),
        Land((a_version(1, received=4, kind="void"),)),
    ],
    1,
)
@example(  # a corrected receipt expires before the tables that outlive it have read the correction
    [
        Land((a_version(0), a_version(2))),
        Refine(frozenset(("silver.receipt_lines", *SUMS))),
        Land((a_version(0, received=3, lines=(Line(1, 2_500, 700, 50), Line(0, 1, 1, 0))),)),
        Expire(2),
        Land((a_version(0, received=5, tax=1), a_version(2, received=6, customer=None))),
    ],
    3,
)
@example(  # of two returns of one customer, store and card, one turns out to be a sale
    [
        Land((a_version(0, kind="return"), a_version(1, kind="return"))),
        Refine(frozenset(SUMS)),
        Land((a_version(1, received=1),)),
    ],
    1,
)
@settings(max_examples=20)  # each refines two lakes, in one to two seconds
@given(HISTORIES, st.integers(1, 3))
def test_sums_made_batch_by_batch_equal_those_made_at_once_and_by_hand(history: list[Step], slices: int) -> None:
    left = what_is_left(history)
    with empty_lake() as lake, empty_lake() as fresh:
        Player(lake, slices).play(history)
        Player(fresh).play_at_once(left)
        for name in SUMS:
            assert_frame_equal(rows(lake, name), rows(fresh, name), check_exact=True)
        check(lake, left)


def test_a_sum_that_loses_more_than_it_had_is_an_error_and_not_a_figure() -> None:
    fold = additive({"sku": pl.col("sku")}, {"cents": pl.col("cents")})
    states = fold.summarise(pl.DataFrame({"sku": ["1"], "cents": [5], SIGN: [-1]}), {})
    with pytest.raises(SumBelowNothing, match="more rows than it ever had"):
        fold.finish(states, {})


def test_a_sum_of_which_nothing_is_left_is_gone() -> None:
    fold = additive({"sku": pl.col("sku")}, {"cents": pl.col("cents")})
    states = fold.summarise(pl.DataFrame({"sku": ["1", "1", "2"], "cents": [5, 5, 7], SIGN: [1, -1, 1]}), {})
    assert fold.finish(states, {}).select("sku", ROWS, "cents").rows() == [("2", 1, 7)]
