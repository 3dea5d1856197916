"""Who may do what: the one table, readable aloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from receipts.errors import Forbidden


class Role(StrEnum):
    """What a person or service is at work."""

    CS_REP = "cs_rep"
    SUPERVISOR = "supervisor"
    FRAUD_TEAM = "fraud_team"
    PRIVACY_OFFICER = "privacy_officer"
    ADMIN = "admin"
    TILL = "till"


class Permission(StrEnum):
    """What a route or command needs; every route declares exactly one."""

    READ_RECEIPTS = "receipts:read"
    SEARCH_RECEIPTS = "receipts:search"
    DELIVER_RECEIPTS = "receipts:deliver"
    READ_CUSTOMERS = "customers:read"
    REVEAL_CONTACTS = "contacts:reveal"
    EXPORT_RECEIPTS = "receipts:export"
    FLAG_FRAUD = "fraud:flag"
    READ_FRAUD_PATTERNS = "fraud:patterns"
    READ_AUDIT = "audit:read"
    FULFIL_PRIVACY_REQUESTS = "privacy:fulfil"
    OPERATE = "platform:operate"
    WRITE_RECEIPTS = "receipts:write"


_REP = {
    Permission.READ_RECEIPTS,
    Permission.SEARCH_RECEIPTS,
    Permission.DELIVER_RECEIPTS,
    Permission.READ_CUSTOMERS,
}
_SUPERVISOR = _REP | {Permission.REVEAL_CONTACTS, Permission.EXPORT_RECEIPTS, Permission.FLAG_FRAUD}

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.CS_REP: frozenset(_REP),
    Role.SUPERVISOR: frozenset(_SUPERVISOR),
    Role.FRAUD_TEAM: frozenset(_SUPERVISOR | {Permission.READ_FRAUD_PATTERNS}),
    Role.PRIVACY_OFFICER: frozenset({Permission.READ_AUDIT, Permission.FULFIL_PRIVACY_REQUESTS}),
    Role.ADMIN: frozenset({Permission.OPERATE}),
    Role.TILL: frozenset({Permission.WRITE_RECEIPTS}),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking. `scope_id` is the database's opaque handle for the regions this principal may see."""

    principal_id: str
    role: Role
    scope_id: str = field(repr=False)  # a handle opens regions to whoever presents it: not for logs
    session_id: str = ""
    client_id: str = ""  # whose token it is: the program that got it and keeps it, where the token says


def require(principal: Principal, permission: Permission) -> None:
    """Raise Forbidden unless the principal's role carries the permission."""
    if permission not in PERMISSIONS[principal.role]:
        raise Forbidden(f"The role {principal.role} does not permit {permission}.")
