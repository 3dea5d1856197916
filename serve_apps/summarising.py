"""How a customer shops in two or three sentences of a language model, from figures that name nobody."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson

from configs.language_model import SummarySettings
from receipts.money import format_cents
from serve_apps.language_model import LanguageModel

# What of a profile is told as it is. Who the customer is stands in none of it.
_TOLD = (
    "recent_pattern", "visits", "visits_last_30_days", "returns", "days_between_visits", "first_visit_on",
    "last_visit_on",
)  # fmt: skip
_ORDER = (
    "You brief a retail customer service representative before a call. From the JSON facts about how one customer "
    "shops, write two or three short plain sentences. Use only these facts. Do not guess at who the customer is, and "
    "do not give advice."
)
_LONGEST = 600  # characters: a rep reads it while saying hello
_TOKENS = 200
_KEPT = 1_000
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Summariser:
    """Writes summaries; without a language model it never says anything."""

    def __init__(self, settings: SummarySettings) -> None:
        self._model = LanguageModel(settings)
        self._kept: OrderedDict[bytes, str] = OrderedDict()  # by the facts, so by nobody's name

    async def aclose(self) -> None:
        """Close the connections."""
        await self._model.aclose()

    async def summarise(self, profile: Mapping[str, Any]) -> str | None:
        """Return a summary of a profile, or None when there is no endpoint, or none that answers well and in time."""
        told = facts_of(profile)
        known = self._kept.get(told)
        if known is not None:
            self._kept.move_to_end(told)
            return known
        written = await self._model.ask(_ORDER, told.decode(), _TOKENS)
        text = None if written is None else _checked(written, told.decode())
        if text is not None:
            self._kept[told] = text
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return text


def facts_of(profile: Mapping[str, Any]) -> bytes:
    """Return the JSON of what a model may know of a customer's profile."""
    told = {name: profile[name] for name in _TOLD if profile.get(name) is not None}
    if (basket := profile.get("average_basket_cents")) is not None:
        told["average_basket"] = format_cents(basket)
    told["top_categories"] = [str(one["category"]) for one in profile.get("top_categories") or ()]
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)


def _checked(written: str, told: str) -> str | None:
    """Return a text fit to be shown, or None when it is empty, or names a number that nobody told it."""
    text = " ".join("".join(c if c.isprintable() else " " for c in written).split())
    if not text or len(text) > _LONGEST:
        return None
    known = _numbers(told)
    known |= {number.split(".")[0] for number in known}  # an amount without its cents
    return text if _numbers(text) <= known else None


def _numbers(text: str) -> set[str]:
    return {number.replace(",", "").lstrip("0") for number in _NUMBER.findall(text)}
