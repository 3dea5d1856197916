"""Answers too long to hold: the head passes every layer like any other, the body begins when its event is durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from serve_apps.exchange import exchange_of

_STALLED_S = 60.0  # a reader that takes nothing for so long is gone, and would hold a snapshot of the database
_LONGEST_S = 3_600.0  # as long as an access token lasts: whoever may not come in any more is not read to either


class StreamedAnswer(StreamingResponse):
    """A file that is written while it is read. Nothing of `body` runs before the answer is on record.

    It leaves its body on the exchange, where the audit trail takes it: what refuses the answer on the way, such as a
    limit, drops a body that never began.
    """

    def __init__(self, body: AsyncGenerator[bytes, None], media_type: str, file_name: str) -> None:
        disposition = f'attachment; filename="{file_name}"'
        super().__init__(body, media_type=media_type, headers={"content-disposition": disposition})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Send the head."""
        exchange_of(scope).body = cast("AsyncGenerator[bytes, None]", self.body_iterator)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})


async def pour(body: AsyncGenerator[bytes, None], receive: Receive, send: Send) -> None:
    """Send a body piece by piece, and close it as soon as it ends or its reader goes away.

    Raises whatever the body does, and TimeoutError for a reader that stalls. What was sent until then is not ended as
    a whole answer is, so the reader knows that the rest is missing.
    """
    pouring = asyncio.create_task(_pour(body, send))
    leaving = asyncio.create_task(_until_gone(receive))
    try:
        await asyncio.wait((pouring, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        pouring.cancel()
        leaving.cancel()
        await asyncio.wait((pouring, leaving))
    failures = [one.exception() for one in (pouring, leaving) if not one.cancelled()]
    for failure in failures:
        if failure is not None:
            raise failure


async def _pour(body: AsyncGenerator[bytes, None], send: Send) -> None:
    async with aclosing(body), asyncio.timeout(_LONGEST_S):
        async for piece in body:
            async with asyncio.timeout(_STALLED_S):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
