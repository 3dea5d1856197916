"""Groups come to the lake once each, in order, however often the copy is killed or run."""

import threading
from datetime import UTC, datetime

import orjson
import polars as pl
import psycopg
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from configs.settings import Settings
from data_jobs.audit_trail import project_trail
from data_jobs.trail.anchoring import list_anchors
from data_jobs.trail.copying import copy_groups, take_apart
from data_jobs.trail.keeping import copy_trail, keep_trail
from data_jobs.trail.lake_groups import GROUPS, CopiedElsewhere, append
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake, lake_of
from tests.data_jobs.trail.conftest import Trail
from tests.data_jobs.trail.writing import TODAY, copy, event, month_before, write_chain

_TABLES = ("audit.groups", "audit.events", "audit.anchors")


def read(lake: Lake, name: str) -> pl.DataFrame:
    """Return a table, in the order of its key."""
    return pl.read_delta(lake.uri(name))


def test_the_copy_is_what_the_spool_holds(trail: Trail) -> None:
    columns = ["chain", "seq", "recorded_at", "previous", "digest", "payload"]
    held = trail.owner.execute(f"SELECT {', '.join(columns)} FROM audit.spool ORDER BY chain, seq").fetchall()
    assert read(trail.lake, "audit.groups").sort("chain", "seq").select(columns).rows() == held
    assert read(trail.lake, "audit.groups")["position"].sort().to_list() == list(range(1, 15))
    assert set(read(trail.lake, "audit.groups")["month"]) == {month_before(TODAY, ago) for ago in (20, 3, 0)}


def test_events_in_the_lake_are_those_that_postgres_searches(trail: Trail) -> None:
    columns = ["event_id", "occurred_at", "principal_id", "status", "receipt_ids", "customer_ids", "request_id"]
    held = trail.owner.execute(
        "SELECT event_id::text, occurred_at, principal_id, status, receipt_ids, customer_ids, request_id"
        " FROM audit.events ORDER BY event_id::text"
    ).fetchall()
    assert read(trail.lake, "audit.events").sort("event_id").select(columns).rows() == held


def test_nothing_new_changes_nothing(trail: Trail) -> None:
    before = [trail.lake.open(name).version() for name in _TABLES]
    assert copy(trail.settings) == []
    assert [trail.lake.open(name).version() for name in _TABLES] == before


def test_delta_refuses_to_change_what_was_copied(trail: Trail) -> None:
    for name in _TABLES:
        handle = DeltaTable(trail.lake.uri(name))
        with pytest.raises(DeltaError, match="append-only"):
            handle.delete()
        with pytest.raises(DeltaError, match="append-only"):
            write_deltalake(handle, read(trail.lake, name).to_arrow(), mode="overwrite")


@pytest.mark.parametrize("steps", range(7))
def test_a_copy_that_was_cut_off_goes_on_and_doubles_nothing(anchored: Settings, owner, steps: int) -> None:
    """Killed after any of its commits, of batches so small that there are many."""
    for number in range(3):
        write_chain(owner, TODAY, number, 3)
    lake = lake_of(anchored)
    with connect(anchored, DatabaseRole.PIPELINE) as connection:
        project_trail(connection)
        begun = (step for each in (copy_groups(lake, connection, 4), take_apart(lake, 4)) for step in each)
        for _, _ in zip(range(steps), begun, strict=False):
            pass
    copy(anchored)
    assert read(lake, "audit.groups")["position"].sort().to_list() == list(range(1, 10))
    assert read(lake, "audit.events")["event_id"].n_unique() == read(lake, "audit.events").height == 18


def test_two_copies_at_once_add_a_group_once(anchored: Settings, owner) -> None:
    write_chain(owner, TODAY, 1, 3)
    copy(anchored)
    lake = lake_of(anchored)
    rows = read(lake, "audit.groups")
    with pytest.raises(CopiedElsewhere, match=r"audit\.groups was added to by another process"):
        append(lake, GROUPS, rows, 0, 3)
    assert read(lake, "audit.groups").height == 3


def test_a_follower_that_begins_late_reads_over_gaps(anchored: Settings, owner) -> None:
    """Positions leave gaps where a transaction that took groups apart was undone."""
    for number, gap in enumerate((1, 20_000, 1_000_000)):
        write_chain(owner, TODAY, number, 1)
        owner.execute("SELECT setval('audit.positions', %s)", [gap])
        with connect(anchored, DatabaseRole.PIPELINE) as connection:
            project_trail(connection)
            list(copy_groups(lake_of(anchored), connection))
    assert sum(done.rows for done in take_apart(lake_of(anchored), 10)) == 3


def test_a_group_gone_before_it_was_copied_holds_nothing_up(anchored: Settings, owner, caplog) -> None:
    chain = write_chain(owner, TODAY, 1, 3)
    owner.execute("SELECT audit.project()")
    owner.execute("SET session_replication_role = replica")
    owner.execute("DELETE FROM audit.spool WHERE chain = %s AND seq = 2", [chain])
    copy(anchored)
    assert read(lake_of(anchored), "audit.groups")["seq"].to_list() == [1, 3]
    assert "1 groups of the audit trail are gone from the spool before they were copied" in caplog.text


def test_the_continuous_copy_waits_for_its_time_and_for_something_new(anchored: Settings, owner) -> None:
    often = anchored.model_copy(update={"audit": anchored.audit.model_copy(update={"copy_interval_s": 0.0})})
    with connect(often, DatabaseRole.PIPELINE) as connection:
        kept = keep_trail(often, connection)
        next(kept)
        assert not lake_of(often).exists("audit.groups"), "there is nothing yet"
        write_chain(owner, TODAY, 1, 2)
        project_trail(connection)
        for _ in range(5):
            next(kept)
        assert read(lake_of(often), "audit.anchors").height == 1
    assert owner.execute("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'").fetchone() == (0,)


def test_without_a_key_the_trail_is_copied_and_that_is_said(settings: Settings, owner, caplog) -> None:
    write_chain(owner, TODAY, 1, 2)
    copy(settings)
    assert read(lake_of(settings), "audit.events").height == 3
    assert not list_anchors(lake_of(settings), 0, 9)
    assert "is copied and not anchored" in caplog.text


def test_a_trail_that_grows_verifies_at_any_moment(trail: Trail) -> None:
    done, failures = threading.Event(), list[str]()

    def grow() -> None:
        superuser = trail.settings.database.dsn.get_secret_value()
        with (
            psycopg.connect(superuser, autocommit=True) as own,
            connect(trail.settings, DatabaseRole.PIPELINE) as connection,
        ):
            for number in range(20, 32):
                write_chain(own, TODAY, number, 3)
                project_trail(connection)
                list(copy_trail(trail.settings, connection))
        done.set()

    growing = threading.Thread(target=grow)
    growing.start()
    verdicts = []
    while not done.is_set():
        verdict = trail.verify()
        failures += [str(verdict.broken)] if verdict.broken is not None else []
        verdicts.append(verdict.groups)
    growing.join()
    assert failures == []
    assert trail.verify().groups == 14 + 36


def test_what_a_replica_writes_is_read_as_postgres_reads_it(trail: Trail) -> None:
    """Whatever JSON holds: the event's content is the same on both sides."""
    told = event(TODAY, 1) | {
        "occurred_at": datetime(2026, 11, 28, 23, 59, 59, 999_999, tzinfo=UTC),
        "constraints": {"b": [1.10, -0.0, 1e21, 12345678901234567890.0], "a\u2028": None, "": True, "é": '\u001f"\\/'},
        "receipt_ids": [],
    }
    chain, head = trail.owner.execute("SELECT chain, head FROM audit.open_chain()").fetchone()
    trail.owner.execute("SELECT audit.extend(%s, 1, %s, %s)", [chain, head, orjson.dumps([told]).decode()])
    copy(trail.settings)
    assert trail.verify().broken is None
