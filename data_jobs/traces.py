"""What is traced of refinement: each batch of a table, and each transaction of the sync with a link to its batch."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from configs.settings import Settings
from receipts.tracing import current, open_tracing, within

if TYPE_CHECKING:
    from receipts.spans import Span, Tracing


class Traces:
    """The spans of one process of refinement; none where no collector is set. `close` it in the end."""

    def __init__(self, tracing: Tracing | None = None) -> None:
        self._tracing = tracing
        self._batches: dict[str, Span] = {}  # the last one of each table

    @contextmanager
    def run(self) -> Generator[None]:
        """Do one whole run in the block: batches and syncs stand below it."""
        with within(None if self._tracing is None else self._tracing.start("pipeline.run")):
            yield

    @contextmanager
    def refining(self, table: str) -> Generator[Span | None]:
        """Do one batch of a table in the block."""
        span = self._begin(f"refine {table}")
        if span is not None:
            self._batches[table] = span
        with within(span):
            yield span

    @contextmanager
    def syncing(self, table: str) -> Generator[Span | None]:
        """Bring some of a table to Postgres in the block; what was refined last is linked to."""
        batch = self._batches.get(table)
        span = self._begin(f"sync {table}", () if batch is None else (batch,))
        with within(span):
            yield span

    def close(self) -> None:
        """Send what is finished; blocks."""
        if self._tracing is not None:
            self._tracing.close()

    def _begin(self, name: str, links: tuple[Span, ...] = ()) -> Span | None:
        above = current()
        if above is not None:
            return above.child(name, links=links)
        return None if self._tracing is None else self._tracing.start(name, links=links)


NO_TRACES = Traces()


@contextmanager
def tracing_jobs(settings: Settings) -> Generator[Traces]:
    """Give the spans of this process for the length of the block."""
    traces = Traces(open_tracing(settings, "pipeline", settings.telemetry.job_share))
    try:
        yield traces
    finally:
        traces.close()
