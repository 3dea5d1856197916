"""A trail of several chains and months, written as replicas write it."""

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import orjson
import polars as pl
import psycopg

from configs.settings import Settings
from data_jobs.audit_trail import project_trail
from data_jobs.trail.keeping import copy_trail
from data_jobs.trail.telling import first_chain
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake

TODAY = datetime.now(UTC).date()


def month_before(day: date, months: int) -> date:
    """Return the first day of a month some months ago."""
    index = day.year * 12 + day.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)


def event(day: date, number: int) -> dict[str, object]:
    """Return an event as a replica tells it."""
    return {
        "occurred_at": datetime(day.year, day.month, day.day, 10, tzinfo=UTC) + timedelta(seconds=number),
        "principal_id": "rep.east",
        "role": "cs_rep",
        "session_id": "s",
        "route": "GET /receipt/{receipt_id}",
        "purpose": "customer_service",
        "client_address": "127.0.0.9",
        "request_id": f"request-{day}-{number}",
        "outcome": "answered",
        "status": 200,
        "receipt_ids": [f"26111700367000000{number:05}"],
        "customer_ids": ["C1", "C2"],
        "constraints": {"total_cents": {"max": 40.50, "min": 0}, "at": "Gary's – café", "n": 1e3},
    }


def write_chain(owner: psycopg.Connection, day: date, number: int, groups: int) -> int:
    """Write a chain of a day, with one event in its first group, two in its second, and so on; returns its number."""
    chain = first_chain(day) + 1_000_000 + number  # the database's own numbers begin at 1
    owner.execute("SELECT audit.make_partitions(%s)", [day])
    root = hashlib.sha256(str(chain).encode()).digest()
    owner.execute("INSERT INTO audit.chains (chain, root, head) VALUES (%s, %s, %s)", [chain, root, root])
    head = root
    for seq in range(1, groups + 1):
        payload = orjson.dumps([event(day, 100 * number + 10 * seq + n) for n in range(seq)]).decode()
        digest = hashlib.sha256(head + payload.encode()).digest()
        owner.execute(
            "INSERT INTO audit.spool (chain, seq, previous, digest, payload) VALUES (%s, %s, %s, %s, %s)",
            [chain, seq, head, digest, payload],
        )
        head = digest
    return chain


def copy(settings: Settings) -> list[str]:
    """Take apart, copy, anchor and publish what is new; returns what was done."""
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        project_trail(connection)
        return [str(done) for done in copy_trail(settings, connection)]


def tamper(owner: psycopg.Connection, *statements: str, **values: object) -> None:
    """Change what no role may, as a superuser can whom no trigger stops."""
    owner.execute("SET session_replication_role = replica")
    for statement in statements:
        assert owner.execute(statement, values).rowcount != 0, statement
    owner.execute("RESET session_replication_role")


def rewrite(lake: Lake, name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Change the files of a table where they lie, as whoever rules the store can; the log does not learn of it."""
    for uri in lake.open(name).file_uris():
        change(pl.read_parquet(uri, hive_partitioning=False)).write_parquet(uri)


def forge_chain(owner: psycopg.Connection, lake: Lake, chain: int) -> None:
    """Let another have asked in a chain's second group, and everything follow from that: spool, head, events, lake."""
    rows = owner.execute(
        "SELECT seq, previous, payload FROM audit.spool WHERE chain = %s AND seq > 1 ORDER BY seq", [chain]
    ).fetchall()
    head, forged = rows[0][1], {}
    for seq, _, payload in rows:
        told = payload.replace("rep.east", "rep.west") if seq == 2 else payload
        previous, head = head, hashlib.sha256(head + told.encode()).digest()
        forged[seq] = (previous, head, told)
        values = {"chain": chain, "seq": seq, "previous": previous, "digest": head, "payload": told}
        tamper(
            owner,
            "UPDATE audit.spool SET previous = %(previous)s, digest = %(digest)s, payload = %(payload)s"
            " WHERE chain = %(chain)s AND seq = %(seq)s",
            **values,
        )
    tamper(owner, "UPDATE audit.chains SET head = %(head)s WHERE chain = %(chain)s", head=head, chain=chain)

    def follow(groups: pl.DataFrame) -> pl.DataFrame:
        told = [
            {**row, **dict(zip(("previous", "digest", "payload"), forged[row["seq"]], strict=True))}
            if row["chain"] == chain and row["seq"] in forged
            else row
            for row in groups.iter_rows(named=True)
        ]
        return pl.DataFrame(told, schema=groups.schema)

    rewrite(lake, "audit.groups", follow)
