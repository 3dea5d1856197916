"""The credentials of services: each is a principal with a secret of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from cluster.administering import as_owner, new_secret
from cluster.principals import SQL, deactivate, enter
from configs.settings import Settings
from receipts.access import Role
from receipts.errors import InvalidInput, NotFound


@dataclass(frozen=True, slots=True)
class Service:
    """A credential as it may be shown."""

    client_id: str
    role: str
    region_ids: list[int]
    all_regions: bool
    note: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def add_service(
    settings: Settings, client_id: str, role: Role, regions: Sequence[int], *, all_regions: bool, note: str = ""
) -> str:
    """Enter a service and return its secret, which is kept nowhere. Raises InvalidInput when the name is taken."""
    secret, digest = new_secret()
    with as_owner(settings) as connection:
        enter(connection, client_id, role, regions, all_regions=all_regions, display_name=note or client_id)
        row = {"client_id": client_id, "secret_digest": digest, "note": note}
        if connection.execute(SQL["add_service"], row).fetchone() is None:
            raise InvalidInput("name", f"{client_id} exists; rotate it or take another name")
    return secret


def list_services(settings: Settings) -> list[Service]:
    """Return all services by name, those that were revoked included."""
    with as_owner(settings) as connection, connection.cursor(row_factory=class_row(Service)) as cursor:
        return cursor.execute(SQL["list_services"]).fetchall()


def rotate_service(settings: Settings, client_id: str) -> str:
    """Return a service's new secret; the old one is worth nothing from now on. Raises NotFound."""
    secret, digest = new_secret()
    with as_owner(settings) as connection:
        row = {"client_id": client_id, "secret_digest": digest}
        if connection.execute(SQL["rotate_service"], row).fetchone() is None:
            raise _unknown(client_id)
    return secret


def revoke_service(settings: Settings, client_id: str) -> int:
    """Take a service's secret back and end its sessions; returns how many. Raises NotFound."""
    with as_owner(settings) as connection:
        if connection.execute(SQL["revoke_service"], {"client_id": client_id}).fetchone() is None:
            raise _unknown(client_id)
        return deactivate(connection, client_id)


def _unknown(client_id: str) -> NotFound:
    return NotFound(f"No service {client_id} is in use; `receipts clients list` shows all.")
