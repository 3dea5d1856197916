"""Products get a vector once per text, from a real model, on a real Ray cluster and killed in between."""

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from data_jobs.commits import cursor_of
from data_jobs.embedding_pool import Encode, spell
from data_jobs.embeddings import TABLE, embed_by, embed_products
from data_jobs.plans import Outcome
from data_jobs.ray_work import joined
from receipts import bronze
from receipts.embedding import DIMENSION, Embedder
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, refine_here, rows_of
from tests.fixtures.retail import CHICKEN, MILK, make_receipt

# Ray Data warns of settings of its own when it makes its context.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")

SHELF = [{**MILK, "line_number": n, "sku": f"{n}", "description": f"TEA NO {n}"} for n in range(1, 6)]
TWIN = {**MILK, "line_number": 3, "sku": "840362"}  # another size of the same: the same text


def embedded(lake: Lake, ray_address: str) -> int:
    """Embed what is new and return how many products got a vector."""
    with joined(ray_address):
        return sum(batch.rows_out for batch in embed_products(lake, actors=1))


@pytest.fixture(scope="module")
def model() -> Embedder:
    """The model, loaded once for all tests of this process."""
    return Embedder(threads=1)


class Here:
    """Encodes in this process, two texts a block, and notes how many it was given."""

    def __init__(self, lake: Lake, model: Embedder) -> None:
        self.texts = 0
        self._actor = Encode(lake, 0, gpu=False, embedder=model)

    def __call__(self, texts: pl.DataFrame) -> Iterator[Outcome]:
        self.texts += texts.height
        for block in texts.iter_slices(2):
            yield Outcome.from_json(self._actor(spell(block.to_arrow()))["result"][0].as_py())


def embed_here(lake: Lake, here: Here) -> int:
    """Embed what is new in this process and return how many texts were encoded."""
    before = here.texts
    for _ in embed_by(lake, here, portion_texts=2):
        pass
    return here.texts - before


def cursor(lake: Lake) -> int:
    return cursor_of(lake.open(TABLE.name), TABLE.cursor)


def vectors_of(lake: Lake) -> np.ndarray:
    return np.array(rows_of(lake, TABLE.name).sort("text_digest")["embedding"].to_list())


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


def test_few_texts_are_left_for_a_run_that_takes_them(lake_with_stores: Lake, model: Embedder) -> None:
    lake, here = lake_with_stores, Here(lake_with_stores, model)
    land(lake, bronze.RECEIPTS, [make_receipt(lines=SHELF)])
    refine_here(lake)
    assert list(embed_by(lake, here, least=6)) == []
    assert cursor(lake) == -1  # or nobody would find them again
    assert sum(batch.rows_out for batch in embed_by(lake, here, least=5)) == 5


def test_a_run_killed_after_its_first_commit_is_resumed_where_it_was(lake_with_stores: Lake, model: Embedder) -> None:
    lake, here = lake_with_stores, Here(lake_with_stores, model)
    land(lake, bronze.RECEIPTS, [make_receipt(lines=SHELF)])
    refine_here(lake)
    killed = embed_by(lake, here, portion_texts=2)
    assert next(killed).rows_out == 2
    killed.close()
    assert rows_of(lake, TABLE.name).height == 2
    assert cursor(lake) == -1  # only the last commit moves it

    assert embed_here(lake, here) == 3
    assert cursor(lake) == lake.open("silver.products").version()
    rows = rows_of(lake, TABLE.name)
    assert rows["text_digest"].is_unique().all()
    assert set(rows["text_digest"]) == set(rows_of(lake, "silver.products")["text_digest"])
    at_once = rows_of(lake, "silver.products").sort("text_digest").select("description", "department", "category")
    assert np.allclose(vectors_of(lake), model.embed_products(at_once.rows()), atol=1e-5)


def test_a_description_that_comes_back_is_embedded_once(lake_with_stores: Lake, model: Embedder) -> None:
    lake, here = lake_with_stores, Here(lake_with_stores, model)
    land(lake, bronze.RECEIPTS, [make_receipt(lines=SHELF)])
    refine_here(lake)
    assert embed_here(lake, here) == 5
    for number, (description, encoded) in enumerate([("GREEN TEA", 1), ("TEA NO 1", 0), ("GREEN TEA", 0)], start=2):
        sale = make_receipt(sequence_number=number, lines=[{**SHELF[0], "description": description}])
        land(lake, bronze.RECEIPTS, [sale], RECEIVED_AT + timedelta(hours=number))
        refine_here(lake)
        assert rows_of(lake, "silver.products").filter(sku="1")["description"].to_list() == [description]
        assert embed_here(lake, here) == encoded
        assert cursor(lake) == lake.open("silver.products").version()
    assert rows_of(lake, TABLE.name).height == 6


def test_two_runs_at_once_leave_no_text_twice(lake_with_stores: Lake, model: Embedder) -> None:
    lake, here = lake_with_stores, Here(lake_with_stores, model)
    land(lake, bronze.RECEIPTS, [make_receipt(lines=SHELF)])
    refine_here(lake)
    slow = embed_by(lake, here, portion_texts=2)
    next(slow)
    embed_here(lake, here)  # a rival embeds the rest while the first is at work
    assert sum(batch.rows_out for batch in slow) == 3
    rows = rows_of(lake, TABLE.name)
    assert rows.height == 5
    assert rows["text_digest"].is_unique().all()
