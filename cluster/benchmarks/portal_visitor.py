"""A browser of the portal without its screen: one connection, its cookies, and the requests that the page makes."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field

from configs.settings import Settings

_PREDICT = "/rep/gradio_api/run/predict"
_FOUND = re.compile(r'data-rl-open=\\?"(\d{22})')
_GOOD = {"load": "rl-landing", "search": r"rl-(?:result|none)\b", "open": "data-rl-shown"}  # what the answer shows then
_BAD = "rl-message-(?:error|ended)"
_TOLD = 200  # characters of an answer that is none


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a person waited for: when it was asked, how long the answer took, and why it is none, or ""."""

    kind: str
    at: float  # time.perf_counter()
    took_ms: float
    failure: str


@dataclass(slots=True)
class Visitor:
    """Somebody who is signed in by this cookie; the process that the portal led them to is kept as browsers keep it."""

    settings: Settings
    cookies: dict[str, str]
    events: list[Event] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None

    async def open_page(self) -> None:
        """Open the page, read what events it has, and let it greet."""
        await self._note("page", self._ask("GET", "/rep/", accept="text/html"), "gradio_config")
        config = await self._note("config", self._ask("GET", "/rep/config"), "dependencies")
        if config:
            self._numbers = {one["targets"][0][1]: one["id"] for one in json.loads(config)["dependencies"]}
            await self.fire("load", {})

    async def search(self, text: str) -> list[str]:
        """Search as the box does; return the receipts that are listed."""
        return _FOUND.findall(await self.fire("search", {"text": text}))

    async def open_receipt(self, receipt_id: str) -> None:
        """Open one of the list."""
        await self.fire("open", {"receipt_id": receipt_id, "lines": []})

    async def fire(self, kind: str, data: dict[str, object]) -> str:
        """Send an event as the page does; return the answer, "" for none."""
        sent = {"data": [], "fn_index": self._numbers.get(kind), "event_data": {**data, "kind": kind}}
        body = json.dumps({**sent, "session_hash": "bench", "trigger_id": None}).encode()
        return await self._note(kind, self._ask("POST", _PREDICT, body=body), _GOOD[kind])

    async def _note(self, kind: str, asking: Awaitable[tuple[int, str]], good: str) -> str:
        """Note how long an answer took and whether it shows what it should; return it if so."""
        began = time.perf_counter()
        try:
            status, answer = await asking
        except (OSError, EOFError) as error:
            status, answer = 0, repr(error)
        is_good = status == 200 and re.search(good, answer) and not re.search(_BAD, answer)
        failure = "" if is_good else f"{status}: {answer[:_TOLD]}"
        self.events.append(Event(kind, began, (time.perf_counter() - began) * 1_000, failure))
        return answer if is_good else ""

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()

    async def _ask(self, method: str, path: str, *, accept: str = "*/*", body: bytes = b"") -> tuple[int, str]:
        """Send a request over the connection, a new one where the server has closed it since, as browsers do."""
        if self._reader is None or self._reader.at_eof():
            self.close()
            place = self.settings.portal
            self._reader, self._writer = await asyncio.open_connection(place.host, place.port)
        assert self._writer is not None
        lines = [
            f"{method} {path} HTTP/1.1",
            f"host: {self.settings.portal.public_url.partition('://')[2]}",
            f"accept: {accept}",
            f"cookie: {'; '.join(f'{name}={value}' for name, value in self.cookies.items())}",
            "content-type: application/json",
            f"content-length: {len(body)}",
        ]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = [line.partition(": ")[::2] for line in head.split("\r\n")[1:] if line]
        for name, value in headers:
            if name.lower() == "set-cookie":
                cookie, _, rest = value.partition("=")
                self.cookies[cookie] = rest.partition(";")[0]
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), None)
        # HAProxy says that nobody is there without a length, and hangs up.
        whole = await (self._reader.read() if length is None else self._reader.readexactly(length))
        return int(head[9:12]), whole.decode()
