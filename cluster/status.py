"""What the platform is doing: health, counts, table versions and lags, as far as its parts can be asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg
from psycopg import Cursor
from psycopg.rows import DictRow, dict_row

from cluster import ray_node
from cluster.diagnosis import diagnose
from cluster.gateways import targets_file
from cluster.health import reachable
from cluster.jobs_watch import JobsWatch
from cluster.lags import LakeWatch
from cluster.parts import PARTS, Part, process_of
from cluster.processes import read_record
from cluster.serving_rates import serving_now
from cluster.standbys import list_servers
from configs.settings import EMBEDDED, Settings, SettingsError
from receipts.database import DatabaseRole, conninfo
from receipts.lake import lake_of
from receipts.sql import load_sql
from serve_apps.mailing.outlets import outlet_of

_SQL = load_sql("cluster", "status")
_STATEMENT_MS = 60_000  # counting a hundred million rows takes long; a status that hangs for ever helps nobody

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks again and again keeps one, and each look then costs what has changed."""

    lake: LakeWatch
    jobs: JobsWatch


def watch_of(settings: Settings) -> Watch:
    """Return a watch that has not looked yet."""
    lake = LakeWatch(lake_of(settings))
    return Watch(lake, JobsWatch(lake))


def collect(settings: Settings) -> dict[str, Any]:
    """Return the whole status as plain values: what `look` tells, and what takes counting.

    Besides: `postgres` (counts, null when down), and `lake` tells the rows of each table with its version.
    """
    watch = watch_of(settings)
    told = look(settings, watch)
    versions: Mapping[str, int | None] = told["lake"]
    lake = {
        name: None if version is None else {"version": version, "rows": watch.lake.lake.open(name).count()}
        for name, version in versions.items()
    }
    return told | {"postgres": _ask(settings, _count), "lake": lake}


def look(settings: Settings, watch: Watch) -> dict[str, Any]:
    """Return what can be told without counting rows. A part that is down is told as such and never raises.

    Keys: `healthy`; `problems` (what, do, ill), the worst first; `parts` (name, state, pid, uptime_s); `servers` (the
    embedded Postgres servers and their lags); `ingest` (what waits and was refused), `audit` (how much of the trail is
    not taken apart or anchored) and `mail` (what waits to be sent), null when Postgres is down; `lake` (version by
    table), `refinement` and `sync` (versions and lag_s by table); `nightly` (the last attempt at each job),
    `failed_batches` of the last hour by table; `serving` (replicas, and rates of the last minute); `disk_free` as a
    share; `urls`, and `metrics` for Prometheus.
    """
    versions = watch.lake.versions()
    anchor = watch.jobs.anchor()
    asked = _ask(settings, lambda cursor: _measure(cursor, anchor["position"])) or {}
    told: dict[str, Any] = {
        "parts": [_part(settings, part) for part in PARTS if _is_here(settings, part)],
        "servers": [asdict(one) for one in list_servers(settings)] if settings.database.dsn is None else [],
        "ingest": asked.get("ingest"),
        "audit": asked["audit"] | {"anchor_age_s": anchor["age_s"]} if asked else None,
        "mail": asked.get("mail"),
        "lake": versions,
        "refinement": watch.lake.refinement(versions),
        "sync": watch.lake.sync(asked.get("watermarks", [])),
        "nightly": watch.jobs.nightly(),
        "failed_batches": watch.jobs.failed_batches(),
        "serving": serving_now(settings),
        "disk_free": _disk_free(settings.state_dir),
        "urls": urls(settings),
        "metrics": metrics_places(settings),
    }
    problems = diagnose(told)
    return {"healthy": not any(one["ill"] for one in problems), "problems": problems, **told}


def urls(settings: Settings) -> dict[str, str]:
    """Return where people and programs reach the platform."""
    outlet = outlet_of(settings)
    return {
        "portal": settings.portal.public_url,
        "api": settings.portal.api_url,
        "gateway": f"grpc://{settings.ingest.host}:{settings.ingest.port}",
        "lake": settings.lake_root,
        "mail": outlet.place if outlet is not None else "nowhere: RECEIPTS_MAIL__HOST is not set",
    }


def metrics_places(settings: Settings) -> dict[str, str]:
    """Return where Prometheus finds what, as far as this machine knows; configs/monitoring/prometheus.yaml says how."""
    ray = {} if settings.ray.address is not None else {"haproxy": settings.ray.port + 2, "ray": settings.ray.port + 7}
    serve = f"http://{reachable(settings.serve.metrics_host)}:{settings.serve.metrics_port}/metrics"
    drainer = f"http://{reachable(settings.ingest.metrics_host)}:{settings.ingest.drainer_metrics_port}/metrics"
    return {
        "serve": serve,
        "monitor": f"http://{reachable(settings.monitor.host)}:{settings.monitor.port}/metrics",
        "gateways": str(targets_file(settings)),
        "drainer": drainer,
        "mailer": f"http://{reachable(settings.mail.metrics_host)}:{settings.mail.metrics_port}/metrics",
        **{name: f"http://127.0.0.1:{port}/metrics" for name, port in ray.items()},
    }


def _is_here(settings: Settings, part: Part) -> bool:
    """Say whether a part can be asked here: on real infrastructure others are somebody else's to start and to watch."""
    known_by_address = part.name in {"postgres", ray_node.NAME}
    return settings.environment == EMBEDDED or known_by_address or read_record(settings, part.name) is not None


def _part(settings: Settings, part: Part) -> dict[str, Any]:
    process = process_of(settings, part.name)
    healthy = part.is_healthy(settings)
    state = "healthy" if healthy else "unhealthy" if process is not None else "down"
    told: dict[str, Any] = {"name": part.name, "what": part.what, "state": state}
    if process is not None:
        try:
            told |= {"pid": process.pid, "uptime_s": round(time.time() - process.create_time(), 1)}
        except psutil.NoSuchProcess:  # it ended between the two questions
            told["state"] = "down"
    return told


def _ask(settings: Settings, ask: Callable[[Cursor[DictRow]], T]) -> T | None:
    """Return what the database answers; null when it does not."""
    try:
        options = {"connect_timeout": 2, "options": f"-c statement_timeout={_STATEMENT_MS}"}
        with (
            psycopg.connect(conninfo(settings, DatabaseRole.PIPELINE, options)) as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            return ask(cursor)
    except (psycopg.Error, SettingsError):
        return None


def _count(cursor: Cursor[DictRow]) -> dict[str, Any] | None:
    return cursor.execute(_SQL["count_rows"]).fetchone()


def _measure(cursor: Cursor[DictRow], anchored: int) -> dict[str, Any]:
    return {
        "ingest": cursor.execute(_SQL["measure_ingest"]).fetchone(),
        "audit": cursor.execute(_SQL["measure_audit"], {"anchored": anchored}).fetchone(),
        "mail": cursor.execute(_SQL["measure_mail"]).fetchone(),
        "watermarks": cursor.execute(_SQL["list_watermarks"]).fetchall(),
    }


def _disk_free(folder: Path) -> float | None:
    """Return which share of the disk below the state folder is free."""
    try:
        usage = psutil.disk_usage(str(folder))
    except OSError:
        return None
    return round(usage.free / max(usage.total, 1), 3)
