"""How large a pool is, and how texts are dealt out; the pool itself is met in test_embeddings.py."""

from pathlib import Path

import polars as pl
import pytest

from data_jobs.embedding_pool import Pool, encoded, pool_for
from data_jobs.ray_work import joined
from receipts.lake import Lake

# Ray Data warns of settings of its own when it makes its context.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


def _texts(count: int) -> pl.DataFrame:
    return pl.DataFrame({"text_digest": [f"{number:032}" for number in range(count)]})


@pytest.mark.parametrize(("texts", "actors"), [(1, 1), (1_500, 1), (2_048, 2), (100_000, 4)])
def test_an_actor_is_started_for_as_many_texts_as_are_worth_it(texts: int, actors: int) -> None:
    pool = pool_for(texts, actors=4, gpus=0)
    assert pool.actors == actors
    assert not pool.gpu


def test_free_gpus_are_taken_before_cpus_and_given_more_at_a_time() -> None:
    assert pool_for(100_000, actors=16, gpus=2) == Pool(2, gpu=True, block_texts=4_096)
    assert pool_for(10, actors=16, gpus=2).actors == 1


@pytest.mark.parametrize("count", [1, 511, 513, 2_049, 10_000])
def test_blocks_hold_every_text_once_and_leave_no_actor_waiting_for_a_large_one(count: int) -> None:
    pool = pool_for(count, actors=2, gpus=0)
    blocks = pool.blocks(_texts(count))
    assert pl.concat(blocks).equals(_texts(count))
    heights = [block.height for block in blocks]
    assert max(heights) <= pool.block_texts
    assert max(heights) - min(heights) <= len(blocks)


def test_ray_data_takes_a_pool_of_gpus_as_it_takes_one_of_cpus(tmp_path: Path, ray_address: str) -> None:
    """What it refuses it refuses here; no node of the tests has a GPU to run it on."""
    texts = _texts(3).with_columns(description=pl.lit("MILK"), department=pl.lit("DAIRY"), category=pl.lit("MILK"))
    with joined(ray_address):
        for pool in (pool_for(3, actors=1, gpus=1), pool_for(3, actors=1, gpus=0)):
            assert encoded(Lake(str(tmp_path)), texts, pool, niceness=0) is not None
