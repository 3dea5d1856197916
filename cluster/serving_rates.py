"""How many replicas serve, how fast and how well: kept by the monitor for a minute, read by `receipts status`."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.credentials import write_private
from cluster.replica_metrics import applications_up, list_tellers
from configs.settings import Settings
from serve_apps.capabilities import CAPABILITIES, SIGN_IN

WINDOW_S = 60.0
_STALE_S = 120.0  # what the monitor noted before that is of another time
_COUNTED = re.compile(
    r'^receipts_serve_(request_seconds_bucket|requests_total)\{application="([^"]+)",(.*)\} (\S+)$', re.MULTILINE
)
_LE = re.compile(r'le="([^"]+)"')
_FAILED = re.compile(r'status="5\d\d"')

Series = dict[tuple[str, str, str], float]  # kind, application, other labels


class Rates:
    """What replicas counted, look by look, for a minute."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Series]] = deque()

    def take(self, text: str, now: float) -> dict[str, dict[str, float | None]]:
        """Take the exposition of a look at a time in seconds; return by application what the window shows.

        `requests_per_s`, `failing_per_s`, and `p95_ms`, the bound of a bucket and null where nothing was asked. Empty
        at the first look.
        """
        self._looks.append((now, {(one[1], one[2], one[3]): float(one[4]) for one in _COUNTED.finditer(text)}))
        while len(self._looks) > 2 and self._looks[1][0] <= now - WINDOW_S:
            self._looks.popleft()
        (began, before), (_, after) = self._looks[0], self._looks[-1]
        if len(self._looks) == 1:
            return {}
        grown = {series: _grown(before.get(series, 0.0), value) for series, value in after.items()}
        names = dict.fromkeys(application for _, application, _ in grown)
        return {name: _rates(name, grown, now - began) for name in names}


def note_rates(settings: Settings, rates: Mapping[str, Mapping[str, float | None]]) -> None:
    """Leave what the last minute showed for `receipts status`."""
    told = {"at": time.time(), "applications": rates}
    write_private(_file(settings), json.dumps(told).encode())


def serving_now(settings: Settings) -> dict[str, Any]:
    """Return `applications` by name: running, wanted (the fewest that shall be) and, while the monitor runs, rates.

    They are those of this node. Where Serve is another cluster's and has no replica here, there are none.
    """
    running = applications_up(list_tellers(settings))
    rates = _noted(settings)
    names = [one.name for one in (SIGN_IN, *CAPABILITIES)] if running or settings.ray.address is None else []
    wanted = settings.serve.min_replicas if settings.ray.address is None else 1
    return {
        "applications": {
            name: {"running": running.get(name, 0), "wanted": wanted, **rates.get(name, {})}
            for name in dict.fromkeys([*names, *running])
        }
    }


def _noted(settings: Settings) -> dict[str, dict[str, float | None]]:
    path = _file(settings)
    told: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"at": 0.0, "applications": {}}
    return told["applications"] if time.time() - told["at"] < _STALE_S else {}


def _file(settings: Settings) -> Path:
    return settings.state_dir.resolve() / "run" / "serving-rates.json"


def _grown(before: float, after: float) -> float:
    return after - before if after >= before else after  # a replica that began anew counts from nothing


def _rates(application: str, grown: Series, seconds: float) -> dict[str, float | None]:
    own = [(kind, labels, value) for (kind, name, labels), value in grown.items() if name == application]
    answers = [(labels, value) for kind, labels, value in own if kind == "requests_total"]
    buckets: dict[float, float] = {}
    for kind, labels, value in own:
        found = _LE.search(labels)
        if kind == "request_seconds_bucket" and found is not None:
            buckets[float(found[1])] = buckets.get(float(found[1]), 0.0) + value
    failing = sum(value for labels, value in answers if _FAILED.search(labels))
    return {
        "requests_per_s": round(sum(value for _, value in answers) / seconds, 2),
        "failing_per_s": round(failing / seconds, 3),
        "p95_ms": _percentile_ms(buckets, 0.95),
    }


def _percentile_ms(buckets: Mapping[float, float], share: float) -> float | None:
    """Return below which bound so many lie, in milliseconds; null where there is none or the bound is open."""
    most = max(buckets.values(), default=0.0)
    within = (bound for bound in sorted(buckets) if buckets[bound] >= share * most)
    bound = next(within, None) if most else None
    return None if bound is None or bound == float("inf") else round(bound * 1_000, 3)
