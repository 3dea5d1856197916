"""Which span is under way, and where a process' spans begin; nothing at all where no collector is set.

A trace that begins here is sampled by share; one that goes on here is sampled as its caller's was, where the caller is
trusted. What is not sampled has no span: `current()` is None, and every question about it ends there. Without a
collector nothing of OpenTelemetry is even imported.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from configs.settings import Settings

if TYPE_CHECKING:
    from receipts.spans import Kind, Span, Tracing

_BLOCK = re.compile(r"/\* (\w+\.\w+) \*/")
_BLOCK_BYTES = 200  # the comment stands first
_current: ContextVar[Span | None] = ContextVar("receipts_span", default=None)


def open_tracing(settings: Settings, application: str, share: float | None = None) -> Tracing | None:
    """Return where the spans of this process begin, None where no collector is set; `close` it in the end.

    `application` is how collectors name it, `share` how many of its own traces are sampled if not those of the
    settings. Raises SettingsError on a certificate that cannot be read.
    """
    if not settings.telemetry.endpoint:
        return None
    from receipts.spans import tracing_of  # noqa: PLC0415 - loads OpenTelemetry, which nobody needs without a collector

    return tracing_of(settings, application, settings.telemetry.share if share is None else share)


def current() -> Span | None:
    """Return the span that is under way, None where nothing is sampled."""
    return _current.get()


def set_current(span: Span | None) -> None:
    """Make a span the one under way in this task, until the next call."""
    _current.set(span)


@contextmanager
def within(span: Span | None) -> Generator[None]:
    """Make a span the one under way for the length of the block, and end it with that; None changes nothing."""
    if span is None:
        yield
        return
    before = _current.set(span)
    try:
        yield
    except BaseException as error:
        span.end(error)
        raise
    else:
        span.end()
    finally:
        _current.reset(before)


@contextmanager
def below(name: str, kind: Kind = "internal") -> Generator[Span | None]:
    """Do the block in a span below the one that is under way, if one is."""
    above = _current.get()
    span = None if above is None else above.child(name, kind=kind)
    with within(span):
        yield span


def block_of(statement: object) -> str:
    """Return which block of which file a statement is, by the comment that it begins with; never its text."""
    text = statement[:_BLOCK_BYTES].decode("ascii", "replace") if isinstance(statement, bytes) else statement
    found = _BLOCK.match(text) if isinstance(text, str) else None
    return found[1] if found else "sql"
