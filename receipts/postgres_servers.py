"""Which embedded Postgres servers there are and which of them takes writes.

`receipts replicas` writes the file and every new connection reads it, so nobody has to be restarted when another
server is promoted. The file is the decision; whatever else a fail-over does follows it and can be repeated.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from configs.settings import Settings

LOOPBACK = "127.0.0.1"
FIRST = "postgres"  # the server that `receipts up` makes; it keeps its name when another one is promoted


@dataclass(frozen=True, slots=True)
class Server:
    """One server. Its name is also that of its replication slot, and what it calls itself when it follows.

    `fenced`: it was primary when another one was promoted, and may hold what nobody else has; until it rejoins it is
    not started.
    """

    name: str
    port: int
    fenced: bool = False


@dataclass(frozen=True, slots=True)
class Servers:
    """The primary and all others. `synchronous`: two or more standbys make a quorum that each commit waits for."""

    primary: Server
    others: tuple[Server, ...] = ()
    synchronous: bool = True

    @property
    def standbys(self) -> tuple[Server, ...]:
        """Return those that follow the primary."""
        return tuple(one for one in self.others if not one.fenced)

    @property
    def waits_for_quorum(self) -> bool:
        """Say whether a commit waits for a standby: with only one, its death would stop all writes."""
        return self.synchronous and len(self.standbys) > 1


def servers_file(settings: Settings) -> Path:
    """Return where the decision is written down: `state_dir/postgres-servers.json`."""
    return settings.state_dir.resolve() / "postgres-servers.json"


def read_servers(settings: Settings) -> Servers:
    """Return the servers; without the file there is one. The first one's port is always that of the settings."""
    try:
        told = json.loads(servers_file(settings).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return Servers(Server(FIRST, settings.database.embedded_port))
    servers = {
        one["name"]: Server(**one | ({"port": settings.database.embedded_port} if one["name"] == FIRST else {}))
        for one in told["servers"]
    }
    primary = servers.pop(told["primary"])
    return Servers(primary, tuple(servers.values()), told["synchronous"])


def servers_text(servers: Servers) -> str:
    """Return the file's content."""
    every = [asdict(one) for one in (servers.primary, *servers.others)]
    return json.dumps({"primary": servers.primary.name, "synchronous": servers.synchronous, "servers": every}, indent=1)
