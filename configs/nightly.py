"""When the jobs of the night begin."""

from __future__ import annotations

from datetime import time
from typing import Annotated

from pydantic import BeforeValidator, Field

from configs.section import Section


def _read_clock(value: object) -> object:
    """Read "off" as none, and undo what YAML makes of 12:30 (a number to the base of 60) and of off (false)."""
    if value is False or value == "off":
        return None
    return f"{value // 60:02d}:{value % 60:02d}" if isinstance(value, int) else value


TimeOfDay = Annotated[time | None, BeforeValidator(_read_clock)]


class NightlySettings(Section):
    """When the pipeline's nightly jobs begin, in UTC, each once a night; "off" is never."""

    audit_partitions: TimeOfDay = time(0, 5)
    retention: TimeOfDay = time(1, 0)
    compaction: TimeOfDay = time(2, 0)
    audit_retention: TimeOfDay = time(3, 0)
    vacuum: TimeOfDay = time(4, 0)
    embeddings: TimeOfDay = time(5, 0)
    history_days: float = Field(default=7.0, ge=2)  # how long versions of the lake can be read as of
