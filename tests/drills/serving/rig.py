"""Serving as in production, with what can be hurt in reach: Ray's processes, Postgres, and the line to it."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg

from configs.settings import Settings
from data_jobs.audit_trail import project_trail
from data_jobs.trail.copying import find_newest
from data_jobs.trail.faults import Verdict as Trail
from data_jobs.trail.keeping import copy_trail
from data_jobs.trail.keys import trusted_keys
from data_jobs.trail.place import place_of
from data_jobs.trail.verification import Scope, Step, verify
from loadtest.drill.answers import Answer, Asker, History, Interruption, interruption
from loadtest.drill.judge import Verdict, judge, read_events
from loadtest.drill.load import Load, Plan
from loadtest.drill.subjects import World
from receipts.database import DatabaseRole, connect
from serve_apps.capabilities import CAPABILITIES
from tests.drills.rig import start_postgres
from tests.drills.till import PATIENCE_S
from tests.drills.worker import until
from tests.fixtures.serving import SignIns
from tests.fixtures.standbys import superuser
from tests.fixtures.tcp_proxy import TcpProxy

SERVED = ("lookup", "customers", "context")
ASKERS = (
    Asker("rep.all", None),
    Asker("rep.east", frozenset({1})),
    Asker("rep.west", frozenset({2})),
)
_STEADY_S = 1.5  # without a failure for so long, it is over
_STEADY = 3  # good answers of each kind in that time, also on a busy machine
_POLL_S = 0.1


@dataclass
class ServingRig:
    """All drills of serving share it: each leaves it whole. `node` leads Ray's processes, `line` to the primary."""

    settings: Settings
    ray_address: str
    node: psutil.Process
    line: TcpProxy
    world: World
    seed: int
    history: History = field(default_factory=History)
    pool_size: int = 0
    report: list[str] = field(default_factory=list)
    _fault_at: float = 0.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.pool_size = self.settings.database.pool_size
        self._began = datetime.now(UTC).date()

    def deploy(self) -> None:
        """Put the applications on Ray as they are now; replicas reach the first server by the line."""
        database = {"embedded_port": self.line.port, "pool_size": self.pool_size}
        settings = self.settings.model_copy(update={"database": self.settings.database.model_copy(update=database)})
        wanted = [one for one in CAPABILITIES if one.name in SERVED]
        from cluster.deploy import deploy  # imports Ray, which the run's node must be set up before

        deploy(settings, self.ray_address, capabilities=wanted)

    @contextmanager
    def load(self) -> Iterator[None]:
        """Ask at a steady pace while the block lasts, and judge what came of it; it was steady before the fault."""
        tokens = {one.principal_id: SignIns(self.settings).token(one.principal_id) for one in ASKERS}
        plan = Plan(
            "127.0.0.1", self.settings.serve.port, ASKERS, self.world.subjects, tokens, self.random.randrange(2**32)
        )
        with Load(plan, self.history):
            self.await_steady()
            yield
        self._conclude()

    def fault(self) -> float:
        """Note that it breaks now, at a random moment under load."""
        time.sleep(self.random.random() * 0.2)  # anywhere between two answers
        self._fault_at = time.monotonic()
        return self._fault_at

    def await_steady(self) -> None:
        """Return when everything is answered again, and has been for a moment."""
        since, kinds = time.monotonic(), {one.kind for one in self.world.subjects}
        while True:
            recent = self.history.since(max(since, time.monotonic() - _STEADY_S))
            good = [one.subject.kind for one in recent if one.is_good]
            is_long = time.monotonic() >= since + _STEADY_S  # what was broken a moment ago may be noticed only now
            if is_long and len(good) == len(recent) and all(good.count(kind) >= _STEADY for kind in kinds):
                return
            told = Counter(f"{one.how} ({one.subject.kind})" for one in recent)
            assert time.monotonic() < since + PATIENCE_S, f"not everything is answered after {PATIENCE_S} s: {told}"
            time.sleep(_POLL_S)  # polls with a deadline

    def await_silence(self) -> None:
        """Return when nothing is answered well any more, and has not been for a moment."""

        def silent() -> bool:
            recent = self.history.since(time.monotonic() - _STEADY_S)
            return bool(recent) and not any(one.is_good for one in recent)

        since = time.monotonic()
        until(lambda: time.monotonic() > since + _STEADY_S and silent(), "nothing is answered")

    def endure(self, seconds: float) -> None:
        """Let an outage last, under load."""
        time.sleep(seconds)  # the length of the outage is the drill: nothing is waited for

    def answers(self) -> Sequence[Answer]:
        """Return what ended since the last fault."""
        return self.history.since(self._fault_at)

    def noticed(self, what: str) -> Interruption:
        """Return what callers noticed of the last fault, and report it at the end of the run."""
        told = interruption(self.answers(), self._fault_at)
        self.report.append(f"{what}: {told}")
        return told

    def processes(self, name: str) -> list[psutil.Process]:
        """Return Ray's processes of a name, such as `ray::ServeReplica:lookup`, or a program's."""
        found = []
        for process in self.node.children(recursive=True):
            try:
                title = process.cmdline()
            except psutil.Error:
                continue
            if title and (title[0].startswith(name) or Path(title[0]).name == name):
                found.append(process)
        return found

    def kill(self, processes: Sequence[psutil.Process]) -> None:
        """End processes as a power cut would."""
        assert processes, "there is nothing to kill"
        for process in processes:
            process.send_signal(signal.SIGKILL)

    def start_postgres(self) -> None:
        """Start what of Postgres does not run, as `receipts up` does."""
        start_postgres(self.settings)

    @contextmanager
    def postgres_afterwards(self) -> Iterator[None]:
        """Start Postgres when the block has ended, however it did: other drills need it."""
        try:
            yield
        finally:
            self.start_postgres()

    def superuser(self) -> psycopg.Connection:
        return superuser(self.settings)

    def judge(self) -> Verdict:
        """Hold all that was answered so far against the trail."""
        return judge(self.history.since(0), read_events(self.settings, self._began), self.world.store_regions)

    def _conclude(self) -> None:
        verdict = self.judge()
        assert not verdict.breaches, "\n".join(map(str, verdict.breaches))
        self._verify_trail()

    def _verify_trail(self) -> None:
        """Copy the trail, sign its heads, and verify chains, events and anchors, the earlier ones too."""
        with connect(self.settings, DatabaseRole.PIPELINE) as connection:
            project_trail(connection)
            newest = find_newest(connection)
            list(copy_trail(self.settings, connection))
        steps = verify(self.settings, Scope(trusted=trusted_keys(self.settings), place=place_of(self.settings)))
        verdict = _last(steps)
        assert verdict.broken is None, str(verdict.broken)
        assert verdict.anchored_position >= newest  # what replicas still put on record by now comes after it


def _last(steps: Generator[Step, None, Trail]) -> Trail:
    try:
        while True:
            next(steps)
    except StopIteration as ended:
        return ended.value
