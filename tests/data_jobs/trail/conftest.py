"""A platform whose audit trail spans chains and months, is copied, and is anchored in two places."""

from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from cluster.credentials import ensure_anchor_key
from configs.settings import Settings
from data_jobs.trail.faults import Verdict
from data_jobs.trail.keys import trusted_keys
from data_jobs.trail.place import place_of
from data_jobs.trail.verification import Scope, verify
from receipts.lake import Lake, lake_of
from tests.data_jobs.trail.writing import TODAY, copy, month_before, write_chain


@dataclass(frozen=True, slots=True)
class Trail:
    """What was written: `chains` by name; `place` is the anchors' second place."""

    settings: Settings
    owner: psycopg.Connection
    chains: dict[str, int]
    place: Path

    @property
    def lake(self) -> Lake:
        """Return the lake with the copies."""
        return lake_of(self.settings)

    def verify(self, **scope: object) -> Verdict:
        """Verify as the command does, with the second place."""
        asked = Scope(**{"trusted": trusted_keys(self.settings), "place": place_of(self.settings), **scope})
        steps = verify(self.settings, asked)
        while True:
            try:
                next(steps)
            except StopIteration as ended:
                return ended.value


@pytest.fixture
def anchored(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a key and a second place for anchors."""
    ensure_anchor_key(settings)
    place = settings.audit.model_copy(update={"anchor_place": str(tmp_path / "place")})
    return settings.model_copy(update={"audit": place})


@pytest.fixture
def trail(anchored: Settings, owner: psycopg.Connection, tmp_path: Path) -> Trail:
    """Five chains of three months, copied in three batches, one of them empty and one given up half-way."""
    chains = {
        "old": write_chain(owner, month_before(TODAY, 20), 1, 3),
        "middle": write_chain(owner, month_before(TODAY, 3), 2, 4),
        "empty": write_chain(owner, TODAY, 3, 0),
    }
    copy(anchored)
    chains["new"] = write_chain(owner, TODAY, 4, 5)
    copy(anchored)
    chains["last"] = write_chain(owner, TODAY, 5, 2)
    copy(anchored)
    return Trail(anchored, owner, chains, tmp_path / "place")
