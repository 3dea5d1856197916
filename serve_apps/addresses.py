"""Where a request comes from, as far as somebody trustworthy has written it down.

Behind HAProxy the peer of every request is a proxy of our own, and whoever sends `X-Forwarded-For` becomes
`scope["client"]`, because uvicorn believes what comes from 127.0.0.1. So neither is believed. What is left is the
number of proxies of yours in front (as Envoy's `xff_num_trusted_hops`): each appends its peer to that header, or
writes it anew, and the entry so many from the right is the client, whatever the client itself wrote to the left of it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.types import Scope

_MOST_BYTES = 2_000  # no chain of proxies writes more
_BLOCK_BITS = 64  # what one IPv6 subscriber has at least (RFC 6177): limits count by it


def client_address(scope: Scope, trusted_hops: int) -> str | None:
    """Return the client's address in its canonical form, or None where nobody trustworthy has told it."""
    if trusted_hops == 0:
        return None
    told = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    entries = told[-_MOST_BYTES:].decode("latin-1").split(",")
    if len(entries) < trusted_hops:
        return None
    address = _parse(entries[-trusted_hops].strip())
    return None if address is None else str(address)


def block_of(address: str) -> str:
    """Return what limits count an address by: itself, or the /64 of an IPv6 address, all of which one caller has."""
    parsed = _parse(address)
    return str(ip_network((parsed, _BLOCK_BITS), strict=False)) if isinstance(parsed, IPv6Address) else address


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address with or without a port."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
