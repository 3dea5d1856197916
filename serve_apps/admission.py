"""Which principal a person of the company's identity provider is, and what the person's groups are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from psycopg_pool import AsyncConnectionPool

from serve_apps.sign_in import SQL
from serve_apps.upstream import Identity


class Worth(NamedTuple):
    """A role with its regions; none for somebody whose groups say nothing."""

    role: str | None
    region_ids: list[int]
    all_regions: bool


def worth_of(groups: frozenset[str], mapping: Mapping[str, str]) -> Worth:
    """Return the role of the first group in the mapping, and the regions of all groups that carry that role."""
    role: str | None = None
    regions: set[int] = set()
    everywhere = False
    for name, worth in mapping.items():
        if name not in groups:
            continue
        named, _, where = worth.partition(":")
        role = role or named
        if named != role:
            continue
        if where == "all":
            everywhere = True
        else:
            regions.update(int(one) for one in where.split(","))
    return Worth(role, [] if everywhere else sorted(regions), everywhere)


async def admit(pool: AsyncConnectionPool, identity: Identity, mapping: Mapping[str, str]) -> str | None:
    """Return the principal that a person is, entered anew if the groups say so; None for nobody we know."""
    row = {
        "issuer": identity.issuer,
        "subject": identity.subject,
        "display_name": identity.display_name,
        **worth_of(identity.groups, mapping)._asdict(),
    }
    async with pool.connection() as connection:
        found = await (await connection.execute(SQL["admit"], row)).fetchone()
    return found[0] if found else None
