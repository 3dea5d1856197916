"""Receipts as JSON without models."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.rendering import goods

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@given(st.tuples(TEXT, TEXT, TEXT, TEXT))
def test_any_text_in_a_products_members_comes_back_as_it_was(product):
    (members,) = goods([product])
    assert tuple(json.loads(f"{{{members}}}").values()) == product
