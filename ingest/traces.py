"""What is traced of a gateway: how a stream was opened, each message from its reading to its ack, and each group.

A stream lasts for hours, so it is no trace: its opening is one, each message may be one, and a group is one if any of
its messages is, linked to all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import time_ns
from typing import TYPE_CHECKING

from receipts.trace_context import read_caller

if TYPE_CHECKING:
    from ingest.submissions import Submission
    from receipts.spans import Span, Tracing


def begin_opening(tracing: Tracing | None) -> int:
    """Return when a stream came in, in nanoseconds since 1970; 0 where nothing is traced."""
    return 0 if tracing is None else time_ns()


def opening_of(tracing: Tracing | None, headers: Mapping[str, str], client_id: str, since_ns: int) -> Span | None:
    """Begin the span of a stream's opening; it goes on from its caller where that is a client that we trust."""
    if tracing is None:
        return None
    told = ((name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items())
    caller = read_caller(told) if client_id in tracing.trusted else None
    return tracing.start("gateway.open", "server", caller=caller, started_ns=since_ns)


def group_of(group: Sequence[Submission]) -> Span | None:
    """Begin the span of a group, if any of its messages is traced."""
    messages = [one.span for one in group if one.span is not None]
    if not messages:
        return None
    span = messages[0].tracing.begin("gateway.group", links=messages)
    span.tell({"receipts.messages": len(group), "receipts.records": sum(len(one.records) for one in group)})
    return span
