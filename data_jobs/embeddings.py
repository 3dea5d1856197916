"""Products whose text changed, turned into vectors by a pool of Ray actors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import polars as pl
import pyarrow as pa
import ray
from deltalake import DeltaTable

from data_jobs.batches import Batch
from data_jobs.changes import AFTER, CHANGE, ChangeRange, find_changes, net_changes, read_changes
from data_jobs.commits import Lineage, commit_files, commit_merge, cursor_of
from data_jobs.parts import write_part
from data_jobs.plans import RESULT, Outcome
from data_jobs.priority import stand_back
from data_jobs.ray_work import quiet_context
from data_jobs.refinement import never
from data_jobs.tables import gold_product_embeddings, silver_products
from receipts.embedding import MODEL_NAME, Embedder
from receipts.lake import Lake

TABLE = gold_product_embeddings.TABLE
_SOURCE = silver_products.TABLE
_TEXTS = ["description", "department", "category"]
_BATCH_BYTES = 256 * 1024 * 1024  # more products than any retailer has: the pool is started once for all of them
_CHUNK_TEXTS = 2_048  # distinct texts between two commits: what a kill loses, some ten seconds of CPU
_BLOCK_TEXTS = 512  # per call of an actor
_CPUS_PER_ACTOR = 0.5  # as the refinement's tasks: a small node's replicas claim its cores


class Encode:
    """The actor: holds the model, writes vectors to files."""

    def __init__(self, lake: Lake, niceness: int) -> None:
        if niceness:
            stand_back(niceness, alone=True)  # or it takes as much as the replicas of its node together
        self._lake = lake
        self._embedder = Embedder()

    def __call__(self, block: pa.Table) -> pa.Table:
        """Embed texts (text_digest, description, department, category) and return what was written."""
        texts = pl.from_arrow(block)
        assert isinstance(texts, pl.DataFrame)
        vectors = self._embedder.embed_products(list(texts.select(_TEXTS).iter_rows()))
        listed = pl.Series("embedding", vectors).arr.to_list() if len(vectors) else pl.Series("embedding", [])
        rows = texts.select("text_digest", listed, model=pl.lit(MODEL_NAME))
        part = write_part(self._lake, TABLE, rows)
        return pa.table({"result": [Outcome((part,)).to_json()]}, schema=RESULT)


def embed_products(lake: Lake, actors: int, stop: Callable[[], bool] = never, niceness: int = 0) -> Iterator[Batch]:
    """Embed every text of a product that has no vector yet, yielding after every commit.

    The cursor moves with the last commit; until then a re-run finds by their digests what is done already.
    """
    started = time.monotonic()
    if not lake.exists(_SOURCE.name):
        return
    handle = lake.ensure(TABLE.lake_table)
    after = cursor_of(handle, TABLE.cursor)
    changes = find_changes(lake, _SOURCE.name, after, lake.open(_SOURCE.name).version(), _BATCH_BYTES)
    if not changes.files:
        return
    for outcome in _encoded(lake, _missing(lake, handle, changes), actors, niceness):
        if stop():
            return
        yield _commit(lake, outcome, changes, finished=False, started=started)
        started = time.monotonic()
    yield _commit(lake, Outcome(), changes, finished=True, started=started)


def _missing(lake: Lake, handle: DeltaTable, changes: ChangeRange) -> pl.DataFrame:
    """Return the changed products' texts that no vector stands for, each once."""
    rows = read_changes(changes.files, lake.storage_options, ["sku", "text_digest", *_TEXTS])
    _, now = net_changes(rows.filter(pl.col(CHANGE).is_in(AFTER)), ["sku"])
    held = pl.from_arrow(handle.to_pyarrow_table(columns=["text_digest"]))
    assert isinstance(held, pl.DataFrame)
    return now.unique("text_digest").join(held, on="text_digest", how="anti").select("text_digest", *_TEXTS)


def _encoded(lake: Lake, missing: pl.DataFrame, actors: int, niceness: int) -> Iterator[Outcome]:
    """Yield what the pool wrote, in chunks worth a commit."""
    if missing.is_empty():
        return
    quiet_context()
    blocks = [block.to_arrow() for block in missing.sort("text_digest").iter_slices(_BLOCK_TEXTS)]
    gpus = int(ray.cluster_resources().get("GPU", 0))
    pool = ray.data.ActorPoolStrategy(size=max(1, min(gpus or actors, len(blocks))))
    encoded = ray.data.from_arrow(blocks).map_batches(
        Encode,
        fn_constructor_args=(lake, niceness),
        batch_format="pyarrow",
        batch_size=None,
        compute=pool,
        num_cpus=_CPUS_PER_ACTOR,
        num_gpus=1 if gpus else 0,
    )
    gathered = Outcome()
    for row in encoded.iter_rows():
        gathered += Outcome.from_json(row["result"])
        if len(gathered.parts) * _BLOCK_TEXTS >= _CHUNK_TEXTS:
            yield gathered
            gathered = Outcome()
    if gathered.parts:
        yield gathered


def _commit(lake: Lake, outcome: Outcome, changes: ChangeRange, *, finished: bool, started: float) -> Batch:
    """Commit vectors; only the last commit moves the cursor."""
    rows = sum(part.rows for part in outcome.parts)
    counts = {"rows_out": rows}
    cursor = TABLE.cursor if finished else None
    lineage = Lineage(uuid.uuid4().hex, cursor, _SOURCE.name, changes.after, changes.upto, counts, {})
    handle = lake.open(TABLE.name)
    if outcome.parts and list(handle.file_uris()):
        commit_merge(handle, lake, TABLE, outcome.parts, lineage)
    else:
        commit_files(handle, TABLE, outcome.parts, lineage)
    took_ms = round((time.monotonic() - started) * 1000)
    return Batch(TABLE.name, _SOURCE.name, changes.after, changes.upto, rows, rows, 0, took_ms)
