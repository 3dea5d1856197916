"""Every way in which the promise can be broken is told, and a record on its way is not one of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from ingest.evidence import Evidence, gather
from ingest.invariants import judge, read_sent
from receipts.errors import InvalidInput
from tests.fixtures.retail import make_receipt, make_store, store_rows

_START = datetime(2026, 11, 18, tzinfo=UTC)
_VERSION = {"receipt_id": pl.String, "digest": pl.Binary}
_IDENTITY = {"digest": pl.Binary, "refused": pl.Boolean}
_BRONZE = {
    "receipt_id": pl.String, "digest": pl.Binary, "sequence": pl.Int64, "received_at": pl.Datetime("us", "UTC"),
    "store_id": pl.Int32, "refused": pl.Boolean, "settled": pl.Boolean, "refined": pl.Boolean,
}  # fmt: skip
# Receipt a in two versions, receipt b, and a refused payload, in the order they were received.
ROWS = [
    ("a", b"a1", 1, _START, 1, False, True, True),
    ("b", b"b1", 2, _START + timedelta(1), 1, False, True, True),
    ("a", b"a2", 3, _START + timedelta(2), 1, False, True, True),
    (None, b"bad", 4, _START + timedelta(3), None, True, True, True),
]
SENT = [("a", b"a1", True), ("b", b"b1", True), ("a", b"a2", True)]


def frame(rows, schema) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


def bronze(rows) -> pl.DataFrame:
    return frame(rows, _BRONZE)


def versions(*rows) -> pl.DataFrame:
    return frame(rows, _VERSION)


def sent(rows=SENT) -> pl.DataFrame:
    return frame(rows, {**_VERSION, "acked": pl.Boolean})


def without(column: str, row: int):
    """Return Bronze with one flag of one row taken back."""
    place = list(_BRONZE).index(column)
    return bronze([(*one[:place], False, *one[place + 1 :]) if i == row else one for i, one in enumerate(ROWS)])


WHOLE = Evidence(
    bronze=bronze(ROWS),
    versions=versions(("a", b"a1"), ("b", b"b1"), ("a", b"a2")),
    serving=versions(("a", b"a2"), ("b", b"b1")),
    refusals=frame([(b"bad",)], {"digest": pl.Binary}),
    pending=frame([], _IDENTITY),
    silver=versions(("a", b"a2"), ("b", b"b1")),
    unfit=frame([], {"sequence": pl.Int64}),
    unsynced=False,
)


def told(verdict) -> list[str]:
    return [str(breach) for breach in verdict.breaches]


def test_nothing_is_wrong_with_what_stands_where_it_belongs():
    verdict = judge(WHOLE, sent())
    assert told(verdict) == []
    assert verdict.settled
    assert verdict.counts["bronze accepted"] == verdict.counts["sent"] == 3


@pytest.mark.parametrize(
    ("changes", "breach"),
    [
        ({"bronze": bronze(ROWS[1:])}, "1 known to Postgres are neither in Bronze nor in the outbox: a"),
        ({"bronze": bronze(ROWS[:3])}, "1 known to Postgres are neither in Bronze nor in the outbox: 626164"),
        ({"versions": versions(("a", b"a1"), ("b", b"b1"))}, "1 in Bronze are not known to Postgres: a"),
        ({"refusals": WHOLE.refusals.clear()}, "1 in Bronze are not known to Postgres: 626164"),
        ({"silver": versions(("a", b"a2"))}, "1 in Bronze were read by Silver and are not there: b"),
        ({"silver": versions(*WHOLE.silver.rows(), ("c", b"c1"))}, "1 in Silver are not in Bronze: c"),
        ({"silver": versions(*WHOLE.silver.rows(), ("b", b"b1"))}, "2 stand twice in Silver: b, b"),
        ({"silver": versions(("a", b"a1"), ("b", b"b1"))}, "1 have a newer version in Bronze than in Silver: a"),
        (
            {"serving": versions(("a", b"a1"), ("b", b"b1"))},
            "1 are served in another version than Silver's, or not at all: a",
        ),
        ({"serving": versions(("a", b"a2"))}, "1 are served in another version than Silver's, or not at all: b"),
        (
            {"bronze": bronze([*ROWS, ("b", b"b1", 5, _START, 1, False, True, True)])},
            "1 stand more than once in Bronze: b",
        ),
        (
            {"bronze": bronze([*ROWS[:3], (None, b"bad", 3, _START, None, True, True, True)])},
            "2 in Bronze share a sequence: a, 626164",
        ),
    ],
)
def test_a_broken_promise_is_told_with_the_receipts_it_is_broken_for(changes, breach):
    assert breach in told(judge(replace(WHOLE, **changes)))


def test_what_was_sent_must_arrive_if_it_was_acknowledged_and_only_then():
    more = judge(WHOLE, sent([*SENT, ("c", b"c1", True), ("d", b"d1", False)]))
    assert told(more) == ["1 were acknowledged and are lost: c"]
    pending = frame([(b"c1", False)], _IDENTITY)
    known = versions(*WHOLE.versions.rows(), ("c", b"c1"))
    arriving = judge(replace(WHOLE, pending=pending, versions=known), sent([*SENT, ("c", b"c1", True)]))
    assert told(arriving) == []
    assert arriving.under_way["to bronze"] == 1


def test_what_was_not_sent_must_not_appear():
    assert told(judge(WHOLE, sent(SENT[1:]))) == [
        "1 in Bronze were never sent: a",
        "1 known to Postgres were never sent: a",
    ]


def test_receipts_of_a_store_stand_in_the_order_they_were_sent():
    swapped = [("b", b"b1", True), ("a", b"a1", True), ("a", b"a2", True)]
    assert told(judge(WHOLE, sent(swapped))) == ["1 in Bronze stand before an earlier one of their store: b"]
    elsewhere = bronze([(*row[:4], 2, *row[5:]) if row[0] == "b" else row for row in ROWS])
    assert told(judge(replace(WHOLE, bronze=elsewhere), sent(swapped))) == []


def test_what_silver_could_not_take_need_not_be_there():
    refused = replace(WHOLE, unfit=frame([(3,)], {"sequence": pl.Int64}), unsynced=True)
    older = versions(("a", b"a1"), ("b", b"b1"))
    assert told(judge(replace(refused, silver=older))) == []


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"bronze": without("settled", 2), "versions": versions(("a", b"a1"), ("b", b"b1"))}, "to postgres"),
        ({"bronze": without("refined", 1), "silver": versions(("a", b"a2"))}, "to silver"),
        ({"serving": versions(("b", b"b1")), "unsynced": True}, "to what is served"),
    ],
)
def test_a_record_on_its_way_is_under_way_and_not_wrong(changes, where):
    verdict = judge(replace(WHOLE, **changes))
    assert told(verdict) == []
    assert {name for name, count in verdict.under_way.items() if count} == {where}
    assert not verdict.settled


def test_the_file_of_what_was_sent_is_read_line_by_line_or_refused_by_its_line(tmp_path):
    file = tmp_path / "sent.jsonl"
    good = '{"receipt_id": "a", "payload_digest": "6131", "acked": true}\n'
    file.write_text(good)
    assert read_sent(file).rows() == [("a", b"a1", True)]
    for bad in ('{"receipt_id": "a"}', "[]", '{"receipt_id": "a", "payload_digest": "xy", "acked": true}', "{"):
        file.write_text(good + bad)
        with pytest.raises(InvalidInput, match="line 2"):
            read_sent(file)


def test_a_platform_whose_outbox_was_never_drained_has_everything_under_way(settings):
    store_rows(settings, stores=[make_store()])
    store_rows(settings, receipts=[make_receipt(), make_receipt(sequence_number=2)])
    verdict = judge(gather(settings))
    assert told(verdict) == []
    assert verdict.counts["postgres receipts"] == verdict.under_way["to bronze"] == verdict.moving == 2
