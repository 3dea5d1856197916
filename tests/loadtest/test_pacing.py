import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.pacing import Schedule, think_s


def test_thinking_takes_the_time_it_is_scaled_to():
    source = random.Random(1)
    pauses = sorted(think_s(source, 3.0, 0.5) for _ in range(2_001))
    assert pauses[1_000] == pytest.approx(1.5, rel=0.1)
    assert pauses[1_900] == pytest.approx(4.0, rel=0.15), "one in twenty takes more than twice as long"
    assert pauses[0] > 0
    assert think_s(source, 3.0, 0.0) == 0.0


@given(st.integers(), st.lists(st.floats(0, 20), max_size=30))
def test_what_is_due_does_not_depend_on_how_long_answers_take(seed, answers_s):
    now = 100.0
    schedule = Schedule.starting(now, 2.0, random.Random(seed))
    first = schedule.due
    assert 100.0 <= first < 102.0
    for number, answer_s in enumerate(answers_s):
        now += schedule.wait_s(now)
        assert now >= schedule.due - 1e-9
        assert schedule.take() == pytest.approx(first + 2.0 * number)
        now += answer_s
    assert schedule.wait_s(now) == pytest.approx(max(0.0, first + 2.0 * len(answers_s) - now))


def test_after_a_stall_all_that_was_due_is_asked_without_waiting():
    schedule = Schedule(0.5, due=10.0)
    late = []
    while schedule.wait_s(13.0) == 0.0:
        late.append(13.0 - schedule.take())
    assert late == [3.0, 2.5, 2.0, 1.5, 1.0, 0.5, 0.0], "and their latency counts from when they were due"
