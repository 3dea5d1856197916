"""One bounded run of Locust without its web page."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from receipts.errors import ReceiptsError, Unavailable

JOURNEYS = ("lookup", "history", "context", "fuzzy", "sentence")  # the tags in the locustfile
LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_GRACE_S = 5  # for requests under way at the end
_START_S = 60  # Locust imports in seconds even on a busy machine; beyond this it hangs


@dataclass(frozen=True, slots=True)
class Run:
    """How hard to press and for how long."""

    host: str
    targets: Path
    sign_in_secret: Path
    users: int = 20
    spawn_rate: float = 5.0
    duration_s: int = 30
    think: float = 1.0
    journeys: Sequence[str] = ()  # only these; empty for all

    def command(self, statistics: Path) -> Sequence[str]:
        """Return the command line of this run; Locust writes `<statistics>.json`."""
        options: Mapping[str, object] = {
            "locustfile": LOCUSTFILE,
            "host": self.host,
            "users": self.users,
            "spawn-rate": self.spawn_rate,
            "run-time": f"{self.duration_s}s",
            "stop-timeout": _GRACE_S,
            "exit-code-on-error": 0,  # failures are ours to report, by route
            "json-file": statistics,
            "targets": self.targets,
            "sign-in-secret": self.sign_in_secret,
            "think": self.think,
        }
        fixed = (sys.executable, "-m", "locust", "--headless", "--only-summary", "--loglevel", "WARNING")
        tags = ("--tags", *self.journeys) if self.journeys else ()
        return (*fixed, *(f"--{name}={value}" for name, value in options.items()), *tags)


def run(plan: Run, scratch: Path) -> Sequence[Mapping[str, Any]]:
    """Run Locust to its end and return its statistics, one entry a route.

    Raises Unavailable when no request was made, and ReceiptsError with Locust's last words when it failed.
    """
    statistics = scratch / "statistics"
    try:
        ended = subprocess.run(
            plan.command(statistics),
            capture_output=True,
            text=True,
            check=False,
            timeout=plan.duration_s + plan.users / plan.spawn_rate + _GRACE_S + _START_S,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"Locust did not end after its {plan.duration_s} seconds and was stopped.") from None
    written = statistics.with_suffix(".json")
    if ended.returncode != 0 or not written.is_file():
        last = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-1:]
        raise ReceiptsError(f"Locust ended with status {ended.returncode}: {' '.join(last)}")
    entries: list[dict[str, Any]] = json.loads(written.read_text())
    if not entries:
        raise Unavailable(f"Locust made no request to {plan.host}; is the platform up? See `receipts status`.")
    return entries
