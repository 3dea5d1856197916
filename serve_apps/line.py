"""One connection that one statement is asked on, again and again, at a fraction of what a cursor costs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.errors import Diagnostic
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult

_NAME = b"asked"
_BINARY = 1
_PLACEHOLDER = re.compile("%s")

Connect = Callable[[], Awaitable[AsyncConnection[Any]]]
Done = Callable[[PGresult | Exception], None]


class Line:
    """A prepared statement on a connection of its own. One question at a time; each is a transaction.

    It speaks through libpq as psycopg offers it, with a reader that stays registered and results that are read where
    they lie: a cursor would cost more processor time than the database spends on a whole group of lookups.
    """

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        """Take over an open connection in the running event loop; `open_line` makes one."""
        self._connection = connection  # kept, for as long as its libpq connection is used
        self._pgconn = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._socket = self._pgconn.socket
        self._warning = ""
        connection.add_notice_handler(self._notice)
        self._is_closed = False
        self._done: Done | None = None
        self._result: PGresult | None = None
        self._overdue: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._socket, self._read)

    @property
    def is_open(self) -> bool:
        """Say whether another question may be asked."""
        return not self._is_closed

    def ask(self, parameters: Sequence[bytes], binary: Sequence[int], within_s: float, done: Done) -> None:
        """Ask with these parameters and call `done` once, later, with the rows in binary form or with what failed.

        `binary` holds 1 for a parameter in binary form and 0 for text. After a failure of the connection, or when no
        answer came in time, the line is closed: nobody knows what became of the question. A warning is a failure too.
        """
        self._begin(done, within_s)
        try:
            self._pgconn.send_query_prepared(_NAME, parameters, binary, _BINARY)
            self._write()
        except psycopg.Error as error:
            self._loop.call_soon(self._fail, error)

    async def prepare(self, statement: str, within_s: float) -> None:
        """Prepare the statement, written with %s for each parameter, as the one that is asked."""
        numbers = count(1)
        numbered = _PLACEHOLDER.sub(lambda _: f"${next(numbers)}", statement)
        prepared: asyncio.Future[PGresult | Exception] = self._loop.create_future()
        self._begin(partial(settle, prepared), within_s)
        self._pgconn.send_prepare(_NAME, numbered.encode())
        self._write()
        outcome = await prepared
        if isinstance(outcome, Exception):
            raise outcome

    async def aclose(self) -> None:
        """Close the connection; a question that waits fails."""
        self._fail(psycopg.OperationalError("the connection was closed"))

    def _begin(self, done: Done, within_s: float) -> None:
        assert self._done is None, "one question at a time"
        self._done, self._result, self._warning = done, None, ""
        late = TimeoutError(f"the database did not answer within {within_s:g} s")
        self._overdue = self._loop.call_later(within_s, self._fail, late)

    def _write(self) -> None:
        """Send what libpq holds; what the socket does not take at once is sent when it does."""
        if self._pgconn.flush():
            self._loop.add_writer(self._socket, self._write_more)

    def _write_more(self) -> None:
        try:
            if not self._pgconn.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error as error:
            self._fail(error)

    def _read(self) -> None:
        pgconn = self._pgconn
        try:
            pgconn.consume_input()
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    break
                self._result = result
            else:
                return
        except psycopg.Error as error:
            self._fail(error)
            return
        if pgconn.status != ConnStatus.OK:
            self._fail(psycopg.OperationalError("the connection is lost"))
        elif self._done is not None:
            self._finish(self._outcome())

    def _outcome(self) -> PGresult | Exception:
        result = self._result
        if result is None:
            return psycopg.OperationalError("the database answered nothing")
        if self._warning:
            return psycopg.OperationalError(f"the commit may stand on one server only: {self._warning}")
        if result.status in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
            return result
        return psycopg.errors.error_from_result(result)

    def _notice(self, notice: Diagnostic) -> None:
        """Take a warning for a failure: a wait for a standby that was cut short reports success, with a warning."""
        if notice.severity_nonlocalized == "WARNING":
            self._warning = notice.message_primary or "warning"

    def _finish(self, outcome: PGresult | Exception) -> None:
        done, self._done, self._result = self._done, None, None
        if self._overdue is not None:
            self._overdue.cancel()
        if done is not None:
            done(outcome)

    def _fail(self, error: Exception) -> None:
        """Close the connection for good."""
        if not self._is_closed:  # also when libpq has noticed by itself: its socket must leave the event loop first
            self._is_closed = True
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._pgconn.finish()
        self._finish(error)


async def open_line(connect: Connect, statement: str, within_s: float) -> Line:
    """Connect and prepare the statement. Raises psycopg.Error or TimeoutError."""
    async with asyncio.timeout(within_s):
        connection = await connect()
    line = Line(connection)
    try:
        await line.prepare(statement, within_s)
    except BaseException:
        await line.aclose()
        raise
    return line


def settle(future: asyncio.Future[PGresult | Exception], outcome: PGresult | Exception) -> None:
    """Let whoever awaits the future have the outcome, if anybody still does."""
    if not future.done():
        future.set_result(outcome)
