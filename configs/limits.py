"""How much one caller may ask for."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from configs.section import Section

_LONGEST_REFILL_S = 86_400  # a bucket that takes longer than a day to fill again is a quota of another kind
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:|-]{0,99}")


def _check_ids(value: str) -> str:
    if value and not all(_ID.fullmatch(name) for name in value.split(",")):
        raise ValueError("expected principals separated by commas, such as crm,mobile-app")
    return value


class Rate(Section):
    """So many requests in so many seconds for ever, and a burst of so many after a rest."""

    count: int = Field(ge=1, le=1_000_000)
    seconds: int = Field(ge=1, le=_LONGEST_REFILL_S)
    burst: int = Field(ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _fills_within_a_day(self) -> Self:
        if self.burst * self.seconds > _LONGEST_REFILL_S * self.count:
            raise ValueError("count in seconds must fill burst within a day")
        return self


class CustomerCap(Section):
    """How many different customers one person may see in an hour: opened one by one, and listed by searches."""

    opened: int = Field(ge=1, le=10_000)
    listed: int = Field(ge=1, le=10_000)


class LimitSettings(Section):
    """Limits of all replicas together. See docs/limits.md; there is no switch that turns them off."""

    person: Rate = Rate(count=50, seconds=1, burst=200)
    service: Rate = Rate(count=20_000, seconds=1, burst=40_000)
    services: Annotated[str, AfterValidator(_check_ids)] = ""  # principals that are programs: a,b,c
    stranger: Rate = Rate(count=50, seconds=1, burst=400)  # an address's requests without a valid token
    sign_in: Rate = Rate(count=10, seconds=60, burst=10)  # failed attempts of an address or for a name
    sensitive: Rate = Rate(count=60, seconds=3_600, burst=20)  # reveal, export, deliver, privacy: each, a person
    customers: CustomerCap = CustomerCap(opened=200, listed=2_000)
    supervisor_customers: CustomerCap = CustomerCap(opened=1_000, listed=5_000)  # all roles above a rep
    credit: int = Field(default=5, ge=1, le=100)  # requests that a replica admits before the store has answered
    trusted_hops: int = Field(default=0, ge=0, le=8)  # proxies of yours that write X-Forwarded-For; 0: none is believed

    @property
    def service_ids(self) -> frozenset[str]:
        """Return the principals that are programs."""
        return frozenset(filter(None, self.services.split(",")))
