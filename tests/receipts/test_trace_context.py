"""Trace Context as the W3C writes it, and whatever else somebody may send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.trace_context import Caller, parse_tracestate, read_caller, traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
CALLER = Caller(int(TRACE, 16), int(SPAN, 16), sampled=True)


def caller_of(*parents: str, states: tuple[str, ...] = ()) -> Caller | None:
    headers = [(b"traceparent", one.encode("latin-1")) for one in parents]
    return read_caller([*headers, *((b"tracestate", one.encode("latin-1")) for one in states)])


def test_the_examples_of_the_standard_are_read():
    assert caller_of(GOOD) == CALLER
    assert caller_of(f"00-{TRACE}-{SPAN}-00") == CALLER._replace(sampled=False)


def test_a_later_version_may_say_more_and_other_flags():
    assert caller_of(f"cc-{TRACE}-{SPAN}-01") == CALLER
    assert caller_of(f"cc-{TRACE}-{SPAN}-01-what-the-future-brings") == CALLER
    assert caller_of(f"00-{TRACE}-{SPAN}-03") == CALLER  # level 2: the trace id is random
    assert caller_of(f"00-{TRACE}-{SPAN}-fe") == CALLER._replace(sampled=False)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        GOOD.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f" {GOOD}",
        f"{GOOD}\n",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"cc-{TRACE}-{SPAN}-01-{'m' * 300}",
    ],
)
def test_whatever_is_malformed_is_nobody(wrong):
    assert caller_of(wrong) is None


def test_two_callers_are_none():
    assert caller_of(GOOD, GOOD) is None
    assert caller_of() is None


def test_the_state_of_all_headers_comes_in_order_and_without_empty_members():
    assert caller_of(GOOD, states=("rojo=00f067aa0ba902b7 , ", "congo=t61rcWkgMzE,1@x=a b")).state == (
        ("rojo", "00f067aa0ba902b7"), ("congo", "t61rcWkgMzE"), ("1@x", "a b"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "wrong", ["Upper=1", "a", "=1", "a=1=2", "a=1,a=2", "a=caf\xe9", "a=1;b=2 =", "a=", f"a={'x' * 257}", "a=1,\x00=2"]
)
def test_a_malformed_state_is_dropped_and_its_caller_stays(wrong):
    assert caller_of(GOOD, states=(wrong,)) == CALLER


def test_a_state_beyond_the_limits_is_dropped():
    assert len(parse_tracestate([b",".join(b"k%d=1" % n for n in range(32))])) == 32
    assert parse_tracestate([b",".join(b"k%d=1" % n for n in range(33))]) == ()
    assert parse_tracestate([b"a=" + b"x" * 250, b"b=" + b"x" * 250]) != ()
    assert parse_tracestate([b"a=" + b"x" * 256, b"b=" + b"x" * 256]) == ()


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_what_we_send_is_what_we_read(trace_id, span_id, sampled):
    assert caller_of(traceparent(trace_id, span_id, sampled=sampled)) == Caller(trace_id, span_id, sampled)


@given(st.lists(st.tuples(st.sampled_from([b"traceparent", b"tracestate", b"other"]), st.binary(max_size=600))))
def test_nothing_that_is_sent_is_an_error(headers):
    read_caller(headers)
