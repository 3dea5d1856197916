"""Receipts through the gateway, acked and readable, against raw writes of the same rows and an echo server."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

from cluster.benchmarks.filling import fill, plan_of
from cluster.benchmarks.ingest_driver import Load, Outcome
from cluster.benchmarks.ingest_peers import Row, await_drained, copy_rate, echo_server, insert_rate, make_twin, rows_of
from cluster.benchmarks.ingest_readers import reader_of
from cluster.benchmarks.ingest_report import Costed, Round, report
from cluster.benchmarks.private_platform import private_platform
from cluster.benchmarks.processor_time import processor_seconds
from cluster.errors import PlatformError
from cluster.parts import process_of
from configs.settings import Settings
from ingest.sources.synthetic.history import history_receipts
from loadtest.bench.report import Report

_RATE = 1_000.0  # receipts/s of the latency bar
_TILLS = 8  # streams that share that rate
_BATCHES = Load("", "", batch_records=100, window=20)  # as a till of ours sends what it has spooled
_WARM = 2_000
_PATIENCE_S = 120.0  # for what takes seconds


@dataclass(frozen=True, slots=True)
class _Size:
    """How much one run measures, in receipts."""

    rounds: int
    steady: int
    singles: int
    batched: int


_QUICK = _Size(rounds=3, steady=3_000, singles=2_000, batched=8_000)
_FULL = _Size(rounds=5, steady=10_000, singles=8_000, batched=30_000)


def measure(*, quick: bool) -> Report:
    """Measure singles and batches, ours and the peers' in turn, with the drainer at work as in production."""
    size = _QUICK if quick else _FULL
    count = _WARM + size.rounds * (size.steady + 2 * size.singles + size.batched)
    with private_platform(("postgres", "gateway", "drainer")) as settings, tempfile.TemporaryDirectory() as folder:
        fill(settings, 500)  # stores, customers and a gateway that has written each kind
        make_twin(settings)
        receipts = history_receipts(plan_of(count, seed=2))
        with echo_server() as echo:
            bench = _Bench(settings, echo, Path(folder) / "receipts.jsonl", receipts)
            bench.send(_WARM, _BATCHES)
            rounds = [bench.round(size) for _ in range(size.rounds)]
    return report(rounds)


class _Bench:
    """One run: takes receipts from the plan, each once, has the driver send them and reads the processor times."""

    def __init__(self, settings: Settings, echo: str, file: Path, receipts: Iterator[str]) -> None:
        self._settings, self._echo, self._file, self._receipts = settings, echo, file, receipts
        self._gateway = f"{settings.ingest.host}:{settings.ingest.port}"
        self._reader, self._scope_id = reader_of(settings)

    def round(self, size: _Size) -> Round:
        """Measure everything once; the peers get the receipts that ours got just before."""
        reading = Load("", "", streams=_TILLS, rate=_RATE, reader=self._reader, scope_id=self._scope_id)
        steady = self.send(size.steady, reading)
        many = self.send(size.singles, Load("", "", streams=_TILLS))
        one = self.send(size.singles, Load("", ""))
        echo_one = self._drive(self._echo, Load("", ""))
        batched = self.send(size.batched, _BATCHES)
        echo_batched = self._drive(self._echo, _BATCHES)
        rows = self._sent_rows()
        return Round(
            steady=steady,
            many=many,
            one=one,
            echo_one=echo_one,
            batched=batched,
            echo_batched=echo_batched,
            inserts={n: insert_rate(self._settings, rows, n) for n in (100, 512)},
            copy=copy_rate(self._settings, rows),
        )

    def send(self, records: int, load: Load) -> Costed:
        """Send the next receipts of the plan through the gateway."""
        self._file.write_text("".join(f"{text}\n" for text in islice(self._receipts, records)))
        parts = [process_of(self._settings, name) for name in ("gateway", "postgres")]
        before = [processor_seconds(part) for part in parts if part is not None]
        outcome = self._drive(self._gateway, load)
        after = [processor_seconds(part) for part in parts if part is not None]
        gateway_us, postgres_us = ((b - a) / records * 1e6 for a, b in zip(before, after, strict=True))
        return Costed(outcome, gateway_us, postgres_us)

    def _drive(self, target: str, load: Load) -> Outcome:
        """Run the driver in a process of its own."""
        told = json.dumps(asdict(replace(load, target=target, records_file=str(self._file))))
        command = [sys.executable, "-m", "cluster.benchmarks.ingest_driver"]
        ended = subprocess.run(command, input=told, stdout=subprocess.PIPE, text=True, check=False, timeout=_PATIENCE_S)
        if ended.returncode != 0:
            raise PlatformError("The benchmark's driver failed; see above.")
        return Outcome(**json.loads(ended.stdout))

    def _sent_rows(self) -> list[Row]:
        """Return the rows of the receipts sent last, once Bronze has them: the drainer shall not work for the peers."""
        await_drained(self._settings, _PATIENCE_S)
        return rows_of(self._settings, [json.loads(text)["receipt_id"] for text in self._file.open()])
