"""Spans by OpenTelemetry: how they begin and end, what they may hold, and how they reach a collector.

What a span may hold is decided here, so that no personal data can reach a collector: names and attributes are those of
the code, values are numbers or words of a narrow alphabet, and of an exception its type alone is told.
"""

from __future__ import annotations

import logging
import os
import random
import re
import socket
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Literal

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from configs.settings import PREFIX, Settings, SettingsError
from receipts.trace_context import Caller, traceparent
from receipts.tracing import current

_log = logging.getLogger(__name__)
_RANDOM_BITS = 64
_WORD = re.compile(r"(?:[A-Z]{3,7} )?[A-Za-z0-9_./{}:-]{1,100}")  # a name in code, a route's template, a table
_NUMBER = re.compile(r"\d{6,}")  # of a receipt, a customer or a telephone
_REQUEST_ID = re.compile(r"[0-9a-f]{32}")  # ours
_MOST_LINKS = 256  # requests in one question
_BATCH_SPANS = 512

Kind = Literal["internal", "server", "client"]
Value = str | int | float | bool
_KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT}


class Span:
    """One stretch of work of a sampled trace."""

    __slots__ = ("_span", "tracing")

    def __init__(self, span: OtelSpan, tracing: Tracing) -> None:
        self._span = span
        self.tracing = tracing

    @property
    def context(self) -> SpanContext:
        """Return what links and other processes name it by."""
        return self._span.get_span_context()

    @property
    def trace_id(self) -> str:
        """Return its trace as 32 hex digits."""
        return f"{self.context.trace_id:032x}"

    def child(
        self, name: str, started_ns: int | None = None, kind: Kind = "internal", links: Sequence[Span] = ()
    ) -> Span:
        """Begin a span below this one, now or since a time in nanoseconds since 1970."""
        return self.tracing.begin(name, kind, above=self.context, links=links, started_ns=started_ns)

    def rename(self, name: str) -> None:
        """Name it when it is known what it is."""
        self._span.update_name(name if _may_be_told(name) else "unnamed")

    def tell(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes; a text that is not of the narrow alphabet is left out."""
        self._span.set_attributes({key: value for key, value in attributes.items() if _may_be_told(value)})

    def fail(self, error_type: str) -> None:
        """Mark it as failed."""
        self.tell({"error.type": error_type})
        self._span.set_status(StatusCode.ERROR)

    def end(self, error: BaseException | None = None, ended_ns: int | None = None) -> None:
        """End it; an exception is told by its type, and by its SQLSTATE where it has one."""
        if error is not None:
            self.fail(type(error).__name__)
            state = getattr(error, "sqlstate", None)
            if isinstance(state, str):
                self.tell({"db.response.status_code": state})
        self._span.end(ended_ns)

    def header(self) -> str:
        """Return the `traceparent` for whoever is called from within it."""
        return traceparent(self.context.trace_id, self.context.span_id, sampled=True)


class Tracing:
    """Where the spans of one process begin."""

    def __init__(self, provider: TracerProvider, share: float, trusted: frozenset[str]) -> None:
        """Take the share of sampled traces among those that begin here, and the clients whose traces go on here."""
        self.trusted = trusted
        self._provider = provider
        self._tracer = provider.get_tracer("receipts")
        self._bound = round(share * 2**_RANDOM_BITS)

    def start(
        self,
        name: str,
        kind: Kind = "internal",
        *,
        caller: Caller | None = None,
        links: Sequence[Span] = (),
        started_ns: int | None = None,
    ) -> Span | None:
        """Begin what goes on from a caller, or else a new trace; None for one that is not sampled."""
        if caller is None:
            if random.getrandbits(_RANDOM_BITS) >= self._bound:
                return None
            return self.begin(name, kind, links=links, started_ns=started_ns)
        if not caller.sampled:
            return None
        flags = TraceFlags(TraceFlags.SAMPLED)
        above = SpanContext(caller.trace_id, caller.span_id, True, flags, TraceState(caller.state))  # noqa: FBT003 - remote
        return self.begin(name, kind, above=above, links=links, started_ns=started_ns)

    def begin(
        self,
        name: str,
        kind: Kind = "internal",
        *,
        above: SpanContext | None = None,
        links: Sequence[Span] = (),
        started_ns: int | None = None,
    ) -> Span:
        """Begin a span of a trace that is sampled: `start` has decided."""
        context = Context() if above is None else set_span_in_context(NonRecordingSpan(above), Context())
        linked = [Link(one.context) for one in links]
        return Span(self._tracer.start_span(name, context, _KINDS[kind], links=linked, start_time=started_ns), self)

    def header(self) -> str:
        """Return the `traceparent` for a call from here, also one that says that nothing is sampled."""
        span = current()
        if span is not None:
            return span.header()
        return traceparent(random.getrandbits(127) + 1, random.getrandbits(63) + 1, sampled=False)

    def flush(self) -> None:
        """Send what is finished; blocks for as long as a receiver may take."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send what is finished and end; blocks as `flush` does."""
        self._provider.shutdown()


def tracing_of(settings: Settings, application: str, share: float) -> Tracing:
    """Return where the spans of this process begin. Raises SettingsError on a certificate that cannot be read."""
    told = settings.telemetry
    if told.certificate is not None and not os.access(told.certificate, os.R_OK):
        raise SettingsError(f"{PREFIX}TELEMETRY__CERTIFICATE={told.certificate} cannot be read.")
    exporter = OTLPSpanExporter(
        f"{told.endpoint}/v1/traces",
        certificate_file=None if told.certificate is None else str(told.certificate),
        headers={name: value.get_secret_value() for name, value in told.headers.items()},
        timeout=told.timeout_s,
        meter_provider=NoOpMeterProvider(),
    )
    unheard = NoOpMeterProvider()
    # Sampled spans alone are begun; not by the SDK's sampler, which costs more than an unsampled lookup may.
    provider = TracerProvider(
        ALWAYS_ON,
        _resource(settings, application),
        span_limits=SpanLimits(max_links=_MOST_LINKS),
        meter_provider=unheard,
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            _Patient(exporter),
            max_queue_size=told.most_waiting,
            schedule_delay_millis=told.interval_s * 1000,
            max_export_batch_size=_BATCH_SPANS,
            meter_provider=unheard,
        )
    )
    trusted = frozenset({settings.portal.client_id, *filter(None, told.trusted_clients.split(","))})
    return Tracing(provider, share, trusted)


def _resource(settings: Settings, application: str) -> Resource:
    """Return who speaks. Not `Resource.create`, which also tells what the environment and the command line hold."""
    return Resource(
        {
            "service.namespace": "receipts",
            "service.name": application,
            "service.version": version("receipt-lookup"),
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            "deployment.environment.name": settings.environment,
        }
    )


class _Patient(SpanExporter):
    """Says once that spans are lost and once that they arrive again; the exporter itself would say so every time."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter
        self._is_lost = False
        # It repeats the receiver's words and address at each attempt; ours stand in `export`.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        is_lost = result is not SpanExportResult.SUCCESS
        if is_lost and not self._is_lost:
            _log.warning("The collector does not take spans; those of this time are lost, and nothing else is.")
        elif self._is_lost and not is_lost:
            _log.warning("The collector takes spans again.")
        self._is_lost = is_lost
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _may_be_told(value: Value) -> bool:
    if not isinstance(value, str):
        return True
    return _REQUEST_ID.fullmatch(value) is not None or (
        _WORD.fullmatch(value) is not None and _NUMBER.search(value) is None
    )
