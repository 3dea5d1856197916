"""Patterns: what is found in the lake, told in sentences, and served from Postgres."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.rows import dict_row

from configs.settings import Settings
from data_jobs.catalogue import find_table
from data_jobs.fraud_patterns import Pattern
from data_jobs.sync import sync
from data_jobs.sync_verification import compare
from data_jobs.tables.gold_fraud_patterns import SENTENCES
from data_jobs.tables.gold_fraud_signals import SIGNALS
from receipts import bronze
from receipts.database import DatabaseRole, connect
from receipts.identity import display
from receipts.lake import Lake
from receipts.models import Receipt
from tests.data_jobs.landing import land, refine_here, rows_of
from tests.fixtures.retail import MILK, make_receipt, make_return, make_store, store_rows

TABLES = tuple(find_table(f"gold.{name}") for name in ("fraud_patterns", "burst_patterns", "return_patterns"))
MORNING = datetime(2026, 11, 17, 9, 10, tzinfo=ZoneInfo("America/New_York"))
STORES = [make_store(store_id=n, name=f"Store {n}", region_id=1 + n // 10) for n in (1, 2, 3, 4, 5, 6, 7, 11, 12)]


@pytest.fixture
def chain(lake: Lake) -> Lake:
    """A lake with nine stores, two of them in another region."""
    land(lake, bronze.STORES, STORES)
    return lake


def a_sale(number: int, minutes: int, **changes: Any) -> Receipt:
    """Return a sale of milk so many minutes after ten past nine, to a stranger who has a card of their own."""
    tender = [{"tender_type": "credit", "amount_cents": 349, "card_brand": "visa", "card_last4": f"{number:04d}"}]
    fields = {"lines": [MILK], "customer_id": None, "tenders": tender, "store_id": 1}
    at = MORNING + timedelta(minutes=minutes)
    return make_receipt(sequence_number=number, purchased_at=at, **fields | changes)


def send(lake: Lake, receipts: Iterable[Receipt], hours: int = 0) -> None:
    """Land receipts at the end of their month, some of them later."""
    land(lake, bronze.RECEIPTS, receipts, datetime(2026, 11, 30, hours, tzinfo=UTC))


def card(last4: str, brand: str = "visa", cents: int = 349) -> list[dict[str, Any]]:
    return [{"tender_type": "credit", "amount_cents": cents, "card_brand": brand, "card_last4": last4}]


def found(lake: Lake) -> dict[tuple[str, str], dict[str, Any]]:
    """Return all patterns by kind and subject, their figures read."""
    refine_here(lake)
    rows = [row for table in TABLES for row in rows_of(lake, table.name).to_dicts()]
    assert len({row["pattern_id"] for row in rows}) == len(rows)
    return {(row["kind"], row["subject_id"]): row | {"figures": json.loads(row["figures"])} for row in rows}


def test_a_card_at_many_stores_of_a_region_within_two_hours_is_told_with_times_by_the_stores_clock(chain: Lake) -> None:
    at = [a_sale(n, 15 * n, store_id=n, tenders=card("4242", brand)) for n, brand in zip(
        range(1, 8), ["visa", "VISA", "Visa ", "visa", "visa", "visa", "visa"], strict=True)]  # fmt: skip
    send(chain, at)
    (((kind, subject_id), told),) = [*found(chain).items()][:1]
    assert (kind, subject_id, told["subject"]) == ("card_many_stores", "1/visa/4242", "card")
    assert told["explanation"] == "Card ending 4242 was used at 7 stores on 2026-11-17 between 09:25 and 10:55."
    assert told["figures"] == {"value": 7, "threshold": 4, "sales": 7, "stores": 7, "minutes": 90}
    assert told["score"] == 0.636
    assert (told["first_at"], told["last_at"]) == (at[0].purchased_at, at[-1].purchased_at)
    assert (told["receipt_count"], told["store_ids"], told["month"]) == (7, [1, 2, 3, 4, 5, 6, 7], date(2026, 11, 1))


def test_other_brands_other_regions_other_hours_and_three_stores_are_chance(chain: Lake) -> None:
    sales = [
        *(a_sale(n, n, store_id=n, tenders=card("4242")) for n in (1, 2, 3)),
        a_sale(4, 4, store_id=4, tenders=card("4242", "amex")),
        *(a_sale(n, n, store_id=n, tenders=card("4242")) for n in (11, 12)),
        a_sale(5, 124, store_id=5, tenders=card("4242")),
        make_return(None, sequence_number=6, store_id=6, purchased_at=MORNING, tenders=card("4242", cents=-349)),
    ]
    send(chain, sales)
    assert found(chain) == {}
    send(chain, [a_sale(6, 121, store_id=6, tenders=card("4242"))])
    told = found(chain)["card_many_stores", "1/visa/4242"]
    assert told["explanation"] == "Card ending 4242 was used at 4 stores on 2026-11-17 between 09:11 and 11:11."


def test_a_customer_in_a_hurry_is_told_and_the_strongest_burst_of_the_month_stands(chain: Lake) -> None:
    slow = [a_sale(n, 61 * n, customer_id="C1", store_id=2) for n in range(1, 7)]
    send(chain, slow)
    assert found(chain) == {}
    six = [a_sale(10 + n, 24 * 60 + n, customer_id="C1") for n in range(6)]
    seven = [a_sale(20 + n, 3 * 24 * 60 + 10 * n, customer_id="C1", store_id=1 + n % 2) for n in range(7)]
    send(chain, six)
    assert found(chain)["velocity", "C1"]["figures"]["value"] == 6
    send(chain, seven)
    told = found(chain)["velocity", "C1"]
    assert told["explanation"] == ("This customer bought 7 times at 2 stores on 2026-11-20 between 09:10 and 10:10.")
    assert (told["subject"], told["receipt_types"], told["receipt_count"]) == ("customer", ["sale"], 7)


def test_a_burst_past_midnight_is_one_and_tells_both_days(chain: Lake) -> None:
    late = [a_sale(1 + n, 14 * 60 + 35 + 5 * n, customer_id="C1", store_id=1 + n % 3) for n in range(5)]
    send(chain, late)
    told = found(chain)["customer_many_stores", "C1"]
    assert told["explanation"] == ("This customer bought at 3 stores between 2026-11-17 23:45 and 2026-11-18 00:05.")


def test_who_returns_most_of_what_was_bought_is_told(chain: Lake) -> None:
    sales = [a_sale(n, 24 * 60 * (n % 9), customer_id="C1") for n in range(1, 7)]
    returns = [make_return(sales[n].receipt_id, sequence_number=50 + n, store_id=2, customer_id="C1") for n in range(3)]
    send(chain, [*sales, *returns])
    told = found(chain)["return_rate", "C1"]
    assert told["explanation"] == ("This customer bought for 20.94 and returned 10.47 in 3 returns in November 2026.")
    assert (told["score"], told["receipt_types"], told["receipt_count"]) == (0.5, ["return"], 3)
    send(chain, [a_sale(7, 5, customer_id="C1")])
    assert ("return_rate", "C1") not in found(chain)


def test_a_receipt_returned_beyond_what_was_paid_is_told_at_its_last_return(chain: Lake) -> None:
    sale = make_receipt(store_id=1, lines=[{**MILK, "amount_cents": 500}], customer_id=None)
    parts = [make_return(sale.receipt_id, store_id=n, sequence_number=n, customer_id=None,
                         purchased_at=MORNING + timedelta(days=n)) for n in (2, 3)]  # fmt: skip
    send(chain, [sale, parts[0]])
    assert found(chain) == {}
    send(chain, [parts[1]])
    ((key, told),) = found(chain).items()
    assert key == ("return_reuse", sale.receipt_id)
    assert told["explanation"] == (
        f"Receipt {display(sale.receipt_id)} of 5.00 was used for 2 returns of 6.98 in all, the last on 2026-11-20."
    )
    assert (told["subject"], told["store_ids"], told["receipt_count"]) == ("receipt", [1, 3], 3)
    send(chain, [parts[1].model_copy(update={"original_receipt_id": None})], hours=1)
    assert found(chain) == {}


def test_one_return_of_more_than_was_paid_is_no_reuse_and_neither_are_parts_that_add_up(chain: Lake) -> None:
    sold = ((1, 100), (2, 698))
    small, large = (
        make_receipt(store_id=n, lines=[{**MILK, "amount_cents": cents}], customer_id=None) for n, cents in sold
    )
    of = ((3, small), (4, large), (5, large))
    backs = [make_return(sale.receipt_id, store_id=n, customer_id=None) for n, sale in of]
    send(chain, [small, large, *backs])
    assert found(chain) == {}


def test_every_signal_of_a_months_sums_has_its_sentence(chain: Lake) -> None:
    assert set(SENTENCES) == {signal.name for signal in SIGNALS}
    returns = [make_return(None, store_id=1 + n % 3, sequence_number=n) for n in range(1, 7)]
    refunds = [make_return(None, store_id=5, sequence_number=n, customer_id=f"C{n}", operator_id="OP 7/b",
                           tenders=card("4242", cents=-349)) for n in range(10, 15)]  # fmt: skip
    sales = [make_receipt(store_id=5, sequence_number=n, lines=[MILK], customer_id=None) for n in range(20, 30)]
    voids = [make_receipt(store_id=6, register_id=2, sequence_number=n, receipt_type="void") for n in range(30, 35)]
    send(chain, [*returns, *refunds, *sales, *voids])
    told = {key: row["explanation"] for key, row in found(chain).items()}
    assert told["many_returns", "C0000001"] == "This customer made 6 returns, worth 20.94, in November 2026."
    assert told["returns_without_original", "C0000001"] == (
        "This customer returned goods 6 times without a receipt in November 2026."
    )
    assert told["returns_at_many_stores", "C0000001"] == "This customer returned goods at 3 stores in November 2026."
    assert told["one_card_for_many_customers", "5/4242"] == (
        "A card ending 4242 at store 5 took the refunds of 5 customers in November 2026."
    )
    assert told["voided_share", "6/2"] == "Register 2 of store 6 voided 5 of 5 receipts in November 2026."
    assert told["returned_share", "5/3"] == (
        "Register 3 of store 5 paid back 17.45 in 5 returns, having sold for 34.90, in November 2026."
    )
    assert told["unlinked_share_of_returns", "5/OP 7/b"] == (
        "Operator OP 7/b of store 5 took back 5 of 5 returns without a receipt in November 2026."
    )


def test_the_farther_beyond_the_threshold_the_stronger_and_the_same_again_has_the_same_number() -> None:
    def at(value: float) -> dict[str, Any]:
        month = date(2026, 11, 1)
        return Pattern("many_returns", "customer", "C1", month, value, 5, {}, "", ("return",), 1, [1]).row()

    assert [at(value)["score"] for value in (5, 10, 45)] == [0.5, 0.667, 0.9]
    assert at(5)["pattern_id"] == at(45)["pattern_id"]


@pytest.fixture
def pipeline(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection as the pipeline's own role."""
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        connection.autocommit = True
        yield connection


def served(owner: psycopg.Connection[Any]) -> dict[str, dict[str, Any]]:
    with owner.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute("SELECT * FROM retail.fraud_patterns").fetchall()
    return {row["kind"]: row for row in rows}


def test_patterns_of_all_three_tables_arrive_in_one_relation_and_go_one_by_one(
    chain: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    store_rows(settings, stores=STORES)
    sale = make_receipt(store_id=1, lines=[{**MILK, "amount_cents": 500}], customer_id=None)
    reuse = [make_return(sale.receipt_id, store_id=11, sequence_number=n, customer_id=None) for n in (2, 3)]
    hurry = [a_sale(10 + n, n, customer_id="C1", store_id=2) for n in range(6)]
    voids = [make_receipt(store_id=6, sequence_number=n, receipt_type="void") for n in range(30, 35)]
    send(chain, [sale, *reuse, *hurry, *voids])
    refine_here(chain)
    list(sync(chain, pipeline))
    rows = served(owner)
    assert {kind: (row["source"], row["strength"], row["region_ids"]) for kind, row in rows.items()} == {
        "return_reuse": ("gold.return_patterns", 583, [1, 2]),
        "velocity": ("gold.burst_patterns", 500, [1]),
        "voided_share": ("gold.fraud_patterns", 952, [1]),
    }
    assert rows["velocity"]["first_at"] == MORNING.astimezone(UTC)
    assert rows["return_reuse"]["receipt_types"] == ["sale", "return"]
    for table in TABLES:
        assert compare(chain, pipeline, table).equal, table.name
    send(chain, [hurry[0].model_copy(update={"customer_id": "C2"})], hours=1)
    refine_here(chain)
    list(sync(chain, pipeline))
    assert set(served(owner)) == {"return_reuse", "voided_share"}
    send(chain, [a_sale(16, 6, customer_id="C1", store_id=12)], hours=1)
    refine_here(chain)
    list(sync(chain, pipeline))
    assert served(owner)["velocity"]["region_ids"] == [1, 2]


def test_a_table_that_is_read_anew_leaves_those_of_the_others_alone(
    chain: Lake, settings: Settings, owner: psycopg.Connection[Any], pipeline: psycopg.Connection[Any]
) -> None:
    voids = [make_receipt(store_id=6, sequence_number=n, receipt_type="void") for n in range(30, 35)]
    send(chain, [*voids, *(a_sale(10 + n, n, customer_id="C1", store_id=2) for n in range(6))])
    refine_here(chain)
    list(sync(chain, pipeline))
    owner.execute("DELETE FROM sync.watermarks WHERE table_name = 'gold.fraud_patterns'")
    owner.execute(
        "INSERT INTO retail.fraud_patterns SELECT 'stray', source, kind, subject, subject_id, month, strength, "
        "figures, explanation, receipt_types, receipt_count, first_at, last_at, store_ids, region_ids "
        "FROM retail.fraud_patterns WHERE kind = 'voided_share'"
    )
    list(sync(chain, pipeline))
    assert set(served(owner)) == {"velocity", "voided_share"}
    assert owner.execute("SELECT count(*) FROM retail.fraud_patterns").fetchone() == (2,)
