"""Profiles against an independent computation in plain Python."""

import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from data_jobs.declaration import polars_schema
from data_jobs.tables import silver_receipts
from data_jobs.tables.gold_customer_profiles import TABLE

STORES = pl.DataFrame(
    {"store_id": [1, 2], "name": ["East Liberty", "Shadyside"]}, schema_overrides={"store_id": pl.Int32}
)
RECEIPT = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from(["C1", "C2", "C3"]),
        "store_id": st.sampled_from([1, 2]),
        "receipt_type": st.sampled_from(["sale", "sale", "sale", "return", "void"]),
        "day": st.integers(0, 300),
        "lines": st.lists(
            st.tuples(st.sampled_from(["", "CHEESE", "MILK", "MEAT", "BREAD", "SOAP", "TEA"]), st.integers(1, 9_999)),
            min_size=1,
            max_size=4,
        ),
    }
)


LINE = polars_schema(silver_receipts.TABLE.schema)["lines"].inner


def profiles_of(frame: pl.DataFrame) -> pl.DataFrame:
    fold = TABLE.fold
    return fold.finish(fold.summarise(frame, {}), {"silver.stores": STORES})


def frames(drawn: list[dict[str, Any]]) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    receipts = []
    for each in drawn:
        sign = -1 if each["receipt_type"] == "return" else 1
        on = date(2026, 1, 15) + timedelta(days=each["day"])
        lines = [(category, sign * cents) for category, cents in each["lines"]]
        total = sum(cents for _, cents in lines)
        at = datetime(on.year, on.month, on.day, 17, tzinfo=UTC)
        derived = {"region_id": each["store_id"] + 4, "purchased_on": on, "purchased_at": at, "total_cents": total}
        receipts.append({**each, **derived, "lines": lines})
    columns = {"total_cents": pl.Int64, "store_id": pl.Int32, "region_id": pl.Int16, "lines": pl.List(LINE)}
    rows = [
        {
            **{k: v for k, v in r.items() if k != "day"},
            "lines": [{"category": c, "amount_cents": a} for c, a in r["lines"]],
        }
        for r in receipts
    ]
    return pl.DataFrame(rows, schema_overrides=columns), receipts


def profile_by_hand(receipts: list[dict[str, Any]]) -> dict[str, Any]:
    kept = [r for r in receipts if r["receipt_type"] != "void"]
    sales = [r for r in kept if r["receipt_type"] == "sale"]
    days = sorted(r["purchased_on"] for r in sales)
    categories: Counter[str] = Counter()
    months: dict[str, int] = defaultdict(int)
    for r in kept:
        months[f"{r['purchased_on']:%Y-%m}"] += r["total_cents"]
        for category, cents in r["lines"]:
            categories[category] += cents
    del categories[""]
    last = max(r["purchased_on"] for r in kept)
    year, month = last.year, last.month
    calendar = [f"{year + (month - 1 - back) // 12}-{(month - 1 - back) % 12 + 1:02d}" for back in range(5, -1, -1)]
    ranked = sorted(((c, v) for c, v in categories.items() if v > 0), key=lambda pair: (-pair[1], pair[0]))
    gap = (days[-1] - days[0]).days / (len(days) - 1) if len(days) > 1 else None
    return {
        "lifetime_spend_cents": sum(r["total_cents"] for r in kept),
        "visits": len(sales),
        "returns": len(kept) - len(sales),
        "average_basket_cents": int(sum(r["total_cents"] for r in sales) / len(sales) + 0.5) if sales else None,
        "days_between_visits": gap,
        "first_visit_on": f"{days[0]}" if days else None,
        "last_visit_on": f"{days[-1]}" if days else None,
        "last_visit_at": f"{days[-1]}T17:00:00Z" if days else None,
        "top_categories": [{"category": c, "spend_cents": v} for c, v in ranked[:5]],
        "spend_by_month": [{"month": m, "spend_cents": months.get(m, 0)} for m in calendar],
        "visits_last_30_days": sum(r["purchased_on"] > days[-1] - timedelta(days=30) for r in sales) if days else 0,
    }


@settings(max_examples=60)
@given(st.lists(RECEIPT, min_size=1, max_size=25))
def test_every_figure_equals_the_one_computed_by_hand(drawn: list[dict[str, Any]]) -> None:
    frame, receipts = frames(drawn)
    profiles = profiles_of(frame)
    documents = {row["customer_id"]: json.loads(row["document"]) for row in profiles.to_dicts()}
    assert set(documents) == {r["customer_id"] for r in receipts if r["receipt_type"] != "void"}
    for customer, document in documents.items():
        own = [r for r in receipts if r["customer_id"] == customer]
        by_hand = profile_by_hand(own)
        gap, expected_gap = document.pop("days_between_visits"), by_hand.pop("days_between_visits")
        assert (gap is None) == (expected_gap is None)
        assert gap is None or abs(gap - expected_gap) <= 0.051  # one decimal
        assert document.pop("favourite_store_id") in {r["store_id"] for r in own}
        assert document.pop("recent_pattern").endswith(".")
        assert document == by_hand


def test_the_pattern_is_a_sentence_a_person_would_say() -> None:
    fridays = [0, 7, 14, 21, 28, 35]
    sale = {"customer_id": "C1", "store_id": 1, "receipt_type": "sale"}
    drawn = [{**sale, "day": 1 + day, "lines": [("CHEESE", 500 + 900 * (day > 20))]} for day in fridays]
    frame, _ = frames(drawn)
    (row,) = profiles_of(frame).to_dicts()
    assert row["recent_pattern"] == (
        "5 visits in the 30 days to 20 Feb 2026, mostly on Fridays, usually at East Liberty, about every 7 days; "
        "buys most cheese; spends more than usual."
    )


def test_a_customer_with_returns_only_has_no_visits() -> None:
    drawn = [{"customer_id": "C1", "store_id": 2, "receipt_type": "return", "day": 3, "lines": [("MILK", 100)]}]
    frame, _ = frames(drawn)
    (row,) = profiles_of(frame).to_dicts()
    assert (row["visits"], row["lifetime_spend_cents"], row["last_visit_at"]) == (0, -100, None)
    assert row["recent_pattern"] == "Only returns so far, no visits."
