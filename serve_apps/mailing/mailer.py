"""The process that mails receipts: what is due is claimed, handed to the mail server and noted, one after another.

Killed anywhere, it sends nothing twice but what the mail server had taken and the database had not been told of yet.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from pydantic import ValidationError

from configs.settings import Settings
from receipts.database import DatabaseRole, open_connection
from receipts.logs import described
from receipts.models import Receipt, Store
from receipts.sql import load_sql
from serve_apps.mailing.message import Letter, compose
from serve_apps.mailing.metrics import Metrics
from serve_apps.mailing.outlets import Away, NotTaken, Outlet, Session

_log = logging.getLogger(__name__)
_SQL = load_sql("serve_apps.mailing", "mailer")
_STEPS = 4  # of mail.timeout_s: for a whole message; one that trickles in by single steps must end too
_LEASE_S = 60.0  # beyond that: for making the message and for noting what became of it
_PATIENCE_S = 86_400.0  # a receipt that comes a day late surprises more than it helps
_LONGEST_PAUSE_S = 3_600.0  # between two tries of a message: as mail servers do it
_AWAY_S = 60.0  # the longest pause between two tries to reach the mail server, or Postgres
_BREATH_S = 0.2  # after all that was due: what is left of it is in another mailer's hands
_FORGET_S = 600.0  # between two looks for what is old enough to be forgotten

At = Callable[[str], None]  # hears "claimed" and "taken" as they happen; a test kills the process there
Connection = AsyncConnection[Any]


class _Claim(NamedTuple):
    delivery_id: UUID
    attempts: int


class _End(NamedTuple):
    """What became of an attempt: the statement that notes it, and what it takes."""

    block: str
    params: Mapping[str, object]


class Mailer:
    """Sends what is due until it is stopped. Several may run: each delivery is one mailer's at a time."""

    def __init__(self, settings: Settings, outlet: Outlet, metrics: Metrics, at: At = lambda _: None) -> None:
        self._settings = settings
        self._outlet = outlet
        self._metrics = metrics
        self._at = at
        self._unnoted: _End | None = None  # what the database has yet to be told
        self._said = ""  # why the mail server turned us away, as it was logged
        self._away_s = 0.0  # the pause after that
        self._away_until = float("-inf")
        self._forgot_at = float("-inf")
        self._alive_at = float("-inf")
        self._connected = False

    def is_ready(self) -> bool:
        """Say whether it knows what is due, and is not stuck."""
        mail = self._settings.mail
        return (
            self._connected and time.monotonic() - self._alive_at < mail.interval_s + _STEPS * mail.timeout_s + _AWAY_S
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set; the message that is being handed over then is finished first."""
        pause_s = 0.0
        while not stop.is_set():
            try:
                async with await open_connection(self._settings, DatabaseRole.MAILER) as connection:
                    self._note_postgres(up=True)
                    pause_s = 0.0
                    await self._serve(connection, stop)
            except psycopg.Error as error:
                self._note_postgres(up=False)
                if not pause_s:
                    _log.warning("Postgres is away; mailing goes on when it is back: %s", described(error))
                pause_s = min(max(1.0, 2 * pause_s), _AWAY_S)
                await _rest(stop, pause_s)
        if self._unnoted is not None:
            _log.error("A delivery was sent and Postgres could not be told: it will be sent once more.")

    def _note_postgres(self, *, up: bool) -> None:
        self._connected = up
        self._metrics.postgres_up.set(up)

    async def _serve(self, connection: Connection, stop: asyncio.Event) -> None:
        await connection.execute(_SQL["listen"])
        if self._unnoted is not None:
            await self._note(connection, self._unnoted)
        while not stop.is_set():
            self._alive_at = time.monotonic()
            wait_s = await self._look(connection)
            if wait_s <= 0:
                wait_s = await self._send_due(connection, stop)
            await _news(connection, stop, min(wait_s, self._settings.mail.interval_s))

    async def _look(self, connection: Connection) -> float:
        """Give up and forget what is too old, measure what waits, and return in how many seconds the next is due."""
        late = await connection.execute(
            _SQL["give_up_late"], {"patience_s": _PATIENCE_S, "detail": "It could not be sent within a day."}
        )
        self._metrics.failed.labels("late").inc(max(late.rowcount, 0))
        if time.monotonic() - self._forgot_at > _FORGET_S:
            self._forgot_at = time.monotonic()  # first: where it takes too long, what is due is sent all the same
            await connection.execute(_SQL["forget_old"], {"days": self._settings.mail.kept_days})
        waiting, oldest_s, due_s = await _one(connection, "measure")
        self._metrics.waiting.set(waiting)
        self._metrics.oldest_seconds.set(oldest_s)
        return self._settings.mail.interval_s if due_s is None else due_s

    async def _send_due(self, connection: Connection, stop: asyncio.Event) -> float:
        """Send all that is due in one conversation; return for how long to rest.

        The mail server is reached first: while it is away nothing is claimed, and all that waits can be taken back.
        """
        if self._away_until > time.monotonic():
            return self._away_until - time.monotonic()
        try:
            session = await asyncio.to_thread(self._outlet.open)
        except Away as error:
            return self._turned_away(error)
        self._metrics.server_up.set(1)
        self._said, self._away_s = "", 0.0
        try:
            while session.is_open and not stop.is_set() and (claim := await self._claim(connection)) is not None:
                self._alive_at = time.monotonic()
                await self._note(connection, await self._attempt(connection, session, claim))
            return _BREATH_S if session.is_open else 1.0  # a server that hung up is not pressed
        finally:
            await asyncio.to_thread(session.close)

    def _turned_away(self, error: Away) -> float:
        """Note that the mail server takes nothing and return for how long to leave it alone: longer each time."""
        self._metrics.server_up.set(0)
        if str(error) != self._said:
            self._said = str(error)
            _log.warning("Nothing can be mailed: %s", error)
        self._away_s = min(max(1.0, 2 * self._away_s), _AWAY_S)
        self._away_until = time.monotonic() + self._away_s
        return self._away_s

    async def _claim(self, connection: Connection) -> _Claim | None:
        lease_s = _STEPS * self._settings.mail.timeout_s + _LEASE_S
        row = await (await connection.execute(_SQL["claim_delivery"], {"lease_s": lease_s})).fetchone()
        return None if row is None else _Claim(*row)

    async def _attempt(self, connection: Connection, session: Session, claim: _Claim) -> _End:
        """Try to send a claimed delivery and return what became of it."""
        self._at("claimed")
        if claim.attempts > self._settings.mail.retries + 1:  # whoever had it before died of it, again and again
            return self._failed(claim, "unusable", "The mailer could not finish it.")
        letter = await self._find_letter(connection, claim)
        if letter is None:
            return self._failed(claim, "unusable", "The receipt is not there any more.")
        try:
            await self._hand_over(session, letter)
        except NotTaken as error:
            return self._refused(claim, error)
        self._at("taken")
        self._metrics.sent_seconds.observe(max(time.time() - letter.send_at.timestamp(), 0.0))
        _log.info("The delivery %s was sent.", claim.delivery_id)
        return _End("record_sent", claim._asdict())

    async def _find_letter(self, connection: Connection, claim: _Claim) -> Letter | None:
        found = await connection.execute(_SQL["find_letter"], {"delivery_id": claim.delivery_id})
        row = await found.fetchone()
        if row is None or None in row:
            return None
        address, gift, send_at, document, store_document = row
        try:
            receipt, store = Receipt.model_validate_json(document), Store.model_validate_json(store_document)
        except ValidationError as error:
            _log.error("The receipt of the delivery %s cannot be read: %s", claim.delivery_id, described(error))
            return None
        return Letter(claim.delivery_id, address, gift, send_at, receipt, store)

    async def _hand_over(self, session: Session, letter: Letter) -> None:
        """Make a message and give it to the mail server, within the lease. Raises NotTaken."""
        try:
            message = await asyncio.to_thread(compose, self._settings.mail, letter)
        except Exception as error:
            # Whatever one receipt holds, the others are mailed.
            _log.exception("The message of the delivery %s cannot be made.", letter.delivery_id)
            raise NotTaken("The message could not be made.", is_final=True) from error
        sending = asyncio.create_task(asyncio.to_thread(session.send, message, letter.address))
        done, _ = await asyncio.wait({sending}, timeout=_STEPS * self._settings.mail.timeout_s)
        if not done:
            session.hang_up()
        await sending

    def _refused(self, claim: _Claim, error: NotTaken) -> _End:
        mail = self._settings.mail
        if error.is_final:
            return self._failed(claim, "refused", str(error))
        if claim.attempts > mail.retries:
            return self._failed(claim, "late", f"{error} It was tried {claim.attempts} times.")
        self._metrics.put_off.inc()
        _log.info("The delivery %s is tried again: %s", claim.delivery_id, error)
        pause_s = min(mail.retry_s * 2 ** (claim.attempts - 1), _LONGEST_PAUSE_S)
        return _End("put_off", {**claim._asdict(), "pause_s": pause_s, "detail": str(error)})

    def _failed(self, claim: _Claim, reason: str, detail: str) -> _End:
        self._metrics.failed.labels(reason).inc()
        _log.warning("The delivery %s is given up: %s", claim.delivery_id, detail)
        return _End("record_failed", {**claim._asdict(), "detail": detail})

    async def _note(self, connection: Connection, end: _End) -> None:
        """Tell the database what became of an attempt; if it is away, that is done first when it is back."""
        self._unnoted = end
        await connection.execute(_SQL[end.block], end.params)
        self._unnoted = None


async def _one(connection: Connection, block: str) -> tuple[Any, ...]:
    row = await (await connection.execute(_SQL[block])).fetchone()
    if row is None:
        raise RuntimeError(f"{block} answers one row, always")
    return row


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def _news(connection: Connection, stop: asyncio.Event, seconds: float) -> None:
    """Wait until something is scheduled, the time is over or the mailer is to stop. Raises psycopg.Error."""

    async def hear() -> None:
        async with aclosing(connection.notifies(timeout=seconds, stop_after=1)) as notices:
            async for _ in notices:
                pass

    hearing, stopping = asyncio.create_task(hear()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if hearing.done():
            hearing.result()
    finally:
        for task in (hearing, stopping):
            task.cancel()
        await asyncio.gather(hearing, stopping, return_exceptions=True)
