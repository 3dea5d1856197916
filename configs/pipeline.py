"""How the refinement runs."""

from __future__ import annotations

from pydantic import Field

from configs.section import Section


class PipelineSettings(Section):
    """Ray Data jobs from Bronze to Gold and the sync back to Postgres."""

    interval_s: float = Field(default=5.0, gt=0)
    parallelism: int = Field(default=2, ge=1)
    niceness: int = Field(default=10, ge=0, le=19)  # of the continuous process: lookups on the same cores go first
    embed_interval_s: float = Field(default=600.0, gt=0)  # for few products; hundreds are embedded as they come
    recycle_hours: float = Field(default=24.0, gt=0, le=8_760)  # after which the continuous process begins anew
