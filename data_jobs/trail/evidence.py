"""The groups of the trail as the spool and the lake hold them, side by side and in order, a few thousand at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import polars as pl
import psycopg

from data_jobs.trail.lake_groups import GROUPS, files_within, read_rows
from data_jobs.trail.telling import day_of, first_chain
from receipts.lake import Lake
from receipts.sql import load_sql

_SQL = load_sql("data_jobs.trail", "verification")
_GROUPS = 5_000  # held in memory at once, of each side
_ENDLESS = 2**62
_COLUMNS = ("chain", "seq", "recorded_at", "previous", "digest", "payload", "position", "events")

Connection = psycopg.Connection[tuple[Any, ...]]


class Group(NamedTuple):
    """One group as one side holds it; without a position it was not taken apart yet."""

    chain: int
    seq: int
    recorded_at: datetime
    previous: bytes
    digest: bytes
    payload: str
    position: int | None
    events: int | None


class Chain(NamedTuple):
    """What audit.chains says of a chain."""

    root: bytes
    projected: int
    head: bytes


class Pair(NamedTuple):
    """The same place of the trail in the spool and in the lake."""

    spooled: Group | None
    copied: Group | None

    @property
    def group(self) -> Group:
        """Return the group, as the spool holds it where it does."""
        group = self.spooled or self.copied
        assert group is not None, "a pair has at least one side"
        return group


@dataclass(frozen=True, slots=True)
class Evidence:
    """Both sides of the chains in a range. `connection` reads one snapshot, and the lake up to `copied` is in it."""

    lake: Lake
    connection: Connection
    low: int
    high: int
    copied: int  # the last position that the lake holds

    def chains(self) -> dict[int, Chain]:
        """Return what Postgres knows of the chains."""
        rows = self.connection.execute(_SQL["list_chains"], self._range)
        return {chain: Chain(root, projected, head) for chain, root, projected, head in rows}

    def count(self) -> dict[int, int]:
        """Return how many groups each chain has, by the side that has more."""
        spooled = dict(self.connection.execute(_SQL["count_spooled"], self._range).fetchall())
        counts: dict[int, int] = {}
        if self.lake.exists(GROUPS.name):
            for uri, _ in files_within(self.lake, GROUPS, [("chain", self.low, self.high)]):
                rows = pl.scan_parquet(uri, storage_options=dict(self.lake.storage_options), hive_partitioning=False)
                here = (pl.col("chain") >= self.low) & (pl.col("chain") < self.high) & self._is_copied
                for chain, number in rows.filter(here).group_by("chain").len().collect(engine="in-memory").iter_rows():
                    counts[chain] = counts.get(chain, 0) + number
        return {chain: max(counts.get(chain, 0), spooled.get(chain, 0)) for chain in {*counts, *spooled}}

    def walk(self, counts: Mapping[int, int]) -> Iterator[Pair]:
        """Yield the groups of these chains in order, from both sides."""
        for low, high in _stretches(counts):
            copied = {(group.chain, group.seq): group for group in self._read_lake(low, high)}
            spooled = {(group.chain, group.seq): group for group in self._read_spool(low, high)}
            for place in sorted({*copied, *spooled}):
                yield Pair(spooled.get(place), copied.get(place))

    def find(self, chain: int, seq: int) -> Pair | None:
        """Return one group."""
        copied = next(iter(self._read_lake((chain, seq), (chain, seq))), None)
        spooled = next(iter(self._read_spool((chain, seq), (chain, seq))), None)
        return Pair(spooled, copied) if spooled is not None or copied is not None else None

    def retirements(self) -> list[tuple[date, str, int, int]]:
        """Return what left Postgres: month, what of it, and the group that says so."""
        rows: list[tuple[date, str, int, int]] = self.connection.execute(_SQL["list_retirements"]).fetchall()
        return rows

    @property
    def _range(self) -> dict[str, int]:
        return {"low": self.low, "high": self.high}

    @property
    def _is_copied(self) -> pl.Expr:
        return pl.col("position") <= self.copied

    def _read_lake(self, low: tuple[int, int], high: tuple[int, int]) -> Iterator[Group]:
        chain, seq = pl.col("chain"), pl.col("seq")
        after = (chain > low[0]) | ((chain == low[0]) & (seq >= low[1]))
        before = (chain < high[0]) | ((chain == high[0]) & (seq <= high[1]))
        rows = read_rows(self.lake, GROUPS, after & before & self._is_copied, [("chain", low[0], high[0])], _COLUMNS)
        return itertools.starmap(Group, rows.iter_rows())

    def _read_spool(self, low: tuple[int, int], high: tuple[int, int]) -> Iterator[Group]:
        span = {"low_chain": low[0], "low_seq": low[1], "high_chain": high[0], "high_seq": high[1]}
        return itertools.starmap(Group, self.connection.execute(_SQL["list_spooled"], span).fetchall())


def chains_between(since: date | None, until: date | None) -> tuple[int, int]:
    """Return the range of chains that were opened from one day up to and without another."""
    low = 0 if since is None else first_chain(since)
    return low, _ENDLESS if until is None else first_chain(until)


def month_of(chain: int) -> date:
    """Return the month that a chain belongs to."""
    return day_of(chain).replace(day=1)


def _stretches(counts: Mapping[int, int]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Part chains into stretches of some thousand groups; a long chain into several, the last of them open."""
    first: int | None = None
    last, gathered = 0, 0
    for chain in sorted(counts):
        if first is not None and gathered + counts[chain] > _GROUPS:
            yield (first, 0), (last, _ENDLESS)
            first = None
        if counts[chain] > _GROUPS:
            starts = range(0, counts[chain], _GROUPS)
            for start in starts:
                yield (chain, start + 1 if start else 0), (chain, start + _GROUPS if start != starts[-1] else _ENDLESS)
        elif first is None:
            first, gathered = chain, counts[chain]
        else:
            gathered += counts[chain]
        last = chain
    if first is not None:
        yield (first, 0), (last, _ENDLESS)
