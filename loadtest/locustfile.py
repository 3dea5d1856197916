"""The file Locust loads: reps at a service desk, an integration beside them, and callers of constant rate.

`receipts load` starts it, with the web page and on several machines too; docs/load-testing.md says how.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from locust import FastHttpUser, events, tag, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import Runner, WorkerRunner

from loadtest import journeys, telling
from loadtest.journeys import Answer, Desk, Sight, Step, Steps
from loadtest.kit import Kit, Person, read_kit
from loadtest.pacing import CALL_S, CLICK_S, Schedule, think_s
from loadtest.refusals import what_went_wrong

_RENEW_S = 60.0  # a token is renewed a minute before it ends, or half-way through a shorter life
_SIGN_IN = "POST /auth/token"
_BATCH_EVERY_S = 10.0


class Stage:
    """What all users of this process share: the kit, who of it is free, and the program's one token."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.free: deque[Person] | None = None  # dealt when the first rep comes: only then the worker knows its number
        self.sights: dict[frozenset[int] | None, Sight | None] = {}
        self.program = Pass(kit.program)
        self.left = 0  # users whose last call is over

    def take_person(self, runner: Runner, workers: int) -> Person | None:
        """Return somebody whom nobody plays, in this process or another; None when all are at work."""
        if self.free is None:
            number = runner.worker_index if isinstance(runner, WorkerRunner) else 0
            self.free = deque(self.kit.share(number, workers))
        return self.free.popleft() if self.free else None

    def sight_of(self, person: Person) -> Sight | None:
        """Return what a person sees; made once for all people of the same regions."""
        regions = person.region_ids
        if regions not in self.sights:
            self.sights[regions] = Sight.of(self.kit.sample, regions)
        return self.sights[regions]


class Pass:
    """An access token of somebody, renewed before it ends."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.headers: dict[str, str] = {}
        self._renew_at = float("-inf")
        self._renewing = BoundedSemaphore()  # a program's callers share it, and one of them signs in

    def show(self, client: FastHttpSession) -> dict[str, str]:
        """Return the header that signs a request. Raises StopUser when signing in fails, which is counted."""
        if time.monotonic() > self._renew_at:
            with self._renewing:
                if time.monotonic() > self._renew_at:
                    self._sign_in(client)
        return self.headers

    def _sign_in(self, client: FastHttpSession) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.person.client_id,
            "client_secret": self.person.secret,
        }
        with client.post("/auth/token", data=form, name=_SIGN_IN, catch_response=True) as answer:
            if problem := what_went_wrong(answer, (200,)):
                answer.failure(problem)
                raise StopUser
            answer.success()
        token: dict[str, Any] = answer.json()
        self.headers = {"Authorization": f"Bearer {token['access_token']}"}
        lasts_s = float(token["expires_in"])
        self._renew_at = time.monotonic() + max(lasts_s - _RENEW_S, lasts_s / 2)


@events.init_command_line_parser.add_listener
def add_arguments(parser: LocustArgumentParser) -> None:
    """Tell Locust which options are ours."""
    add = parser.add_argument
    add("--kit", required=True, include_in_web_ui=False, help="the file that `receipts load prepare` wrote")
    add("--think", type=float, default=1.0, help="scale of the pauses; 0 for none")
    add("--calls", type=int, default=0, include_in_web_ui=False, help="how many calls everybody takes; 0 for no end")
    add("--interval", type=float, default=1.0, include_in_web_ui=False, help="seconds between two lookups of a caller")


@events.init.add_listener
def set_the_stage(environment: Environment, runner: Runner, **_: object) -> None:
    """Read the kit, and begin to tell how the run goes."""
    options = environment.parsed_options
    assert options is not None
    # A worker gets the master's options later, its path of the kit included: read ours now.
    environment.stage = stage = Stage(read_kit(Path(options.kit)))  # type: ignore[attr-defined] - Locust's objects are open to the user's own fields
    telling.begin(environment, runner, lambda: stage.left)


class Api(FastHttpUser):
    """Somebody who asks the API."""

    abstract = True
    connection_timeout = 5.0
    network_timeout = 30.0  # beyond it an answer is a failure anyway
    insecure = False  # what proves who we are is sent to nobody but the API
    passport: Pass
    desk: Desk
    calls = 0  # that came to their end

    def on_stop(self) -> None:
        """Count that this user is gone."""
        self.environment.stage.left += 1

    def sit_down(self, passport: Pass) -> None:
        """Sign in and take what this person may see. Raises StopUser when that is nothing."""
        stage: Stage = self.environment.stage
        sight = stage.sight_of(passport.person)
        if sight is None:
            raise StopUser
        self.passport = passport
        self.desk = Desk(sight, random.Random())  # noqa: S311  choices, not secrets
        passport.show(self.client)

    def ask(self, step: Step, *, decode: bool = True) -> Answer:
        """Send one request; return the decoded answer, or None when it is not what was expected."""
        headers = self.passport.show(self.client)
        with self.client.request(
            step.method, step.path, name=step.route, headers=headers, json=step.body, catch_response=True
        ) as answer:
            if problem := what_went_wrong(answer, step.expect, step.holds):
                answer.failure(problem)
                return None
            answer.success()
            return answer.json() if decode else {}

    def hang_up(self) -> None:
        """Count a call. Raises StopUser when it was the last one."""
        self.calls += 1
        if self.calls == self.environment.parsed_options.calls:
            raise StopUser

    def follow(self, steps: Steps) -> None:
        """Go through a call click by click, and think between them."""
        try:
            step = next(steps)
            while True:
                step = steps.send(self.ask(step))
                gevent.sleep(think_s(self.desk.source, CLICK_S, self.environment.parsed_options.think))
        except StopIteration:
            self.hang_up()


class Rep(Api):
    """One person at a service desk, who takes call after call. Nobody else is that person."""

    person: Person | None = None

    def on_start(self) -> None:
        """Become somebody and sign in."""
        stage: Stage = self.environment.stage
        self.person = stage.take_person(self.environment.runner, self.environment.parsed_options.expect_workers)
        if self.person is None:
            telling.complain(self.environment, "the kit has no person left")
            raise StopUser
        self.sit_down(Pass(self.person))

    def on_stop(self) -> None:
        """Let somebody else be that person."""
        super().on_stop()
        if self.person is not None:
            self.environment.stage.free.append(self.person)

    def wait_time(self) -> float:
        """Return how long it is until the next call, in seconds."""
        return think_s(self.desk.source, CALL_S, self.environment.parsed_options.think)


def _call(kind: journeys.Kind) -> Callable[[Rep], None]:
    def take_call(rep: Rep) -> None:
        rep.follow(kind.steps(rep.desk))

    take_call.__name__ = kind.steps.__name__
    return tag(kind.tag)(task(kind.weight)(take_call))


Rep.tasks = [take for kind in journeys.CALLS for take in [_call(kind)] * kind.weight]


class Integration(Api):
    """A program that fetches receipts by the hundred, such as a CRM."""

    fixed_count = 1  # however many reps there are

    def on_start(self) -> None:
        """Sign in as the program."""
        self.sit_down(self.environment.stage.program)

    def wait_time(self) -> float:
        """Return how long it is until the next batch, in seconds."""
        return _BATCH_EVERY_S * self.environment.parsed_options.think

    @tag("batch")
    @task
    def fetch(self) -> None:
        """Fetch a batch."""
        self.follow(journeys.fetch_batch(self.desk))


class Caller(Api):
    """One of many connections of a program that looks receipts up at a constant rate, whatever it is answered."""

    schedule: Schedule

    def on_start(self) -> None:
        """Sign in as the program and begin to count."""
        self.sit_down(self.environment.stage.program)
        interval_s = self.environment.parsed_options.interval
        self.schedule = Schedule.starting(time.perf_counter(), interval_s, self.desk.source)
        gevent.sleep(self.schedule.wait_s(time.perf_counter()))

    def wait_time(self) -> float:
        """Return how long it is until the next lookup is due; 0 when it was due already."""
        return self.schedule.wait_s(time.perf_counter())

    @task
    def look_up(self) -> None:
        """Look a receipt up, and count from when that was due too."""
        due = self.schedule.take()
        self.ask(journeys.look_up(self.desk), decode=False)
        telling.since_due(self.environment, (time.perf_counter() - due) * 1_000)
        self.hang_up()
