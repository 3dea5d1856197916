"""A small platform that can be hurt: its processes run as in production, and are killed."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cluster import postgres
from configs.settings import Settings
from data_jobs.refinement import Refinery, refine_all
from data_jobs.sync import sync
from data_jobs.tables import silver_receipts
from ingest.bronze_writing import DIRECT
from ingest.evidence import gather
from ingest.invariants import judge
from receipts.bronze import RECEIPTS
from receipts.database import DatabaseRole, connect
from receipts.lake import lake_of
from tests.drills.till import History, Till
from tests.drills.worker import Worker, command, until
from tests.fixtures.environment import environment_of

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of renameat2(2)
_LAST = 3_000  # characters of an error that a failure shows
_START = "from cluster import postgres; from configs.settings import load_settings; postgres.start(load_settings())"


def start_postgres(server: Settings) -> None:
    """Start the server from a process of its own: the server's user is another one, so starting it forks, and a fork
    of a process in which tills talk gRPC may die in gRPC's own handlers."""
    started = subprocess.run(
        [sys.executable, "-c", _START], env=environment_of(server), capture_output=True, text=True, check=False
    )
    assert started.returncode == 0, started.stderr[-_LAST:]


def _exchange(one: Path, other: Path) -> None:
    """Let two paths change places in one step: nobody finds either of them missing."""
    names = os.fsencode(one), os.fsencode(other)
    done = ctypes.CDLL(None, use_errno=True).renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    assert done == 0, os.strerror(ctypes.get_errno())


@dataclass
class Rig:
    """One drill's platform. `server` are the settings of the Postgres server, `settings` those of everything else."""

    server: Settings
    settings: Settings
    ray_address: str
    seed: int
    history: History = field(default_factory=History)
    tills: list[Till] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.gateway = Worker(self.settings, "gateway", command("ingest", "gateway"))
        self.drainer = self._drainer()

    @property
    def bronze(self) -> Path:
        return Path(self.settings.lake_root) / "bronze"

    def start(self, stores: Sequence[int]) -> None:
        """Start gateway and drainer, and tills of two stores each."""
        self.gateway.start()
        self.drainer.start()
        self.await_serving()
        until(self.draining, "the drainer runs", self.check)
        self.open_tills(stores, self.settings.ingest.port)

    def open_tills(self, stores: Sequence[int], port: int) -> None:
        for number in range(0, len(stores), 2):
            till = Till(f"127.0.0.1:{port}", stores[number : number + 2], self.history, self.seed + number)
            self.tills.append(till)
            till.start()

    def let_a_drainer_die(self, point: str, count: int) -> None:
        """Run a drainer that kills itself when it comes to a point of its work for the n-th time; none is left."""
        self.drainer.end()
        script = Path(__file__).with_name("mortal_drainer.py")
        self.drainer = Worker(self.settings, "drainer", [sys.executable, str(script), point, str(count)])
        self.drainer.start()
        assert self.drainer.await_end(self.check) == -signal.SIGKILL, self.drainer.last_words()

    def start_drainer(self) -> None:
        self.drainer = self._drainer()
        self.drainer.start()

    def _drainer(self) -> Worker:
        return Worker(self.settings, "drainer", command("ingest", "drain"))

    def check(self) -> None:
        """Fail if anything that is meant to live has ended by itself, or a till was turned away."""
        self.gateway.check()
        self.drainer.check()
        for till in self.tills:
            assert till.failure is None, f"a till was turned away for good: {till.failure}"

    def await_acks(self, more: int) -> None:
        """Return when so many more receipts are acknowledged than are now."""
        self.history.wait_for_acks(more, self.check)

    def soon(self) -> None:
        """Return at a random moment under load, after something new was acknowledged."""
        self.await_acks(self.random.randint(1, 150))
        time.sleep(self.random.random() * 0.1)  # an ack is no moment of its own: the kill falls anywhere in a commit

    def serving(self) -> bool:
        """Say whether the gateway takes records."""
        with grpc.insecure_channel(f"127.0.0.1:{self.settings.ingest.port}") as channel:
            try:
                told = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
            except grpc.RpcError:
                return False
        return told.status == health_pb2.HealthCheckResponse.SERVING

    def draining(self) -> bool:
        """Say whether the drainer has begun: from then on it ends in its own way when it is told to."""
        try:
            socket.create_connection(("127.0.0.1", self.settings.ingest.drainer_metrics_port), timeout=1).close()
        except OSError:
            return False
        return True

    def await_serving(self) -> None:
        until(self.serving, "the gateway serves", self.check)

    def await_holding(self) -> None:
        """Return when the gateway says that no store takes records."""
        until(lambda: not self.serving(), "the gateway holds the tills", self.check)

    def kill_postgres(self) -> None:
        """End the server, all of it at its next breath: the backends of a killed postmaster go by themselves."""
        server = postgres.server_process(self.server)
        assert server is not None
        server.kill()
        until(lambda: postgres.server_process(self.server) is None, "Postgres ends", self.check)

    def start_postgres(self) -> None:
        start_postgres(self.server)

    @contextmanager
    def without_postgres(self) -> Iterator[None]:
        postgres.stop(self.server)
        yield
        self.start_postgres()

    @contextmanager
    def without_bronze(self) -> Iterator[None]:
        """Put a file where the tables' folder is: nobody, not even root, can write or read below it."""
        file = self.settings.state_dir / "in the way"
        file.touch()
        _exchange(self.bronze, file)
        yield
        _exchange(self.bronze, file)

    def direct_commits(self) -> int:
        """Return how many groups of receipts went straight to Bronze."""
        number = lake_of(self.settings).open(RECEIPTS.name).transaction_version(DIRECT)
        return 0 if number is None else number + 1

    def waiting(self) -> int:
        """Return how many records the outbox holds for Bronze."""
        with connect(self.settings, DatabaseRole.INGEST) as connection:
            block = "SELECT count(*) FROM ingest.outbox WHERE xid > (SELECT drained FROM ingest.outbox_state)"
            return connection.execute(block).fetchone()[0]

    def endure(self, seconds: float) -> None:
        """Let an outage last, under load."""
        time.sleep(seconds)  # the length of the outage is the drill: nothing is waited for

    def conclude(self) -> None:
        """Let everything arrive, refine and sync it, and hold all stages against what was sent."""
        for till in self.tills:
            till.close_shop()
        until(lambda: all(till.finished for till in self.tills), "all that was sent is acknowledged", self.check)
        assert self.history.acked == self.history.sent > 0
        assert self.gateway.lives
        assert self.drainer.lives, "nothing drains: the drill has ended the drainer and started no other"
        until(self._drained, "the outbox is drained and what went to Bronze directly is settled", self.check)
        from data_jobs.ray_work import joined, run_slices  # imports Ray, which the run's node must be set up before

        lake = lake_of(self.settings)
        with joined(self.ray_address):
            list(refine_all(Refinery(lake, run_slices, parallelism=2, wanted=silver_receipts.TABLE)))
        with connect(self.settings, DatabaseRole.PIPELINE) as connection:
            connection.autocommit = True
            list(sync(lake, connection))
        verdict = judge(gather(self.settings), self.history.frame(self.settings.state_dir))
        assert not verdict.breaches, "\n".join(map(str, verdict.breaches))
        assert verdict.settled, verdict.under_way
        sent = self.history.sent
        assert verdict.counts["bronze accepted"] == verdict.counts["silver receipts"] == sent, verdict.counts
        assert verdict.counts["postgres receipts"] == verdict.counts["postgres versions"] == sent, verdict.counts

    def _drained(self) -> bool:
        try:
            under_way = judge(gather(self.settings)).under_way
        except psycopg.OperationalError:
            return False
        return not (under_way["to bronze"] or under_way["to postgres"])

    def end(self) -> None:
        for till in self.tills:
            till.abandon()
        self.gateway.end()
        self.drainer.end()
