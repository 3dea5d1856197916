"""Where a fleet of this node says who its members are, and how another process has it replace them."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster.errors import PlatformError
from configs.settings import Settings

_POLL_S = 0.2
_ROLLED_S = 180.0  # one member after another, each given a minute to start


def fleet_file(settings: Settings, name: str) -> Path:
    """Return where a fleet says who its members are: `state_dir/run/<name>.fleet.json`."""
    return settings.state_dir.resolve() / "run" / f"{name}.fleet.json"


def read_fleet(settings: Settings, name: str) -> dict[str, Any]:
    """Return what this node's fleet says of itself: wanted, rolls, rolling, and its members (slot, pid, state).

    Raises PlatformError when no such fleet runs here.
    """
    try:
        return json.loads(fleet_file(settings, name).read_text())
    except FileNotFoundError:
        raise PlatformError(f"There are no {name} running here as a fleet; start them with `receipts up`.") from None


def heed_signals(roll: Callable[[], None]) -> threading.Event:
    """Let SIGHUP replace this process' members one by one; return what SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: roll())
    return stop


def roll_here(settings: Settings, name: str, pid: int) -> dict[str, Any]:
    """Have the fleet of process `pid` replace its members and return what it says when it is done.

    Raises PlatformError when it does not get there: the old members then go on.
    """
    before = read_fleet(settings, name)["rolls"]
    os.kill(pid, signal.SIGHUP)
    deadline = time.monotonic() + _ROLLED_S
    while (told := read_fleet(settings, name))["rolls"] == before:
        if time.monotonic() > deadline:
            raise PlatformError(f"The {name} were not replaced within {_ROLLED_S:.0f} s; see their log.")
        time.sleep(_POLL_S)
    return told
