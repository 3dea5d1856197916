"""The trace of one request: whether there is one, and the stages it goes through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time_ns
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from starlette.types import Scope

from receipts.trace_context import read_caller
from receipts.tracing import block_of, current, set_current

if TYPE_CHECKING:
    from receipts.access import Principal
    from receipts.spans import Span, Tracing
    from serve_apps.coalescer import Asked

_Outcome = TypeVar("_Outcome")


class Journey:
    """One request: nothing where no collector is set, and cheap where one is, unless the request is sampled.

    Whether it is, is decided when its caller is known: the trace of a client that we trust goes on here, as its caller
    sampled it; what anybody else sends is not even read, and a new trace begins.
    """

    __slots__ = ("_arrived_ns", "_error_type", "_is_decided", "_scope", "_stage", "_tracing", "span")

    def __init__(self, tracing: Tracing | None, scope: Scope) -> None:
        self._tracing = tracing
        self._scope = scope
        self._arrived_ns = time_ns()
        self._is_decided = tracing is None
        self._stage: Span | None = None
        self.span: Span | None = None
        self._error_type = ""  # of what became a problem

    def recognised(self, principal: Principal | None) -> None:
        """Decide, and begin with the stages that are over by now; those that follow are told by `enter`."""
        tracing = self._tracing
        if tracing is None:
            return
        self._is_decided = True
        trusted = principal is not None and principal.client_id in tracing.trusted
        caller = read_caller(self._scope["headers"]) if trusted else None
        self.span = tracing.start("request", "server", caller=caller, started_ns=self._arrived_ns)
        if self.span is not None:
            self.span.child("authenticate", self._arrived_ns).end()

    def enter(self, stage: str) -> None:
        """End the stage before and begin another one, under which the database's statements stand."""
        if self.span is None:
            return
        if self._stage is not None:
            self._stage.end()
        self._stage = self.span.child(stage)
        set_current(self._stage)

    def fail(self, error: Exception) -> None:
        """Note what the answer will be a problem for; its type alone is told."""
        if self._tracing is not None:
            self._error_type = type(error).__name__

    def end(self, route: str, request_id: str, status: int) -> None:
        """End the request; `route` is its method and template, never its path."""
        if not self._is_decided:  # whoever it was got no further
            self.recognised(None)
        span = self.span
        if span is None:
            return
        if self._stage is not None:
            self._stage.end()
        set_current(None)
        method, template = route.split(" ")[:2]  # behind them may stand that no route was reached
        span.rename(f"{method} {template}")
        span.tell(
            {
                "http.request.method": method,
                "http.route": template,
                "http.response.status_code": status,
                "receipts.request_id": request_id,
            }
        )
        if status >= 500:
            span.fail(self._error_type or str(status))
        span.end()


UNTRACED = Journey(None, {})


def begin_journey(tracing: Tracing | None, scope: Scope) -> Journey:
    """Return the trace of a request that has just come in."""
    return UNTRACED if tracing is None else Journey(tracing, scope)


class Waiting(NamedTuple):
    """A sampled request that waits for its part of a question, and since when."""

    span: Span
    since_ns: int


def waiting() -> Waiting | None:
    """Return the request that begins to wait, None for one that is not sampled."""
    span = current()
    return None if span is None else Waiting(span, time_ns())


def traced(statement: str, batch: Sequence[Asked], done: Callable[[_Outcome], None]) -> Callable[[_Outcome], None]:
    """Return what `done` is called by, so that a question which any sampled request waits for gets its spans.

    It belongs to all of them, so it is a trace of its own that links to each; each has how long it waited until it was
    asked and how long the answer took, with a link back.
    """
    for one in batch:
        if one.waiting is not None:
            break
    else:
        return done
    waited = [one.waiting for one in batch if one.waiting is not None]
    asked_ns = time_ns()
    block = block_of(statement)
    question = waited[0].span.tracing.begin(block, "client", links=[one.span for one in waited], started_ns=asked_ns)
    question.tell({"db.system.name": "postgresql", "db.operation.batch.size": len(batch)})

    def told(outcome: _Outcome) -> None:
        error = outcome if isinstance(outcome, Exception) else None
        answered_ns = time_ns()
        question.end(error, answered_ns)
        for one in waited:
            one.span.child("queue", one.since_ns).end(ended_ns=asked_ns)
            one.span.child("question", asked_ns, "client", [question]).end(error, answered_ns)
        done(outcome)

    return told
