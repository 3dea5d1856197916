"""How the audit trail is copied, anchored and kept."""

from __future__ import annotations

from pydantic import Field, SecretStr

from configs.section import Section


class AuditSettings(Section):
    """The trail's copy in the lake, its signed heads, and when months of it go."""

    copy_interval_s: float = Field(default=60.0, ge=0)  # how often new groups are copied and their heads signed
    anchor_key: SecretStr | None = (
        None  # Ed25519, PEM; without it the keys of state_dir/keys, which `receipts up` makes
    )
    anchor_key_before: SecretStr | None = None  # the key that `anchor_key` follows, until it has handed over
    anchor_place: str = ""  # a second place for anchors: a folder or a URL whose credentials the lake's do not share
    anchor_place_options: dict[str, SecretStr] = Field(default_factory=dict)
    hot_months: int = Field(default=13, ge=2)  # then groups leave Postgres, once their copies are verified
    retention_years: int = Field(default=7, ge=7)  # then a month of the trail goes, from everywhere
