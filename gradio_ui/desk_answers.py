"""What the API answers to supervisors, the fraud team, privacy officers and administrators."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import AwareDatetime

from gradio_ui.answers import Answer, ReceiptSummary


class Export(Answer):
    """Receipts to take away: how many rows there are, and how many have been sent."""

    export_id: str
    format: str
    date_from: date
    date_to: date
    store_ids: tuple[int, ...] | None = None
    rows_total: int
    rows_done: int
    state: str
    requested_at: AwareDatetime
    expires_at: AwareDatetime


class Exports(Answer):
    """One's own exports, newest first."""

    exports: tuple[Export, ...]


class Flag(Answer):
    """A suspicion that somebody raised: open, confirmed or cleared."""

    flag_id: int
    subject: str
    subject_id: str
    reason: str
    note: str
    state: str
    raised_by: str
    raised_at: AwareDatetime
    reviewed_by: str | None = None
    reviewed_at: AwareDatetime | None = None
    review_note: str | None = None


class Flags(Answer):
    """A page of flags, newest first."""

    flags: tuple[Flag, ...]
    next_cursor: int | None = None


class Pattern(Answer):
    """Something that stands out across receipts, with its figures and a sentence."""

    pattern_id: str
    kind: str
    subject: str
    subject_id: str
    month: str
    score: float
    figures: dict[str, Any]
    explanation: str
    receipt_count: int


class Patterns(Answer):
    """A page of patterns, the strongest first."""

    patterns: tuple[Pattern, ...]
    next_cursor: str | None = None


class KindOfMonth(Answer):
    """How many patterns of a kind a month has."""

    kind: str
    month: str
    patterns: int


class KindOfStore(Answer):
    """How many patterns a store has."""

    store_id: int
    store_name: str
    patterns: int


class PatternSummary(Answer):
    """Patterns counted for the plots."""

    by_kind: tuple[KindOfMonth, ...]
    by_store: tuple[KindOfStore, ...]


class PatternReceipts(Answer):
    """The receipts behind a pattern."""

    receipts: tuple[ReceiptSummary, ...]


class Look(Answer):
    """One event of the audit trail."""

    event_id: str
    occurred_at: AwareDatetime
    principal_id: str
    role: str
    route: str
    outcome: str
    status: int
    receipt_ids: tuple[str, ...]
    customer_ids: tuple[str, ...]
    purpose: str
    constraints: Any = None
    client_address: str = ""
    request_id: str = ""


class Trail(Answer):
    """A page of the audit trail, newest first."""

    events: tuple[Look, ...]
    next_cursor: str | None = None


class Step(Answer):
    """What was done about a request of a person."""

    at: AwareDatetime
    by: str
    step: str
    reason: str | None = None


class PrivacyRequest(Answer):
    """A person's request to see or erase what is held, with its statutory clock."""

    request_id: int
    kind: str
    law: str
    customer_id: str
    channel: str
    state: str
    received_on: date
    confirm_by: date | None = None
    confirmed_on: date | None = None
    due_on: date
    extended: bool = False
    overdue: bool = False
    opened_by: str
    history: tuple[Step, ...] = ()


class PrivacyRequests(Answer):
    """A page of requests, the most urgent first."""

    requests: tuple[PrivacyRequest, ...]
    next_cursor: str | None = None


class Problem(Answer):
    """What is wrong with the platform and what to do about it."""

    what: str
    do: str
    ill: bool = False


class PlatformPart(Answer):
    """A part of the platform where the monitor runs: healthy, unhealthy or down."""

    name: str
    what: str
    state: str


class TableFreshness(Answer):
    """How late a table is, and what is promised."""

    table: str
    lag_s: float
    promised_s: float


class ApplicationRates(Answer):
    """Replicas of an application and its last minute; null where nothing was asked."""

    application: str
    replicas: int
    wanted: int
    requests_per_s: float | None = None
    p95_ms: float | None = None


class NightlyJob(Answer):
    """The last attempt at a nightly job."""

    job: str
    night: date
    ended_at: AwareDatetime
    error: str | None = None


class PlatformStatus(Answer):
    """What the monitor saw last; null times while it has not told anything."""

    looked_at: AwareDatetime | None = None
    age_s: float | None = None
    healthy: bool
    problems: tuple[Problem, ...] = ()
    parts: tuple[PlatformPart, ...] = ()
    freshness: tuple[TableFreshness, ...] = ()
    ingest: dict[str, float | None] | None = None
    audit: dict[str, float | None] | None = None
    serving: tuple[ApplicationRates, ...] = ()
    nightly: tuple[NightlyJob, ...] = ()


class Refusal(Answer):
    """A record that was refused."""

    quarantine_id: int
    bronze_table: str
    received_at: AwareDatetime
    source: str
    state: str
    kind: str
    reason: str


class HeldRecord(Refusal):
    """A refused record with its text."""

    payload: str


class Refusals(Answer):
    """A page of refused records."""

    refusals: tuple[Refusal, ...]
    next_cursor: int | None = None


class Order(Answer):
    """What is to become of a refused record, and what did."""

    order_id: int
    quarantine_id: int
    action: str
    outcome: str | None = None
