"""How baskets are paid: each payer keeps one card and one habit, coupons and food benefits go first."""

from __future__ import annotations

import numpy as np
import polars as pl

from ingest.sources.mixing import Indices, Words, fraction, mix, pick_weighted, rising_sum

_HABITS = ("credit", "debit", "cash", "ebt", "mobile", "gift_card")
_HABIT_SHARES = rising_sum([0.42, 0.33, 0.13, 0.06, 0.05, 0.01])
_CASH, _EBT = _HABITS.index("cash"), _HABITS.index("ebt")
_WITHOUT_CARD = [_HABITS.index(habit) for habit in ("cash", "gift_card")]
_CASH_ANYWAY = 0.12  # of the baskets of people who usually pay by card
_BRANDS = ("visa", "mastercard", "discover", "amex")
_BRAND_SHARES = rising_sum([0.52, 0.29, 0.11, 0.08])


def tender_column(due: pl.DataFrame, payer: Words, basket: Words) -> pl.Series:
    """Return a JSON array of tenders per row that adds up to `total_cents`, which may be negative (a refund).

    `due` has total_cents, coupon_cents (manufacturers' coupons handed over) and food_cents (the part that food
    benefits may pay). A payer's card stays the same for ever; a basket decides only whether cash is paid instead.
    """
    total, coupon, food = (
        due[name].to_numpy().astype(np.int64) for name in ("total_cents", "coupon_cents", "food_cents")
    )
    habit = np.where(
        fraction(basket, "cash") < _CASH_ANYWAY,
        np.where(_habit(payer) == _EBT, _EBT, _CASH),
        _habit(payer),
    )
    by_coupon = _no_more_than(coupon, total)
    by_ebt = np.where(habit == _EBT, _no_more_than(food, total - by_coupon), 0)
    rest = total - by_coupon - by_ebt
    habit = np.where((habit == _EBT), _CASH, habit)
    frame = pl.DataFrame({"coupon": by_coupon, "ebt": by_ebt, "rest": rest, **_cards(payer, habit)})
    parts = (
        _tender("coupon", pl.lit("coupon")),
        _tender("ebt", pl.lit("ebt"), pl.concat_str(pl.lit(',"card_last4":"'), "last4", pl.lit('"'))),
        _tender("rest", pl.col("habit"), pl.col("card")),
    )
    joined = pl.concat_str(pl.lit("["), pl.concat_str(*parts).str.strip_chars_end(","), pl.lit("]"))
    return frame.select(tenders=joined)["tenders"]


def _habit(payer: Words) -> Indices:
    return pick_weighted(_HABIT_SHARES, payer, "habit")


def _no_more_than(wanted: Indices, owed: Indices) -> Indices:
    """Return what a tender may take of what is owed, in a sale (owed is positive) or a refund (negative)."""
    return np.where(owed >= 0, np.clip(wanted, 0, np.maximum(owed, 0)), np.clip(wanted, np.minimum(owed, 0), 0))


def _cards(payer: Words, habit: Indices) -> dict[str, pl.Series]:
    """Return the habit's name, the card's last four digits and the JSON members of the card that pays the rest."""
    brand = pl.Series(np.array(_BRANDS)[pick_weighted(_BRAND_SHARES, payer, "brand")])
    last4 = pl.Series((mix(payer, "card") % np.uint64(10_000)).astype(np.int64)).cast(pl.String).str.zfill(4)
    members = pl.DataFrame({"brand": brand, "last4": last4, "none": np.isin(habit, _WITHOUT_CARD)}).select(
        pl.when("none")
        .then(pl.lit(""))
        .otherwise(pl.concat_str(pl.lit(',"card_brand":"'), "brand", pl.lit('","card_last4":"'), "last4", pl.lit('"')))
    )
    return {"habit": pl.Series(np.array(_HABITS)[habit]), "last4": last4, "card": members.to_series()}


def _tender(amount: str, kind: pl.Expr, card: pl.Expr | None = None) -> pl.Expr:
    """Return one tender object and a comma, or nothing where the amount is zero."""
    text = pl.concat_str(
        pl.lit('{"tender_type":"'),
        kind,
        pl.lit('","amount_cents":'),
        pl.col(amount),
        pl.lit("") if card is None else card,
        pl.lit("},"),
    )
    return pl.when(pl.col(amount) != 0).then(text).otherwise(pl.lit(""))
