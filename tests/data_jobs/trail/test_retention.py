"""Months leave when they may, verified copies first, and the trail says so; whoever else takes them away is found."""

from datetime import date

import psycopg
import pytest

from data_jobs.trail.faults import Broken
from data_jobs.trail.retention import retire
from data_jobs.upkeep.compaction import compact
from data_jobs.upkeep.maintained import find_kept
from receipts.database import DatabaseRole, connect
from tests.data_jobs.trail.conftest import Trail
from tests.data_jobs.trail.writing import TODAY, copy, month_before, rewrite, tamper, write_chain

_OLD, _EMPTY = month_before(TODAY, 20), month_before(TODAY, 19)  # partitions are made a month ahead
_EIGHT_YEARS_AGO = month_before(TODAY, 97)


def retired(trail: Trail) -> list[str]:
    """Let go of what may go today and return what went."""
    return [str(step) for step in retire(trail.settings, TODAY) if step is not None]


def partitions(owner: psycopg.Connection, month: date) -> list[str]:
    """Return which parts of the trail Postgres has of a month."""
    rows = owner.execute(
        "SELECT split_part(relname, '_', 1) FROM pg_class WHERE relkind = 'r' AND relname LIKE %s ORDER BY 1",
        [f"%{month:_%Y_%m}"],
    )
    return [name for (name,) in rows]


def test_groups_leave_postgres_when_their_copies_verify_and_the_trail_says_so(trail: Trail) -> None:
    assert retired(trail) == [
        f"The audit trail of {month:%Y-%m}: its groups are in the lake only" for month in (_OLD, _EMPTY)
    ]
    assert partitions(trail.owner, _OLD) == ["events"]
    assert partitions(trail.owner, month_before(TODAY, 3)) == ["events", "projections", "spool"]
    assert retired(trail) == []
    copy(trail.settings)
    verdict = trail.verify()
    assert (verdict.broken, verdict.groups, verdict.not_copied_groups) == (None, 16, 0)
    assert verdict.retired == [f"{month:%Y-%m} (its groups in Postgres)" for month in (_OLD, _EMPTY)]
    who, route, constraints = trail.owner.execute(
        "SELECT principal_id, route, constraints::jsonb FROM audit.events WHERE role = 'retention' ORDER BY occurred_at"
    ).fetchone()
    assert (who, route) == ("receipts_retention", "audit retention")
    assert constraints == {"month": f"{_OLD:%Y-%m}", "what": "spool", "groups": 3, "events": 6}


def test_a_month_whose_copy_is_broken_stays(trail: Trail) -> None:
    rewrite(trail.lake, "audit.groups", lambda rows: rows.filter(rows["seq"] != 2))
    with pytest.raises(Broken, match=r"group 2: is gone from the lake's copy"):
        retired(trail)
    assert "spool" in partitions(trail.owner, _OLD)


def test_a_month_that_is_not_copied_stays(trail: Trail, caplog) -> None:
    write_chain(trail.owner, _OLD, 8, 2)
    trail.owner.execute("SELECT audit.project()")
    retired(trail)
    assert "spool" in partitions(trail.owner, _OLD)
    assert "2 are not copied, 2 not anchored" in caplog.text


def test_after_its_groups_left_the_copy_is_the_evidence(trail: Trail) -> None:
    retired(trail)
    tamper(trail.owner, "DELETE FROM audit.events WHERE occurred_at < now() - interval '19 months'")
    assert "is gone from audit.events" in str(trail.verify().broken)
    rewrite(trail.lake, "audit.groups", lambda rows: rows.filter(rows["chain"] != trail.chains["old"]))
    assert str(trail.verify().broken) == (
        f"chain {trail.chains['old']}, group 1: is missing; the anchor 1 covers the chain up to group 3"
    )


def test_a_month_is_removed_for_good_after_seven_years(trail: Trail) -> None:
    chain = write_chain(trail.owner, _EIGHT_YEARS_AGO, 1, 3)
    copy(trail.settings)
    list(compact(trail.lake, [find_kept("audit.groups")], thorough=True))
    following = month_before(TODAY, 96)
    done = retired(trail)
    assert done[0] == f"The audit trail of {_EIGHT_YEARS_AGO:%Y-%m}: removed for good"
    assert done[-1] == f"The audit trail of {_EIGHT_YEARS_AGO:%Y-%m}: removed from audit.events"
    assert partitions(trail.owner, _EIGHT_YEARS_AGO) == []
    for name in ("audit.groups", "audit.events"):
        assert chain not in trail.lake.open(name).to_pyarrow_table()["chain"].to_pylist()
    assert retired(trail) == []
    copy(trail.settings)
    verdict = trail.verify()
    assert verdict.broken is None
    gone, hot = (_EIGHT_YEARS_AGO, following), (_EIGHT_YEARS_AGO, following, _OLD, _EMPTY)
    assert set(verdict.retired) == {f"{month:%Y-%m} (all of it)" for month in gone} | {
        f"{month:%Y-%m} (its groups in Postgres)" for month in hot
    }


def test_the_database_lets_nothing_go_before_its_time(trail: Trail) -> None:
    with connect(trail.settings, DatabaseRole.RETENTION) as connection:
        connection.autocommit = True
        for years in (7, 1, 0, -50):
            with pytest.raises(psycopg.errors.RaiseException, match=f"{_OLD:%Y-%m} is kept until "):
                connection.execute("SELECT audit.drop_expired(%s, %s)", [_OLD, years])
        with pytest.raises(psycopg.errors.RaiseException, match="is kept until "):
            connection.execute("SELECT audit.drop_expired(%s, 9)", [_EIGHT_YEARS_AGO])
        with pytest.raises(psycopg.errors.RaiseException, match="stay in Postgres until their month is over"):
            connection.execute("SELECT audit.retire_spool(%s)", [month_before(TODAY, 1)])
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("SELECT audit.retire_spool(%s)", [_OLD.replace(day=2)])
    assert partitions(trail.owner, _OLD) == ["events", "projections", "spool"]


def test_a_month_with_groups_that_were_not_taken_apart_does_not_leave(trail: Trail) -> None:
    write_chain(trail.owner, _OLD, 8, 2)
    with (
        connect(trail.settings, DatabaseRole.RETENTION) as connection,
        pytest.raises(psycopg.errors.RaiseException, match=r"2 groups of .* were not taken apart"),
    ):
        connection.execute("SELECT audit.retire_spool(%s)", [_OLD])


def test_a_forged_retirement_is_found(trail: Trail) -> None:
    month = month_before(TODAY, 3)
    tamper(
        trail.owner,
        "INSERT INTO audit.retirements VALUES (%(month)s, 'spool', now(), 'receipts_retention', 4, 10, 1, 1)",
        month=month,
    )
    trail.owner.execute(f"DROP TABLE audit.spool_{month:%Y_%m}")
    assert str(trail.verify().broken) == f"chain 1, group 1: {month:%Y-%m} left Postgres, and the trail does not say so"
    tamper(trail.owner, "UPDATE audit.retirements SET what = 'month'")
    assert str(trail.verify().broken) == f"{month:%Y-%m} is said to have expired, and is not 7 years old"
