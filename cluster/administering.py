"""What commands do in the name of the tables' owner, and the secrets they make."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Generator
from contextlib import contextmanager

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


def new_secret() -> tuple[str, bytes]:
    """Return a secret of 256 random bits and the digest that is kept of it."""
    secret = secrets.token_urlsafe(32)
    return secret, hashlib.sha256(secret.encode()).digest()
