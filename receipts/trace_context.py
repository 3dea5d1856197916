"""The headers by which a trace goes on in another process: W3C Trace Context, level 1 and the flag of level 2.

https://www.w3.org/TR/trace-context/. Whatever does not follow it is left aside as the standard asks: a malformed
`traceparent` begins a new trace, a malformed or overlong `tracestate` is dropped; neither is ever an error, and
neither is ever logged, because whoever sends a header may write anything into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

TRACEPARENT = b"traceparent"
TRACESTATE = b"tracestate"
_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[^\s]*)?")
_PARENT_BYTES = 55  # of version 00; a later version may say more behind it
_MOST_PARENT_BYTES = 256
_SAMPLED = 1
_MOST_MEMBERS = 32
_MOST_STATE_BYTES = 512  # what the standard asks to pass on; more is left out as a whole
_KEY = r"[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}"
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER = re.compile(rf"(?P<key>{_KEY})=(?P<value>{_VALUE})")


class Caller(NamedTuple):
    """The span that called, as its headers tell it."""

    trace_id: int
    span_id: int
    sampled: bool
    state: tuple[tuple[str, str], ...] = ()


def read_caller(headers: Iterable[tuple[bytes, bytes]]) -> Caller | None:
    """Return who called by the headers of a request, their names in lower case; None where none or a wrong one says."""
    parents: list[bytes] = []
    states: list[bytes] = []
    for name, value in headers:
        if name == TRACEPARENT:
            parents.append(value)
        elif name == TRACESTATE:
            states.append(value)
    if len(parents) != 1:
        return None
    caller = _parse_parent(parents[0])
    return caller if caller is None or not states else caller._replace(state=parse_tracestate(states))


def parse_tracestate(values: Sequence[bytes]) -> tuple[tuple[str, str], ...]:
    """Return the members of all `tracestate` headers in order; none where one is malformed or they are too many."""
    text = b",".join(values)
    if not text or len(text) > _MOST_STATE_BYTES:
        return ()
    members: dict[str, str] = {}
    for part in text.decode("latin-1").split(","):
        stripped = part.strip(" \t")
        if not stripped:
            continue
        found = _MEMBER.fullmatch(stripped)
        if found is None or found["key"] in members or len(members) == _MOST_MEMBERS:
            return ()
        members[found["key"]] = found["value"]
    return tuple(members.items())


def traceparent(trace_id: int, span_id: int, *, sampled: bool) -> str:
    """Return the header that tells the next process which span called it."""
    return f"00-{trace_id:032x}-{span_id:016x}-{int(sampled):02x}"


def _parse_parent(value: bytes) -> Caller | None:
    if not _PARENT_BYTES <= len(value) <= _MOST_PARENT_BYTES:
        return None
    found = _PARENT.fullmatch(value)
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    trace_id, span_id = int(trace, 16), int(span, 16)
    return Caller(trace_id, span_id, bool(int(flags, 16) & _SAMPLED)) if trace_id and span_id else None
