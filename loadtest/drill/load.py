"""Questions at a steady pace, whatever happens to the answers, from a seed."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from loadtest.bench.http_driver import get_request
from loadtest.drill.answers import Answer, Asker, End, History, Kind, Subject
from loadtest.drill.link import Link, Reply

# With a query the history takes the long way, through all layers; the others are answered at the door.
_PATHS = {
    Kind.RECEIPT: "/receipt/{}",
    Kind.HISTORY: "/customers/{}/receipts?limit=50",
    Kind.CONTEXT: "/cs/context/{}",
}
_WAIT_S = 10.0  # nobody waits for longer
_PAUSE_S = 0.05  # after a question that found nobody
_OURS = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Plan:
    """Who asks for what: `tokens` by principal, `rate` questions a second over `connections`."""

    host: str
    port: int
    askers: Sequence[Asker]
    subjects: Sequence[Subject]
    tokens: Mapping[str, str]
    seed: int
    rate: float = 80.0
    connections: int = 12


class Load:
    """Asks in a thread of its own while the block lasts; what is due is asked late rather than never."""

    def __init__(self, plan: Plan, history: History) -> None:
        self._plan = plan
        self._history = history
        self._random = random.Random(plan.seed)  # noqa: S311 - a choice, not a secret
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="drill-load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._ask_all())
        except BaseException as failure:  # noqa: BLE001 - told to whoever waits for the end
            self._failure = failure

    async def _ask_all(self) -> None:
        begin, numbers = time.monotonic(), itertools.count()

        async def one_connection() -> None:
            link = Link(self._plan.host, self._plan.port)
            while not self._ended.is_set():
                due = begin + next(numbers) / self._plan.rate
                await asyncio.sleep(max(due - time.monotonic(), 0))
                asker, subject = self._choose()
                if not await self._ask(link, asker, subject):
                    await self._ask(link, asker, subject)
            link.close()

        await asyncio.gather(*(one_connection() for _ in range(self._plan.connections)))

    def _choose(self) -> tuple[Asker, Subject]:
        return self._random.choice(self._plan.askers), self._random.choice(self._plan.subjects)

    async def _ask(self, link: Link, asker: Asker, subject: Subject) -> bool:
        """Ask once and note how it ended; say whether it must not be asked again."""
        headers = [("Authorization", f"Bearer {self._plan.tokens[asker.principal_id]}")]
        request = get_request(self._plan.host, _PATHS[subject.kind].format(subject.name), headers)
        asked_at = time.monotonic()
        reply = await link.ask(request, _WAIT_S)
        self._history.note(_answer(asker, subject, asked_at, reply))
        if reply.end is End.REFUSED:
            await asyncio.sleep(_PAUSE_S)
        return reply.end is not End.HUNG_UP


def _answer(asker: Asker, subject: Subject, asked_at: float, reply: Reply) -> Answer:
    """Tell our answers from a proxy's: only ours carry an id of our form with JSON."""
    request_id = reply.headers.get("x-request-id", "")
    is_ours = _OURS.fullmatch(request_id) and "json" in reply.headers.get("content-type", "")
    return Answer(
        asker, subject, asked_at, time.monotonic(), reply.end, reply.status, request_id if is_ours else "",
        shown=_shown(subject.kind, reply.body) if reply.status == 200 else (),
        why=_why(reply.body) if reply.status >= 500 else "",
    )  # fmt: skip


def _why(body: bytes) -> str:
    """Return what a refusal of ours says, or the beginning of a proxy's."""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(body)["detail"])
    return body[:200].decode(errors="replace").strip()


def _shown(kind: Kind, body: bytes) -> tuple[str, ...]:
    """Return the receipts that an answer holds, whoever sent it."""
    with suppress(ValueError, KeyError, TypeError):
        told = json.loads(body)
        if kind is Kind.RECEIPT:
            return (told["receipt"]["receipt_id"],)
        if kind is Kind.HISTORY:
            return tuple(receipt["receipt_id"] for receipt in told["receipts"])
    return ()
