"""What verification finds: the first row that is broken, in words, and what was held against what."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from receipts.errors import ReceiptsError


class Broken(ReceiptsError):
    """The audit trail is not what was written: the sentence says which row, and what is wrong with it."""

    def __init__(
        self,
        what: str,
        *,
        chain: int | None = None,
        seq: int | None = None,
        event_id: str | None = None,
        anchor: int | None = None,
    ) -> None:
        self.chain, self.seq, self.event_id, self.anchor = chain, seq, event_id, anchor
        named = [("chain", chain), ("group", seq), ("event", event_id), ("anchor", anchor)]
        where = ", ".join(f"{name} {value}" for name, value in named if value is not None)
        super().__init__(f"{where}: {what}" if where else what)


@dataclass(slots=True)  # not frozen: it grows while the trail is read
class Verdict:
    """How much was verified, up to where it is anchored, and what nothing can prove."""

    chains: int = 0
    groups: int = 0
    events: int = 0
    anchors: int = 0
    anchored_position: int = 0
    anchored_at: datetime | None = None
    unanchored_groups: int = 0
    unanchored_events: int = 0
    not_copied_groups: int = 0
    retired: list[str] = field(default_factory=list)  # months, and what of them
    notes: list[str] = field(default_factory=list)
    broken: Broken | None = None
