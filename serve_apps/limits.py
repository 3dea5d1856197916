"""What one caller may ask for: the limits as tables, and the one object that holds requests against them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from enum import Enum

from configs.limits import LimitSettings, Rate
from receipts.access import Permission, Principal, Role
from receipts.errors import LimitReached, Unavailable
from serve_apps.addresses import block_of
from serve_apps.exchange import Exchange
from serve_apps.gcra import Quota
from serve_apps.leases import Leases
from serve_apps.limit_store import Asked, LimitStore, StoreDown
from serve_apps.meters import Spread
from serve_apps.seen_customers import HOUR_S, SeenCustomers

_NS = 1e9


class Without(Enum):
    """What becomes of a route while the store of the limits is down."""

    OPEN = "it goes on, within each replica's own share"
    CLOSED = "it is refused with 503: better late than unlimited"


# By the one permission that a route declares. Closed ones are also limited each by itself (`limits.sensitive`),
# to the exact number. Sign-in is closed as well; it has no permission.
ROUTES: Mapping[Permission, Without] = {
    Permission.READ_RECEIPTS: Without.OPEN,
    Permission.SEARCH_RECEIPTS: Without.OPEN,
    Permission.READ_CUSTOMERS: Without.OPEN,
    Permission.DELIVER_RECEIPTS: Without.CLOSED,
    Permission.REVEAL_CONTACTS: Without.CLOSED,
    Permission.EXPORT_RECEIPTS: Without.CLOSED,
    Permission.FLAG_FRAUD: Without.OPEN,
    Permission.READ_FRAUD_PATTERNS: Without.OPEN,
    Permission.READ_AUDIT: Without.OPEN,
    Permission.FULFIL_PRIVACY_REQUESTS: Without.CLOSED,
    Permission.OPERATE: Without.OPEN,
    Permission.WRITE_RECEIPTS: Without.OPEN,
}

# What shows many customers at once, of whom a person may see more than by opening them one by one.
_LISTS = {Permission.SEARCH_RECEIPTS, Permission.FLAG_FRAUD, Permission.READ_FRAUD_PATTERNS}


class Limits:
    """Holds requests against the limits; every method raises LimitReached when there was one too many."""

    def __init__(self, settings: LimitSettings, store: LimitStore) -> None:
        self.leases = Leases(store, settings.credit)
        self.store = store
        self.refused = dict.fromkeys(_limit_names(), 0)  # requests; told from the start: a rate sees no series begin
        self.waited = Spread()  # for the store, of those that the leases could not admit at once
        self._settings = settings
        self._services = settings.service_ids
        self._seen = SeenCustomers(store, self.leases)
        self._person = _quota("requests", settings.person)
        self._service = _quota("requests", settings.service)
        self._stranger = _quota("unrecognised-requests", settings.stranger)
        self._sign_in = _quota("failed-sign-ins", settings.sign_in)

    async def admit(self, principal: Principal) -> None:
        """Count a request of somebody recognised."""
        name = principal.principal_id
        if self.leases.take_at_once(name):
            return
        quota = self._service if name in self._services else self._person
        began = time.perf_counter()
        wait_ns = await self.leases.take(name, "principal", name, quota)
        self.waited.add(time.perf_counter() - began)
        if wait_ns:
            raise self._refusal(quota, wait_ns / _NS)

    async def admit_stranger(self, address: str | None, credential: bytes = b"") -> None:
        """Count a request without a valid token against its address.

        Where nobody can tell addresses apart it counts against the wrong token itself, in this replica: whoever keeps
        sending it is held up, and nobody else.
        """
        quota = self._stranger
        if address is None:
            wait_ns = self.leases.take_own(hashlib.sha256(credential).digest(), quota)
        else:
            block = block_of(address)
            wait_ns = await self.leases.take(("address", block), "address", block, quota)
        if wait_ns:
            raise self._refusal(quota, wait_ns / _NS)

    async def admit_to(self, principal: Principal, permission: Permission) -> None:
        """Count a request for what a permission opens. Raises Unavailable where the store must be asked and is down."""
        if ROUTES[permission] is Without.CLOSED:
            quota = _quota(_name_of(permission), self._settings.sensitive)
            await self._take(self.store.key(permission.value, principal.principal_id), quota)

    async def disclose(self, exchange: Exchange) -> None:
        """Count the customers that an answer shows to a person; those seen within the hour are free.

        A refused answer must not leave: its customers have not been counted.
        """
        principal = exchange.principal
        if principal is None or not exchange.customer_ids or principal.principal_id in self._services:
            return
        cap = self._settings.customers if principal.role is Role.CS_REP else self._settings.supervisor_customers
        what, most = ("listed", cap.listed) if exchange.permission in _LISTS else ("opened", cap.opened)
        wait_s = await self._seen.count(f"customers-{what}", principal.principal_id, exchange.customer_ids, most)
        if wait_s:
            exchange.is_recorded = False  # whatever is on record already says that it was answered
            quota = Quota(f"customers-{what}", most, HOUR_S, most)
            detail = (
                f"With this answer you would have {what} more than {most} different customers within an hour. "
                f"Try again in {_span(wait_s)}; customers you have {what} already stay open to you."
            )
            raise self._refusal(quota, wait_s, detail)

    async def begin_sign_in(self, address: str | None, name: str) -> bytes:
        """Count an attempt to sign in as failed, until `forgive` gets what this returns. Raises Unavailable."""
        counted_by = ("address", block_of(address)) if address is not None else ("name", name)
        key = self.store.key("sign-in", "\n".join(counted_by))
        await self._take(key, self._sign_in)
        return key

    async def forgive(self, attempt: bytes) -> None:
        """Take back the count of an attempt that succeeded. Raises Unavailable."""
        await self._take(attempt, self._sign_in, -1)

    async def aclose(self) -> None:
        """Let go of the store."""
        await self.store.aclose()

    async def _take(self, key: bytes, quota: Quota, tokens: int = 1) -> None:
        """Take tokens straight from the store, which costs a round trip and is exact."""
        try:
            grant = (await self.store.lease([Asked(key, quota, tokens)]))[key]
        except StoreDown:
            raise Unavailable(
                "The limits of this request cannot be checked at the moment, and it is not answered without them; "
                "try again shortly."
            ) from None
        if grant.granted != tokens:
            raise self._refusal(quota, grant.wait_ns / _NS)

    def _refusal(self, quota: Quota, wait_s: float, detail: str = "") -> LimitReached:
        self.refused[quota.name] = self.refused.get(quota.name, 0) + 1
        allowed = f"{quota.count} in {_span(quota.seconds)}"
        told = (
            detail or f"Too many {quota.name.replace('-', ' ')}: {allowed} are allowed. Try again in {_span(wait_s)}."
        )
        return LimitReached(quota.name, quota.count, quota.seconds, wait_s, told)


def _limit_names() -> list[str]:
    """Return what every limit is called, in problems and in metrics."""
    sensitive = [_name_of(permission) for permission, without in ROUTES.items() if without is Without.CLOSED]
    shared = ["requests", "unrecognised-requests", "failed-sign-ins", "customers-opened", "customers-listed"]
    return [*shared, *sensitive]


def _name_of(permission: Permission) -> str:
    return permission.value.replace(":", "-")


def _quota(name: str, rate: Rate) -> Quota:
    return Quota(name, rate.count, rate.seconds, rate.burst)


def _span(seconds: float) -> str:
    """Say how long in whole seconds or minutes, rounded up."""
    whole = max(-int(-seconds // 1), 1)
    if whole < 120:
        return f"{whole} second{'s' if whole > 1 else ''}"
    return "an hour" if whole == HOUR_S else f"{-(-whole // 60)} minutes"
