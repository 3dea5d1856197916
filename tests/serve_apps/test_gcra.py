"""The algorithm gives exactly what it promises, whatever comes when, in Python and in the database alike."""

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.gcra import Buckets, Quota, take

INTERVALS = st.integers(1, 10**12)
BURSTS = st.integers(1, 1_000)
START = 1_700_000_000 * 10**9


@given(
    interval=INTERVALS,
    burst=BURSTS,
    arrivals=st.lists(st.tuples(st.integers(0, 10**13), st.integers(0, 50)), min_size=1, max_size=60),
)
def test_in_no_window_more_is_given_than_burst_and_rate_allow(interval, burst, arrivals):
    now = full_at = START
    given_at: list[tuple[int, int]] = []
    for pause, wanted in arrivals:
        now += pause
        full_at, grant = take(full_at, now, interval, burst, wanted)
        assert 0 <= grant.granted <= wanted
        given_at.append((now, grant.granted))
    for first, (begin, _) in enumerate(given_at):
        total = 0
        for end, granted in given_at[first:]:
            total += granted
            assert total <= burst + (end - begin) // interval


@given(interval=INTERVALS, burst=BURSTS, pauses=st.lists(st.integers(0, 10**13), max_size=30))
def test_what_is_refused_is_given_after_exactly_the_wait_that_was_told(interval, burst, pauses):
    now = full_at = START
    for pause in pauses:
        now += pause
        full_at, _ = take(full_at, now, interval, burst, burst)
    full_at, grant = take(full_at, now, interval, burst, burst)  # nothing is left
    assert grant.wait_ns > 0
    assert take(full_at, now + grant.wait_ns - 1, interval, burst, 1)[1].granted == 0
    assert take(full_at, now + grant.wait_ns, interval, burst, 1)[1].granted == 1


@given(interval=INTERVALS, burst=BURSTS, taken=st.integers(1, 1_000))
def test_what_is_given_back_can_be_taken_again(interval, burst, taken):
    before, grant = take(START, START, interval, burst, taken)
    after, returned = take(before, START, interval, burst, -grant.granted)
    assert returned.granted == -grant.granted
    assert take(after, START, interval, burst, burst)[1].granted == burst


def test_a_bucket_that_rested_is_full_and_never_fuller():
    full_at, grant = take(START, START, 10, 5, 9)
    assert grant.granted == 5
    assert take(full_at, START + 10**9, 10, 5, 9)[1].granted == 5


@given(count=st.integers(1, 10**6), seconds=st.integers(1, 86_400))
def test_a_quota_is_rounded_against_the_caller(count, seconds):
    quota = Quota("requests", count, seconds, 1)
    assert quota.interval_ns * count >= seconds * 10**9
    assert (quota.interval_ns - 1) * count < seconds * 10**9


@given(parts=st.integers(1, 50))
def test_shares_together_give_no_more_than_the_whole_but_for_one_token_each(parts):
    quota = Quota("requests", 50, 1, 200)
    share = quota.share(parts)
    assert parts * share.burst <= max(quota.burst, parts)
    assert share.interval_ns >= parts * quota.interval_ns


def test_a_flood_of_names_makes_room_by_forgetting_the_oldest():
    buckets, quota = Buckets(2), Quota("requests", 1, 60, 1)
    assert buckets.take("a", quota, START).granted == 1
    for name in ("b", "a", "c"):
        buckets.take(name, quota, START)
    assert buckets.take("a", quota, START).granted == 0
    assert buckets.take("b", quota, START).granted == 1


@pytest.fixture(scope="module")
def database(postgres_server, template_database):
    postgres_server.create_database("receipts_gcra", template_database)
    with psycopg.connect(postgres_server.dsn("receipts_gcra"), autocommit=True) as connection:
        yield connection
    postgres_server.drop_database("receipts_gcra")


def test_the_database_does_the_same_arithmetic(database):
    cases = [
        (START + ahead, START, interval, burst, wanted)
        for interval, burst in ((1, 1), (7, 3), (20_000_000, 200), (86_400 * 10**9, 1), (10**9, 20))
        for ahead in (-5, 0, 1, interval - 1, interval, interval + 1, burst * interval, burst * interval + 1)
        for wanted in (-1, 0, 1, burst, burst + 1)
    ]
    for case in cases:
        ours = take(*case)[1].granted
        (theirs,) = database.execute("SELECT limits.take(%s, %s, %s, %s, %s)", case).fetchone()
        assert theirs == ours, case
