"""Every answer of the search engine beside one worked out from all receipts, for random sets of constraints."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from receipts.access import Principal
from receipts.embedding import Embedder
from receipts.models import Receipt
from receipts.products import expand
from serve_apps.search_answers import Place
from serve_apps.search_engine import Found, search_receipts
from serve_apps.search_products import ProductSearch, Term
from serve_apps.search_wanted import Likely, Roll, Wanted
from serve_apps.serving import ServingContext, opened, serving_context
from serve_apps.understanding.query import Cents, Days
from tests.fixtures.retail import store_rows
from tests.fixtures.searching import CATALOGUE, STORES, sale

LAST = date(2026, 11, 20)
DAYS = 500  # the windows of 7, 28, 112 and 448 days and what is left
PHRASES = ("fancy cheese", "rotisserie chicken", "milk", "snacks", "something for the dog", "chicken", "bananas")
CUSTOMERS = ("C0000001", "C0000002", "C0000003")
OPERATORS = ("OP1", 'Op "2"', "Žofie \\", None)  # what tills print, and what must be quoted in JSON
SETS = 200


@dataclass
class World:
    """Receipts, and the engine over a database that holds them."""

    context: ServingContext
    principal: Principal
    regions: frozenset[int]
    receipts: list[Receipt]
    products: ProductSearch
    vectors: dict[str, str] = field(default_factory=dict)

    async def term(self, phrase: str) -> Term:
        """Return a phrase with its vector."""
        if phrase not in self.vectors:
            vector = Embedder(threads=1).embed_query(phrase)
            self.vectors[phrase] = f"[{','.join(map(str, np.round(vector, 5)))}]"
        return Term(phrase, expand(phrase), self.vectors[phrase])

    async def search(self, wanted: Wanted, limit: int, after: Place = Place()) -> Found:  # noqa: B008  immutable
        """Return a page."""
        return await search_receipts(self.context, self.principal, wanted, limit, after)


def random_receipts(rng: random.Random, count: int) -> Iterator[Receipt]:
    """Yield sales all over the stores and the days."""
    for number in range(1, count + 1):
        day = LAST - timedelta(days=rng.randrange(DAYS))
        skus = rng.sample(sorted(CATALOGUE), rng.randint(1, 4))
        total = sum(CATALOGUE[sku][3] for sku in skus)
        tender = rng.choice(["cash", "credit"])
        card = {"card_brand": "visa", "card_last4": rng.choice(["1111", "2222"])} if tender == "credit" else {}
        yield sale(
            rng.choice([store.store_id for store in STORES]),
            day.isoformat(),
            number,
            skus,
            customer_id=rng.choice([*CUSTOMERS, None]),
            tenders=[{"tender_type": tender, "amount_cents": total, **card}],
            purchased_at=datetime(day.year, day.month, day.day, 15, tzinfo=UTC) + timedelta(seconds=37 * number),
            register_id=rng.randint(1, 3),
            operator_id=rng.choice(OPERATORS),
        )


@pytest.fixture
async def world(shelf, sign_ins):
    """Seven hundred receipts more than the shelf has, seen by who may see the east only."""
    receipts = [*random_receipts(random.Random(6), 700)]
    store_rows(shelf.settings, receipts=receipts)
    context = serving_context(shelf.settings, application="fuzzy")
    async with opened(context):
        principal = sign_ins.principal("rep.east")
        yield World(context, principal, frozenset({1}), [*shelf.receipts.values(), *receipts], ProductSearch(context))


async def random_wanted(rng: random.Random, world: World) -> Wanted:
    """Return a random set of constraints, at least one."""
    fields = ("stores", "days", "cents", "customers", "card", "tenders", "terms", "roll")
    asked = {name for name in fields if rng.random() < 0.35}
    asked = asked if asked - {"roll"} else asked | {rng.choice(["days", "cents", "terms"])}
    day = LAST - timedelta(days=rng.randrange(DAYS))
    low = rng.randrange(100, 3000)
    chosen: dict[str, Any] = {}
    if "stores" in asked:
        ids = tuple(rng.sample([store.store_id for store in STORES], rng.randint(1, 2)))
        chosen["stores"] = Likely(ids, tuple(rng.choice([1.0, 0.9]) for _ in ids))
    if "days" in asked:
        chosen["days"] = rng.choice(
            [Days(day, day), Days(day, None), Days(None, day), Days(day, day + timedelta(days=rng.randrange(60)))]
        )
    if "cents" in asked:
        chosen["cents"] = rng.choice([Cents(low, low), Cents(low, None), Cents(None, low), Cents(low, low + 500)])
    if "customers" in asked:
        chosen["customers"] = Likely(("C0000001", "C0000002"), (1.0, 0.8))
    if "card" in asked:
        chosen["card_last4"] = "1111"
    if "tenders" in asked:
        chosen["tenders"] = (rng.choice(["cash", "credit"]),)
    if "terms" in asked:
        terms = tuple([await world.term(phrase) for phrase in rng.sample(PHRASES, rng.randint(1, 2))])
        chosen |= {"terms": terms, "products": await world.products.of(terms)}
    if "roll" in asked:
        chosen["roll"] = random_roll(rng)
    if rng.random() < 0.2:
        chosen["without"] = (rng.choice(sorted(CATALOGUE)),)
    return Wanted(**chosen)


def random_roll(rng: random.Random) -> Roll:
    """Return what a till's roll may say, some of it."""
    number, hour = rng.randrange(1, 600), rng.randrange(10, 17)
    said: dict[str, Any] = {
        "register_id": rng.randint(1, 3),
        "operator_id": rng.choice(OPERATORS[:-1]),
        "number_from": number,
        "number_to": number + rng.randrange(300),
        "time_from": f"{hour}:{rng.randrange(60):02d}",
        "time_to": f"{hour + rng.randrange(1, 4)}:{rng.randrange(60):02d}",
    }
    return Roll(**{name: value for name, value in said.items() if rng.random() < 0.3})


def scanned(world: World, wanted: Wanted) -> list[tuple[float, datetime, str]]:
    """Return what fits, from every receipt there is, best first: score, instant, id."""
    regions = {store.store_id: store.region_id for store in STORES}
    found = []
    for receipt in world.receipts:
        score = score_of(receipt, wanted)
        if regions[receipt.store_id] in world.regions and score is not None:
            found.append((score, receipt.purchased_at, receipt.receipt_id))
    return sorted(found, reverse=True)


def score_of(receipt: Receipt, wanted: Wanted) -> float | None:
    """Return the documented score, None for a receipt that does not fit."""
    skus = {line.sku for line in receipt.lines}
    parts: list[tuple[float, float | None]] = []
    if wanted.stores:
        parts.append((2, _likely(wanted.stores, receipt.store_id)))
    if wanted.days:
        ends = wanted.days.first, wanted.days.last
        numbers = [None if end is None else end.toordinal() for end in ends]
        parts.append((2, _near(receipt.business_date.toordinal(), *numbers, wanted.date_tolerance_days)))
    if wanted.cents:
        ends = wanted.cents.low, wanted.cents.high
        parts.append((2, _near(receipt.total_cents, *ends, wanted.amount_tolerance_cents)))
    if wanted.customers:
        parts.append((3, _likely(wanted.customers, receipt.customer_id)))
    if wanted.card_last4:
        parts.append((3, 1.0 if wanted.card_last4 in {t.card_last4 for t in receipt.tenders} else None))
    if wanted.tenders:
        parts.append((1, float(bool({str(t.tender_type) for t in receipt.tenders} & set(wanted.tenders)))))
    if wanted.products:
        parts.append((3, _bought(skus, wanted)))
    if not _on_roll(receipt, wanted.roll):
        return None
    if skus & set(wanted.without) or any(score is None for _, score in parts):
        return None
    weights = sum(weight for weight, _ in parts)
    return sum(weight * (score or 0) for weight, score in parts) / weights if weights else 1.0


def _on_roll(receipt: Receipt, roll: Roll) -> bool:
    """Say whether a receipt is what the till's roll says: of the ends of a range, both are in it."""
    zone = next(ZoneInfo(store.time_zone) for store in STORES if store.store_id == receipt.store_id)
    clock = f"{receipt.purchased_at.astimezone(zone):%H:%M}"
    return (
        roll.register_id in (None, receipt.register_id)
        and roll.operator_id in (None, receipt.operator_id)
        and (roll.number_from or 0) <= receipt.sequence_number <= (roll.number_to or 999_999)
        and (roll.time_from or "00:00") <= clock <= (roll.time_to or "23:59")
    )


def _likely(likely: Likely, one: object) -> float | None:
    return dict(zip(likely.ids, likely.scores, strict=True)).get(one)


def _near(value: int, low: int | None, high: int | None, tolerance: int) -> float | None:
    """Return 1 within, down to 0.5 at the tolerance, None beyond it."""
    off = max(0, 0 if low is None else low - value, 0 if high is None else value - high)
    return None if off > tolerance else 1 - 0.5 * off / tolerance


def _bought(skus: set[str], wanted: Wanted) -> float | None:
    """Return the mean over the phrases of the likeliest line of each."""
    best: dict[int, float] = {}
    for sku, term, similarity, _ in zip(*wanted.products, strict=True):
        if sku in skus:
            best[term] = max(best.get(term, 0.0), similarity)
    return sum(best.values()) / len(wanted.terms) if best else None


async def test_two_hundred_random_searches_answer_what_a_scan_of_everything_finds(world):
    rng = random.Random(26)
    answered = 0
    for _ in range(SETS):
        wanted = await random_wanted(rng, world)
        expected = scanned(world, wanted)
        if not expected:
            continue  # a search that finds nothing is loosened; that has tests of its own
        answered += 1
        found = await world.search(wanted, 1_000)
        assert found.searched_from is None
        assert found.relaxations == ()
        assert {hit.receipt.receipt_id for hit in found.hits} == {receipt_id for *_, receipt_id in expected}
        scores = {receipt_id: score for score, _, receipt_id in expected}
        for hit in found.hits:
            assert hit.score == pytest.approx(scores[hit.receipt.receipt_id], abs=1e-3), wanted
    assert answered > SETS / 2


async def test_what_a_roll_says_alone_is_what_a_scan_of_everything_finds(world):
    rng = random.Random(4)
    answered = 0
    for _ in range(100):
        wanted = Wanted(roll=random_roll(rng))
        if wanted.is_empty:
            continue
        expected = scanned(world, wanted)
        found = await world.search(wanted, 1_000)
        assert {hit.receipt.receipt_id for hit in found.hits} == {receipt_id for *_, receipt_id in expected}, wanted
        assert found.relaxations == ()
        assert all(hit.score == 1 for hit in found.hits)
        answered += bool(expected)
    assert answered > 30


async def test_pages_of_any_length_join_to_the_whole(world):
    rng = random.Random(7)
    for _ in range(10):
        wanted = await random_wanted(rng, world)
        whole = [hit.receipt.receipt_id for hit in (await world.search(wanted, 1_000)).hits]
        length, after, joined = rng.randint(1, 30), Place(), []
        while after is not None and len(joined) <= len(whole):
            page = await world.search(wanted, length, after)
            assert len(page.hits) <= length
            joined += [hit.receipt.receipt_id for hit in page.hits]
            after = page.next_place
        assert joined == whole


async def test_a_search_that_more_fit_than_are_ranked_says_back_to_which_day(world, owner):
    # A day's milk, over and over: two and a half thousand receipts of last week, and one a year ago.
    original = next(one for one in world.receipts if {line.sku for line in one.lines} == {"3002"})
    owner.execute(
        "INSERT INTO retail.receipts SELECT left(receipt_id, 10) || lpad(n::text, 12, '0'), store_id, region_id, "
        "receipt_type, %(day)s::timestamptz + n * interval '1 second', %(day)s::date, customer_id, total_cents, "
        "card_last4, skus, document, payload_digest, first_digest, received_at, refined_at "
        "FROM retail.receipts, generate_series(1, 2500) AS n WHERE receipt_id = %(id)s",
        {"day": LAST, "id": original.receipt_id},
    )
    terms = (await world.term("milk"),)
    found = await world.search(Wanted(terms=terms, products=await world.products.of(terms)), 50)
    assert found.searched_from is not None
    assert LAST - timedelta(days=28) < found.searched_from <= LAST
    assert len(found.hits) == 50
