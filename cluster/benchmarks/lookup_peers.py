"""What lookups are measured against: pgbench, a naked endpoint, and the same on Ray Serve as it comes."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

from cluster.errors import PlatformError
from cluster.postgres import admin_dsn
from cluster.postgres_home import installed_binaries
from configs.settings import Settings
from receipts.database import DatabaseRole, conninfo
from receipts.sql import load_sql

_SQL = load_sql("cluster.benchmarks", "lookup")
_PATIENCE_S = 120.0  # a Ray node and its first replica, on a machine that may be small
_TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_CLIENTS = 8


@contextmanager
def peer(settings: Settings, module: str) -> Generator[tuple[int, psutil.Process]]:
    """Serve a peer on a free port, as the role that row-level security does not restrict."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", f"loadtest.bench.{module}", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr, text=True, start_new_session=True)
    try:
        assert process.stdin is not None
        process.stdin.write(conninfo(settings, DatabaseRole.PIPELINE) + "\n")
        process.stdin.flush()
        _await_port(port, process)
        yield port, psutil.Process(process.pid)
        process.stdin.close()
        if module == "naked_lookup":
            process.terminate()
        process.wait(_PATIENCE_S)
    finally:
        process.kill()


def floor_script(folder: Path) -> Path:
    """Write what pgbench runs: a day, a store and a number at random, of the benchmark's receipts."""
    script = folder / "lookup.sql"
    start = "((2600 + random(1, 10)) * 100 + random(1, 28)) * 10000000000 + random(1, 500) * 100000 + random(0, 99999)"
    script.write_text(f"\\set start {start}\n{_SQL['find_next'].replace('%(start)s', ':start')};\n")
    return script


def floor_per_second(settings: Settings, script: Path, seconds: float) -> float:
    """Return the prepared selects a second that pgbench reaches with as many clients as are useful."""
    command = [
        str(installed_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={_CLIENTS}",
        f"--time={max(1, round(seconds))}", f"--file={script}", admin_dsn(settings),
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    found = _TPS.search(ended.stdout)
    if ended.returncode != 0 or found is None:
        raise PlatformError(f"pgbench failed: {ended.stderr.strip()[-500:]}")
    return float(found[1])


def _await_port(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as link:
                link.sendall(b"GET /receipt/none HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                if b"application/json" in link.recv(65_536):  # its own 404, not that of a proxy without a route
                    return
        except OSError:
            pass
        if time.monotonic() > deadline or process.poll() is not None:
            raise PlatformError("A peer of the benchmark did not come up; see above.")
        time.sleep(0.1)
