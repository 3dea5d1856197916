"""Vectors of what is asked: computed beside the event loop, those asked for together in one batch, and remembered."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from receipts.sentence_model import SentenceModel, query_text

_REMEMBERED = 2_048  # phrases; people ask for milk all day, and a vector is 3 KB
_MOST_AT_ONCE = 32  # phrases in a batch: 30 ms, which nobody waits for twice


class QueryVectors:
    """One replica's vectors. While a batch is computed others gather, so a burst costs few passes over the weights.

    A phrase that somebody is waiting for already is not computed again for whoever asks for it meanwhile.
    """

    def __init__(self, model: SentenceModel, remembered: int = _REMEMBERED) -> None:
        self._model = model
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedding")
        self._vectors: OrderedDict[str, str] = OrderedDict()
        self._remembered = remembered
        self._awaited: OrderedDict[str, asyncio.Future[str]] = OrderedDict()
        self._work: asyncio.Task[None] | None = None

    async def warm(self) -> None:
        """Touch every weight, so that the first question finds them in memory."""
        await self.of(["warm"])

    async def of(self, phrases: Sequence[str]) -> list[str]:
        """Return the vectors of phrases as pgvector reads them."""
        # Shielded: who hangs up must not take away what others wait for.
        return await asyncio.gather(*(asyncio.shield(self._vector(phrase)) for phrase in phrases))

    def close(self) -> None:
        """Let the thread end; what it is computing is finished first."""
        self._thread.shutdown()

    def _vector(self, phrase: str) -> asyncio.Future[str]:
        awaited = self._awaited.get(phrase)
        if awaited is not None:
            return awaited
        vector: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if phrase in self._vectors:
            self._vectors.move_to_end(phrase)
            vector.set_result(self._vectors[phrase])
            return vector
        self._awaited[phrase] = vector
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._embed_awaited())
        return vector

    async def _embed_awaited(self) -> None:
        while self._awaited:
            batch = list(self._awaited)[:_MOST_AT_ONCE]
            loop = asyncio.get_running_loop()
            try:
                vectors = await loop.run_in_executor(self._thread, self._embed, batch)
            except Exception as error:  # noqa: BLE001  whatever it is, each of those who wait is told
                for phrase in batch:
                    self._awaited.pop(phrase).set_exception(error)
                continue
            for phrase, vector in zip(batch, vectors, strict=True):
                self._awaited.pop(phrase).set_result(vector)
                self._remember(phrase, vector)

    def _remember(self, phrase: str, vector: str) -> None:
        self._vectors[phrase] = vector
        while len(self._vectors) > self._remembered:
            self._vectors.popitem(last=False)

    def _embed(self, phrases: list[str]) -> list[str]:
        vectors = self._model.encode([query_text(phrase) for phrase in phrases])
        return [f"[{','.join(f'{x:.5f}' for x in vector)}]" for vector in vectors]
