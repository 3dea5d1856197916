"""Rounds over all tables: once until nothing is new, or again and again until told to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from data_jobs.batches import Batch, Run, is_half_committed, refine
from data_jobs.catalogue import in_order
from data_jobs.changes import NEVER
from data_jobs.declaration import Kind, Table
from data_jobs.events.failures import recording_failures
from data_jobs.traces import Traces
from receipts.lake import Lake


@dataclass(frozen=True, slots=True)
class Refinery:
    """A lake, how slices are run, and how many at once; `wanted` limits the work to one table and its sources.

    What it remembers from round to round only saves looks at the lake, which alone decides.
    """

    lake: Lake
    run: Run
    parallelism: int
    wanted: Table | None = None
    traces: Traces = field(default_factory=Traces)
    read: dict[str, int] = field(default_factory=dict)  # by table, the version of its input with nothing new up to it

    @property
    def tables(self) -> tuple[Table, ...]:
        """Return the tables to refine, in order."""
        return tuple(table for table in in_order(self.wanted) if table.kind is not Kind.FILLED)


def never() -> bool:
    """Answer that nobody wants to stop."""
    return False


def refine_all(refinery: Refinery, stop: Callable[[], bool] = never) -> Iterator[Batch]:
    """Refine until nothing is new, yielding after every commit; `stop` is asked between commits.

    A backlog of many batches is finished table by table: a fold costs the keys it meets in a batch, and those of
    several batches of its input are met together. A table whose batch must not be committed is yielded with the error
    and holds up none of the others.
    """
    progress = True
    while progress and not stop():
        progress = False
        for batch in refine_round(refinery, stop, whole=True):
            progress = progress or batch.error is None
            yield batch


def refine_round(
    refinery: Refinery,
    stop: Callable[[], bool] = never,
    *,
    tables: Sequence[Table] | None = None,
    whole: bool = False,
) -> Iterator[Batch]:
    """Refine one micro-batch of every table that has something new, or as many as there are for the `whole` of it.

    `tables` are some of the refinery's, in order, with what they are made from.

    What a killed run left half-committed comes first, before any lookup table moves on: the rest of that batch
    must be judged by the same lookups.
    """
    lake, tables = refinery.lake, refinery.tables if tables is None else tables
    half = [table for table in tables if table.name not in refinery.read and is_half_committed(lake, table)]
    heads = _heads(refinery)
    for table, more in (*((table, False) for table in half), *((table, whole) for table in tables)):
        while not stop():
            batch = _refine_next(refinery, table, heads)
            if batch is not None:
                yield batch
            if batch is None or batch.error is not None or not more:
                break


def _refine_next(refinery: Refinery, table: Table, heads: Mapping[str, int]) -> Batch | None:
    """Refine the next batch of a table; one that is known to have read all there is is not even opened."""
    lake, source = refinery.lake, table.source.name
    if not lake.exists(source):
        return None
    read = refinery.read.pop(table.name, NEVER)  # not known while a batch is under way, nor after it failed
    head = heads[source] if source in heads else lake.newest_version(source, read)
    batch = None
    if head > read:
        with recording_failures(lake, table.name), refinery.traces.refining(table.name) as span:
            batch = refine(lake, table, refinery.run, refinery.parallelism, head)
            if span is not None and batch is not None:
                span.tell(batch.figures)
                if batch.error is not None:
                    span.fail("ExpectationFailed")
    if batch is None or batch.error is None:
        refinery.read[table.name] = head if batch is None else batch.upto
    return batch


def _heads(refinery: Refinery) -> dict[str, int]:
    """Pin how far each Bronze table is read in this round, those of later tables first.

    A receipt that is there has its store in Bronze before it; reading the stores' head last finds that store.
    """
    heads: dict[str, int] = {}
    for table in reversed(refinery.tables):
        source = table.source
        if not isinstance(source, Table) and source.name not in heads and refinery.lake.exists(source.name):
            heads[source.name] = refinery.lake.newest_version(source.name, refinery.read.get(table.name, NEVER))
    return heads
