"""Readers of changes: bounded, gap-aware, and blind to maintenance."""

from datetime import timedelta
from pathlib import Path

import pytest

from data_jobs.changes import NEVER, HistoryGone, find_changes, net_changes, read_changes
from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, refine_here
from tests.fixtures.retail import MILK, make_receipt

PLENTY = 1 << 40


def test_a_range_ends_with_the_commit_that_reaches_the_budget(lake: Lake) -> None:
    for number in (1, 2, 3):
        land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=number)])
    whole = find_changes(lake, "bronze.receipts", NEVER, 3, PLENTY)
    assert (whole.upto, len(whole.files)) == (3, 3)
    first = find_changes(lake, "bronze.receipts", NEVER, 3, most_bytes=1)
    assert (first.upto, len(first.files)) == (1, 1)
    assert find_changes(lake, "bronze.receipts", first.upto, 3, most_bytes=1).upto == 2


def test_a_new_reader_starts_from_a_snapshot_where_the_log_has_a_gap_and_a_later_one_is_told(lake: Lake) -> None:
    for number in (1, 2, 3):
        land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=number)])
    lake.open("bronze.receipts").create_checkpoint()
    Path(lake.uri("bronze.receipts"), "_delta_log", f"{1:020d}.json").unlink()
    assert len(find_changes(lake, "bronze.receipts", NEVER, 3, PLENTY).files) == 3
    with pytest.raises(HistoryGone, match=r"bronze\.receipts has lost the log of version 1"):
        find_changes(lake, "bronze.receipts", 0, 3, PLENTY)


def test_of_all_changes_of_a_key_the_first_image_before_and_the_last_after_count(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    for hours, lines in enumerate(([MILK], [{**MILK, "amount_cents": 400}], [{**MILK, "amount_cents": 500}])):
        land(lake, bronze.RECEIPTS, [make_receipt(lines=lines)], RECEIVED_AT + timedelta(hours=hours))
        refine_here(lake)
    head = lake.open("silver.receipts").version()
    from_the_start = find_changes(lake, "silver.receipts", NEVER, head, PLENTY)
    before, after = net_changes(read_changes(from_the_start.files, {}), ["receipt_id"])
    assert (before.height, after["total_cents"].to_list()) == (0, [500])
    since_the_first = find_changes(lake, "silver.receipts", 1, head, PLENTY)
    before, after = net_changes(read_changes(since_the_first.files, {}), ["receipt_id"])
    assert (before["total_cents"].to_list(), after["total_cents"].to_list()) == ([349], [500])
