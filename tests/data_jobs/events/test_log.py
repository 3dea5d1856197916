"""Events are in the commits first: the event table follows them, and nothing is lost or told twice."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from data_jobs.events import log
from data_jobs.events.log import find_pending, list_events, record_events
from data_jobs.tables.events_pipeline import TABLE
from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, land_payloads, refine_here, rows_of
from tests.fixtures.retail import MILK, make_receipt

LATER = RECEIVED_AT + timedelta(hours=1)


@pytest.fixture
def refined(lake_with_stores: Lake) -> Lake:
    """A lake with one good receipt, one that does not add up and one that the gateway refused."""
    good = make_receipt()
    wrong = make_receipt(sequence_number=5).canonical().replace('"total_cents":1048', '"total_cents":1')
    land(lake_with_stores, bronze.RECEIPTS, [good])
    land_payloads(lake_with_stores, bronze.RECEIPTS, [(make_receipt(sequence_number=5).receipt_id, wrong)])
    land_payloads(lake_with_stores, bronze.RECEIPTS, [(None, "{}")], refusal="lines: Field required")
    refine_here(lake_with_stores)
    return lake_with_stores


def test_a_commit_tells_rows_caught_duration_lag_and_the_versions_read(refined: Lake) -> None:
    (commit,) = [each for each in refined.open("silver.receipts").history() if "lineage" in each]
    told = json.loads(commit["lineage"])
    assert told["inputs"] == [
        {"table": "bronze.receipts", "from": 0, "to": 3},
        {"table": "silver.stores", "from": None, "to": 1},
    ]
    assert (told["counts"]["rows_in"], told["counts"]["rows_out"], told["counts"]["quarantined"]) == (3, 1, 2)
    assert (told["expectations"]["adds_up"], told["expectations"]["gateway"]) == (1, 1)
    assert told["took_ms"] >= 0
    assert told["lag_ms"] >= 0
    assert len(commit["lineage"]) < 1_000


def test_the_event_table_has_a_row_for_every_batch_and_table(refined: Lake) -> None:
    assert record_events(refined) == rows_of(refined, TABLE.name).height
    rows = {row["table"]: row for row in rows_of(refined, TABLE.name).iter_rows(named=True)}
    assert {"silver.receipts", "silver.receipt_lines", "silver.products", "gold.customer_profiles"} <= set(rows)
    receipts = rows["silver.receipts"]
    assert (receipts["rows_in"], receipts["rows_out"], receipts["quarantined"], receipts["judged"]) == (3, 1, 2, 2)
    assert receipts["caught"] == [{"expectation": "adds_up", "rows": 1}, {"expectation": "gateway", "rows": 1}]
    assert (receipts["files_in"], receipts["files_out"]) == (3, 1)
    assert receipts["bytes_out"] > 0
    assert receipts["inputs"][1] == {"table": "silver.stores", "from_version": None, "to_version": 1}


def test_refused_rows_are_counted_at_the_quarantine_once(refined: Lake) -> None:
    (event,) = [each for each in list_events(refined, "silver.quarantine") if each.counts["rows_out"]]
    assert (event.counts["rows_out"], event.caught) == (2, {})


def test_a_reader_that_was_killed_or_came_twice_tells_every_batch_once(refined: Lake) -> None:
    told = list_events(refined)
    record_events(refined)
    assert record_events(refined) == 0
    land(refined, bronze.RECEIPTS, [make_receipt(lines=[MILK])], LATER)
    refine_here(refined)
    assert list_events(refined)[: len(told)] == told
    record_events(refined)
    events = list_events(refined)
    assert len({(event.table, event.version) for event in events}) == len(events) == rows_of(refined, TABLE.name).height
    assert [event.counts["changed"] for event in events if event.table == "silver.receipts"] == [0, 1]


def test_a_batch_that_merges_and_appends_is_one_event(refined: Lake) -> None:
    land(refined, bronze.RECEIPTS, [make_receipt(lines=[MILK]), make_receipt(sequence_number=9)], LATER)
    refine_here(refined)
    assert refined.open("silver.receipts").version() == 3
    assert [event.counts["rows_out"] for event in list_events(refined, "silver.receipts")] == [1, 2]


def test_compaction_is_no_event(refined: Lake) -> None:
    before = list_events(refined)
    land(refined, bronze.RECEIPTS, [make_receipt(sequence_number=7)])
    refine_here(refined)
    refined.open("silver.receipts").optimize.compact()
    assert {event.table for event in list_events(refined)[len(before) :]} >= {"silver.receipts"}
    assert [event.version for event in list_events(refined, "silver.receipts")] == [1, 2]


def test_the_last_events_of_a_table_can_be_asked_for(refined: Lake) -> None:
    record_events(refined)
    (event,) = list_events(refined, "silver.receipts", last=1)
    assert (event.table, event.version) == ("silver.receipts", 1)
    assert len(list_events(refined, last=2)) == 2


def test_two_readers_at_once_tell_every_batch_once(refined: Lake) -> None:
    together = Barrier(4)

    def record(_: int) -> int:
        together.wait()
        return record_events(refined)

    with ThreadPoolExecutor(4) as readers:
        told = sum(readers.map(record, range(4)))
    rows = rows_of(refined, TABLE.name)
    assert told == rows.height == rows.unique(["table", "version"]).height


def test_a_log_that_was_cleaned_up_tells_what_is_left(refined: Lake) -> None:
    table = refined.open("silver.receipts")
    table.create_checkpoint()
    (Path(refined.uri("silver.receipts")) / "_delta_log" / f"{0:020d}.json").unlink()
    assert [event.version for event in list_events(refined, "silver.receipts")] == [1]


def test_idle_commits_are_put_behind_the_cursor_in_the_end(refined: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    record_events(refined)
    version = refined.open(TABLE.name).version()
    refined.open("silver.receipts").create_write_transaction([], "append", refined.open("silver.receipts").schema())
    assert record_events(refined) == 0
    assert refined.open(TABLE.name).version() == version
    monkeypatch.setattr(log, "_IDLE_VERSIONS", 1)  # instead of making a hundred commits
    assert record_events(refined) == 0
    assert refined.open(TABLE.name).version() == version + 1
    assert find_pending(refined, refined.open(TABLE.name)).read == ()
