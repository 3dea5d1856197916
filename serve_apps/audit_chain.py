"""A lane whose every question also appends a group of events to the audit trail's chain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeGuard, TypeVar

import psycopg
from psycopg.pq.abc import PGresult

from receipts.errors import Unavailable
from receipts.sql import load_sql
from serve_apps.coalescer import Asked
from serve_apps.journey import traced
from serve_apps.line import Connect, Line, open_line, settle

log = logging.getLogger(__name__)
_SQL = load_sql("serve_apps", "audit")
_ASK_S = 5.0  # a question that takes longer counts as failed
_ATTEMPTS = 2  # after the first: on a new connection, on a new chain; a group that is there already changes nothing
_CHAIN_S = 43_200.0  # the database takes nothing for a chain that is older than yesterday

_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError, OSError)
UNWRITABLE = "The audit trail cannot be written, and nothing is answered without it; try again shortly."

Found = TypeVar("Found")


class Answer(NamedTuple, Generic[Found]):
    """What a question brought: the digest of its group, or None when it did not become part of the chain."""

    digest: bytes | None
    found: Mapping[str, Found]


class Question(Protocol[Found]):
    """What is asked together with the group. Its last parameters are chain, place and the digest before."""

    @property
    def statement(self) -> str:
        """Return the statement, with %s for each parameter."""
        ...

    def parameters(self, group: str, batch: Sequence[Asked]) -> list[bytes]:
        """Return the parameters before the chain's, as text."""
        ...

    def read(self, result: PGresult) -> Answer[Found]:
        """Read the rows, which are in binary form."""
        ...


@dataclass(slots=True)  # not frozen: it grows with every group
class _Chain:
    """Where a chain ends: the last group that is durable, and the digest that the next one covers."""

    number: int
    head: bytes
    opened: float
    seq: int = 0


class ChainLane(Generic[Found]):
    """Asks one question at a time, each as the next group of a chain of this lane's own.

    Each group covers the digest of the one before, so that none can be changed or taken out unseen. A group whose fate
    is unknown is sent again under the same number; when another one stands there, the lane goes on in a new chain.
    """

    def __init__(self, connect: Connect, question: Question[Found]) -> None:
        self._connect = connect
        self._question = question
        self._line: Line | None = None
        self._chain: _Chain | None = None
        self._mending: asyncio.Task[None] | None = None
        self.opened = 0  # chains
        self.retried = 0  # tries beyond a group's first
        self.failed = 0  # groups that could not be written

    def ask(self, group: str, batch: Sequence[Asked], done: Callable[[Mapping[str, Found] | Exception], None]) -> None:
        """Ask, and call `done` with what was found by key, or with Unavailable."""
        done = traced(self._question.statement, batch, done)
        loop = asyncio.get_running_loop()
        line, chain = self._line, self._chain
        if line is None or chain is None or not line.is_open or loop.time() - chain.opened > _CHAIN_S:
            self._mending = loop.create_task(self._mend(group, batch, done))
            return

        def take(outcome: PGresult | Exception) -> None:
            found = None
            if not isinstance(outcome, Exception):
                with suppress(Exception):  # rows that cannot be read: asked again, and told if that fails too
                    found = self._extend(chain, outcome)
            if found is None:
                self.retried += 1
                self._mending = loop.create_task(self._mend(group, batch, done))
            else:
                done(found)

        self._send(line, chain, group, batch, take)

    async def warm(self) -> None:
        """Connect and begin a chain; without a database the first question tries again."""
        with suppress(psycopg.Error, TimeoutError, OSError):
            self._chain = await self._open_chain()
            self._line = await open_line(self._connect, self._question.statement, _ASK_S)

    async def aclose(self) -> None:
        """Close the connection; the next question opens another one."""
        if self._mending is not None:
            self._mending.cancel()
        line, self._line = self._line, None
        if line is not None:
            await line.aclose()

    def _send(
        self,
        line: Line,
        chain: _Chain,
        group: str,
        batch: Sequence[Asked],
        done: Callable[[PGresult | Exception], None],
    ) -> None:
        own = self._question.parameters(group, batch)
        parameters = [*own, str(chain.number).encode(), str(chain.seq + 1).encode(), chain.head]
        line.ask(parameters, [*(0 for _ in parameters[1:]), 1], _ASK_S, done)

    def _extend(self, chain: _Chain, result: PGresult) -> Mapping[str, Found] | None:
        """Take what was found when the group is durable; None when another one stands in its place."""
        answer = self._question.read(result)
        if answer.digest is None:
            self._chain = None
            return None
        chain.seq, chain.head = chain.seq + 1, answer.digest
        return answer.found

    async def _mend(
        self, group: str, batch: Sequence[Asked], done: Callable[[Mapping[str, Found] | Exception], None]
    ) -> None:
        """Ask the slow way: connect and begin a chain where there is none, and try again what failed."""
        failure: Exception | None = None
        try:
            for attempt in range(_ATTEMPTS):
                self.retried += attempt > 0
                try:
                    found = await self._try(group, batch)
                except Exception as error:  # noqa: BLE001 - whatever failed, those who wait are told and the lane goes on
                    failure = error
                    if self._line is not None:
                        await self._line.aclose()
                        self._line = None
                    continue
                if found is not None:
                    done(found)
                    return
        except asyncio.CancelledError:
            done(Unavailable("The replica is shutting down; try again."))
            raise
        self._chain = None
        self.failed += 1
        what = (
            f"{type(failure).__name__} {getattr(failure, 'sqlstate', None) or ''}" if failure else "places were taken"
        )
        log.error("%d audit events could not be written: %s", len(batch), what.strip())
        done(failure if _is_ours(failure) else Unavailable(UNWRITABLE))

    async def _try(self, group: str, batch: Sequence[Asked]) -> Mapping[str, Found] | None:
        loop = asyncio.get_running_loop()
        if self._chain is None or loop.time() - self._chain.opened > _CHAIN_S:
            self._chain = await self._open_chain()
        if self._line is None or not self._line.is_open:
            self._line = await open_line(self._connect, self._question.statement, _ASK_S)
        answered: asyncio.Future[PGresult | Exception] = loop.create_future()
        self._send(self._line, self._chain, group, batch, partial(settle, answered))
        outcome = await answered
        if isinstance(outcome, Exception):
            raise outcome
        return self._extend(self._chain, outcome)

    async def _open_chain(self) -> _Chain:
        async with asyncio.timeout(_ASK_S):
            connection = await self._connect()
            async with connection:
                opened = await (await connection.execute(_SQL["open_chain"])).fetchone()
        assert opened is not None
        self.opened += 1
        return _Chain(opened[0], opened[1], asyncio.get_running_loop().time())


def _is_ours(failure: Exception | None) -> TypeGuard[Exception]:
    """Say whether it was the statement or its reading that failed, and not the database that was not there."""
    return failure is not None and not isinstance(failure, _AWAY)
