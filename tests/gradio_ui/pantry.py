"""Half a year of shopping at three shops, up to today, as the platform would hold it after a refinement."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from configs.settings import Settings
from receipts.embedding import Embedder, product_digest
from receipts.models import Customer, Receipt, Store
from receipts.products import search_text
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows

ZONE = ZoneInfo("America/New_York")
# description, department, category, price
GOODS: tuple[tuple[str, str, str, int], ...] = (
    ("ROTISSERIE CHICKEN HOT", "DELI", "CHICKEN", 899),
    ("CHICKEN THIGHS BONE-IN", "MEAT", "CHICKEN", 987),
    ("GRUYERE AOP WEDGE", "DELI", "SPECIALTY CHEESE", 1162),
    ("BRIE DE MEAUX", "DELI", "SPECIALTY CHEESE", 1450),
    ("BABY SPINACH 5 OZ", "PRODUCE", "SALAD GREENS", 349),
    ("EGGS LARGE DOZEN", "DAIRY", "EGGS", 399),
    ("SOURDOUGH LOAF", "BAKERY", "BREAD", 599),
    ("COLD BREW COFFEE 32 OZ", "GROCERY", "COFFEE", 549),
    ("OLIVE OIL 750 ML", "GROCERY", "OILS", 1399),
    ("PASTA RIGATONI", "GROCERY", "PASTA", 219),
    ("BANANAS", "PRODUCE", "FRUIT", 129),
    ("2% MILK GALLON", "DAIRY", "MILK", 429),
)
STORES = (
    make_store(),
    make_store(store_id=412, name="Shadyside", aliases=["Walnut Street"], street="5550 Walnut Street",
               postal_code="15232", phone="412-555-0102"),
    make_store(store_id=298, name="Squirrel Hill", aliases=["Forbes"], street="5829 Forbes Avenue",
               postal_code="15217", phone="412-555-0103"),
)  # fmt: skip
# days from that Tuesday, hour, goods, customer
_MORE_CHICKEN = (
    (0, 11, (1, 9, 5), "C0000002"),
    (0, 19, (8, 0), None),
    (1, 9, (0, 3, 10, 11), "C0000002"),
    (-1, 17, (1, 4), None),
)
CUSTOMERS = (
    make_customer(),
    make_customer(customer_id="C0000002", first_name="Ellen", last_name="Brandt", email="ellen.brandt@example.com"),
)


def shopping(now: datetime) -> list[Receipt]:
    """Return the receipts: chicken in East Liberty on the last two Tuesdays, and whatever chance brings."""
    chance = random.Random(17)
    today = now.astimezone(ZONE).date()
    tuesday = today - timedelta(days=(today.weekday() - 1) % 7 or 7)
    receipts = [
        sale(
            1,
            STORES[0],
            datetime.combine(tuesday, time(18, 5), ZONE),
            [0, 4, 6, 0, 9, 10],
            "C0000001",
            operator_id="118",
        ),
        sale(2, STORES[0], datetime.combine(tuesday - timedelta(days=7), time(12, 41), ZONE), [1, 11, 7], "C0000002"),
    ]
    for number, (days, hour, goods, customer) in enumerate(_MORE_CHICKEN, 3):
        at = datetime.combine(tuesday + timedelta(days=days), time(hour, 7 * number), ZONE)
        receipts.append(sale(number, STORES[0], at, goods, customer))
    for number in range(10, 70):
        on = today - timedelta(days=chance.randint(1, 170))
        at = datetime.combine(on, time(chance.randint(8, 20), chance.randint(0, 59)), ZONE)
        goods = chance.sample(range(2, len(GOODS)), chance.randint(2, 6))
        customer = chance.choice(["C0000001", "C0000001", "C0000002", None])
        receipts.append(sale(number, chance.choice(STORES), at, goods, customer))
    return receipts


def sale(number: int, store: Store, at: datetime, goods: Sequence[int], customer: str | None, **more: Any) -> Receipt:
    """Return a sale of some goods, the second of them a dollar off, with 2 % tax."""
    lines = [_line(i, *GOODS[good], number=good, discount=100 if i == 2 else 0) for i, good in enumerate(goods, 1)]
    subtotal = sum(line["amount_cents"] for line in lines)
    tax = round(subtotal * 0.02)
    facts: dict[str, Any] = {
        "store_id": store.store_id,
        "register_id": 1 + number % 8,
        "business_date": at.date(),
        "sequence_number": number,
        "purchased_at": at.astimezone(UTC),
        "customer_id": customer,
        "lines": lines,
        "tax_cents": tax,
        "total_cents": subtotal + tax,
    }
    return make_receipt(**facts | more)


def stock(
    settings: Settings, owner: psycopg.Connection, receipts: Sequence[Receipt], *,
    stores: Iterable[Store] = STORES, customers: Iterable[Customer] = CUSTOMERS,
) -> None:  # fmt: skip
    """Write everything through the gateway's SQL, then what a refinement adds: products, vectors, profiles."""
    store_rows(settings, stores=stores, customers=customers, receipts=receipts)
    lines = {line.sku: (line.description, line.department, line.category) for one in receipts for line in one.lines}
    vectors = Embedder(threads=1).embed_products(list(lines.values()))
    for (sku, kind), vector in zip(lines.items(), vectors, strict=True):
        owner.execute(
            "INSERT INTO retail.products (sku, description, department, category, search_text, text_digest) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            (sku, *kind, search_text(*kind), product_digest(*kind)),
        )
        owner.execute(
            "INSERT INTO retail.product_embeddings VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (product_digest(*kind), f"[{','.join(map(str, vector))}]", Embedder.model_name),
        )
    for customer in customers:
        _record_profile(owner, [one for one in receipts if one.customer_id == customer.customer_id])


def _line(number_on_receipt: int, *good: Any, number: int, discount: int) -> dict[str, Any]:
    description, department, category, price = good
    return {
        "line_number": number_on_receipt,
        "sku": f"10{number:02d}",
        "description": description,
        "department": department,
        "category": category,
        "quantity": 1.0,
        "unit_price_cents": price,
        "discount_cents": discount,
        "amount_cents": price - discount,
    }


def _record_profile(owner: psycopg.Connection, bought: Sequence[Receipt]) -> None:
    if not bought:
        return
    spent = sum(one.total_cents for one in bought)
    days = sorted({one.business_date for one in bought})
    categories: Counter[str] = Counter()
    months: Counter[str] = Counter()
    for one in bought:
        months[f"{one.business_date:%Y-%m}"] += one.total_cents
        for line in one.lines:
            categories[line.category] += line.amount_cents
    profile = {
        "lifetime_spend_cents": spent,
        "visits": len(bought),
        "returns": 0,
        "average_basket_cents": spent // len(bought),
        "days_between_visits": round((days[-1] - days[0]).days / max(1, len(days) - 1), 1),
        "first_visit_on": str(days[0]),
        "last_visit_on": str(days[-1]),
        "last_visit_at": max(one.purchased_at for one in bought).isoformat(),
        "favourite_store_id": Counter(one.store_id for one in bought).most_common(1)[0][0],
        "top_categories": [{"category": name, "spend_cents": cents} for name, cents in categories.most_common(5)],
        "spend_by_month": [{"month": month, "spend_cents": cents} for month, cents in sorted(months.items())[-6:]],
        "visits_last_30_days": sum(one.business_date > days[-1] - timedelta(days=30) for one in bought),
        "recent_pattern": "Shops about once a week, mostly at East Liberty in the early evening.",
    }
    owner.execute(
        "INSERT INTO retail.customer_profiles VALUES (%s, %s, %s, %s, %s, %s)",
        (bought[0].customer_id, [1], spent, len(bought), profile["last_visit_at"], json.dumps(profile)),
    )
