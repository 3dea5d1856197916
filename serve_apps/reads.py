"""Where reads go that may be a moment behind: a standby that follows closely, and the primary whenever there is none.

Standbys are asked once a second how far they have followed, never during a request. What a standby cannot do, because
it ended, hangs or cancels a query for the sake of its replay, the primary does within the same request.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from configs.settings import Settings
from receipts.database import DatabaseRole, hang_up, open_pool, standby_conninfos
from receipts.sql import load_sql
from serve_apps.meters import Spread
from serve_apps.scoped import CONNECTION_S

_log = logging.getLogger(__name__)
_SQL = load_sql("serve_apps", "reads")
_LOOK_S = 1.0
_MARKS = 120  # looks that are remembered: a lag is known up to two minutes, and is too large long before
_BUSY_S = 0.5  # wait for a connection: beyond it the standby is overloaded, and the primary is asked
_GRACE_S = 1.0  # beyond the statement timeout, which a server that hangs does not keep itself
_AWAY = (psycopg.OperationalError, psycopg.InterfaceError)

T = TypeVar("T")
Work = Callable[[AsyncConnection[Any]], Awaitable[T]]


@dataclass(slots=True)  # not frozen: it falls behind and catches up
class Standby:
    """A server that follows. `lag_s` is none while it cannot be read."""

    name: str
    login: str
    pool: AsyncConnectionPool
    lag_s: float | None = None


class ReadMeter:
    """What is counted of reads: how long those took that an answer came of, and why others went to the primary."""

    def __init__(self) -> None:
        self.seconds = {"primary": Spread(), "standby": Spread()}
        self.confirmed = 0  # misses of a standby about which the primary was asked
        # Standbys were busy or cancelled for their replay, could not be reached, or had not followed far enough.
        self.diverted = dict.fromkeys(("busy", "away", "behind"), 0)


class Reads:
    """Runs what only reads on a standby or on the primary; enter it in the event loop that uses it."""

    def __init__(self, settings: Settings, role: DatabaseRole, primary: AsyncConnectionPool) -> None:
        self._settings = settings
        self._role = role
        self._primary = primary
        self._patience_s = settings.database.statement_timeout_ms / 1000 + _GRACE_S
        self.meter = ReadMeter()
        self.standbys: dict[str, Standby] = {}
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MARKS)  # when the primary had written how far
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Find the standbys and begin to watch them."""
        await self._look()
        self._keeper = asyncio.create_task(self._keep_looking())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop watching and close what was opened."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        for standby in self.standbys.values():
            await standby.pool.close()

    async def run(self, work: Work[T]) -> T:
        """Return what `work` makes of a connection; it may run twice and must not write.

        Raises psycopg.OperationalError when the primary cannot do it either.
        """
        done = await self._on_standby(work, since=0)
        return await self._on_primary(work) if done is None else done[0]

    async def find(self, work: Work[T], since: int = 0, found: Callable[[T], bool] = bool) -> T:
        """Return what `work` finds; before a standby is believed that there is nothing, the primary is asked.

        A standby that has not followed to the position `since`, in bytes of the write-ahead log, is not asked. Raises
        as `run`.
        """
        done = await self._on_standby(work, since)
        if done is not None and found(done[0]):
            return done[0]
        self.meter.confirmed += done is not None
        return await self._on_primary(work)

    async def _on_primary(self, work: Work[T]) -> T:
        began = time.monotonic()
        async with self._primary.connection(timeout=CONNECTION_S) as connection:
            done = await work(connection)
        self.meter.seconds["primary"].add(time.monotonic() - began)
        return done

    async def _on_standby(self, work: Work[T], since: int) -> tuple[T] | None:
        """Return the work's result, or none when no standby did it."""
        close = [one for one in self.standbys.values() if self.is_close(one)]
        if not close:
            return None
        standby = random.choice(close)  # noqa: S311  # spreads load, guards nothing
        began, diverted = time.monotonic(), self.meter.diverted
        try:
            async with _borrowed(standby.pool, _BUSY_S, self._patience_s) as connection:
                if since and (await _position(connection, "find_replayed") or 0) < since:
                    diverted["behind"] += 1
                    return None
                done = await work(connection)
        except (PoolTimeout, psycopg.errors.SerializationFailure):  # busy, or replay went before the query
            diverted["busy"] += 1
            return None
        except psycopg.errors.QueryCanceled:  # too much for one statement, and would be for the primary
            raise
        except _AWAY as error:
            diverted["away"] += 1
            self._judge(standby, None, type(error).__name__)
            return None
        self.meter.seconds["standby"].add(time.monotonic() - began)
        return (done,)

    def is_close(self, standby: Standby) -> bool:
        """Say whether reads go to a standby."""
        return standby.lag_s is not None and standby.lag_s <= self._settings.database.max_replica_lag_s

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001  # the watch must outlive whatever a broken file or server does
                _log.warning("The standbys could not be looked at: %s", type(error).__name__)

    async def _look(self) -> None:
        """Take up new standbys, let go of those that are gone, and measure how far each is behind."""
        logins = standby_conninfos(self._settings, self._role)
        for name in [name for name, one in self.standbys.items() if logins.get(name) != one.login]:
            await self.standbys.pop(name).pool.close()
        for name in logins.keys() - self.standbys.keys():
            pool = open_pool(self._settings, self._role, autocommit=True, standby=logins[name])
            await pool.open()
            self.standbys[name] = Standby(name, logins[name], pool)
        if self.standbys:
            with suppress(*_AWAY):  # then nothing is written either, and what the standbys have is the latest
                async with _borrowed(self._primary, _LOOK_S, _LOOK_S) as connection:
                    position = await _position(connection, "find_position")
                    if position is not None:
                        self._marks.append((time.monotonic(), position))
            await asyncio.gather(*(self._measure(one) for one in self.standbys.values()))

    async def _measure(self, standby: Standby) -> None:
        try:
            async with _borrowed(standby.pool, _BUSY_S, _LOOK_S) as connection:
                replayed = await _position(connection, "find_replayed")
        except PoolTimeout:  # all connections are at work, or none can be made: what was known before holds
            return
        except _AWAY as error:
            self._judge(standby, None, type(error).__name__)
            return
        self._judge(standby, None if replayed is None else self._lag(replayed), "it is no standby")

    def _lag(self, replayed: int) -> float:
        """Return how old the newest state is that a standby has wholly followed, by the marks of the primary."""
        if not self._marks or self._marks[-1][1] <= replayed:
            return 0.0
        followed = [at for at, position in self._marks if position <= replayed]
        return time.monotonic() - max(followed) if followed else float("inf")

    def _judge(self, standby: Standby, lag_s: float | None, why: str) -> None:
        """Take note of a lag; a change of what is read is logged."""
        was_close = self.is_close(standby)
        standby.lag_s = lag_s
        if was_close and not self.is_close(standby):
            told = why if lag_s is None else f"it is {lag_s:.1f} s behind"
            _log.warning("Nothing is read from the standby %s: %s", standby.name, told)
        elif self.is_close(standby) and not was_close:
            _log.info("Reads go to the standby %s.", standby.name)


@asynccontextmanager
async def _borrowed(
    pool: AsyncConnectionPool, wait_s: float, patience_s: float
) -> AsyncGenerator[AsyncConnection[Any]]:
    """Give a connection for a while, and hang up when it takes longer, so that a server that hangs holds nobody."""
    async with pool.connection(timeout=wait_s) as connection:
        overdue = asyncio.get_running_loop().call_later(patience_s, hang_up, connection)
        try:
            yield connection
        finally:
            overdue.cancel()


async def _position(connection: AsyncConnection[Any], block: str) -> int | None:
    row = await (await connection.execute(_SQL[block], prepare=True)).fetchone()
    return None if row is None else row[0]
