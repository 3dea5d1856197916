"""What a load test needs wherever it runs: people with secrets of their own, a program, and receipts to ask for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from loadtest.targets import Targets
from receipts.errors import InvalidInput, ReceiptsError


class Person(BaseModel):
    """Somebody who signs in by a secret. `region_ids` None stands for all regions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: str
    secret: str = Field(repr=False)
    region_ids: frozenset[int] | None


class Kit(BaseModel):
    """People, program and sample. Whoever holds it reads receipts as all of them, until it expires or is revoked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expires_at: AwareDatetime
    people: tuple[Person, ...]
    program: Person
    sample: Targets

    def share(self, worker: int, workers: int) -> tuple[Person, ...]:
        """Return the people whom one of several workers plays: nobody is played twice."""
        return self.people[worker % workers :: workers]


def people_needed(reps: int, workers: int) -> int:
    """Return how many people a kit must hold, so that each worker has enough however Locust deals the reps out.

    Locust gives every worker as many users as the next, but the integration is one of them.
    """
    return workers * -(-(reps + 1) // workers)


def read_kit(path: Path) -> Kit:
    """Read a kit. Raises ReceiptsError with one sentence when the file is none, or has expired."""
    try:
        kit = Kit.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise ReceiptsError(f"{path} holds no kit; make one with `receipts load prepare {path}`.") from None
    if kit.expires_at <= datetime.now(UTC):
        raise ReceiptsError(f"The people of {path} expired at {kit.expires_at:%Y-%m-%d %H:%M} UTC; prepare anew.")
    return kit


def check_size(kit: Kit, reps: int, workers: int) -> None:
    """Raise InvalidInput when there are too few people for so many reps."""
    needed = people_needed(reps, workers)
    if len(kit.people) < needed:
        raise InvalidInput(
            "users", f"{reps} reps with {workers} workers need {needed} people, the kit has {len(kit.people)}"
        )


def deal_regions(sample: Targets, count: int) -> Sequence[int | None]:
    """Return the region of each of `count` people: one in ten sees all (None), the others one, as receipts lie there.

    The sample is in random order, so its first receipts have the regions in proportion. The same sample gives the same
    regions.
    """
    targets = sample.targets
    return [None if n % 10 == 0 else targets[n % len(targets)].region_id for n in range(count)]
