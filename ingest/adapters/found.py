"""What an adapter finds in a file: one record after the other, always in the same order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from receipts.errors import ReceiptsError

ZoneOf = Callable[[int], ZoneInfo | None]  # the time zone of a store, if the store is known


@dataclass(frozen=True, slots=True)
class Found:
    """One record. `payload` is the JSON of a receipt, or the record as it stands in the file when it has a problem.

    `position` is the line or row where it begins, from 1; `done_bytes` how much of the file was read by then.
    """

    position: int
    done_bytes: int
    payload: str
    problem: str = ""  # why it cannot become a receipt; the record is refused
    skipped: str = ""  # why it is not meant to become one


class BrokenFile(ReceiptsError):
    """The file cannot be read any further: says where and why. What came before is good."""
