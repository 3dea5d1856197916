"""What is wrong with the platform, in the order in which somebody who was just woken should look at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

FRESH_S = 120.0  # what is promised from a till to a search
VECTORS = "gold.product_embeddings"  # few new products wait for pipeline.embed_interval_s, and are searched by name
_ANCHORED_S = 600.0  # ten times the interval of the anchors
_PROJECTED_S = 300.0  # a trail that cannot be searched for five minutes has lost its pipeline
_DRAINED_S = 60.0
_MAILED_S = 300.0  # a rep who said "you have it in a minute" has hung up by then
_DISK = 0.05
_LOOKUP_MS = 10.0
_ENOUGH_PER_S = 1.0  # sixty lookups: one slow answer of a quiet minute is no percentile

Told = Mapping[str, Any]
Problem = dict[str, Any]


def diagnose(told: Told) -> list[Problem]:
    """Return what is wrong and what to do, ills first; one that is not `ill` can wait until the morning.

    Takes what `status.look` tells.
    """
    looks = (_of_parts, _of_servers, _of_serving, _of_trail, _of_freshness, _of_mail, _of_jobs)
    return sorted((problem for look in looks for problem in look(told)), key=lambda problem: not problem["ill"])


def _problem(what: str, do: str, *, ill: bool = True) -> Problem:
    return {"what": what, "do": do, "ill": ill}


def _of_parts(told: Told) -> Iterator[Problem]:
    for part in told["parts"]:
        if part["state"] != "healthy":
            name = part["name"]
            yield _problem(
                f"{part['what']}: {part['state']}",
                f"receipts up; its log is state_dir/log/{name}.log, then receipts doctor",
            )
    if told["disk_free"] is not None and told["disk_free"] < _DISK:
        yield _problem(
            f"the disk of state_dir is full but for {told['disk_free']:.1%}",
            "free some: a full disk stops Postgres and the lake alike",
        )


def _of_servers(told: Told) -> Iterator[Problem]:
    servers = told["servers"]
    standbys = [one for one in servers if one["role"] != "primary"]
    if standbys and any(one["role"] == "primary" and one["state"] == "down" for one in servers):
        yield _problem("the primary is down", "receipts up starts it; if it is lost: receipts replicas promote")
    for one in standbys:
        if one["role"] == "fenced":
            yield _problem(f"{one['name']} was a primary and is fenced", f"receipts replicas rejoin {one['name']}")
        elif one["state"] != "streaming":
            yield _problem(
                f"the standby {one['name']} does not follow ({one['state']})",
                f"receipts up, or receipts replicas rejoin {one['name']}",
            )


def _of_serving(told: Told) -> Iterator[Problem]:
    if any(part["name"] == "serve" and part["state"] == "down" for part in told["parts"]):
        return
    for name, one in told["serving"]["applications"].items():
        if one["running"] < one["wanted"]:
            yield _problem(
                f"{name}: {one['running']} of {one['wanted']} replicas answer",
                "receipts deploy; why a replica ended stands in logs/serve below Ray's session folder",
            )
        if one.get("failing_per_s"):
            yield _problem(
                f"{name}: {one['failing_per_s']:g} answers a second fail (5xx)",
                "a 503 on every route means that Postgres takes no audit events; the replica's log has each failure",
            )
    lookups = told["serving"]["applications"].get("lookup", {})
    p95_ms = lookups.get("p95_ms")
    if p95_ms is not None and p95_ms > _LOOKUP_MS and lookups.get("requests_per_s", 0) >= _ENOUGH_PER_S:
        slow = f"one lookup in twenty takes more than {_LOOKUP_MS:g} ms (95 % take at most {p95_ms:g} ms)"
        yield _problem(slow, "docs/runbook.md#lookupsareslow", ill=False)


def _of_trail(told: Told) -> Iterator[Problem]:
    audit = told["audit"]
    if audit is None:
        return
    if audit["faults"]:
        yield _problem(f"the audit trail has {audit['faults']} faults", "receipts audit verify, then docs/audit.md")
    if audit["unprojected_oldest_s"] > _PROJECTED_S:
        yield _problem(
            f"audit events of {audit['unprojected_oldest_s']:.0f} s ago cannot be searched yet",
            "is the pipeline up? its log says why not",
        )
    if audit["unanchored_oldest_s"] > _ANCHORED_S:
        yield _problem(
            f"the audit trail is not anchored since {audit['unanchored_oldest_s']:.0f} s",
            "the pipeline's log says why: no key (receipts audit rotate-key), or no pipeline",
        )


def _of_freshness(told: Told) -> Iterator[Problem]:
    if told["ingest"] is not None and told["ingest"]["outbox_oldest_s"] > _DRAINED_S:
        yield _problem(
            f"records have waited for Bronze for {told['ingest']['outbox_oldest_s']:.0f} s",
            "the drainer's log, then an old transaction in pg_stat_activity",
        )
    for what, stage in (("Postgres", "sync"), ("the lake", "refinement")):
        for name, lag in told[stage].items():
            if lag["lag_s"] > FRESH_S and name != VECTORS:
                yield _problem(
                    f"{name} in {what} is {lag['lag_s']:.0f} s behind", "the pipeline's log says at what it is"
                )


def _of_mail(told: Told) -> Iterator[Problem]:
    if told["mail"] is not None and told["mail"]["oldest_s"] > _MAILED_S:
        yield _problem(
            f"receipts have waited to be mailed for {told['mail']['oldest_s']:.0f} s",
            "the mailer's log says whether the mail server takes none: docs/mail.md",
        )


def _of_jobs(told: Told) -> Iterator[Problem]:
    for table, number in told["failed_batches"].items():
        yield _problem(
            f"{number} batches of {table} failed within the hour",
            f"receipts pipeline events --table {table}",
            ill=False,
        )
    for job, last in told["nightly"].items():
        if last["error"]:
            yield _problem(f"the nightly job {job} failed: {last['error']}", "it is tried again by itself", ill=False)
