"""Whose word about an address is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.addresses import block_of, client_address


def scope(*forwarded: str) -> dict[str, object]:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"client": ("127.0.0.1", 1), "headers": headers}


@pytest.mark.parametrize(
    ("forwarded", "hops", "address"),
    [
        ((), 0, None),
        (("203.0.113.9",), 0, None),  # whoever sends it: nobody in front is trusted
        (("203.0.113.9",), 1, "203.0.113.9"),
        (("9.9.9.9, 203.0.113.9",), 1, "203.0.113.9"),  # the client wrote the left one itself
        (("9.9.9.9", "203.0.113.9"), 1, "203.0.113.9"),
        (("9.9.9.9, 203.0.113.9, 10.0.0.7",), 2, "203.0.113.9"),
        (("203.0.113.9",), 2, None),  # not all proxies were passed
        ((), 1, None),
        (("203.0.113.9:4711",), 1, "203.0.113.9"),
        (("[2001:db8::1]:4711",), 1, "2001:db8::1"),
        (("2001:DB8:0::1",), 1, "2001:db8::1"),
        (("::ffff:203.0.113.9",), 1, "203.0.113.9"),
        (("unknown",), 1, None),
        (("1.2.3.4\x00",), 1, None),
        (("x" * 9_000 + ",203.0.113.9",), 1, "203.0.113.9"),
    ],
)
def test_only_the_entry_of_our_own_proxies_is_believed(forwarded, hops, address):
    assert client_address(scope(*forwarded), hops) == address


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=80), st.integers(1, 3))
def test_whatever_is_sent_gives_an_address_or_nothing(text, hops):
    address = client_address(scope(text), hops)
    assert address is None or len(address) <= 45


def test_an_ipv6_subscriber_is_one_caller():
    assert block_of("2001:db8::1") == block_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert block_of("2001:db8:0:1::1") != block_of("2001:db8::1")
    assert block_of("203.0.113.9") == "203.0.113.9"
