"""Texts of products that no vector stands for yet, embedded in portions that are committed as they come."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from data_jobs.batches import Batch, Overtaken
from data_jobs.changes import (
    AFTER,
    CHANGE,
    NEVER,
    ChangeRange,
    HistoryGone,
    find_changes,
    find_snapshot,
    net_changes,
    read_changes,
)
from data_jobs.commits import Lineage, commit_files, commit_merge, cursor_of
from data_jobs.embedding_pool import encode_on_ray
from data_jobs.parts import read_parts
from data_jobs.plans import Outcome
from data_jobs.refinement import never
from data_jobs.tables import gold_product_embeddings, silver_products
from receipts.lake import Lake

TABLE = gold_product_embeddings.TABLE
_SOURCE = silver_products.TABLE
_TEXTS = ["description", "department", "category"]
_VECTORS = f"{TABLE.name} vectors"  # the transaction of commits that leave the cursor alone: rivals are told by it
_CHANGES_BYTES = 64 * 1024 * 1024  # of compressed changes; the products as they stand are less to read than more
_PORTION_TEXTS = 2_048  # between two commits: what a kill loses, some ten seconds of two cores

Encoder = Callable[[pl.DataFrame], Iterable[Outcome]]  # texts to files of vectors: `embedding_pool.encode_on_ray`


def embed_products(
    lake: Lake, actors: int, stop: Callable[[], bool] = never, niceness: int = 0, least: int = 1
) -> Iterator[Batch]:
    """Embed every text of a product that has no vector yet, yielding after every commit; none where fewer are missing.

    What is left undone so is found again by the next run.
    """
    return embed_by(lake, lambda texts: encode_on_ray(lake, texts, actors, niceness), stop, least=least)


def embed_by(
    lake: Lake,
    encode: Encoder,
    stop: Callable[[], bool] = never,
    portion_texts: int = _PORTION_TEXTS,
    least: int = 1,
) -> Iterator[Batch]:
    """Do so by an encoder. The cursor moves with the last commit; what is done until then is found by its digests.

    Raises Overtaken where a rival commits vectors at the same moment.
    """
    started = time.monotonic()
    if not lake.exists(_SOURCE.name):
        return
    handle = lake.ensure(TABLE.lake_table)
    changes = _changes(lake, cursor_of(handle, TABLE.cursor))
    if not changes.files:
        return
    texts = _missing(lake, handle, changes)
    if 0 < texts.height < least:
        return
    for outcome in _portions(encode(texts), portion_texts) if texts.height else ():
        if stop():
            return
        yield _commit(lake, outcome, changes, finished=False, started=started)
        started = time.monotonic()
    yield _commit(lake, Outcome(), changes, finished=True, started=started)


def _changes(lake: Lake, after: int) -> ChangeRange:
    """Return what products changed, or all of them where that is less to read or the changes are no longer there."""
    head = lake.open(_SOURCE.name).version()
    if after == NEVER:
        return find_snapshot(lake, _SOURCE.name, head)
    try:
        changes = find_changes(lake, _SOURCE.name, after, head, _CHANGES_BYTES)
    except HistoryGone:
        return find_snapshot(lake, _SOURCE.name, head)
    return changes if changes.upto == head else find_snapshot(lake, _SOURCE.name, head)


def _missing(lake: Lake, handle: DeltaTable, changes: ChangeRange) -> pl.DataFrame:
    """Return the changed products' texts that no vector stands for, each once, those of one kind together.

    Products of a kind share glosses, and a gloss is encoded once in a block: measured on 18,687 texts, that is
    19,677 to encode instead of 28,074.
    """
    rows = read_changes(changes.files, lake.storage_options, ["sku", "text_digest", *_TEXTS])
    _, now = net_changes(rows.filter(pl.col(CHANGE).is_in(AFTER)), ["sku"])
    new = now.unique("text_digest").join(_held(handle), on="text_digest", how="anti")
    return new.select("text_digest", *_TEXTS).sort("category", "department", "description", "text_digest")


def _held(handle: DeltaTable) -> pl.DataFrame:
    held = pl.from_arrow(handle.to_pyarrow_table(columns=["text_digest"]))
    assert isinstance(held, pl.DataFrame)
    return held


def _portions(outcomes: Iterable[Outcome], texts: int) -> Iterator[Outcome]:
    """Gather blocks until they are worth a commit."""
    gathered = Outcome()
    for outcome in outcomes:
        gathered += outcome
        if sum(part.rows for part in gathered.parts) >= texts:
            yield gathered
            gathered = Outcome()
    if gathered.parts:
        yield gathered


def _commit(lake: Lake, outcome: Outcome, changes: ChangeRange, *, finished: bool, started: float) -> Batch:
    """Commit vectors; only the last commit moves the cursor."""
    rows = sum(part.rows for part in outcome.parts)
    cursor = TABLE.cursor if finished else _VECTORS
    counts = {"rows_out": rows}
    lineage = Lineage(uuid.uuid4().hex, cursor, _SOURCE.name, changes.after, changes.upto, counts, {})
    handle = lake.open(TABLE.name)
    try:
        if _is_held(lake, handle, outcome):
            commit_merge(handle, lake, TABLE, outcome.parts, lineage)
        else:  # a merge reads the whole table: half a second for 50,000 vectors, where adding files takes 5 ms
            commit_files(handle, TABLE, outcome.parts, lineage)
    except CommitFailedError as error:
        raise Overtaken(f"{Overtaken.__doc__} It was {TABLE.name}.") from error
    took_ms = round((time.monotonic() - started) * 1000)
    return Batch(TABLE.name, _SOURCE.name, changes.after, changes.upto, rows, rows, 0, took_ms)


def _is_held(lake: Lake, handle: DeltaTable, outcome: Outcome) -> bool:
    """Say whether a rival has embedded some of these texts since they were looked for."""
    new = read_parts(lake, TABLE, outcome.parts).select("text_digest")
    return not new.join(_held(handle), on="text_digest", how="semi").is_empty()
