"""What commands do in the name of the tables' owner, and the secrets they make."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg

from cluster.postgres import admin_dsn
from configs.settings import Settings
from receipts.sql import load_sql

_SQL = load_sql("cluster", "administering")


@contextmanager
def as_owner(settings: Settings) -> Generator[psycopg.Connection[tuple[object, ...]]]:
    """Give a connection whose one transaction acts as the tables' owner; it is committed at the end."""
    with psycopg.connect(admin_dsn(settings), connect_timeout=5) as connection:  # 5 s: a down server must not hang us
        connection.execute(_SQL["act_as_owner"])
        yield connection


def put_on_record(
    connection: psycopg.Connection[tuple[object, ...]], route: str, purpose: str, constraints: Mapping[str, object]
) -> None:
    """Put what an administrator's command does into the audit trail, in the transaction of the doing.

    It is the only group of a chain of its own. Who did it is the login of the database; `constraints` say what, without
    personal data.
    """
    who = connection.execute(_SQL["who_am_i"]).fetchone() or ("",)
    event = {
        "occurred_at": datetime.now(UTC).isoformat(),
        "principal_id": who[0],
        "role": "administrator",
        "session_id": "",
        "route": route,
        "outcome": "answered",
        "status": 200,
        "receipt_ids": [],
        "customer_ids": [],
        "purpose": purpose,
        "client_address": "",
        "request_id": "",
        "constraints": constraints,
    }
    chain, head = connection.execute(_SQL["open_chain"]).fetchone() or (0, b"")
    row = {"chain": chain, "head": head, "payload": json.dumps([event])}
    connection.execute(_SQL["extend_chain"], row)


def new_secret() -> tuple[str, bytes]:
    """Return a secret of 256 random bits and the digest that is kept of it."""
    secret = secrets.token_urlsafe(32)
    return secret, hashlib.sha256(secret.encode()).digest()
