"""Sales tax as Pennsylvania levies it: food, medicine and clothing are exempt, general merchandise is not.

A simplification of 61 Pa. Code chapters 31 to 60, applied everywhere at the shop's own rate (Allegheny County 7 %,
the rest of Pennsylvania 6 %): soft drinks, prepared meals, alcohol, tobacco, pet food and household goods are taxed;
candy, bread, toilet paper, diapers and over-the-counter medicine are not; petrol has its tax in the price.
"""

from __future__ import annotations

import polars as pl

_TAXED_DEPARTMENTS = (
    "DRUG GM",
    "COSMETICS",
    "FLORAL",
    "GARDEN CENTER",
    "SPIRITS",
    "AUTOMOTIVE",
    "PHOTO & VIDEO",
    "TOYS",
    "ELECT &PLUMBING",
    "GM MERCH EXP",
    "RESTAURANT",
    "SALAD BAR",
    "CHEF SHOPPE",
)
_TAXED_CATEGORIES = (
    "AIR CARE",
    "BEERS/ALES",
    "BIRD SEED",
    "BLEACH",
    "CAT FOOD",
    "CAT LITTER",
    "DISHWASH DETERGENTS",
    "DOG FOODS",
    "DOMESTIC WINE",
    "FACIAL TISS/DNR NAPKIN",
    "FD WRAPS/BAGS/TRSH BG",
    "HOUSEHOLD CLEANG NEEDS",
    "IMPORTED WINE",
    "LAUNDRY ADDITIVES",
    "LAUNDRY DETERGENTS",
    "LIQUOR",
    "MISC WINE",
    "PAPER HOUSEWARES",
    "PAPER TOWELS",
    "PARTY TRAYS",
    "PET CARE SUPPLIES",
    "PREPARED FOOD",
    "SANDWICHES",
    "SERVICE BEVERAGE",
    "SOFT DRINKS",
    "SUSHI",
)
_EXEMPT_CATEGORIES = (
    "ADULT INCONTINENCE",
    "ANALGESICS",
    "ANTACIDS",
    "APPAREL",
    "BABY FOODS",
    "CANDY - CHECKLANE",
    "CANDY - PACKAGED",
    "COLD AND FLU",
    "COUPON/MISC ITEMS",
    "DIAPERS & DISPOSABLES",
    "DIETARY AID PRODUCTS",
    "EYE AND EAR CARE PRODUCTS",
    "FEMININE HYGIENE",
    "FIRST AID PRODUCTS",
    "FOOT CARE PRODUCTS",
    "HOSIERY/SOCKS",
    "INFANT FORMULA",
    "LAXATIVES",
    "LONG DISTANCE CALLING CARDS",
    "NEWSPAPER",
    "ORAL HYGIENE PRODUCTS",
    "PHARMACY",
    "PREPAID WIRELESS&ACCESSORIES",
    "SINUS AND ALLERGY",
    "SMOKING CESSATIONS",
    "TICKETS",
    "VITAMINS",
)


def is_taxed(department: str = "department", category: str = "category") -> pl.Expr:
    """Return whether a product is taxed, from its department and category as Complete Journey names them."""
    kind = pl.col(category).fill_null("")
    by_department = pl.col(department).fill_null("").is_in(_TAXED_DEPARTMENTS) & ~kind.is_in(_EXEMPT_CATEGORIES)
    return by_department | kind.is_in(_TAXED_CATEGORIES)


def tax_cents(amount_cents: str, basis_points: str, taxed: str) -> pl.Expr:
    """Return the tax of a line: its amount by the rate, halves up; the amount is not negative."""
    return pl.when(taxed).then((pl.col(amount_cents) * pl.col(basis_points) + 5_000) // 10_000).otherwise(0)
