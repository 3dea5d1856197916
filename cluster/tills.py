"""The credentials of tills and feeds, written by the database's administrator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from cluster.administering import as_owner, new_secret
from configs.settings import Settings
from receipts.errors import InvalidInput, NotFound
from receipts.identity import MAX_STORE
from receipts.sql import load_sql

_SQL = load_sql("cluster", "tills")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_STORES = 500  # a token names them all, and travels in one header


@dataclass(frozen=True, slots=True)
class Till:
    """A credential as it may be shown."""

    client_id: str
    store_ids: list[int]
    all_stores: bool
    note: str
    created_at: datetime
    revoked_at: datetime | None


def add_till(settings: Settings, client_id: str, store_ids: Sequence[int], *, all_stores: bool, note: str = "") -> str:
    """Write a credential for some stores or for all, and return its secret, which is kept nowhere.

    Raises InvalidInput when the name is taken or no name, or the stores are not right.
    """
    if not _NAME.fullmatch(client_id):
        raise InvalidInput("client_id", f"{client_id!r} is not up to 100 letters, digits, dots, dashes and underscores")
    if all_stores == bool(store_ids):
        raise InvalidInput("stores", "say either which stores or all of them")
    if len(store_ids) > _MOST_STORES or not all(1 <= store_id <= MAX_STORE for store_id in store_ids):
        raise InvalidInput("stores", f"up to {_MOST_STORES} numbers from 1 to {MAX_STORE} are accepted")
    secret, digest = new_secret()
    row = {"client_id": client_id, "store_ids": sorted(set(store_ids)), "all_stores": all_stores, "note": note}
    with as_owner(settings) as connection:
        if connection.execute(_SQL["add_client"], {**row, "secret_digest": digest}).fetchone() is None:
            raise InvalidInput("client_id", f"{client_id} exists; rotate it or take another name")
    return secret


def list_tills(settings: Settings) -> list[Till]:
    """Return all credentials by name, those that were revoked included."""
    with as_owner(settings) as connection, connection.cursor(row_factory=class_row(Till)) as cursor:
        return cursor.execute(_SQL["list_clients"]).fetchall()


def rotate_till(settings: Settings, client_id: str) -> str:
    """Return a credential's new secret; the old one is accepted for another minute. Raises NotFound."""
    secret, digest = new_secret()
    _change(settings, "rotate_client", {"client_id": client_id, "secret_digest": digest})
    return secret


def revoke_till(settings: Settings, client_id: str) -> None:
    """Let a credential get no more tokens; the last one it has ends within the hour. Raises NotFound."""
    _change(settings, "revoke_client", {"client_id": client_id})


def _change(settings: Settings, block: str, values: dict[str, object]) -> None:
    with as_owner(settings) as connection:
        if connection.execute(_SQL[block], values).fetchone() is None:
            raise NotFound(f"No credential {values['client_id']} is in use; `receipts tills list` shows all.")
