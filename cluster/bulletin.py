"""What of the platform's status leaves the machines: written to Postgres by the monitor, read by administrators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cluster.diagnosis import FRESH_S, VECTORS, diagnose
from configs.settings import Settings
from receipts.database import DatabaseRole, connect
from receipts.sql import load_sql
from serve_apps.platform_status import (
    ApplicationRates,
    AuditState,
    Bulletin,
    IngestState,
    NightlyJob,
    PlatformPart,
    PlatformProblem,
    TableFreshness,
)

_SQL = load_sql("cluster", "bulletin")

Told = Mapping[str, Any]


def publish(settings: Settings, told: Told) -> None:
    """Put what `status.look` told in the place of what was told before. Raises psycopg.Error."""
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        connection.execute(_SQL["record_status"], {"told": bulletin(settings, told).model_dump_json()})


def bulletin(settings: Settings, told: Told) -> Bulletin:
    """Return what administrators may read of what `status.look` told.

    Fields are picked one by one: a new one stays here until somebody lets it out. Addresses, paths and processes are
    not among them, nor the words of errors, which may quote any of these.
    """
    nightly = {job: last | {"error": _kind_of(last["error"])} for job, last in told["nightly"].items()}
    problems = [PlatformProblem.model_validate(one) for one in diagnose({**told, "nightly": nightly})]
    audit = told["audit"]
    return Bulletin(
        healthy=not any(one.ill for one in problems),
        problems=tuple(problems),
        parts=tuple(PlatformPart.model_validate(_of(PlatformPart, one)) for one in told["parts"]),
        freshness=tuple(_freshness(settings, told)),
        ingest=None if told["ingest"] is None else IngestState.model_validate(told["ingest"]),
        audit=None if audit is None else AuditState.model_validate(_of(AuditState, audit)),
        serving=tuple(_rates(told)),
        nightly=tuple(NightlyJob.model_validate({"job": job, **last}) for job, last in nightly.items()),
    )


def _of(model: type[PlatformPart | AuditState], row: Told) -> dict[str, Any]:
    return {name: row[name] for name in model.model_fields if name in row}


def _kind_of(error: str | None) -> str | None:
    """Return the type of an error that `receipts.logs.described` has written down."""
    return None if error is None else error.partition(":")[0]


def _freshness(settings: Settings, told: Told) -> Iterator[TableFreshness]:
    lags: dict[str, float] = {}
    for stage in ("refinement", "sync"):
        for table, lag in told[stage].items():
            lags[table] = max(lags.get(table, 0.0), lag["lag_s"])
    for table, lag_s in lags.items():
        waits_s = settings.pipeline.embed_interval_s if table == VECTORS else 0.0
        yield TableFreshness(table=table, lag_s=lag_s, promised_s=FRESH_S + waits_s)


def _rates(told: Told) -> Iterator[ApplicationRates]:
    for name, one in told["serving"]["applications"].items():
        yield ApplicationRates(
            application=name,
            replicas=one["running"],
            wanted=one["wanted"],
            requests_per_s=one.get("requests_per_s"),
            p95_ms=one.get("p95_ms"),
        )
