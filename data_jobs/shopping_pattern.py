"""A customer's recent shopping in one sentence."""

from __future__ import annotations

import polars as pl

_MOSTLY = 0.5  # from half of the recent visits on, a weekday is a habit
_CHANGED = 0.25  # spend that far from the usual month is worth saying


def pattern_sentence() -> pl.Expr:
    """Return the sentence of a profile row, such as "4 visits in the 30 days to 17 Nov 2026, ...".

    Reads visits, visits_last_30_days, last_visit_on, usual_day and its visits, days_between_visits,
    recent_spend_cents, spend_by_month, top_categories and store_name; mentions no person.
    """
    visits = pl.col("visits_last_30_days")
    counted = pl.concat_str(
        visits.cast(pl.String),
        pl.when(visits == 1).then(pl.lit(" visit")).otherwise(pl.lit(" visits")),
        pl.lit(" in the 30 days to "),
        pl.col("last_visit_on").dt.strftime("%-d %b %Y"),
    )
    sentence = pl.concat_str(counted, _day(), _store(), _rhythm(), _categories(), _trend(), pl.lit("."))
    return pl.when(pl.col("visits") > 0).then(sentence).otherwise(pl.lit("Only returns so far, no visits."))


def _day() -> pl.Expr:
    habit = (pl.col("visits_last_30_days") > 2) & (
        pl.col("usual_day_visits") >= _MOSTLY * pl.col("visits_last_30_days")
    )
    return _if(habit, pl.concat_str(pl.lit(", mostly on "), "usual_day", pl.lit("s")))


def _store() -> pl.Expr:
    return _if(pl.col("store_name").is_not_null(), pl.concat_str(pl.lit(", usually at "), "store_name"))


def _rhythm() -> pl.Expr:
    days = pl.col("days_between_visits")
    often = (
        pl.when(days < 1.5)
        .then(pl.lit("day"))
        .otherwise(pl.concat_str(days.round(0).cast(pl.Int64).cast(pl.String), pl.lit(" days")))
    )
    return _if(days.is_not_null(), pl.concat_str(pl.lit(", about every "), often))


def _categories() -> pl.Expr:
    first = pl.col("top_categories").list.eval(pl.element().struct.field("category").str.to_lowercase()).list.head(2)
    return _if(pl.col("top_categories").list.len() > 0, pl.concat_str(pl.lit("; buys most "), first.list.join(" and ")))


def _trend() -> pl.Expr:
    """Compare the last 30 days with the mean of the months before the last one."""
    months = pl.col("spend_by_month").list.eval(pl.element().struct.field("spend_cents"))
    usual = months.list.head(months.list.len() - 1).list.mean()
    recent = pl.col("recent_spend_cents")
    return (
        pl.when((usual > 0) & (recent > usual * (1 + _CHANGED)))
        .then(pl.lit("; spends more than usual"))
        .when((usual > 0) & (recent < usual * (1 - _CHANGED)))
        .then(pl.lit("; spends less than usual"))
        .otherwise(pl.lit(""))
    )


def _if(condition: pl.Expr, text: pl.Expr) -> pl.Expr:
    return pl.when(condition).then(text).otherwise(pl.lit(""))
