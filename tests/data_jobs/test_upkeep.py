"""Upkeep changes files, not data."""

from typing import Any

import psycopg

from configs.settings import Settings
from data_jobs.changes import list_files
from data_jobs.upkeep import compact, make_audit_partitions
from data_jobs.writer_lock import sole_writer
from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import land, refine_here, rows_of
from tests.fixtures.retail import make_receipt


def test_a_table_of_many_small_files_is_compacted_and_nobody_reads_it_as_new(lake_with_stores: Lake) -> None:
    lake = lake_with_stores
    for number in range(1, 41):
        land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=number)])
    refine_here(lake)
    assert list(compact(lake)) == ["bronze.receipts"]
    assert list_files(lake.open("bronze.receipts")).height == 1
    assert rows_of(lake, "bronze.receipts").height == 40
    assert refine_here(lake) == []


def test_the_pipelines_own_role_makes_audit_partitions(settings: Settings, owner: psycopg.Connection[Any]) -> None:
    with sole_writer(settings) as claim:
        make_audit_partitions(claim)
    found = owner.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit.events'::regclass").fetchone()
    assert found == (3,)  # this month, the next, and the one for all others
