"""Anchors in their second place: each written once, none over another one, in a folder or an object store."""

import shutil
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from configs.settings import Settings
from data_jobs.trail.anchoring import Anchor, list_anchors
from data_jobs.trail.place import AnchorPlace, AnchorsContradict, publish
from tests.data_jobs.trail.conftest import Trail
from tests.data_jobs.trail.writing import TODAY, copy, write_chain
from tests.fixtures.object_store import ObjectStore


def test_a_place_that_is_named_later_gets_all_anchors(trail: Trail, tmp_path: Path) -> None:
    place = AnchorPlace(str(tmp_path / "later"))
    assert publish(trail.lake, place) == 3
    assert [place.read(number) for number in (1, 2, 3)] == list_anchors(trail.lake, 0, 3)
    assert publish(trail.lake, place) == 3


def test_what_is_missing_at_the_end_is_made_up_for(trail: Trail) -> None:
    place = AnchorPlace(str(trail.place))
    for number in (2, 3):
        (trail.place / f"{number:012d}.json").unlink()
    assert publish(trail.lake, place) == 3
    assert sorted(place.numbers()) == [1, 2, 3]


def test_no_anchor_is_written_over_another_one(trail: Trail, caplog: pytest.LogCaptureFixture) -> None:
    place = AnchorPlace(str(trail.place))
    with pytest.raises(AnchorsContradict, match="holds another anchor 3 than the lake"):
        place.write(3, Anchor("{}", "00"))
    (trail.place / "000000000003.json").write_text('{"body": "{}", "signature": "00"}')
    write_chain(trail.owner, TODAY, 7, 1)
    copy(trail.settings)
    assert "The audit trail's anchors were changed" in caplog.text
    assert sorted(place.numbers()) == [1, 2, 3], "nothing is put on top of what contradicts"


def test_a_lake_that_has_lost_anchors_is_noticed_at_the_next_copy(trail: Trail, caplog) -> None:
    place = AnchorPlace(str(trail.place))
    shutil.rmtree(trail.lake.uri("audit.anchors"))
    with pytest.raises(AnchorsContradict, match="holds the anchor 1, and the lake ends at 0"):
        publish(trail.lake, place)


def test_a_place_that_is_away_does_not_stop_the_copy(anchored: Settings, owner: psycopg.Connection, caplog) -> None:
    away = anchored.audit.model_copy(update={"anchor_place": "/proc/nothing/place"})
    write_chain(owner, TODAY, 1, 2)
    assert len(copy(anchored.model_copy(update={"audit": away}))) == 3
    assert "No anchors could be written to /proc/nothing/place" in caplog.text


def test_lake_and_place_may_be_object_stores(
    anchored: Settings, owner: psycopg.Connection, object_store: ObjectStore
) -> None:
    lake, vault = object_store.make_lake(), object_store.make_lake()
    changed = anchored.audit.model_dump() | {"anchor_place": vault.root, "anchor_place_options": object_store.options}
    away = anchored.model_copy(
        update={
            "audit": type(anchored.audit).model_validate(changed),
            "lake": type(anchored.lake).model_validate({"root": lake.root, "storage_options": object_store.options}),
        }
    )
    trail = Trail(away, owner, {}, Path("/nowhere"))
    for number in (1, 2):
        write_chain(owner, TODAY, number, 2)
        copy(away)
    verdict = trail.verify()
    assert (verdict.broken, verdict.groups, verdict.anchors) == (None, 4, 2)
    place = AnchorPlace(vault.root, object_store.options)
    assert sorted(place.numbers()) == [1, 2]
    assert place.read(2) == replace(list_anchors(lake, 1, 2)[0])
    with pytest.raises(AnchorsContradict):
        place.write(2, Anchor("{}", "00"))
