"""What a development platform starts with: the regions, and people to sign in as."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from receipts.access import Role
from receipts.sql import load_sql

_SQL = load_sql("cluster", "seeds")

REGIONS = {
    1: "Pittsburgh East",
    2: "Pittsburgh West",
    3: "Pittsburgh South",
    4: "Pittsburgh North",
    5: "Ohio",
    6: "West Virginia",
    7: "Erie & Northwest",
    8: "Central Pennsylvania",
}


@dataclass(frozen=True, slots=True)
class Person:
    """A development principal; without regions it sees all of them."""

    principal_id: str
    role: Role
    display_name: str
    region_ids: tuple[int, ...] = ()


PEOPLE = (
    Person("rep.east", Role.CS_REP, "Renee East (representative)", (1,)),
    Person("rep.west", Role.CS_REP, "Walter West (representative)", (2,)),
    Person("rep.all", Role.CS_REP, "Alex Allen (representative, all regions)"),
    Person("supervisor.east", Role.SUPERVISOR, "Susan East (supervisor)", (1,)),
    Person("fraud", Role.FRAUD_TEAM, "Frank Fraser (fraud team)"),
    Person("privacy", Role.PRIVACY_OFFICER, "Priya Vance (privacy officer)"),
    Person("admin", Role.ADMIN, "Ada Minder (administrator)"),
)


def plant(dsn: str) -> None:
    """Write the regions and the development principals in one transaction; safe to repeat."""
    with psycopg.connect(dsn) as connection:
        connection.execute(_SQL["act_as_owner"])
        for region_id, name in REGIONS.items():
            connection.execute(_SQL["record_region"], {"region_id": region_id, "name": name})
        for person in PEOPLE:
            connection.execute(
                _SQL["record_principal"],
                {
                    "principal_id": person.principal_id,
                    "role": person.role.value,
                    "display_name": person.display_name,
                    "region_ids": list(person.region_ids),
                    "all_regions": not person.region_ids,
                },
            )
