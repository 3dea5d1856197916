"""A server's data on a volume of its own, small enough to be filled."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import postgres_server
from cluster.postgres_home import PostgresHome
from tests.drills.full_disk import mount, unmount

_FREE_BYTES = 24 * 2**20  # a segment of the log and some


@contextmanager
def on_a_volume(home: PostgresHome) -> Iterator[Path | None]:
    """Let a stopped server's data lie on a volume while the block lasts; none where this process may not mount one."""
    beside = home.data.with_name("data.beside")
    home.data.rename(beside)
    _make(home, home.data)
    size = sum(file.stat().st_blocks * 512 for file in beside.rglob("*") if file.is_file())
    if not mount(home.data, size + _FREE_BYTES):
        home.data.rmdir()
        beside.rename(home.data)
        yield None
        return
    _own(home, home.data)
    _copy(beside, home.data)
    shutil.rmtree(beside)
    try:
        yield home.data
    finally:
        postgres_server.stop(home)
        _make(home, beside)
        _copy(home.data, beside)
        unmount(home.data)
        home.data.rmdir()
        beside.rename(home.data)


def _make(home: PostgresHome, folder: Path) -> None:
    folder.mkdir()
    _own(home, folder)


def _own(home: PostgresHome, folder: Path) -> None:
    folder.chmod(0o700)  # Postgres refuses any other
    postgres_server.own(home, folder)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", f"{source}/.", str(target)], check=True)
