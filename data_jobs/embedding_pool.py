"""The pool of Ray actors that turns texts into vectors: on the cluster's GPUs where it has some, else on CPUs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import polars as pl
import pyarrow as pa
import ray

from data_jobs.parts import write_part
from data_jobs.plans import RESULT, Outcome
from data_jobs.priority import stand_back
from data_jobs.ray_work import quiet_context
from data_jobs.tables import gold_product_embeddings
from receipts.embedding import MODEL_NAME, Embedder, product_texts, usable_device
from receipts.lake import Lake

_TABLE = gold_product_embeddings.TABLE
_TEXTS = ("description", "department", "category")
_CPUS_PER_ACTOR = 0.5  # as the refinement's tasks: a small node's replicas claim its cores
_ACTOR_TEXTS = 1_024  # that a CPU actor is worth: importing PyTorch takes as long as embedding some hundred texts
_SPELT = pa.schema([pa.field(name, pa.string()) for name in ("text_digest", "name", "kind", "concept")])


@dataclass(frozen=True, slots=True)
class Pool:
    """How many actors there are, on what, and how many texts each is given at a time."""

    actors: int
    gpu: bool
    block_texts: int

    def blocks(self, texts: pl.DataFrame) -> list[pl.DataFrame]:
        """Cut texts into blocks of one size, as many for each actor: none waits long for another at the end."""
        rounds = ceil(texts.height / (self.block_texts * self.actors))
        return list(texts.iter_slices(ceil(texts.height / (rounds * self.actors))))


def pool_for(texts: int, actors: int, gpus: int) -> Pool:
    """Choose a pool: an actor on each free GPU, else on as many CPU cores as the texts are worth, `actors` at most.

    An actor on a CPU has one thread. Two threads on one text take twice the processor time of one where other work
    shares the cores, because each waits for the other in every layer; actors never wait for each other.
    """
    if gpus:
        return Pool(min(gpus, ceil(texts / 4_096)), gpu=True, block_texts=4_096)  # eight batches of a GPU
    return Pool(
        max(1, min(actors, texts // _ACTOR_TEXTS)), gpu=False, block_texts=1_024
    )  # fewer pad more: measured, 1.2 times as much


class Encode:
    """The actor: holds the model, writes vectors to files."""

    def __init__(self, lake: Lake, niceness: int, *, gpu: bool, embedder: Embedder | None = None) -> None:
        if niceness:
            stand_back(niceness, alone=True)  # or it takes as much as the replicas of its node together
        self._lake = lake
        self._embedder = embedder or Embedder(threads=1, device=usable_device(gpu=gpu))
        self._embedder.warm()

    def __call__(self, block: pa.Table) -> pa.Table:
        """Embed texts (text_digest, name, kind, concept) and return what was written."""
        spelt = pl.from_arrow(block)
        assert isinstance(spelt, pl.DataFrame)
        vectors = self._embedder.embed_texts(list(spelt.select("name", "kind", "concept").iter_rows()))
        rows = spelt.select("text_digest", pl.Series("embedding", vectors).arr.to_list(), model=pl.lit(MODEL_NAME))
        return pa.table({"result": [Outcome((write_part(self._lake, _TABLE, rows),)).to_json()]}, schema=RESULT)


def spell(block: pa.Table) -> pa.Table:
    """Return what is embedded for texts (text_digest, description, department, category)."""
    rows = pl.from_arrow(block)
    assert isinstance(rows, pl.DataFrame)
    texts = [product_texts(*row) for row in rows.select(_TEXTS).iter_rows()]
    return pa.table([rows["text_digest"].to_list(), *map(list, zip(*texts, strict=True))], schema=_SPELT)


def encode_on_ray(lake: Lake, texts: pl.DataFrame, actors: int, niceness: int) -> Iterator[Outcome]:
    """Yield what the pool wrote, block by block, for texts (text_digest, description, department, category)."""
    quiet_context()
    pool = pool_for(texts.height, actors, int(ray.available_resources().get("GPU", 0)))
    for row in encoded(lake, texts, pool, niceness).iter_rows():
        yield Outcome.from_json(row["result"])


def encoded(lake: Lake, texts: pl.DataFrame, pool: Pool, niceness: int) -> ray.data.Dataset:
    """Return the work of a pool, which begins when it is read: a row with an outcome for each block.

    Ray Data spells texts in the actor itself where both need the same resources, and beside it where that has a GPU,
    which then never waits for Python to look words up.
    """
    blocks = [block.to_arrow() for block in pool.blocks(texts)]
    spelt = ray.data.from_arrow(blocks).map_batches(
        spell, batch_format="pyarrow", batch_size=None, num_cpus=_CPUS_PER_ACTOR
    )
    return spelt.map_batches(
        Encode,
        fn_constructor_args=(lake, niceness),
        fn_constructor_kwargs={"gpu": pool.gpu},
        batch_format="pyarrow",
        batch_size=blocks[0].num_rows if pool.gpu else None,  # a block, but Ray Data wants it said where there is a GPU
        compute=ray.data.ActorPoolStrategy(size=pool.actors),
        num_cpus=_CPUS_PER_ACTOR,
        num_gpus=1 if pool.gpu else None,
    )
