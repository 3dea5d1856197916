"""Jobs of the night: once a night, step by step, whatever happens to the process or to a job."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

import pytest

from data_jobs.upkeep.nightly import Job, keep_nights, list_last
from receipts.lake import Lake

EVENING = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = EVENING

    def __call__(self) -> datetime:
        return self.now


def _job(name: str, at: time, diary: list[str], steps: int = 1) -> Job:
    def begin() -> Iterator[str]:
        for number in range(steps):
            diary.append(f"{name} {number}")
            yield f"{name} did step {number}"

    return Job(name, at, begin)


def _began_yesterday(lake: Lake, jobs: list[Job], clock: Clock) -> None:
    """Let a process run until the night before, so that every job is due."""
    clock.now -= timedelta(days=1)
    next(keep_nights(lake, jobs, clock))
    clock.now += timedelta(days=1)


def _turn(nights: Iterator[None], times: int = 10) -> None:
    for _ in range(times):
        next(nights)


def test_a_job_runs_once_a_night_also_when_the_process_starts_anew(lake: Lake) -> None:
    clock, diary = Clock(), list[str]()
    jobs = [_job("compaction", time(2, 30), diary)]
    _turn(keep_nights(lake, jobs, clock))
    clock.now += timedelta(hours=4)  # 02:00, not yet
    _turn(keep_nights(lake, jobs, clock))
    assert diary == []  # a new platform waits for its first night
    clock.now += timedelta(hours=1)
    nights = keep_nights(lake, jobs, clock)
    _turn(nights)
    _turn(keep_nights(lake, jobs, clock))
    _turn(nights)
    assert diary == ["compaction 0"]
    clock.now += timedelta(days=3)  # nobody was up
    _turn(keep_nights(lake, jobs, clock))
    assert len(diary) == 2


def test_jobs_go_one_after_the_other_a_step_at_a_time(lake: Lake) -> None:
    clock, diary = Clock(), list[str]()
    jobs = [_job("vacuum", time(4, 0), diary, 2), _job("compaction", time(2, 0), diary, 2)]
    _began_yesterday(lake, jobs, clock)
    nights = keep_nights(lake, jobs, clock)
    seen: list[int] = []
    for _ in range(6):
        next(nights)
        seen.append(len(diary))
    assert diary == ["compaction 0", "compaction 1", "vacuum 0", "vacuum 1"]
    assert all(after - before <= 1 for before, after in pairwise(seen))


def test_a_job_that_fails_is_recorded_and_tried_again_and_stops_no_other(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    clock, diary = Clock(), list[str]()
    healthy = list[bool]()

    def begin() -> Iterator[str]:
        diary.append("tried")
        yield "half of it"
        if not healthy:
            raise OSError("No space left on device")

    jobs = [Job("retention", time(1, 0), begin), _job("vacuum", time(4, 0), diary)]
    _began_yesterday(lake, jobs, clock)
    nights = keep_nights(lake, jobs, clock)
    _turn(nights)
    assert diary == ["tried", "vacuum 0"]
    assert "The nightly job retention failed" in caplog.text
    assert list_last(lake)["retention"]["error"] == "OSError: No space left on device"
    assert list_last(lake)["vacuum"]["error"] is None
    healthy.append(True)
    clock.now += timedelta(minutes=20)
    _turn(nights)
    assert diary == ["tried", "vacuum 0", "tried"]
    last = list_last(lake)["retention"]
    assert (last["error"], last["steps"], last["night"]) == (None, 1, EVENING.date())


def test_a_job_that_is_cut_off_begins_anew_with_the_next_process(lake: Lake) -> None:
    clock, diary = Clock(), list[str]()
    jobs = [_job("compaction", time(2, 0), diary, 3)]
    _began_yesterday(lake, jobs, clock)
    next(keep_nights(lake, jobs, clock))
    assert diary == ["compaction 0"]
    assert list_last(lake) == {}
    _turn(keep_nights(lake, jobs, clock))
    assert diary == ["compaction 0", "compaction 0", "compaction 1", "compaction 2"]
    assert list_last(lake)["compaction"]["steps"] == 3
