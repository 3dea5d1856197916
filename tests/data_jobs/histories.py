"""What can happen to receipts over time, as hypothesis draws it, and what must be left of it at the end."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from deltalake import DeltaTable
from hypothesis import strategies as st

from data_jobs.batches import refine
from data_jobs.catalogue import find_table, in_order
from data_jobs.declaration import Kind
from data_jobs.plans import Outcome, Plan
from data_jobs.upkeep.retention import GRACE_DAYS, expire_next
from receipts import bronze
from receipts.lake import Lake
from receipts.models import Receipt
from tests.data_jobs.landing import RECEIVED_AT, land, land_payloads, run_here
from tests.fixtures.retail import make_receipt, make_store

STORES = (make_store(), make_store(store_id=368, name="Gary", region_id=2, time_zone="America/Chicago"))
_FIRST_DAY = date(2026, 8, 3)
_PRODUCTS = (("840361", "MILK"), ("1029743", "CHICKEN"), ("1082185", ""))
_NUMBERS = st.integers(0, 6)  # few receipts, so that most of what arrives corrects one
_SILVER = find_table("silver.receipts")
SUMS = (
    "gold.customer_profiles",
    "gold.spending_insights",
    "gold.store_days",
    "gold.product_sales",
    "gold.fraud_signals",
    "gold.shopping_bursts",
)
_FOLLOWING = ("silver.receipt_lines", *SUMS)


@dataclass(frozen=True, slots=True)
class Line:
    """A line: which product, how many thousandths of its unit, what it cost and what was taken off."""

    product: int
    thousandths: int
    cents: int
    discount: int


@dataclass(frozen=True, slots=True)
class Version:
    """A receipt as it is sent once. Number and business date belong together; all else may be corrected."""

    number: int
    kind: str
    store: int  # 0 or 1
    customer: str | None
    days: int  # after the business date that it was printed
    hour: int  # of UTC
    lines: tuple[Line, ...]
    tax: int
    card: str | None
    operator: str | None
    original: bool
    received: int  # minutes after the first

    @property
    def business_date(self) -> date:
        """Return the day that the receipt's key names."""
        return _FIRST_DAY + timedelta(days=self.number * 7)

    def receipt(self) -> Receipt:
        """Return the receipt; its store is the one its key was made with."""
        sign = -1 if self.kind == "return" else 1
        at = datetime.combine(self.business_date, datetime.min.time(), UTC) + timedelta(days=self.days, hours=self.hour)
        total = sign * (sum(line.cents for line in self.lines) + self.tax)
        return make_receipt(
            sequence_number=self.number + 1,
            receipt_type=self.kind,
            business_date=self.business_date,
            purchased_at=at,
            customer_id=self.customer,
            operator_id=self.operator,
            tax_cents=sign * self.tax,
            lines=[
                {
                    "line_number": place,
                    "sku": _PRODUCTS[line.product][0],
                    "description": "A PRODUCT",
                    "category": _PRODUCTS[line.product][1],
                    "quantity": sign * line.thousandths / 1000,
                    "unit_price_cents": line.cents,
                    "discount_cents": line.discount,
                    "amount_cents": sign * line.cents,
                }
                for place, line in enumerate(self.lines, 1)
            ],
            tenders=[{"tender_type": "credit", "amount_cents": total, "card_last4": self.card}],
            original_receipt_id=make_receipt(sequence_number=999).receipt_id if self.original else None,
        )

    def payload(self) -> str:
        """Return what Bronze holds. No till moves a receipt to another store; a fold must not mind if one does."""
        document = json.loads(self.receipt().canonical())
        return json.dumps(document | {"store_id": STORES[self.store].store_id})


@dataclass(frozen=True, slots=True)
class Land:
    """Versions arrive, one after the other."""

    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class Refine:
    """Silver receipts, and some of the tables that follow, take in what is new to them."""

    tables: frozenset[str]


@dataclass(frozen=True, slots=True)
class Delete:
    """Receipts are taken out of Silver, as if they had never been."""

    numbers: frozenset[int]


@dataclass(frozen=True, slots=True)
class Expire:
    """Receipts from before the business date of a number have been kept for long enough."""

    number: int

    @property
    def before(self) -> date:
        """Return the first day that is kept."""
        return _FIRST_DAY + timedelta(days=self.number * 7)


Step = Land | Refine | Delete | Expire

_LINES = st.builds(Line, st.integers(0, 2), st.integers(1, 9_999), st.integers(0, 9_999), st.integers(0, 99))
VERSIONS = st.builds(
    Version,
    number=_NUMBERS,
    kind=st.sampled_from(["sale", "sale", "return", "return", "void"]),
    store=st.sampled_from([0, 0, 1]),
    customer=st.sampled_from([None, "C1", "C1", "C2"]),
    days=st.integers(-1, 1),
    hour=st.sampled_from([3, 5, 17]),  # of three and five, one store or both have the day before
    lines=st.lists(_LINES, min_size=1, max_size=3).map(tuple),
    tax=st.integers(0, 50),
    card=st.sampled_from([None, "4242", "1881"]),
    operator=st.sampled_from([None, "OP1", "OP2"]),
    original=st.booleans(),
    received=st.integers(0, 9),
)
_ROUNDS: st.SearchStrategy[tuple[Step, ...]] = st.tuples(
    st.builds(Land, st.lists(VERSIONS, min_size=2, max_size=5).map(tuple)),
    st.one_of(
        st.builds(Refine, st.just(frozenset(_FOLLOWING))),
        st.builds(Refine, st.just(frozenset(_FOLLOWING))),
        st.builds(Refine, st.frozensets(st.sampled_from(_FOLLOWING))),
        st.builds(Delete, st.frozensets(_NUMBERS, min_size=1, max_size=3)),
        st.builds(Expire, st.integers(1, 5)),
    ),
)
HISTORIES = st.lists(_ROUNDS, min_size=1, max_size=4).map(lambda rounds: [step for each in rounds for step in each])


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a history: all versions of receipts that were not deleted, and from when on they are kept."""

    landed: tuple[Version, ...] = ()
    kept_from: date = date.min

    @property
    def ever(self) -> list[Version]:
        """Return the version that serves of each receipt, or that served when it expired."""
        last: dict[int, Version] = {}
        for version in self.landed:
            if version.number not in last or version.received >= last[version.number].received:
                last[version.number] = version
        return list(last.values())

    @property
    def serving(self) -> list[Version]:
        """Return the version that serves of each receipt that has not expired."""
        return [version for version in self.ever if version.business_date >= self.kept_from]


def what_is_left(history: Iterable[Step]) -> Left:
    """Go through a history without a lake."""
    left = Left()
    for step in history:
        match step:
            case Land(versions):
                young = tuple(version for version in versions if version.business_date >= left.kept_from)
                left = replace(left, landed=left.landed + young)
            case Delete(numbers):
                gone = {version.number for version in left.serving} & numbers
                left = replace(left, landed=tuple(each for each in left.landed if each.number not in gone))
            case Expire() if any(version.business_date < step.before for version in left.serving):
                left = replace(left, kept_from=step.before)
            case _:
                pass
    return left


@dataclass(frozen=True, slots=True)
class Player:
    """Plays histories in a lake, with every batch cut into so many slices."""

    lake: Lake
    slices: int = 1

    def _run_sliced(self, plan: Plan) -> Outcome:
        return run_here(replace(plan, slices=self.slices if find_table(plan.table).slice_by else 1))

    def play(self, history: Sequence[Step]) -> None:
        """Let it all happen step by step, and refine what is left at the end."""
        land(self.lake, bronze.STORES, STORES)
        for step in (*history, Refine(frozenset(_FOLLOWING))):
            self._make(step)

    def play_at_once(self, left: Left) -> None:
        """Let all that is left arrive first and be refined in one batch; what expired does so at the end."""
        land(self.lake, bronze.STORES, STORES)
        for step in (Land(left.landed), Refine(frozenset(_FOLLOWING))):
            self._make(step)
        if left.kept_from != date.min:
            self._expire(left.kept_from)
            self._make(Refine(frozenset(_FOLLOWING)))

    def _make(self, step: Step) -> None:
        match step:
            case Land(versions):
                for version in versions:
                    at = RECEIVED_AT + timedelta(minutes=version.received)
                    land_payloads(self.lake, bronze.RECEIPTS, [(version.receipt().receipt_id, version.payload())], at)
            case Refine(tables):
                self._refine(tables)
            case Delete(numbers):
                self._refine(frozenset())
                for handle in self._silver():
                    handle.delete(f"sequence_number in ({', '.join(str(number + 1) for number in sorted(numbers))})")
            case Expire():
                self._refine(frozenset())
                for _ in self._silver():
                    self._expire(step.before)

    def _silver(self) -> Iterator[DeltaTable]:
        if self.lake.exists(_SILVER.name):
            yield self.lake.open(_SILVER.name)

    def _expire(self, before: date) -> None:
        assert _SILVER.retention is not None
        expire_next(self.lake, _SILVER, before + timedelta(days=_SILVER.retention.days + GRACE_DAYS))

    def _refine(self, tables: frozenset[str]) -> None:
        chosen = {"silver.stores", _SILVER.name, *tables}
        for table in in_order():
            if table.name in chosen and table.kind is not Kind.FILLED:
                while refine(self.lake, table, self._run_sliced, 1) is not None:
                    pass
