"""Returns beside their originals, whichever of them comes first, is corrected, voided or goes."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from data_jobs.batches import refine
from data_jobs.catalogue import find_table
from data_jobs.plans import Outcome, Plan, holding
from data_jobs.tables.silver_returns import business_day
from receipts import bronze
from receipts.identity import NaturalKey, receipt_id
from receipts.lake import Lake
from receipts.models import Receipt
from tests.data_jobs.landing import RECEIVED_AT, land, refine_here, rows_of, run_here
from tests.fixtures.retail import MILK, make_receipt, make_store

LATER = RECEIVED_AT + timedelta(hours=1)
FIRST_DAY = date(2026, 8, 3)
_TABLE = find_table("silver.returns")


@dataclass(frozen=True, slots=True)
class Version:
    """A receipt as it is sent once: of a number, about another number or none."""

    number: int
    kind: str = "sale"
    about: int | None = None
    cents: int = 1000
    customer: str | None = "C1"
    currency: str = "USD"
    hour: int = 17
    received: int = 0  # minutes after the first

    @property
    def key(self) -> str:
        return id_of(self.number)

    def receipt(self) -> Receipt:
        """Return the receipt; numbers lie nine days apart, so that they lie in several months."""
        day = FIRST_DAY + timedelta(days=9 * self.number)
        cents = -self.cents if self.kind == "return" else self.cents
        return make_receipt(
            sequence_number=self.number + 1,
            business_date=day,
            purchased_at=datetime(day.year, day.month, day.day, self.hour, tzinfo=UTC),
            receipt_type=self.kind,
            customer_id=self.customer,
            currency=self.currency,
            lines=[{**MILK, "amount_cents": cents, "unit_price_cents": cents}],
            original_receipt_id=None if self.about is None else id_of(self.about),
        )


def id_of(number: int) -> str:
    """Return the id of the receipt of a number."""
    return receipt_id(NaturalKey(367, 3, FIRST_DAY + timedelta(days=9 * number), number + 1))


def send(lake: Lake, *versions: Version) -> None:
    """Land versions in the order they are given, each when it says it was received."""
    for version in versions:
        land(lake, bronze.RECEIPTS, [version.receipt()], RECEIVED_AT + timedelta(minutes=version.received))


def links(lake: Lake) -> dict[str, str]:
    """Return by return how it goes together with its original."""
    return dict(rows_of(lake, _TABLE.name)["receipt_id", "link"].iter_rows())


SALE, BACK = Version(0), Version(2, "return", about=0, cents=250)


@pytest.mark.parametrize("batches", [[(SALE, BACK)], [(BACK, SALE)], [(SALE,), (BACK,)], [(BACK,), (SALE,)]])
def test_a_return_stands_beside_its_original_whichever_comes_first(
    lake_with_stores: Lake, batches: Sequence[Sequence[Version]]
) -> None:
    for batch in batches:
        send(lake_with_stores, *batch)
        refine_here(lake_with_stores)
    (row,) = rows_of(lake_with_stores, _TABLE.name).to_dicts()
    assert row == {
        "about_receipt_id": SALE.key,
        "receipt_id": BACK.key,
        "about_month": date(2026, 8, 1),
        "original_receipt_id": SALE.key,
        "link": "linked",
        "store_id": 367,
        "customer_id": "C1",
        "purchased_on": FIRST_DAY + timedelta(days=18),
        "currency": "USD",
        "returned_cents": 250,
        "original_store_id": 367,
        "original_purchased_on": FIRST_DAY,
        "original_total_cents": 1000,
        "days_between": 18,
        "share_returned": 0.25,
        "returned_so_far_cents": 250,
        "returns_so_far": 1,
        "is_last_return": True,
    }
    assert refine_here(lake_with_stores) == []


@pytest.mark.parametrize(
    ("versions", "link"),
    [
        ([replace(BACK, about=None)], "unnamed"),
        ([BACK], "unknown"),
        ([replace(SALE, kind="void"), BACK], "void"),
        ([replace(SALE, kind="return"), BACK], "no_sale"),
        ([replace(SALE, currency="CAD"), BACK], "other_currency"),
        ([SALE, replace(BACK, customer="C2")], "other_customer"),
        ([SALE, replace(BACK, customer=None)], "linked"),
        ([replace(SALE, number=4), replace(BACK, about=4)], "before_original"),
        ([SALE, replace(BACK, cents=1001)], "exceeds_original"),
        ([SALE, replace(BACK, cents=1000)], "linked"),
    ],
)
def test_what_does_not_go_together_is_told(lake_with_stores: Lake, versions: list[Version], link: str) -> None:
    send(lake_with_stores, *versions)
    refine_here(lake_with_stores)
    assert links(lake_with_stores)[BACK.key] == link


def test_the_return_that_goes_beyond_the_original_is_told_and_not_those_before_it(lake_with_stores: Lake) -> None:
    parts = [Version(number, "return", about=0, cents=400) for number in (3, 1, 2)]
    for version in (*parts, SALE):
        send(lake_with_stores, version)
        refine_here(lake_with_stores)
    rows = rows_of(lake_with_stores, _TABLE.name).sort("purchased_on")
    assert rows["returned_so_far_cents"].to_list() == [400, 800, 1200]
    assert rows["link"].to_list() == ["linked", "linked", "exceeds_original"]
    assert rows["returns_so_far"].to_list() == [1, 2, 3]
    assert rows["is_last_return"].to_list() == [False, False, True]
    send(lake_with_stores, replace(parts[1], kind="void", received=1))
    refine_here(lake_with_stores)
    assert links(lake_with_stores) == {id_of(2): "linked", id_of(3): "linked"}


def test_what_happens_to_the_original_reaches_its_returns(lake_with_stores: Lake) -> None:
    send(lake_with_stores, SALE, BACK)
    for minute, (changed, link) in enumerate(
        [
            (replace(SALE, cents=200), "exceeds_original"),
            (replace(SALE, customer="C2"), "other_customer"),
            (replace(SALE, kind="void"), "void"),
            (SALE, "linked"),
        ],
        1,
    ):
        send(lake_with_stores, replace(changed, received=minute))
        refine_here(lake_with_stores)
        assert links(lake_with_stores) == {BACK.key: link}
    lake_with_stores.open("silver.receipts").delete("sequence_number = 1")
    refine_here(lake_with_stores)
    assert links(lake_with_stores) == {BACK.key: "unknown"}


def test_a_return_that_turns_to_another_original_leaves_the_first(lake_with_stores: Lake) -> None:
    send(lake_with_stores, SALE, Version(5), Version(6, "return", about=0, cents=900), Version(7, "return", about=0))
    refine_here(lake_with_stores)
    assert links(lake_with_stores) == {id_of(6): "linked", id_of(7): "exceeds_original"}
    send(lake_with_stores, Version(6, "return", about=5, cents=900, received=1))
    refine_here(lake_with_stores)
    assert links(lake_with_stores) == {id_of(6): "linked", id_of(7): "linked"}
    rows = rows_of(lake_with_stores, _TABLE.name).sort("receipt_id")
    assert rows["about_receipt_id"].to_list() == [id_of(5), SALE.key]


def test_what_is_wrong_with_returns_is_counted_in_the_commit(lake_with_stores: Lake) -> None:
    send(lake_with_stores, replace(BACK, about=None), replace(BACK, number=3), Version(4, "return", about=3))
    refine_here(lake_with_stores)
    commit = lake_with_stores.read_commit(_TABLE.name, lake_with_stores.open(_TABLE.name).version())
    told = str(commit)
    assert '"names_its_original": 1' in told
    assert '"original_is_known": 1' in told
    assert '"original_is_a_sale": 1' in told


def test_sales_that_nothing_was_returned_of_read_no_receipts(
    lake_with_stores: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(lake_with_stores, SALE, BACK)
    refine_here(lake_with_stores)
    send(lake_with_stores, Version(1), Version(8), replace(Version(9), kind="void"))
    while refine(lake_with_stores, find_table("silver.receipts"), run_here, 1) is not None:
        pass

    def run_blind(plan: Plan) -> Outcome:
        gone = plan.snapshot.with_columns(pl.lit("/nowhere.parquet").alias("uri"))
        return run_here(replace(plan, snapshot=gone))

    batch = refine(lake_with_stores, _TABLE, run_blind, 1)
    assert batch is not None
    assert (batch.rows_in, batch.rows_out) == (3, 0)


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)), st.integers(1, 999_999))
def test_an_id_tells_its_business_date(day: date, number: int) -> None:
    ids = pl.DataFrame({"id": [receipt_id(NaturalKey(367, 3, day, number)), "no id", "991399", None]})
    assert ids.select(business_day(pl.col("id"))).to_series().to_list() == [day, None, None, None]


def test_only_files_that_may_hold_a_day_are_read() -> None:
    days = [FIRST_DAY + timedelta(days=number) for number in range(10)]
    files = pl.DataFrame(
        {
            "uri": ["a", "b", "c", "unknown"],
            "lowest": [days[0], days[3], days[1], None],
            "highest": [days[2], days[5], days[9], None],
        }
    )
    assert holding(files, pl.Series([days[2], days[7]]))["uri"].to_list() == ["a", "c", "unknown"]
    assert holding(files, pl.Series([days[4], None]))["uri"].to_list() == ["b", "c", "unknown"]
    assert holding(files, pl.Series([], dtype=pl.Date))["uri"].to_list() == ["unknown"]
    assert holding(files.clear(), pl.Series([days[4]])).is_empty()


@dataclass(frozen=True, slots=True)
class Round:
    """Versions arrive; receipts of some numbers are deleted; returns are refined now, or with the next round."""

    versions: tuple[Version, ...]
    deleted: frozenset[int] = frozenset()
    refined: bool = True


_NUMBERS = st.integers(0, 5)  # few, so that most of what arrives is about something or corrects it
_VERSIONS = st.builds(
    Version,
    number=_NUMBERS,
    kind=st.sampled_from(["sale", "sale", "return", "return", "return", "void"]),
    about=st.one_of(st.none(), _NUMBERS, _NUMBERS),
    cents=st.sampled_from([300, 500, 900]),
    customer=st.sampled_from([None, "C1", "C1", "C2"]),
    currency=st.sampled_from(["USD", "USD", "USD", "CAD"]),
    hour=st.sampled_from([3, 17]),
    received=st.integers(0, 9),
)
_ROUNDS = st.lists(
    st.builds(
        Round,
        st.lists(_VERSIONS, min_size=1, max_size=4).map(tuple),
        st.one_of(st.just(frozenset()), st.frozensets(_NUMBERS, max_size=2)),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


def left_of(rounds: Iterable[Round]) -> list[Version]:
    """Return the versions that were not deleted, in the order they came in."""
    left: list[Version] = []
    for each in rounds:
        left = [version for version in (*left, *each.versions) if version.number not in each.deleted]
    return left


def by_hand(landed: Iterable[Version]) -> dict[str, tuple[Any, ...]]:
    """Return what plain Python makes of the versions that serve, by return."""
    last: dict[int, Version] = {}
    for version in landed:
        if version.number not in last or version.received >= last[version.number].received:
            last[version.number] = version
    found: dict[str, tuple[Any, ...]] = {}
    so_far: dict[int, int] = {}
    for back in sorted(last.values(), key=lambda version: version.receipt().purchased_at):
        if back.kind != "return":
            continue
        original = last.get(back.about) if back.about is not None else None
        comparable = original is not None and original.currency == back.currency
        if comparable:
            so_far[original.number] = so_far.get(original.number, 0) + back.cents
        sum_so_far = so_far[original.number] if comparable else None
        total = None if original is None else original.receipt().total_cents
        share = round(back.cents / total, 4) if comparable and total > 0 else None
        found[back.key] = (_link_by_hand(back, original, sum_so_far), total, share, sum_so_far)
    return found


def _link_by_hand(back: Version, original: Version | None, so_far: int | None) -> str:
    if original is None:
        return "unnamed" if back.about is None else "unknown"
    if original.kind != "sale":
        return "void" if original.kind == "void" else "no_sale"
    if original.currency != back.currency:
        return "other_currency"
    if None not in (original.customer, back.customer) and original.customer != back.customer:
        return "other_customer"
    if back.receipt().purchased_at < original.receipt().purchased_at:
        return "before_original"
    assert so_far is not None
    return "exceeds_original" if so_far > original.cents else "linked"


def play(lake: Lake, rounds: Iterable[Round]) -> pl.DataFrame:
    """Let rounds happen and return the table at the end, in the order of its key."""
    land(lake, bronze.STORES, [make_store()])
    for each in (*rounds, Round(())):
        send(lake, *each.versions)
        tables = ["silver.stores", "silver.receipts", *([_TABLE.name] if each.refined else [])]
        for name in tables[:2]:
            _refine_whole(lake, name)
        if each.deleted and lake.exists("silver.receipts"):
            numbers = ", ".join(str(number + 1) for number in sorted(each.deleted))
            lake.open("silver.receipts").delete(f"sequence_number in ({numbers})")
        for name in tables[2:]:
            _refine_whole(lake, name)
    return rows_of(lake, _TABLE.name).sort(_TABLE.key)


def _refine_whole(lake: Lake, name: str) -> None:
    while refine(lake, find_table(name), run_here, 1) is not None:
        pass


@example(
    [Round((BACK, replace(BACK, number=3, cents=900))), Round((SALE,)), Round((replace(SALE, cents=500, received=1),))]
)
@example([Round((SALE,), frozenset([0]), refined=False)])  # nothing is left
@example([Round((SALE, BACK)), Round((replace(BACK, about=1, received=1),), refined=False), Round((), frozenset([0]))])
@settings(max_examples=25)  # each refines two lakes, in less than a second
@given(_ROUNDS)
def test_returns_linked_batch_by_batch_equal_those_linked_at_once_and_by_hand(rounds: list[Round]) -> None:
    left = left_of(rounds)
    with tempfile.TemporaryDirectory() as folder:
        rows = play(Lake(f"{folder}/lake"), rounds)
        if left:  # of nothing, no table is made
            assert_frame_equal(rows, play(Lake(f"{folder}/fresh"), [Round(tuple(left))]), check_exact=True)
    columns = ("link", "original_total_cents", "share_returned", "returned_so_far_cents")
    assert {row[0]: row[1:] for row in rows.select("receipt_id", *columns).rows()} == by_hand(left)
