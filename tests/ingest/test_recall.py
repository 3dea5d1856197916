"""What a gateway knows of Bronze while it cannot ask Postgres."""

from datetime import UTC, datetime, timedelta

import pytest
from deltalake import Transaction

from configs.settings import Settings
from ingest.bronze_writing import DIRECT, commit_rows, open_for_append
from ingest.direct import DirectWay
from ingest.recall import Recall
from ingest.validation import Origin, refuse
from receipts.bronze import RECEIPTS
from receipts.lake import Lake, lake_of


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return lake_of(settings)


def _row(number: int, age: timedelta = timedelta()):
    origin = Origin(RECEIPTS.name, "test", datetime.now(UTC) - age)
    return refuse(f"record {number}".encode(), "The record is not valid JSON.", origin).bronze._replace(sequence=number)


def _commit(lake: Lake, *rows) -> None:
    head = open_for_append(lake, RECEIPTS)
    written = [
        (r.record_key, r.store_id, r.sequence, r.received_at, r.source, r.payload_digest.hex(), r.payload, r.refusal)
        for r in rows
    ]
    commit_rows(head, written, [Transaction(DIRECT, head.transaction(DIRECT) + 1)])


def _unknown(recall: Recall, *rows) -> list[int]:
    return [row.sequence for row in recall.unknown(rows)]


def test_it_knows_what_is_there_and_what_others_add(lake: Lake) -> None:
    _commit(lake, _row(1), _row(2))
    recall = Recall(hours=24)
    recall.catch_up(open_for_append(lake, RECEIPTS))
    assert _unknown(recall, *map(_row, (1, 2, 3))) == [3]
    _commit(lake, _row(3))
    lake.open(RECEIPTS.name).optimize.compact()
    _commit(lake, _row(4))
    recall.catch_up(open_for_append(lake, RECEIPTS))
    assert _unknown(recall, *map(_row, (1, 2, 3, 4, 5))) == [5]


def test_an_accepted_and_a_refused_record_of_the_same_bytes_are_two(lake: Lake) -> None:
    _commit(lake, _row(1))
    recall = Recall(hours=24)
    recall.catch_up(open_for_append(lake, RECEIPTS))
    assert _unknown(recall, _row(1)._replace(refusal=None), _row(1)._replace(refusal=None)) == [1]


def test_what_was_received_longer_ago_is_not_remembered(lake: Lake) -> None:
    _commit(lake, _row(1, timedelta(hours=3)), _row(2))
    recall = Recall(hours=2)
    recall.catch_up(open_for_append(lake, RECEIPTS))
    assert _unknown(recall, _row(1), _row(2)) == [1]


async def test_two_gateways_that_take_turns_write_each_record_once(settings: Settings, lake: Lake) -> None:
    ways = [DirectWay(lake, settings.ingest) for _ in range(2)]
    for turn in range(4):
        for way in ways:
            new = await way.write([_row(number) for number in range(turn * 3, turn * 3 + 6)])
            assert len(new) in {0, 3, 6}
    for way in ways:
        await way.close()
    rows = lake.open(RECEIPTS.name).to_pyarrow_table()["sequence"].to_pylist()
    assert sorted(rows) == list(range(15))
