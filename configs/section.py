"""What all groups of settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

PREFIX = "RECEIPTS_"


class Section(BaseModel):
    """A frozen group of settings that refuses keys it does not know; its errors never repeat a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)
