"""The only way into the page: autoescaped templates, with words for values as filters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gradio_ui import wording
from receipts.identity import display
from receipts.money import format_cents
from receipts.paper import clock, tender_name

_FILTERS = (
    wording.plain_money, wording.whole_money, wording.day, clock, wording.ago, wording.month_name,
    wording.calm, wording.dotted, tender_name, wording.initials, wording.shown_items,
)  # fmt: skip


def rendered(template: str, **values: object) -> Markup:
    """Return a template filled in; every value is escaped."""
    return Markup(_environment().get_template(template).render(**values))  # noqa: S704 - autoescaped by the environment


def packed(values: Mapping[str, object], **more: object) -> str:
    """Return what a button sends with its question, for an attribute, where it is escaped as any text is."""
    return json.dumps({**values, **more})


@lru_cache(maxsize=1)  # the templates are compiled once per process
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("gradio_ui", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # Jinja infers the type of these two from its own built-ins.
    table, names = cast("dict[str, object]", environment.filters), cast("dict[str, object]", environment.globals)
    table.update({function.__name__: function for function in (*_FILTERS, packed)})
    table.update(money=format_cents, grouped=display)
    names["chip_value"] = wording.chip_value
    return environment
