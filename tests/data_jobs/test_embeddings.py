"""Products get a vector once per text, from a real model on a real Ray cluster."""

from datetime import timedelta

import pytest

from data_jobs.embeddings import embed_products
from data_jobs.ray_work import joined
from receipts import bronze
from receipts.embedding import DIMENSION, Embedder
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, refine_here, rows_of
from tests.fixtures.retail import CHICKEN, MILK, make_receipt

# Ray Data warns of settings of its own when it makes its context.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")

TWIN = {**MILK, "line_number": 3, "sku": "840362"}  # another size of the same: the same text


def embedded(lake: Lake, ray_address: str) -> int:
    """Embed what is new and return how many products got a vector."""
    with joined(ray_address):
        return sum(batch.rows_out for batch in embed_products(lake, actors=1))


def test_only_products_whose_text_changed_are_embedded(lake_with_stores: Lake, ray_address: str) -> None:
    lake = lake_with_stores
    land(lake, bronze.RECEIPTS, [make_receipt(lines=[MILK, CHICKEN, TWIN])])
    refine_here(lake)
    assert embedded(lake, ray_address) == 2
    first = rows_of(lake, "gold.product_embeddings")
    by_hand = Embedder(threads=1).embed_products([(MILK["description"], MILK["department"], MILK["category"])])[0]
    assert set(first["embedding"].list.len()) == {DIMENSION}
    products = rows_of(lake, "silver.products").join(first, on="text_digest", how="left")
    for sku in (MILK["sku"], TWIN["sku"]):
        vector = products.filter(sku=sku)["embedding"].to_list()[0]
        assert vector == pytest.approx(by_hand.tolist(), abs=1e-5)

    assert embedded(lake, ray_address) == 0
    renamed = make_receipt(sequence_number=2, lines=[{**MILK, "description": "OAT DRINK"}, CHICKEN])
    known_text = make_receipt(sequence_number=3, lines=[{**CHICKEN, "sku": "77"}])
    land(lake, bronze.RECEIPTS, [renamed, known_text], RECEIVED_AT + timedelta(hours=1))
    refine_here(lake)
    assert embedded(lake, ray_address) == 1  # of the renamed one; the new product's text has its vector already
    second = rows_of(lake, "gold.product_embeddings")
    assert second.height == 3
    products = rows_of(lake, "silver.products")
    assert products.height == 4
    assert set(products["text_digest"]) <= set(second["text_digest"])
