"""What the searches know of the shops: store names and the catalogue's words, read again as they age."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from psycopg import AsyncConnection
from starlette.requests import Request

from receipts.sql import load_sql
from serve_apps.api import Lifespan
from serve_apps.search_products import ProductSearch
from serve_apps.serving import ServingContext
from serve_apps.spelling import Spelling
from serve_apps.understanding.parser import Knowledge
from serve_apps.understanding.query import StoreNames
from serve_apps.understanding.stores import gazetteer

_SQL = load_sql("serve_apps", "search_knowledge")
_FRESH_S = 60.0
_EMPTY_FRESH_S = 2.0  # a new platform's first stores are looked for often


@dataclass(slots=True)  # not frozen: it ages
class ShopKnowledge:
    """Store names and catalogue words of one replica. One reader at a time reads them anew; others use the old."""

    context: ServingContext
    products: ProductSearch
    _known: Knowledge = field(default_factory=lambda: Knowledge(gazetteer(())))
    _spelling: Spelling = field(default_factory=lambda: Spelling.of({}))
    _read_at: float = float("-inf")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def current(self) -> Knowledge:
        """Return what is known, at most a minute old."""
        is_empty = not self._known.stores.stores or not self._spelling.words
        age = time.monotonic() - self._read_at
        if age > (_EMPTY_FRESH_S if is_empty else _FRESH_S) and (is_empty or not self._lock.locked()):
            async with self._lock:
                if time.monotonic() - self._read_at >= age:  # nobody else did while we waited
                    await self._read()
        return self._known

    def corrected(self, phrase: str) -> str:
        """Return a phrase for products with its typing errors put right, by the words as last read."""
        return self._spelling.corrected(phrase)

    async def _read(self) -> None:
        async def read(connection: AsyncConnection[Any]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
            stores = await (await connection.execute(_SQL["list_stores"])).fetchall()
            return stores, await (await connection.execute(_SQL["list_words"])).fetchall()

        stores, words = await self.context.reads.run(read)
        self._spelling = Spelling.of({str(word): int(count) for word, count in words if word})
        names = [StoreNames(int(store_id), str(name), tuple(aliases)) for store_id, name, aliases in stores]
        self._known = Knowledge(gazetteer(names), self._spelling.singulars or None)
        self._read_at = time.monotonic()


def knowing_shops(context: ServingContext) -> Lifespan:
    """Return the part of an application's life in which its handlers may ask for `Shops`."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncGenerator[None, None]:
        app.state.shops = ShopKnowledge(context, ProductSearch(context))
        yield

    return life


def _shops(request: Request) -> ShopKnowledge:
    return request.app.state.shops


Shops = Annotated[ShopKnowledge, Depends(_shops)]
