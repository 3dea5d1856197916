"""The parts of the platform in the order they start, and how each is started, asked and stopped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil
import psycopg

from cluster import health, postgres, ray_node
from cluster.credentials import ensure_anchor_key, ensure_credentials, ensure_development_issuer_key
from cluster.errors import PlatformError
from cluster.migrations import migrate
from cluster.processes import find_process, last_words, log_file, run_process, start_process, stop_process
from cluster.roles import ensure_roles, role_passwords
from cluster.seeds import plant
from configs.settings import EMBEDDED, Settings
from receipts.sql import load_sql

_SQL = load_sql("cluster", "parts")
_HEALTHY_S = 120  # the portal and the pipeline import large libraries, all at once, on a machine that may be small
_SETTLED_S = 3.0  # a process without a health question that lives this long has read its settings and connected
_GRACE_S = 20  # longer than a drain or a pipeline batch takes to finish
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the platform. `needs` are parts whose restart makes it restart too."""

    name: str
    what: str
    start: Callable[[Settings], None]
    is_healthy: Callable[[Settings], bool]
    stop: Callable[[Settings], None]
    needs: tuple[str, ...] = ()


def prepare_database(settings: Settings) -> list[str]:
    """Bring a running database up to date: roles, migrations, partitions, seeds; returns the migrations applied."""
    postgres.ensure_database(settings)
    dsn = postgres.admin_dsn(settings)
    with psycopg.connect(dsn, autocommit=True) as connection:
        ensure_roles(connection, role_passwords(settings))
    applied = migrate(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute(_SQL["make_audit_partitions"])
    if settings.auth.development_provider:
        plant(dsn)
    return applied


def process_of(settings: Settings, name: str) -> psutil.Process | None:
    """Return the process of a part if it has one here and it lives."""
    if name == "postgres":
        return postgres.server_process(settings)
    return find_process(settings, name)


def _start_postgres(settings: Settings) -> None:
    ensure_credentials(settings)
    ensure_anchor_key(settings)
    if settings.environment == EMBEDDED:
        ensure_development_issuer_key(settings)
    if settings.database.dsn is None:
        postgres.start(settings)
    prepare_database(settings)


def _deploy(settings: Settings) -> None:
    """Run `receipts deploy` to its end; what it deployed lives in Ray."""
    stop_process(settings, "serve", _GRACE_S)  # a deployment whose `up` was killed is still at it
    if run_process(settings, "serve", _command("deploy")) != 0:
        words, log = last_words(settings, "serve"), log_file(settings, "serve")
        raise PlatformError(f"Deploying to Ray Serve failed: {words} (log: {log})")
    _await_health(settings, "serve", health.serve_is_healthy, lambda: ray_node.is_running(settings))


def _process(
    name: str,
    what: str,
    command: Sequence[str],
    is_healthy: Callable[[Settings], bool] | None = None,
    needs: tuple[str, ...] = (),
) -> Part:
    """Describe a part that is one long-running `receipts` command; without a health question, living is health."""

    def lives(settings: Settings) -> bool:
        return find_process(settings, name) is not None

    def healthy(settings: Settings) -> bool:
        return lives(settings) and (is_healthy is None or is_healthy(settings))

    def start(settings: Settings) -> None:
        stop(settings)  # one that lives without being healthy, or what a dead one left
        process = start_process(settings, name, _command(*command))
        if is_healthy is None:
            _await_settled(settings, name, process)
        else:
            _await_health(settings, name, is_healthy, lambda: lives(settings))

    def stop(settings: Settings) -> None:
        stop_process(settings, name, _GRACE_S)

    return Part(name, what, start, healthy, stop, needs)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cluster.commands", *arguments]


def _await_health(
    settings: Settings, name: str, is_healthy: Callable[[Settings], bool], lives: Callable[[], bool]
) -> None:
    deadline = time.monotonic() + _HEALTHY_S
    while True:
        if not lives():  # asked first: another program may answer on a port that ours could not get
            raise PlatformError(f"{name} ended: {last_words(settings, name)} (log: {log_file(settings, name)})")
        if is_healthy(settings):
            return
        if time.monotonic() > deadline:
            raise PlatformError(f"{name} is not healthy after {_HEALTHY_S} s; see {log_file(settings, name)}.")
        time.sleep(_POLL_S)


def _await_settled(settings: Settings, name: str, process: psutil.Process) -> None:
    try:
        process.wait(_SETTLED_S)
    except psutil.TimeoutExpired:
        return
    raise PlatformError(f"{name} ended: {last_words(settings, name)} (log: {log_file(settings, name)})")


def _serves(settings: Settings) -> bool:
    """Say whether Serve answers and Ray is ours: another platform may answer on the same port."""
    return ray_node.is_running(settings) and health.serve_is_healthy(settings)


def _stop_deploying(settings: Settings) -> None:
    """End a deployment that is still at it; what it deployed ends with Ray."""
    stop_process(settings, "serve", _GRACE_S)


PARTS = (
    Part("postgres", "PostgreSQL", _start_postgres, health.postgres_is_healthy, postgres.stop),
    _process("gateway", "gateways for tills", ("ingest", "gateways"), health.gateway_is_healthy),
    _process("drainer", "drainer to Bronze", ("ingest", "drain")),
    Part(ray_node.NAME, "Ray", ray_node.start, ray_node.is_running, ray_node.stop),
    Part("serve", "Serve applications", _deploy, _serves, _stop_deploying, needs=("ray",)),
    _process("pipeline", "refinement", ("pipeline", "run", "--continuous"), needs=("ray",)),
    _process("portal", "portal", ("portal",), health.portal_is_healthy),
    _process("mailer", "mailer", ("mailer",), health.mailer_is_healthy),
    _process("monitor", "monitor", ("monitor",), health.monitor_is_healthy),
)
