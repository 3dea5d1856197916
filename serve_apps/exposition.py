"""What a replica has counted, as Prometheus reads it: made when asked for, from the plain numbers of its parts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from serve_apps.audit_chain import ChainLane
from serve_apps.meters import Spread
from serve_apps.serving import ServingContext

PREFIX = "receipts_serve"
# A label holds one of few words that the code knows: no id, no name, nothing that a caller sent.
LABELS = frozenset({"application", "slot", "route", "status", "stage", "question", "reason", "outcome", "server", "le"})

_Told = tuple[Sequence[str], float]


@dataclass(frozen=True, slots=True)
class Whose:
    """Which replica speaks: its application and its slot, a small number that no other of it on this node has."""

    application: str
    slot: int


def registry_of(app: FastAPI, whose: Whose) -> CollectorRegistry:
    """Return a registry with the metrics of a replica's application, for the server that Prometheus asks."""
    registry = CollectorRegistry()
    registry.register(ReplicaCollector(app, whose))
    return registry


class ReplicaCollector(Collector):
    """Reads the counts of the application's parts, in whatever thread it is asked.

    They are only added to, by the event loop's thread; a scrape in between may see a sum without its last count.
    """

    def __init__(self, app: FastAPI, whose: Whose) -> None:
        self._app = app
        self._context: ServingContext = app.state.context
        self._whose = whose
        self._process = ProcessCollector(namespace=PREFIX, registry=None)

    def describe(self) -> Iterator[Metric]:
        """Name nothing before it is asked for: an application may still be starting."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Return all families."""
        yield self._gauge("ready", "1 while the application's pools are open.", (), [((), self._is_ready())])
        yield from self._of_requests()
        yield from self._of_questions()
        yield from self._of_reads()
        yield from self._of_pools()
        yield from self._of_security()
        for family in self._process.collect():
            family.samples = [one._replace(labels={**self._own, **one.labels}) for one in family.samples]
            yield family

    @property
    def _own(self) -> dict[str, str]:
        return {"application": self._whose.application, "slot": str(self._whose.slot)}

    def _is_ready(self) -> float:
        return float(hasattr(self._app.state, "loop"))

    def _of_requests(self) -> Iterator[Metric]:
        routes = list(self._context.traffic.routes.items())
        yield self._counter(
            "requests",
            "Answers, by route template and status.",
            ("route", "status"),
            [((route, str(status)), number) for route, a in routes for status, number in list(a.statuses.items())],
        )
        yield self._histogram(
            "request_seconds",
            "From a request's arrival in the replica to its answer, all stages.",
            "route",
            {route: answers.seconds for route, answers in routes},
        )
        limits, meter = self._context.limits, self._context.reads.meter
        stages = {f"read_{server}": spread for server, spread in meter.seconds.items()} | {"limits": limits.waited}
        for name, question in self._context.questions.items():
            stages |= {f"{name}_queue": question.meter.waited, f"{name}_database": question.meter.asked}
        yield self._histogram(
            "stage_seconds",
            "Parts of it, for each request: lookup_queue and lookup_database (the read and the commit of its audit "
            "event), audit_queue and audit_database (an event by itself), read_standby, read_primary, limits (waiting "
            "for the shared store).",
            "stage",
            stages,
        )
        overflowed = sum(one.meter.overflowed for one in self._context.questions.values())
        overdue = sum(one.meter.overdue for one in self._context.questions.values())
        refused = {**limits.refused, "queue-full": overflowed, "deadline": overdue}
        yield self._counter(
            "refusals",
            "Requests refused before their time: by a limit (its name), by a full queue, or waiting for too long.",
            ("reason",),
            [((reason,), number) for reason, number in refused.items()],
        )

    def _of_questions(self) -> Iterator[Metric]:
        questions = list(self._context.questions.items())
        yield self._histogram(
            "question_requests",
            "Requests that shared one question to the database.",
            "question",
            {name: one.meter.sizes for name, one in questions},
        )
        told = (
            ("lanes", "Questions that may be under way at once.", lambda one: len(one.lanes)),
            ("lanes_busy", "Questions under way.", lambda one: one.busy),
            ("waiting_requests", "Requests without an answer of the database yet.", lambda one: one.waiting),
        )
        for name, what, of in told:
            yield self._gauge(name, what, ("question",), [((question,), of(one)) for question, one in questions])
        lanes = {name: [lane for lane in one.lanes if isinstance(lane, ChainLane)] for name, one in questions}
        chains = (
            ("audit_chains", "Chains begun: one a lane when it starts, and one after each failure.", "opened"),
            ("audit_retries", "Groups of audit events that were sent again.", "retried"),
            ("audit_failures", "Groups of audit events given up; their requests were refused.", "failed"),
        )
        for name, what, attribute in chains:
            sums = [((question,), sum(getattr(lane, attribute) for lane in own)) for question, own in lanes.items()]
            yield self._counter(name, what, ("question",), sums)

    def _of_reads(self) -> Iterator[Metric]:
        reads = self._context.reads
        yield self._counter(
            "reads_confirmed",
            "Misses of a standby about which the primary was asked.",
            (),
            [((), reads.meter.confirmed)],
        )
        yield self._counter(
            "reads_diverted",
            "Reads that went to the primary because a standby was busy, away or behind.",
            ("reason",),
            [((reason,), number) for reason, number in reads.meter.diverted.items()],
        )
        standbys = list(reads.standbys.values())
        yield self._gauge(
            "standby_lag_seconds",
            "How far a standby is behind, as this replica measures it; NaN while it cannot be asked.",
            ("server",),
            [((one.name,), math.nan if one.lag_s is None else one.lag_s) for one in standbys],
        )
        close = [((one.name,), float(reads.is_close(one))) for one in standbys]
        yield self._gauge("standby_read", "1 while reads go to the standby.", ("server",), close)

    def _of_pools(self) -> Iterator[Metric]:
        pools = {"primary": self._context.pool} | {
            one.name: one.pool for one in list(self._context.reads.standbys.values())
        }
        stats = {server: pool.get_stats() for server, pool in pools.items()}
        told = (
            ("pool_connections", "Open connections, by server.", lambda one: one.get("pool_size", 0)),
            (
                "pool_busy",
                "Connections at work.",
                lambda one: one.get("pool_size", 0) - one.get("pool_available", 0),
            ),
            ("pool_waiting", "Requests that wait for a connection.", lambda one: one.get("requests_waiting", 0)),
        )
        for name, what, of in told:
            yield self._gauge(name, what, ("server",), [((server,), of(one)) for server, one in stats.items()])

    def _of_security(self) -> Iterator[Metric]:
        tokens, store = self._context.tokens, self._context.limits.store
        yield self._counter(
            "tokens",
            "Access tokens shown, by what became of them: remembered or verified, refused, ended (their session), "
            "unknown (which sessions ended is not known).",
            ("outcome",),
            [((outcome,), number) for outcome, number in tokens.outcomes.items()],
        )
        yield self._gauge(
            "revocations_age_seconds",
            "Age of what is known of ended sessions; nobody is believed beyond auth.revocation_stale_s.",
            (),
            [((), tokens.revocations.age_s)],
        )
        yield self._gauge(
            "keys_age_seconds", "Age of the keys that tokens are checked with.", (), [((), tokens.keys.age_s)]
        )
        yield self._gauge(
            "limit_store_up", "1 while limits are shared by all replicas.", (), [((), float(store.is_up))]
        )
        yield self._gauge("limit_holders", "Processes that share the limits.", (), [((), store.holders)])

    def _counter(self, name: str, what: str, labels: Sequence[str], told: Sequence[_Told]) -> Metric:
        family = CounterMetricFamily(f"{PREFIX}_{name}", what, labels=(*self._own, *labels))
        for values, number in told:
            family.add_metric((*self._own.values(), *values), number)
        return family

    def _gauge(self, name: str, what: str, labels: Sequence[str], told: Sequence[_Told]) -> Metric:
        family = GaugeMetricFamily(f"{PREFIX}_{name}", what, labels=(*self._own, *labels))
        for values, number in told:
            family.add_metric((*self._own.values(), *values), number)
        return family

    def _histogram(self, name: str, what: str, label: str, spreads: Mapping[str, Spread]) -> Metric:
        family = HistogramMetricFamily(f"{PREFIX}_{name}", what, labels=(*self._own, label))
        for value, spread in spreads.items():
            bounds = [*(str(bound) for bound in spread.bounds), "+Inf"]
            buckets = list(zip(bounds, accumulate(spread.counts), strict=True))
            family.add_metric((*self._own.values(), value), buckets, spread.total)
        return family
