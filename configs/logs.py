"""How processes log."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.section import Section


class LogSettings(Section):
    """The form of lines, and how much of them is kept; `log_level` says which are written. See docs/tracing.md."""

    format: Literal["json", "text"] = "json"  # a JSON object a line, or words for a person
    most_bytes: int = Field(default=32 * 1024 * 1024, ge=65_536)  # a file beyond it is put aside
    kept: int = Field(default=4, ge=1, le=100)  # files that were put aside, of each process
