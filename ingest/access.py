"""What a till may write: the stores of its credential, or every store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """Who opened a stream, whose records it may write, and until when."""

    client_id: str
    store_ids: frozenset[int]
    all_stores: bool
    expires_at: datetime

    def may_write(self, store_id: int) -> bool:
        """Say whether records of a store are accepted from this client."""
        return self.all_stores or store_id in self.store_ids


# Whoever comes without a token to a gateway that asks for none.
ANYONE = Claims("anyone", frozenset(), all_stores=True, expires_at=datetime.max.replace(tzinfo=UTC))
