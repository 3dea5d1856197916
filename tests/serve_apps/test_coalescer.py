"""Many requests, few questions."""

import asyncio

import pytest

from receipts.errors import Unavailable
from serve_apps import coalescer as module
from serve_apps.coalescer import Coalescer


class Lane:
    """Answers what it is asked at the end of the turn, notes each question, and waits while it is held."""

    def __init__(self, questions, *, held=False):
        self.questions = questions
        self.held = held
        self.failures = []
        self.asked = []

    def ask(self, group, batch, done):
        self.questions.append((group, [asked.key for asked in batch]))
        self.asked.append((group, batch, done))
        if not self.held:
            asyncio.get_running_loop().call_soon(self.answer)

    def answer(self):
        group, batch, done = self.asked.pop(0)
        if self.failures:
            done(self.failures.pop())
        else:
            done({asked.key: f"{group}:{asked.key}" for asked in batch if not asked.key.startswith("missing")})

    async def aclose(self):
        while self.asked:
            self.asked.pop(0)[2](OSError("closed"))


def coalescer(*lanes, most_waiting=1_000) -> Coalescer[str]:
    return Coalescer(lanes, most_waiting, "Too many wait.")


async def turns(number=5):
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_lone_request_is_asked_at_once():
    lane = Lane([])
    assert await coalescer(lane).find("east", "1") == "east:1"
    assert lane.questions == [("east", ["1"])]


async def test_requests_that_arrive_together_share_a_question_and_each_gets_its_own():
    lane = Lane([])
    one = coalescer(lane)
    keys = [str(number) for number in range(100)] + ["7", "missing"]
    answers = await asyncio.gather(*(one.find("east", key) for key in keys))
    assert answers == [f"east:{key}" for key in keys[:-1]] + [None]
    assert len(lane.questions) == 1


async def test_requests_that_arrive_during_a_question_share_the_next_one():
    lane = Lane([], held=True)
    one = coalescer(lane)
    first = asyncio.create_task(one.find("east", "1"))
    await turns()
    more = [asyncio.create_task(one.find("east", key)) for key in ("2", "3")]
    await turns()
    assert lane.questions == [("east", ["1"])]
    lane.held = False
    lane.answer()
    assert await asyncio.gather(first, *more) == ["east:1", "east:2", "east:3"]
    assert lane.questions == [("east", ["1"]), ("east", ["2", "3"])]


async def test_in_a_quiet_hour_questions_run_side_by_side():
    questions = []
    lanes = [Lane(questions, held=True) for _ in range(3)]
    one = coalescer(*lanes)
    waiting = []
    for key in "1234":
        waiting.append(asyncio.create_task(one.find("east", key)))
        await turns()
    assert questions == [("east", ["1"]), ("east", ["2"]), ("east", ["3"])], "as many as there are lanes"
    for lane in lanes:
        lane.held = False
        lane.answer()
    assert await asyncio.gather(*waiting) == ["east:1", "east:2", "east:3", "east:4"]


async def test_under_load_one_lane_carries_what_all_ask():
    questions = []
    lanes = [Lane(questions, held=True) for _ in range(3)]
    one = coalescer(*lanes)
    many = [asyncio.create_task(one.find("east", str(number))) for number in range(10)]
    await turns()
    more = [asyncio.create_task(one.find("east", str(number))) for number in range(10, 20)]
    await turns()
    assert [len(keys) for _, keys in questions] == [10], "the others wait, though two lanes are idle"
    for lane in lanes:
        lane.held = False
        while lane.asked:
            lane.answer()
    await asyncio.gather(*many, *more)
    assert [len(keys) for _, keys in questions] == [10, 10]


async def test_two_scopes_never_share_a_question_and_none_is_passed_over():
    lane = Lane([])
    one = coalescer(lane)
    answers = await asyncio.gather(*(one.find(who, str(i)) for i in range(300) for who in ("east", "west")))
    assert answers == [f"{scope}:{i}" for i in range(300) for scope in ("east", "west")]
    assert [(scope, len(keys)) for scope, keys in lane.questions] == [
        ("east", 256), ("west", 256), ("east", 44), ("west", 44),
    ]  # fmt: skip


async def test_a_request_that_goes_away_is_not_asked_for_and_leaves_the_others_their_answers():
    lane = Lane([], held=True)
    one = coalescer(lane)
    first = asyncio.create_task(one.find("east", "1"))
    await turns()
    gone, stays = (asyncio.create_task(one.find("east", key)) for key in ("2", "3"))
    await turns()
    gone.cancel()
    first.cancel()
    await turns()
    lane.held = False
    lane.answer()
    assert await stays == "east:3"
    assert lane.questions == [("east", ["1"]), ("east", ["3"])]
    assert one.waiting == 0


async def test_a_failed_question_fails_its_own_requests_and_no_later_one():
    lane = Lane([])
    lane.failures.append(OSError("gone"))
    one = coalescer(lane)
    both = await asyncio.gather(one.find("east", "1"), one.find("east", "2"), return_exceptions=True)
    assert [type(each) for each in both] == [OSError, OSError]
    assert await one.find("east", "1") == "east:1"


async def test_a_full_queue_refuses_instead_of_waiting():
    lane = Lane([], held=True)
    one = coalescer(lane, most_waiting=2)
    waiting = [asyncio.create_task(one.find("east", key)) for key in ("1", "2")]
    await turns()
    with pytest.raises(Unavailable, match="Too many"):
        await one.find("east", "3")
    lane.held = False
    lane.answer()
    assert await asyncio.gather(*waiting) == ["east:1", "east:2"]
    assert await one.find("east", "3") == "east:3"


async def test_a_request_that_waits_for_too_long_is_refused_asked_or_not(monkeypatch):
    monkeypatch.setattr(module, "_DEADLINE_S", 0.05)  # instead of waiting for two seconds
    monkeypatch.setattr(module, "_SWEEP_S", 0.01)  # as above
    lane = Lane([], held=True)
    one = coalescer(lane)
    asked, waits = asyncio.create_task(one.find("east", "1")), asyncio.create_task(one.find("west", "2"))
    for task in (asked, waits):
        with pytest.raises(Unavailable, match="in time"):
            await task
    lane.held = False
    lane.answer()
    assert await one.find("east", "3") == "east:3", "the lane is free again"
    assert ("west", ["2"]) not in lane.questions, "nobody waits for it any more"


async def test_closing_refuses_those_that_wait_and_not_those_that_come_later():
    lane = Lane([], held=True)
    one = coalescer(lane)
    asked, waits = asyncio.create_task(one.find("east", "1")), asyncio.create_task(one.find("west", "2"))
    await turns()
    await one.aclose()
    with pytest.raises(OSError, match="closed"):
        await asked
    with pytest.raises(Unavailable, match="shutting down"):
        await waits
    lane.held = False
    assert await one.find("east", "3") == "east:3"
    assert ("west", ["2"]) not in lane.questions


async def test_what_waits_what_is_asked_and_what_is_refused_is_counted(monkeypatch):
    monkeypatch.setattr(module, "_DEADLINE_S", 0.0)  # whatever waits is overdue at once
    monkeypatch.setattr(module, "_SWEEP_S", 0.01)  # and is looked for soon
    lane = Lane([], held=True)
    one = coalescer(lane, most_waiting=3)
    first = asyncio.create_task(one.find("east", "1"))
    await turns()
    others = [asyncio.create_task(one.find("east", key)) for key in "23"]
    await turns(1)
    with pytest.raises(Unavailable):
        await one.find("east", "4")
    assert (one.busy, one.waiting, one.meter.overflowed) == (1, 3, 1)
    for task in (first, *others):
        with pytest.raises(Unavailable):
            await task
    assert one.meter.overdue == 3
    lane.held = False
    lane.answer()
    assert await one.find("east", "5") == "east:5"
    meter = one.meter
    assert (one.busy, sum(meter.sizes.counts), sum(meter.waited.counts), sum(meter.asked.counts)) == (0, 2, 2, 2)
    assert meter.sizes.total == 2


async def test_a_question_counts_for_every_request_that_shares_it():
    one = coalescer(Lane([]))
    await asyncio.gather(*(one.find("east", str(number)) for number in range(5)))
    meter = one.meter
    assert (sum(meter.sizes.counts), meter.sizes.total) == (1, 5)
    assert sum(meter.waited.counts) == sum(meter.asked.counts) == 5
