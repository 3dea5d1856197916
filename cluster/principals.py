"""Who may sign in, who they are at the company's provider, and their sessions: written by the administrator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from cluster.administering import as_owner
from configs.settings import Settings
from receipts.access import Role
from receipts.errors import InvalidInput, NotFound
from receipts.sql import load_sql

SQL = load_sql("cluster", "principals")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_REGIONS = 32_767  # what a region's number may be at most
_LONGEST = 255  # OpenID Connect Core 1.0, section 2: of a subject

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A principal as it is listed. `identities` are issuer and subject, with a space between."""

    principal_id: str
    role: str
    display_name: str
    region_ids: list[int]
    all_regions: bool
    active: bool
    follows_groups: bool
    identities: list[str]


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that goes on."""

    session_id: str
    principal_id: str
    client_id: str
    opened_at: datetime
    expires_at: datetime


def add_principal(
    settings: Settings, principal_id: str, role: Role, regions: Sequence[int], *, all_regions: bool, display_name: str
) -> None:
    """Enter somebody for some regions or for all. Raises InvalidInput when the name is taken or something is wrong."""
    with as_owner(settings) as connection:
        enter(connection, principal_id, role, regions, all_regions=all_regions, display_name=display_name)


def enter(
    connection: Connection,
    principal_id: str,
    role: Role,
    regions: Sequence[int],
    *,
    all_regions: bool,
    display_name: str,
) -> None:
    """Enter somebody in a transaction of the caller's. Raises InvalidInput."""
    if not _NAME.fullmatch(principal_id):
        raise InvalidInput("name", f"{principal_id!r} is not up to 100 letters, digits, dots, dashes and underscores")
    if all_regions == bool(regions):
        raise InvalidInput("regions", "say either which regions or all of them")
    if not all(1 <= region <= _MOST_REGIONS for region in regions):
        raise InvalidInput("regions", f"numbers from 1 to {_MOST_REGIONS} are accepted")
    if role is Role.TILL:
        raise InvalidInput("role", "tills have credentials of their own: receipts tills add")
    row = {
        "principal_id": principal_id,
        "role": role.value,
        "display_name": display_name or principal_id,
        "region_ids": sorted(set(regions)),
        "all_regions": all_regions,
    }
    if connection.execute(SQL["add_principal"], row).fetchone() is None:
        raise InvalidInput("name", f"{principal_id} exists; take another name")


def list_principals(settings: Settings) -> list[Entry]:
    """Return everybody by name, also who may not sign in any more."""
    with as_owner(settings) as connection, connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(SQL["list_principals"]).fetchall()


def activate_principal(settings: Settings, principal_id: str) -> None:
    """Let somebody sign in again. Raises NotFound."""
    with as_owner(settings) as connection:
        _set_active(connection, principal_id, active=True)


def deactivate_principal(settings: Settings, principal_id: str) -> int:
    """Let somebody sign in no more and end all sessions; returns how many. Raises NotFound."""
    with as_owner(settings) as connection:
        return deactivate(connection, principal_id)


def deactivate(connection: Connection, principal_id: str) -> int:
    """Do so in a transaction of the caller's."""
    _set_active(connection, principal_id, active=False)
    return _end(connection, "deactivation", principal_id=principal_id)


def link_identity(settings: Settings, principal_id: str, subject: str) -> None:
    """Say who a principal is at the company's provider. Raises InvalidInput or NotFound."""
    issuer = settings.auth.upstream.issuer
    if not issuer:
        raise InvalidInput("issuer", "no identity provider is set (RECEIPTS_AUTH__UPSTREAM__ISSUER)")
    if not (0 < len(subject) <= _LONGEST and subject.isascii() and subject.isprintable()) or "@" in subject:
        raise InvalidInput(
            "subject", "expected the provider's own id of the person; an e-mail address may change hands"
        )
    row = {"issuer": issuer, "subject": subject, "principal_id": principal_id}
    with as_owner(settings) as connection:
        if connection.execute(SQL["find_principal"], row).fetchone() is None:
            raise _unknown(principal_id)
        if connection.execute(SQL["link_identity"], row).fetchone() is None:
            raise InvalidInput("subject", "is another principal already; unlink that one first")


def unlink_identities(settings: Settings, principal_id: str) -> int:
    """Take away who a principal is at the company's provider, and end all sessions; returns how many links went."""
    with as_owner(settings) as connection:
        gone = connection.execute(SQL["unlink_identities"], {"principal_id": principal_id}).fetchall()
        _end(connection, "revocation", principal_id=principal_id)
    return len(gone)


def list_sessions(settings: Settings, principal_id: str | None = None) -> list[OpenSession]:
    """Return the sessions that go on, of one principal or of all."""
    with as_owner(settings) as connection, connection.cursor(row_factory=class_row(OpenSession)) as cursor:
        return cursor.execute(SQL["list_sessions"], {"principal_id": principal_id}).fetchall()


def revoke_sessions(settings: Settings, *, session_id: str | None = None, principal_id: str | None = None) -> int:
    """End one session or all of a principal; returns how many ended."""
    with as_owner(settings) as connection:
        return _end(connection, "revocation", session_id=session_id, principal_id=principal_id)


def _set_active(connection: Connection, principal_id: str, *, active: bool) -> None:
    row = {"principal_id": principal_id, "active": active}
    if connection.execute(SQL["set_active"], row).fetchone() is None:
        raise _unknown(principal_id)


def _end(
    connection: Connection, ended_by: str, *, session_id: str | None = None, principal_id: str | None = None
) -> int:
    row = {"ended_by": ended_by, "session_id": session_id, "principal_id": principal_id}
    return len(connection.execute(SQL["end_sessions"], row).fetchall())


def _unknown(principal_id: str) -> NotFound:
    return NotFound(f"There is no principal {principal_id}; `receipts principals list` shows all.")
