"""A process of the platform that a drill may kill, and waiting that ends as soon as one has ended by itself."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from configs.settings import Settings
from tests.drills.till import PATIENCE_S
from tests.fixtures.environment import environment_of

_POLL_S = 0.1
_LAST = 3_000  # characters of a log that a failure shows


def until(condition: Callable[[], object], what: str, check: Callable[[], None] = lambda: None) -> None:
    """Return when a condition holds; `check` fails as soon as it cannot come to hold any more."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        check()
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S} s"
        time.sleep(_POLL_S)  # polls with a deadline


def command(*arguments: str) -> list[str]:
    """Return the command line of a `receipts` command."""
    return [sys.executable, "-m", "cluster.commands", *arguments]


class Worker:
    """Is meant to live from its start until the drill ends it."""

    def __init__(self, settings: Settings, name: str, arguments: Sequence[str]) -> None:
        self._settings = settings
        self._name = name
        self._arguments = arguments
        self.log = settings.state_dir / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None  # while it is meant to live

    @property
    def pid(self) -> int:
        assert self._process is not None, f"the {self._name} is not meant to live"
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        assert self._process is None, f"the {self._name} was started before"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._arguments, env=environment_of(self._settings), stdout=output, stderr=output
            )

    def check(self) -> None:
        """Fail if it has ended by itself."""
        code = None if self._process is None else self._process.poll()
        assert code is None, f"the {self._name} ended by itself with {_told(code)}; it said: {self.last_words()}"

    def kill(self) -> None:
        """End it as a power cut would."""
        self.check()
        self.end()

    def await_end(self, check: Callable[[], None]) -> int:
        """Return its exit code once it has ended by itself, as it was to; `check` looks after the others."""
        until(lambda: not self.lives, f"the {self._name} ends", check)
        code = self._process.returncode
        self._process = None
        return code

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def last_words(self) -> str:
        return self.log.read_text()[-_LAST:] if self.log.is_file() else "nothing"


def _told(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
