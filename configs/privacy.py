"""How people's requests about their own data are handled."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator

from configs.section import Section


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected an IANA time zone such as America/New_York") from None
    return name


class PrivacySettings(Section):
    """Where the officers are who answer: a day of a deadline is a day there."""

    time_zone: Annotated[str, AfterValidator(_check_zone)] = "America/New_York"
