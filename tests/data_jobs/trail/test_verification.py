"""A trail that nobody touched verifies; whatever a superuser of Postgres or of the lake does to it is named."""

import re
import shutil
from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest

from cluster.credentials import add_anchor_key
from data_jobs.trail.anchoring import list_anchors
from data_jobs.trail.keys import read_public, trusted_keys
from data_jobs.trail.telling import Place
from data_jobs.upkeep.compaction import compact
from data_jobs.upkeep.maintained import find_kept
from tests.data_jobs.trail.conftest import Trail
from tests.data_jobs.trail.writing import TODAY, copy, forge_chain, month_before, rewrite, tamper, write_chain

_TRAIL_TABLES = [find_kept(name) for name in ("audit.groups", "audit.events", "audit.anchors")]


def broken(trail: Trail, **scope: object) -> str:
    """Return what is broken."""
    verdict = trail.verify(**scope)
    assert verdict.broken is not None
    return str(verdict.broken)


def test_a_trail_that_nobody_touched_verifies(trail: Trail) -> None:
    verdict = trail.verify()
    assert verdict.broken is None
    assert (verdict.chains, verdict.groups, verdict.anchors) == (5, 14, 3)
    assert verdict.events == 6 + 10 + 15 + 3
    assert (verdict.unanchored_groups, verdict.not_copied_groups) == (0, 0)
    assert verdict.anchored_position == 14
    assert verdict.notes == [
        "A look that was never put on record, and a principal who never asked, leave nothing to verify."
    ]


def test_some_days_can_be_verified_by_themselves(trail: Trail) -> None:
    old = month_before(TODAY, 20)
    verdict = trail.verify(since=old, until=old + timedelta(days=1))
    assert (verdict.broken, verdict.chains, verdict.events) == (None, 1, 6)
    tamper(trail.owner, "UPDATE audit.events SET role = 'admin' WHERE occurred_at < now() - interval '1 year'")
    assert "was changed in audit.events: role" in broken(trail, since=old, until=old + timedelta(days=1))
    assert trail.verify(since=TODAY, until=TODAY).broken is None, "what is wrong elsewhere is not asked for"


def test_compaction_leaves_a_trail_that_verifies(trail: Trail) -> None:
    for number in range(10, 16):
        write_chain(trail.owner, TODAY, number, 1)
        copy(trail.settings)
    assert {done.table for done in compact(trail.lake, _TRAIL_TABLES, thorough=True)} == {
        table.name for table in _TRAIL_TABLES
    }
    copy(trail.settings)
    assert trail.verify().broken is None


def test_what_is_younger_than_the_last_anchor_is_said_to_be_unproven(trail: Trail) -> None:
    write_chain(trail.owner, TODAY, 9, 2)
    trail.owner.execute("SELECT audit.project()")
    verdict = trail.verify(place=None)
    assert (verdict.broken, verdict.unanchored_groups, verdict.unanchored_events) == (None, 2, 3)
    assert verdict.not_copied_groups == 2
    assert verdict.notes[0].startswith("3 events in 2 groups are younger than the last anchor")
    assert "a second place" in verdict.notes[1]


# A superuser of Postgres ------------------------------------------------------------------------------------------

_OF_NEW = "WHERE chain = %(new)s"
_SWAP = (
    "UPDATE audit.spool s SET payload = o.payload, digest = o.digest, previous = o.previous FROM audit.spool o "
    "WHERE s.chain = %(new)s AND o.chain = %(new)s AND s.seq IN (2, 3) AND o.seq IN (2, 3) AND s.seq <> o.seq"
)
_EVERYWHERE = [f"DELETE FROM audit.{table} {_OF_NEW}" for table in ("chains", "spool", "projections")]
_OF_POSTGRES = {
    "an edited payload": (
        [f"UPDATE audit.spool SET payload = replace(payload, 'rep.east', 'rep.west') {_OF_NEW} AND seq = 2"],
        "chain {new}, group 2: differs in payload .*; audit.spool does not hold what its digest covers",
    ),
    "an edited digest": (
        [f"UPDATE audit.spool SET digest = sha256('x') {_OF_NEW} AND seq = 2"],
        "chain {new}, group 2: differs in digest",
    ),
    "an edited time": (
        [f"UPDATE audit.spool SET recorded_at = now() - interval '1 hour' {_OF_NEW} AND seq = 2"],
        "chain {new}, group 2: differs in recorded_at",
    ),
    "a deleted group": ([f"DELETE FROM audit.spool {_OF_NEW} AND seq = 3"], "chain {new}, group 3: is gone from audit"),
    "a deleted end": ([f"DELETE FROM audit.spool {_OF_NEW} AND seq > 3"], "chain {new}, group 4: is gone from audit"),
    "two groups swapped": ([_SWAP], "chain {new}, group 2: differs in previous, digest, payload"),
    "a deleted order": (
        [f"DELETE FROM audit.projections {_OF_NEW} AND seq = 2"],
        "chain {new}, group 2: differs in position, events",
    ),
    "a deleted chain": ([f"DELETE FROM audit.chains {_OF_NEW}"], "chain {new}: is gone from audit.chains"),
    "a deleted chain and all of it": (_EVERYWHERE, "chain {new}: is gone from audit.chains"),
    "another root": (
        [f"UPDATE audit.chains SET root = sha256('x') {_OF_NEW}"],
        "chain {new}, group 1: does not follow from the root of its chain",
    ),
    "another head": (
        [f"UPDATE audit.chains SET head = sha256('x') {_OF_NEW}"],
        "chain {new}, group 5: is another group than audit.chains ends with",
    ),
    "an inserted group": (
        [
            """INSERT INTO audit.spool
            SELECT chain, 9, now(), previous, digest, payload FROM audit.spool WHERE chain = %(new)s AND seq = 5""",
        ],
        "chain {new}, group 6: is missing; the group 9 follows",
    ),
}


@pytest.mark.parametrize("what", _OF_POSTGRES)
def test_what_a_superuser_of_postgres_changes_is_named(trail: Trail, what: str) -> None:
    statements, told = _OF_POSTGRES[what]
    tamper(trail.owner, *statements, **trail.chains)
    assert re.match(told.format(**trail.chains), broken(trail))


def test_a_dropped_partition_is_named(trail: Trail) -> None:
    trail.owner.execute(f"DROP TABLE audit.spool_{month_before(TODAY, 20):%Y_%m}")
    assert broken(trail) == f"chain {trail.chains['old']}, group 1: is gone from audit.spool; the lake holds it"


# Events that are searched -----------------------------------------------------------------------------------------

_EVENT = "WHERE request_id = (SELECT min(request_id) FROM audit.events WHERE occurred_at > now() - interval '2 days')"
_OF_EVENTS = {
    "a deleted event": (f"DELETE FROM audit.events {_EVENT}", "is gone from audit.events"),
    "an edited event": (
        f"UPDATE audit.events SET principal_id = 'rep.west' {_EVENT}",
        "was changed in audit.events: principal_id",
    ),
    "other constraints": (
        f"UPDATE audit.events SET constraints = replace(constraints, '40.5', '40.50') || ' ' {_EVENT}",
        None,  # the same JSON
    ),
    "edited constraints": (
        f"UPDATE audit.events SET constraints = replace(constraints, '40.5', '41') {_EVENT}",
        "was changed in audit.events: constraints",
    ),
    "a moved event": (
        f"UPDATE audit.events SET occurred_at = occurred_at + interval '3 hours' {_EVENT}",
        "is gone from audit.events, or stands there at another instant",
    ),
}


@pytest.mark.parametrize("what", _OF_EVENTS)
def test_an_event_that_is_not_as_its_group_tells_it_is_named(trail: Trail, what: str) -> None:
    statement, told = _OF_EVENTS[what]
    tamper(trail.owner, statement)
    if told is None:
        assert trail.verify().broken is None
        return
    place = Place(trail.chains["new"], 1, 1)
    assert broken(trail).startswith(f"chain {place.chain}, group 1, event {place.event_id}: {told}")


def test_a_forged_event_is_named(trail: Trail) -> None:
    tamper(
        trail.owner,
        "INSERT INTO audit.events SELECT '00000000-0000-0000-0000-000000000001', occurred_at, 'rep.west', role,"
        " session_id, route, outcome, status, receipt_ids, customer_ids, purpose, constraints, client_address,"
        " request_id FROM audit.events LIMIT 1",
    )
    told = broken(trail)
    assert told.startswith("event 00000000-0000-0000-0000-000000000001: stands in audit.events at ")
    assert told.endswith("where no group puts it")


# A superuser of Postgres and of the lake --------------------------------------------------------------------------


def _without_new(trail: Trail, least: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda rows: rows.filter((pl.col("chain") != trail.chains["new"]) | (pl.col("seq") < least))


def test_an_end_cut_off_in_both_is_found_by_its_anchor(trail: Trail) -> None:
    tamper(
        trail.owner,
        "DELETE FROM audit.spool WHERE chain = %(new)s AND seq > 3",
        "DELETE FROM audit.projections WHERE chain = %(new)s AND seq > 3",
        "UPDATE audit.chains c SET projected = 3, head = s.digest FROM audit.spool s"
        " WHERE c.chain = %(new)s AND s.chain = c.chain AND s.seq = 3",
        **trail.chains,
    )
    rewrite(trail.lake, "audit.groups", _without_new(trail, 4))
    assert broken(trail) == (
        f"chain {trail.chains['new']}, group 4: is missing; the anchor 2 covers the chain up to group 5"
    )


def test_a_chain_rewritten_to_its_end_in_both_is_found_by_its_anchor(trail: Trail) -> None:
    forge_chain(trail.owner, trail.lake, trail.chains["new"])
    assert broken(trail) == (
        f"chain {trail.chains['new']}, group 1: was rewritten, or one up to group 5 was: "
        "the anchor 2 tells another digest"
    )


def test_a_chain_taken_out_of_both_is_found_by_its_anchor(trail: Trail) -> None:
    tamper(trail.owner, *_EVERYWHERE, **trail.chains)
    rewrite(trail.lake, "audit.groups", _without_new(trail, 0))
    assert broken(trail) == f"chain {trail.chains['new']}: is gone from audit.chains"


def test_a_group_changed_in_the_lake_is_named(trail: Trail) -> None:
    rewrite(trail.lake, "audit.groups", lambda rows: rows.with_columns(pl.col("payload").str.replace("C1", "C9")))
    told = broken(trail)
    assert told.startswith(f"chain {trail.chains['old']}, group 1: differs in payload between audit.spool and the lake")
    assert told.endswith("the lake does not hold what its digest covers")


def test_a_group_that_the_lake_has_lost_is_named(trail: Trail) -> None:
    rewrite(trail.lake, "audit.groups", _without_new(trail, 2))
    assert broken(trail) == f"chain {trail.chains['new']}, group 2: is gone from the lake's copy; audit.spool holds it"


def test_an_event_changed_in_the_lake_is_named(trail: Trail) -> None:
    rewrite(trail.lake, "audit.events", lambda rows: rows.with_columns(status=pl.lit(404, pl.Int16)))
    place = Place(trail.chains["old"], 1, 1)
    assert broken(trail) == (
        f"chain {place.chain}, group 1, event {place.event_id}: was changed in the lake's audit.events: status"
    )


@pytest.mark.parametrize("name", ["audit.groups", "audit.events"])
def test_a_copy_that_is_gone_as_a_whole_is_noticed(trail: Trail, name: str) -> None:
    shutil.rmtree(trail.lake.uri(name))
    assert broken(trail) == f"the lake's {name} ends at position 0; anchors cover 14"
    copy(trail.settings)
    assert trail.verify().broken is None, "it is made again while Postgres holds all of it"


# Anchors ----------------------------------------------------------------------------------------------------------


def _changed(number: int, **values: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    is_it = pl.col("number") == number
    return lambda rows: rows.with_columns(
        pl.when(is_it).then(expr).otherwise(pl.col(name)).alias(name) for name, expr in values.items()
    )


_OF_ANCHORS = {
    "an edited anchor": (
        _changed(2, body=pl.col("body").str.replace('"position":12', '"position":11')),
        "anchor 2: does not have the signature of what it says",
    ),
    "an edited signature": (_changed(2, signature=pl.lit("00" * 64)), "anchor 2: does not have the signature"),
    "no JSON": (_changed(2, body=pl.lit("x")), "anchor 2: cannot be read"),
    "a deleted anchor": (lambda rows: rows.filter(pl.col("number") != 2), "anchor 2: is gone from the lake"),
    "a deleted last anchor": (lambda rows: rows.filter(pl.col("number") != 3), "anchor 3: is gone from the lake"),
}


@pytest.mark.parametrize("what", _OF_ANCHORS)
def test_an_anchor_that_was_changed_in_the_lake_is_named(trail: Trail, what: str) -> None:
    change, told = _OF_ANCHORS[what]
    rewrite(trail.lake, "audit.anchors", change)
    assert broken(trail).startswith(told)


def test_a_lake_put_back_to_an_old_backup_is_found_by_the_second_place(trail: Trail) -> None:
    backup = trail.place.with_name("backup")
    shutil.copytree(trail.lake.root, backup)
    write_chain(trail.owner, TODAY, 9, 2)
    copy(trail.settings)
    shutil.rmtree(trail.lake.root)
    shutil.move(backup, trail.lake.root)
    tamper(
        trail.owner,
        *(f"DELETE FROM audit.{table} WHERE chain > %(last)s" for table in ("chains", "spool", "projections")),
        "DELETE FROM audit.events WHERE request_id LIKE '%%-91_'",
        "DELETE FROM audit.events WHERE request_id LIKE '%%-92_'",
        **trail.chains,
    )
    assert trail.verify(place=None).broken is None, "the lake alone cannot tell"
    assert broken(trail) == f"anchor 4: stands in {trail.place} and is gone from the lake"


def test_a_file_gone_from_the_second_place_is_named(trail: Trail) -> None:
    (trail.place / "000000000002.json").unlink()
    assert broken(trail) == f"anchor 2: is gone from {trail.place}"


def test_a_file_changed_in_the_second_place_is_named(trail: Trail) -> None:
    file = trail.place / "000000000001.json"
    file.write_text(file.read_text().replace("position", "Position"))
    assert broken(trail) == f"anchor 1: is another one in {trail.place} than in the lake"


def test_a_key_in_the_place_of_another_is_not_trusted(trail: Trail) -> None:
    """All anchors are signed anew, and the public key is put where the old one was: an auditor's copy shows it."""
    auditors = {**trusted_keys(trail.settings)}
    keys = trail.settings.state_dir / "keys"
    for file in keys.glob("audit-anchor-*"):
        file.unlink()
    add_anchor_key(trail.settings)
    shutil.rmtree(trail.lake.uri("audit.anchors"))
    shutil.rmtree(trail.place)
    copy(trail.settings)
    assert trail.verify().broken is None, "whoever holds everything can sign another past"
    told = broken(trail, trusted=auditors)
    (forged,) = trusted_keys(trail.settings)
    assert told == f"anchor 1: is signed with the key {forged}, which is not trusted"


def test_a_key_that_follows_is_trusted_by_the_hand_of_the_one_before(trail: Trail) -> None:
    first = trusted_keys(trail.settings)
    following = read_public(add_anchor_key(trail.settings))
    for number in (7, 8):
        write_chain(trail.owner, TODAY, number, 1)
        copy(trail.settings)
    signed = [anchor.told()["key_id"] for anchor in list_anchors(trail.lake, 0, 9)]
    (old,), new = first, next(key for key in trusted_keys(trail.settings) if key not in first)
    assert signed == [old, old, old, old, new]
    assert trail.verify(trusted=first).broken is None
    assert broken(trail, trusted={new: following}) == f"anchor 1: is signed with the key {old}, which is not trusted"


def test_what_is_cut_off_before_it_was_copied_is_known_from_the_chain(trail: Trail) -> None:
    chain = write_chain(trail.owner, TODAY, 9, 3)
    trail.owner.execute("SELECT audit.project()")
    tamper(trail.owner, "DELETE FROM audit.spool WHERE chain = %(chain)s AND seq = 3", chain=chain)
    assert broken(trail) == f"chain {chain}, group 3: is missing; audit.chains ends with group 3"
    copy(trail.settings)
    assert broken(trail) == f"chain {chain}, group 3: is missing; audit.chains ends with group 3"


def test_a_group_that_cannot_be_read_is_named_and_what_follows_is_anchored(trail: Trail) -> None:
    chain, head = trail.owner.execute("SELECT chain, head FROM audit.open_chain()").fetchone()
    trail.owner.execute("SELECT audit.extend(%s, 1, %s, '[{}]')", [chain, head])
    write_chain(trail.owner, TODAY, 6, 2)
    copy(trail.settings)
    verdict = trail.verify()
    assert str(verdict.broken) == f"chain {chain}, group 1: holds what cannot be read as events"
    assert verdict.anchors == 4
    assert trail.verify(until=month_before(TODAY, 2)).broken is None
