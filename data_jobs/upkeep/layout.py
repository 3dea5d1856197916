"""Which files of a table are worth rewriting together: arithmetic on what the Delta log says of them."""

from __future__ import annotations

import polars as pl

TARGET_BYTES = 16 * 1024 * 1024  # small enough that a merge into a few keys rewrites little
_SMALL_BYTES = TARGET_BYTES // 2
_GROUP_BYTES = 4 * TARGET_BYTES  # read at once: what bounds the memory, as for a batch
_MANY_SMALL = 32  # files that could be saved: beyond it opening them costs readers more than rewriting does
_SOME_SMALL = 4  # as above, at night
_DEPTH = 4  # files that hold the same range: a reader of one key opens them all


def choose_group(files: pl.DataFrame, *, thorough: bool) -> pl.DataFrame | None:
    """Return the files to rewrite next, or none where nothing pays.

    `files` lists path, size_bytes, partition, lowest, highest. A group has at least two files, all of one partition.
    Choosing and rewriting comes to an end: fewer files, or narrower ones, come out of every group.
    """
    group = _small(files, _SOME_SMALL if thorough else _MANY_SMALL)
    if group is None and thorough:
        group = _overlapping(files)
    return group


def pieces(group: pl.DataFrame) -> int:
    """Return how many files a group becomes."""
    return max(1, round(int(group["size_bytes"].sum()) / TARGET_BYTES))


def _small(files: pl.DataFrame, most: int) -> pl.DataFrame | None:
    """Take the small files of the partition that has most of them, where enough could be saved in all."""
    small = files.filter(pl.col("size_bytes") < _SMALL_BYTES)
    saved = small.height - small["partition"].n_unique()
    if saved < most:
        return None
    fullest = small.group_by("partition").len().sort("len", "partition", descending=[True, False])["partition"][0]
    return _fill(small.filter(pl.col("partition").eq_missing(pl.lit(fullest))))


def _overlapping(files: pl.DataFrame) -> pl.DataFrame | None:
    """Take files around the point that most of them hold between their lowest and highest value.

    Files that only touch do not overlap: nothing would be won where many rows have one value.
    """
    wide = files.filter(pl.col("lowest") < pl.col("highest"))
    deepest: pl.DataFrame | None = None
    for (_,), part in wide.group_by("partition"):
        opens = part.select(at="lowest", step=pl.lit(1))
        closes = part.select(at="highest", step=pl.lit(-1))
        sweep = pl.concat([opens, closes]).sort("at", "step").with_columns(depth=pl.col("step").cum_sum())
        top = sweep.sort("depth", "at", descending=[True, False]).row(0, named=True)
        if top["depth"] >= max(_DEPTH, 1 + (0 if deepest is None else deepest.height)):
            deepest = part.filter((pl.col("lowest") <= pl.lit(top["at"])) & (pl.col("highest") > pl.lit(top["at"])))
    return None if deepest is None else _fill(deepest)


def _fill(files: pl.DataFrame) -> pl.DataFrame | None:
    """Take files in the order of their values until a group is full."""
    ordered = files.sort("lowest", "path").with_columns(size=pl.col("size_bytes").cum_sum())
    fitting = int((ordered["size"] <= _GROUP_BYTES).sum())
    group = ordered.head(max(fitting, 2)).drop("size")
    return group if group.height > 1 else None
