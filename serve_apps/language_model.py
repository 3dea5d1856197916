"""A language model behind an OpenAI-compatible endpoint: asked politely, never waited for long, never needed."""

from __future__ import annotations

import asyncio
import logging

import httpx
import orjson

from configs.language_model import LanguageModelSettings

_log = logging.getLogger(__name__)
_MOST_BYTES = 65_536  # of an answer
_PAUSE_S = 30.0  # after a failure: nobody else waits for an endpoint that is down


class LanguageModel:
    """Asks an endpoint (`POST /chat/completions`); without one it never says anything."""

    def __init__(self, settings: LanguageModelSettings) -> None:
        self._settings = settings
        self._client = httpx.AsyncClient(timeout=settings.timeout_s, trust_env=False, follow_redirects=False)
        self._running = 0
        self._paused_until = 0.0

    @property
    def is_there(self) -> bool:
        """Say whether an endpoint is configured."""
        return bool(self._settings.url)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ask(self, order: str, told: str, tokens: int) -> str | None:
        """Return what the model writes, or None when there is none, or none that answers well and in time."""
        loop = asyncio.get_running_loop()
        busy = self._running >= self._settings.at_once or loop.time() < self._paused_until
        if not self.is_there or busy:
            return None
        self._running += 1
        try:
            async with asyncio.timeout(self._settings.timeout_s):  # httpx's own is for each read
                return await self._ask(order, told, tokens)
        except (TimeoutError, httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            _log.warning("No answer came from the language model: %s", type(error).__name__)
            self._paused_until = loop.time() + _PAUSE_S
            return None
        finally:
            self._running -= 1

    async def _ask(self, order: str, told: str, tokens: int) -> str:
        """Return what the model writes. Raises ValueError, LookupError or TypeError for no answer of the protocol."""
        key = self._settings.api_key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}
        messages = [{"role": "system", "content": order}, {"role": "user", "content": told}]
        body = {"model": self._settings.model, "messages": messages, "temperature": 0, "max_tokens": tokens}
        url = f"{self._settings.url.rstrip('/')}/chat/completions"
        read = bytearray()
        async with self._client.stream("POST", url, json=body, headers=headers) as answer:
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                read += piece
                if len(read) > _MOST_BYTES:
                    raise ValueError("the answer is too long")
        written = orjson.loads(read)["choices"][0]["message"]["content"]
        if not isinstance(written, str):
            raise TypeError
        return written
