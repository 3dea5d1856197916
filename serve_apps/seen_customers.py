"""How many different customers a principal sees in an hour, over all replicas: the brake on whoever copies the lot."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence

from serve_apps.gcra import Buckets, Quota
from serve_apps.leases import Leases
from serve_apps.limit_store import LimitStore, StoreDown

log = logging.getLogger(__name__)
HOUR_S = 3_600
_MOST_REMEMBERED = 50_000  # pairs of one replica, some 250 bytes each
_ALERT = Quota("alerts", 1, 600, 1)  # one line in ten minutes for each principal; the audit trail has every refusal


class SeenCustomers:
    """Asks the store about customers that are new to a principal, and remembers those that are not.

    The count is exact: the store keeps one row a pair for an hour, and each replica the pairs it has asked about, so
    only a first look costs a round trip. While the store is down a replica counts on its own, up to its share.
    """

    def __init__(self, store: LimitStore, leases: Leases) -> None:
        self._store = store
        self._leases = leases
        self._alerts = Buckets(1_000)
        self._free_until: OrderedDict[tuple[str, str, str], float] = OrderedDict()  # loop time, by what is looked at

    async def count(self, kind: str, principal_id: str, customer_ids: Sequence[str], cap: int) -> float:
        """Count what the principal has not seen within the hour; return 0, or in how many seconds it would fit."""
        now = asyncio.get_running_loop().time()
        fresh = [
            customer_id
            for customer_id in dict.fromkeys(customer_ids)
            if self._free_until.get((kind, principal_id, customer_id), 0.0) <= now
        ]
        if not fresh:
            return 0.0
        principal = self._store.key(kind, principal_id)
        customers = [self._store.key("customer", customer_id) for customer_id in fresh]
        try:
            fits, seconds = await self._store.count_customers(principal, customers, cap)
        except StoreDown:
            quota = Quota(kind, cap, HOUR_S, cap)
            wait_ns = self._leases.take_own((kind, principal_id), quota, len(fresh))
            fits, seconds = not wait_ns, wait_ns / 1e9 or float(HOUR_S)
        if not fits:
            if self._alerts.take(principal, _ALERT, time.monotonic_ns()).granted:
                log.warning("The limit %s is reached by %s.", kind, principal.hex())  # a keyed digest, not who it is
            return max(seconds, 1.0)
        for customer_id in fresh:
            self._free_until[kind, principal_id, customer_id] = now + seconds
            self._free_until.move_to_end((kind, principal_id, customer_id))
        while len(self._free_until) > _MOST_REMEMBERED:
            self._free_until.popitem(last=False)
        return 0.0
