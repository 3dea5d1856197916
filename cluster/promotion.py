"""Another embedded server becomes the primary: planned, with nothing lost, or after the primary was lost.

Nothing here happens by itself. Two machines that cannot see each other would both be sure that the other one is dead;
to decide that takes a third that both ask, and here it is a person.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import psycopg

from cluster import postgres, postgres_server
from cluster.errors import PlatformError
from cluster.postgres_home import PostgresHome, ensure_home, home_of
from cluster.postgres_server import postmaster, write_owned
from cluster.replication import FOLLOWS, ask, decide, finish_promotion, keep_slots
from cluster.standbys import list_servers, named, require_embedded
from configs.settings import Settings
from receipts.postgres_servers import Server, Servers, read_servers

_CAUGHT_UP_S = 60
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became of a promotion. `waits_for_quorum`: commits wait for a standby again, or still."""

    primary: str
    before: str
    planned: bool
    waits_for_quorum: bool
    seconds: float


def promote(
    settings: Settings, name: str | None = None, *, switchover: bool = False, accept_loss: bool = False
) -> Promotion:
    """Make a standby the primary; returns when it takes writes, which every process finds by itself.

    With `switchover` a running primary hands over and follows. Without, the primary must be dead; it is fenced, and the
    standby that received most is taken. `accept_loss` goes on without standbys that cannot be asked what they received,
    or with one that received less than another. May be repeated after any interruption. Raises PlatformError.
    """
    began = time.monotonic()
    require_embedded(settings)
    first, servers = ensure_home(settings), read_servers(settings)
    if (home_of(first, servers.primary.name).data / FOLLOWS).is_file():  # decided before, and interrupted
        postgres.start(settings)
        return Promotion(servers.primary.name, servers.primary.name, switchover, servers.waits_for_quorum, 0.0)
    if not servers.standbys:
        raise PlatformError("There is no standby to promote; `receipts replicas add` makes one.")
    if name is not None and named(servers, name).fenced:
        raise PlatformError(f"{name} is fenced: it may lack what was written since; `receipts replicas rejoin {name}`.")
    process = postmaster(home_of(first, servers.primary.name))
    if process is not None and not switchover:
        raise PlatformError(
            f"The primary {servers.primary.name} lives (process {process.pid}): `receipts replicas promote "
            "--switchover` hands over from it and loses nothing. If it hangs, end that process first."
        )
    if switchover:
        if process is None:
            raise PlatformError(f"The primary {servers.primary.name} does not run: promote without --switchover.")
        chosen = _hand_over(settings, first, servers, name)
    else:
        postgres_server.end_orphans(home_of(first, servers.primary.name))
        chosen = _choose(settings, first, servers, name, accept_loss=accept_loss)
    after = _install(settings, first, servers, chosen, planned=switchover)
    seconds = round(time.monotonic() - began, 1)
    return Promotion(chosen.name, servers.primary.name, switchover, after.waits_for_quorum, seconds)


def _hand_over(settings: Settings, first: PostgresHome, servers: Servers, name: str | None) -> Server:
    """Stop the primary when a standby follows it closely, and return that standby once it has everything."""
    streaming = [one for one in list_servers(settings) if one.role == "standby" and one.state == "streaming"]
    if name is not None:
        streaming = [one for one in streaming if one.name == name]
    if not streaming:
        raise PlatformError(f"{name or 'No standby'} does not follow the primary: `receipts replicas list` says why.")
    chosen = named(servers, min(streaming, key=lambda one: one.lag_bytes or 0).name)
    old = home_of(first, servers.primary.name)
    postgres_server.stop(old)
    told = _read_control(old)
    last, deadline = told["Latest checkpoint location"], time.monotonic() + _CAUGHT_UP_S
    clean = told["Database cluster state"] == "shut down"
    while clean and not ask(postgres.admin_dsn(settings, "postgres", chosen), "has_replayed", last):
        if time.monotonic() > deadline:
            clean = False
        time.sleep(_POLL_S)
    if not clean:
        postgres.start(settings)
        raise PlatformError(f"{chosen.name} did not get everything; {servers.primary.name} is the primary as before.")
    return chosen


def _choose(
    settings: Settings, first: PostgresHome, servers: Servers, name: str | None, *, accept_loss: bool
) -> Server:
    """Return the standby that received most, starting those that are down: one of them may hold what others lack."""
    received: dict[str, int] = {}
    for standby in servers.standbys:
        try:
            postgres.start_standby(first, servers, standby)
            received[standby.name] = ask(postgres.admin_dsn(settings, "postgres", standby), "find_received") or 0
        except (PlatformError, psycopg.Error) as error:
            if not accept_loss:
                raise PlatformError(
                    f"{standby.name} cannot be asked what it received ({error}), and may hold what no other has: "
                    "repair it, or promote with --accept-loss."
                ) from error
    if not received:
        raise PlatformError("No standby can be started.")
    most = max(received, key=lambda one: received[one])
    if name is not None and not accept_loss and received.get(name, -1) < received[most]:
        raise PlatformError(f"{most} received more than {name}: promote {most}, or lose that with --accept-loss.")
    return named(servers, name or most)


def _install(settings: Settings, first: PostgresHome, servers: Servers, chosen: Server, *, planned: bool) -> Servers:
    """Fence the old primary, decide, and let everybody follow the decision."""
    old = replace(servers.primary, fenced=not planned)
    after = replace(servers, primary=chosen, others=(*(one for one in servers.others if one != chosen), old))
    admin = postgres.admin_dsn(settings, "postgres", chosen)
    # Before anything is written: then it keeps what an old primary needs to rejoin.
    keep_slots(admin, [one.name for one in after.others])
    home = home_of(first, old.name)
    if home.data.is_dir():
        write_owned(home, home.data / FOLLOWS, "")
    decide(settings, first, after)
    finish_promotion(home_of(first, chosen.name), admin)
    if planned:
        postgres.start_standby(first, after, old)
        keep_slots(postgres.admin_dsn(settings, "postgres", old), [])  # those of its time as a primary
    return after


def _read_control(home: PostgresHome) -> dict[str, str]:
    """Return what pg_controldata says of a stopped server."""
    told = home.run(home.command("pg_controldata"), f"--pgdata={home.data}")
    if told.returncode != 0:
        raise PlatformError(f"pg_controldata failed: {told.stderr.strip()}")
    pairs = (line.partition(":") for line in told.stdout.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
