"""From receipts in Bronze to the fraud team's screen: each pattern with the receipts that it was made of."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from data_jobs.sync import sync
from receipts import bronze
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake
from serve_apps import fraud
from tests.data_jobs.landing import land, refine_here
from tests.fixtures.retail import MILK, make_receipt, make_return, make_store
from tests.fixtures.serving import running

STORES = [make_store(store_id=n, name=f"Store {n}") for n in range(1, 8)]
MORNING = datetime(2026, 11, 17, 9, 10, tzinfo=ZoneInfo("America/New_York"))
MONTHS_END = datetime(2026, 11, 30, tzinfo=UTC)


def tender(last4, brand, cents):
    return [{"tender_type": "credit", "amount_cents": cents, "card_brand": brand, "card_last4": last4}]


def at(number):
    return MORNING + timedelta(minutes=15 * number)


def suspicious():
    """Yield receipts that give a signal of every kind of subject, among such as look like them."""
    sale = make_receipt(store_id=1, lines=[{**MILK, "amount_cents": 500}], customer_id=None)
    yield sale
    for n in (2, 3):
        yield make_return(sale.receipt_id, store_id=n, customer_id=None)
    for n in range(1, 8):
        yield make_receipt(store_id=n, sequence_number=10, customer_id=None, lines=[MILK], purchased_at=at(n),
                           tenders=tender("1881", " VISA", 349))  # fmt: skip
    yield make_receipt(store_id=1, sequence_number=11, customer_id=None, lines=[MILK], purchased_at=at(2),
                       tenders=tender("1881", "amex", 349))  # fmt: skip
    for n in range(20, 26):
        yield make_receipt(store_id=2, sequence_number=n, customer_id="C1", lines=[MILK], purchased_at=at(0),
                           tenders=tender(f"{n:04d}", "visa", 349))  # fmt: skip
        yield make_receipt(store_id=2, sequence_number=n + 10, customer_id="C1", lines=[MILK],
                           purchased_at=at(-200), tenders=tender(f"{n + 10:04d}", "visa", 349))  # fmt: skip
    for n in range(40, 45):
        yield make_receipt(store_id=6, register_id=7, sequence_number=n, receipt_type="void", customer_id=None)
        yield make_return(None, store_id=7, sequence_number=n, operator_id="OP 7/b", customer_id=f"C{n}",
                          tenders=tender("9999", "visa", -349))  # fmt: skip


@pytest.fixture
def found(settings, sign_ins, tmp_path):
    """The lake refined, and brought to Postgres."""
    lake = Lake(str(tmp_path / "lake"))
    land(lake, bronze.STORES, STORES)
    land(lake, bronze.RECEIPTS, list(suspicious()), MONTHS_END)
    refine_here(lake)
    with connect(settings, DatabaseRole.INGEST) as gateway:
        for store in STORES:
            gateway.execute(
                "INSERT INTO retail.stores VALUES (%s, %s, %s, '', '{}', %s, %s, 'x')",
                (store.store_id, store.region_id, store.name, store.time_zone, store.canonical()),
            )
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        connection.autocommit = True
        list(sync(lake, connection))


async def test_every_pattern_is_shown_with_just_the_receipts_that_it_was_made_of(settings, sign_ins, found):
    headers = sign_ins.headers("fraud")
    async with running(fraud.build_app(settings), "/fraud") as client:
        patterns = (await client.get("/fraud/patterns?limit=100", headers=headers)).json()["patterns"]
        assert [one["score"] for one in patterns] == sorted([one["score"] for one in patterns], reverse=True)
        counts = {}
        for one in patterns:
            told = (await client.get(f"/fraud/patterns/{one['pattern_id']}/receipts", headers=headers)).json()
            counts[one["kind"], one["subject"], one["subject_id"]] = (one["receipt_count"], len(told["receipts"]))
    assert counts == {
        ("card_many_stores", "card", "1/visa/1881"): (7, 7),
        ("velocity", "customer", "C1"): (6, 6),
        ("return_reuse", "receipt", make_receipt(store_id=1).receipt_id): (3, 3),
        ("voided_share", "register", "6/7"): (5, 5),
        ("returned_share", "register", "7/3"): (5, 5),
        ("unlinked_share_of_returns", "register", "7/3"): (5, 5),
        ("returned_share", "operator", "7/OP 7/b"): (5, 5),
        ("unlinked_share_of_returns", "operator", "7/OP 7/b"): (5, 5),
        ("one_card_for_many_customers", "card", "7/9999"): (5, 5),
    }
