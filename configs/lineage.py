"""Settings of lineage told to others."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from configs.section import PREFIX, Section


class LineageSettings(Section):
    """Where OpenLineage events of the pipeline go: nowhere, to a file, or over HTTP to a catalogue such as Marquez."""

    transport: Literal["none", "file", "http"] = "none"
    path: Path | None = None  # for file: JSON lines, appended to
    url: str = ""  # for http: events are posted to <url>/api/v1/lineage
    api_key: SecretStr | None = None
    namespace: str = Field(default="receipts", min_length=1)  # of the jobs
    timeout_s: float = Field(default=5.0, gt=0, le=60)

    @model_validator(mode="after")
    def _has_a_target(self) -> Self:
        if self.transport == "file" and self.path is None:
            raise ValueError(f"{PREFIX}LINEAGE__PATH is not set, and the transport is a file.")
        if self.transport == "http" and not self.url.startswith(("http://", "https://")):
            raise ValueError(f"{PREFIX}LINEAGE__URL must be an http:// or https:// address for this transport.")
        return self
