"""What the platform is doing: health, counts, table versions and lags, as far as its parts can be asked."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row

from cluster.parts import PARTS, Part, process_of
from cluster.standbys import list_servers
from configs.settings import Settings, SettingsError
from receipts.database import DatabaseRole, conninfo
from receipts.lake import Lake, lake_of
from receipts.sql import load_sql

_SQL = load_sql("cluster", "status")
_STATEMENT_MS = 60_000  # counting a hundred million rows takes long; a status that hangs for ever helps nobody


def collect(settings: Settings) -> dict[str, Any]:
    """Return the whole status as plain values. A part that is down is told as such and never raises.

    Keys: `healthy`, `parts` (name, state, pid, uptime_s), `servers` (the embedded Postgres servers and their lags),
    `postgres` and `ingest` (counts, null when down), `lake` (version and rows by table), `refinement` and `sync`
    (versions and lag_s by table), `nightly` (the last attempt at each job), `urls`.
    """
    parts = [_part(settings, part) for part in PARTS]
    lake = _measure_lake(lake_of(settings))
    database = _ask_database(settings)
    return {
        "healthy": all(part["state"] == "healthy" for part in parts),
        "parts": parts,
        "servers": [asdict(one) for one in list_servers(settings)] if settings.database.dsn is None else [],
        "postgres": database["rows"],
        "ingest": database["ingest"],
        "lake": lake,
        "refinement": _measure_refinement(lake_of(settings), lake),
        "sync": _measure_sync(lake_of(settings), lake, database["watermarks"]),
        "nightly": _list_nightly(lake_of(settings)),
        "urls": urls(settings),
    }


def urls(settings: Settings) -> dict[str, str]:
    """Return where people and programs reach the platform."""
    return {
        "portal": settings.portal.public_url,
        "api": settings.portal.api_url,
        "gateway": f"grpc://{settings.ingest.host}:{settings.ingest.port}",
        "lake": settings.lake_root,
    }


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


def _ask_database(settings: Settings) -> dict[str, Any]:
    answer: dict[str, Any] = {"rows": None, "ingest": None, "watermarks": []}
    try:
        options = {"connect_timeout": 2, "options": f"-c statement_timeout={_STATEMENT_MS}"}
        with (
            psycopg.connect(conninfo(settings, DatabaseRole.PIPELINE, options)) as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            answer["rows"] = cursor.execute(_SQL["count_rows"]).fetchone()
            answer["ingest"] = cursor.execute(_SQL["measure_ingest"]).fetchone()
            answer["watermarks"] = cursor.execute(_SQL["list_watermarks"]).fetchall()
    except (psycopg.Error, SettingsError) as error:
        answer["rows"] = None
        answer["problem"] = str(error)
    return answer


def _measure_lake(lake: Lake) -> dict[str, dict[str, int] | None]:
    """Return version and rows of every table of the lake; null for one that has not been created."""
    from data_jobs.catalogue import TABLES as REFINED  # noqa: PLC0415  needed here only and slow to import
    from receipts.bronze import TABLES as BRONZE  # noqa: PLC0415  as above

    names = [table.name for table in BRONZE] + [table.name for table in REFINED]
    return {name: _measure(lake, name) for name in names}


def _measure(lake: Lake, name: str) -> dict[str, int] | None:
    if not lake.exists(name):
        return None
    table = lake.open(name)
    return {"version": table.version(), "rows": table.count()}


def _measure_refinement(lake: Lake, measured: dict[str, dict[str, int] | None]) -> dict[str, dict[str, Any]]:
    """Return how far each refined table has read the table that drives it."""
    from data_jobs.catalogue import TABLES as REFINED  # noqa: PLC0415  needed here only and slow to import

    told: dict[str, dict[str, Any]] = {}
    for table in REFINED:
        source = table.input.name if table.input is not None else None
        if source is None or measured[table.name] is None or measured[source] is None:
            continue
        read = lake.open(table.name).transaction_version(table.cursor)
        told[table.name] = {"source": source, **_lag(lake, source, measured[source], -1 if read is None else read)}
    return told


def _measure_sync(
    lake: Lake, measured: dict[str, dict[str, int] | None], watermarks: list[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return how far Postgres has followed each served table."""
    return {
        mark["table_name"]: {
            "synced_at": mark["synced_at"].astimezone(UTC).isoformat(),
            **_lag(lake, mark["table_name"], measured.get(mark["table_name"]), mark["version"]),
        }
        for mark in watermarks
    }


def _list_nightly(lake: Lake) -> dict[str, dict[str, Any]]:
    """Return the last attempt at each nightly job, with times as text."""
    from data_jobs.upkeep.nightly import list_last  # noqa: PLC0415  needed here only and slow to import

    return {
        job: {name: value.isoformat() if isinstance(value, date) else value for name, value in last.items()}
        for job, last in list_last(lake).items()
    }


def _lag(lake: Lake, name: str, latest: dict[str, int] | None, read: int) -> dict[str, Any]:
    """Compare a version read with the latest; `lag_s` is the age of the oldest commit that was not read yet."""
    version = latest["version"] if latest is not None else read
    behind = max(version - read, 0)
    lag_s = 0.0
    if behind and latest is not None:
        oldest = min(int(commit["timestamp"]) for commit in lake.open(name).history(behind))
        lag_s = max(datetime.now(UTC).timestamp() - oldest / 1000, 0.0)
    return {"version": read, "latest": version, "behind": behind, "lag_s": round(lag_s, 3)}
