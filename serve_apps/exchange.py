"""One request as it is being answered: who asks, and what the audit trail will say of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field

from starlette.types import Scope

from receipts.access import Permission, Principal
from serve_apps.journey import UNTRACED, Journey

_KEY = "receipts.exchange"


@dataclass(slots=True)  # not frozen: it is filled while the request is answered, by the one task that answers it
class Exchange:
    """What is known of a request so far. No name, contact or free text may stand in `constraints`."""

    request_id: str
    journey: Journey = UNTRACED
    principal: Principal | None = None
    route: str = ""  # as the trail names it, where that is known before the application's own routing
    permission: Permission | None = None  # that the route declares, where its guard has let the caller pass
    address: str = ""  # of the client, where somebody trustworthy has told it
    is_recorded: bool = False  # its audit event is durable already
    receipt_ids: list[str] = field(default_factory=list)
    customer_ids: list[str] = field(default_factory=list)
    constraints: dict[str, object] = field(default_factory=dict)
    body: AsyncGenerator[bytes, None] | None = None  # of an answer that is written while it is read


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, recognised and permitted, and where a handler records what it showed."""

    principal: Principal
    exchange: Exchange

    def record(
        self,
        *,
        receipt_ids: Iterable[str] = (),
        customer_ids: Iterable[str] = (),
        constraints: Mapping[str, object] | None = None,
    ) -> None:
        """Add what is asked for or shown to the audit event of this request.

        Ids are well-formed ones; constraints are typed values (dates, amounts, store ids), never names or text.
        """
        self.exchange.receipt_ids.extend(receipt_ids)
        self.exchange.customer_ids.extend(customer_ids)
        self.exchange.constraints.update(constraints or {})


def begin_exchange(scope: Scope, request_id: str, journey: Journey) -> Exchange:
    """Attach a new exchange to a request."""
    exchange = Exchange(request_id, journey)
    scope[_KEY] = exchange
    return exchange


def exchange_of(scope: Scope) -> Exchange:
    """Return the exchange that the frame attached to a request."""
    return scope[_KEY]
