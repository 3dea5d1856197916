"""How a run of Locust tells the command that started it: a JSON line a second on stdout, and the last one at the end.

Only Locust's own processes call this. Workers tell the master, the master tells the command.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import psutil

from loadtest.pacing import DUE
from loadtest.strain import LOOK_S, Strain

if TYPE_CHECKING:  # importing Locust patches the standard library: only its own processes may
    from locust.env import Environment
    from locust.runners import Runner
    from locust.stats import StatsError

Processes = Callable[[], dict[str, dict[str, Any]]]  # what is known of each process, by its name
_SECOND_LOOKS = round(1 / LOOK_S)


def begin(environment: Environment, runner: Runner, left: Callable[[], int]) -> None:
    """Watch this process, and tell what is known of all. `left` says how many of its users are gone."""
    own = Strain()
    gevent.spawn(_watch, own)
    name = f"{os.uname().nodename}:{os.getpid()}"

    def processes() -> dict[str, dict[str, Any]]:
        return known | {name: own.as_json() | {"left": left()}}

    known: dict[str, dict[str, Any]] = {}
    if environment.parsed_options is not None and environment.parsed_options.worker:
        environment.events.report_to_master.add_listener(
            lambda client_id, data: data.update(process=processes())  # noqa: ARG005  Locust names them
        )
        return
    environment.events.worker_report.add_listener(
        lambda client_id, data: known.update(data.get("process", {}))  # noqa: ARG005  Locust names them
    )
    gevent.spawn(_tell, environment, runner, processes)
    environment.events.quit.add_listener(
        lambda exit_code: _say(_summary(environment, runner, processes()))  # noqa: ARG005  Locust names it
    )


def since_due(environment: Environment, elapsed_ms: float) -> None:
    """Count how long an answer took from when its question was due."""
    environment.events.request.fire(
        request_type=DUE, name="from when it was due", response_time=elapsed_ms, response_length=0, exception=None,
        context={},
    )  # fmt: skip


def complain(environment: Environment, problem: str) -> None:
    """Count a failure that no request had."""
    environment.events.request.fire(
        request_type="POST", name="POST /auth/token", response_time=0, response_length=0, exception=problem, context={}
    )


def _watch(own: Strain) -> None:
    """Look at the clock ten times a second for ever: how late a look is, so late are the driver's times."""
    process = psutil.Process()
    process.cpu_percent()
    due, looks = time.perf_counter(), 0
    while True:
        due += LOOK_S
        gevent.sleep(max(0.0, due - time.perf_counter()))
        late_s = time.perf_counter() - due
        own.saw(late_s)
        due += late_s  # a look that was late makes none of the next ones late
        looks += 1
        if looks % _SECOND_LOOKS == 0:
            own.used(process.cpu_percent())


def _tell(environment: Environment, runner: Runner, processes: Processes) -> None:
    while True:
        gevent.sleep(1.0)
        told = processes().values()
        total = environment.stats.total
        asked = [entry for entry in environment.stats.entries.values() if entry.method != DUE]
        line = {
            "users": runner.user_count,
            "requests": sum(entry.num_requests for entry in asked),
            "failures": total.num_failures,
            "per_second": round(sum(entry.current_rps for entry in asked), 1),
            "p95_ms": total.get_current_response_time_percentile(0.95),
            "cpu_percent": max((one["cpu_percents"][-1] for one in told if one["cpu_percents"]), default=0.0),
        }
        # Before Locust's page somebody may start another run.
        everybody_left = 0 < runner.target_user_count <= sum(one["left"] for one in told)
        if (everybody_left and environment.web_ui is None) or not _say(line):
            runner.quit()  # also where nobody listens any more: nobody wants us to press
            return


def _summary(environment: Environment, runner: Runner, processes: dict[str, Any]) -> dict[str, Any]:
    """Return what Locust's own statistics file leaves out."""
    stats = environment.stats
    return {
        "ended": True,
        "seconds": max(0.0, (stats.total.last_request_timestamp or 0.0) - stats.total.start_time),
        "errors": [
            {"route": error.name, "error": _text(error), "occurrences": error.occurrences}
            for error in stats.errors.values()
        ],
        "exceptions": [entry["msg"] for entry in runner.exceptions.values()],
        "strain": processes,
    }


def _text(error: StatsError) -> str:
    """Return an error in words; workers send it as it would be written in Python."""
    return error.to_name().removeprefix(f"{error.method} {error.name}: ").strip("'\"")


def _say(line: dict[str, Any]) -> bool:
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True
