"""The upkeep does its part in Postgres as the pipeline's own role."""

from typing import Any

import psycopg

from configs.settings import Settings
from data_jobs.upkeep.database import forget_names, list_readers, make_audit_partitions
from data_jobs.writer_lock import sole_writer
from tests.fixtures.retail import make_customer, make_store, store_rows


def test_the_pipelines_own_role_makes_audit_partitions(settings: Settings, owner: psycopg.Connection[Any]) -> None:
    with sole_writer(settings) as claim:
        make_audit_partitions(claim)
    found = owner.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit.events'::regclass").fetchone()
    assert found == (3,)  # this month, the next, and the one for all others


def test_the_slowest_reader_of_a_table_counts(settings: Settings, owner: psycopg.Connection[Any]) -> None:
    owner.execute("INSERT INTO sync.watermarks VALUES ('silver.receipts', 7, now(), now())")
    owner.execute(
        "INSERT INTO sync.backfills (table_name, version, began_empty) VALUES"
        " ('silver.receipts', 5, true), ('silver.products', 3, true)"
    )
    owner.execute("INSERT INTO ingest.settled VALUES ('bronze.receipts', 12, now())")
    with sole_writer(settings) as claim:
        readers = list_readers(claim)
    assert readers == {"silver.receipts": 5, "silver.products": 3, "bronze.receipts": 12}


def test_the_pipelines_own_role_takes_names_out_that_nobody_bears(
    settings: Settings, owner: psycopg.Connection[Any]
) -> None:
    store_rows(settings, stores=[make_store()], customers=[make_customer()])
    with sole_writer(settings) as claim:
        assert forget_names(claim) == 0
        owner.execute("DELETE FROM retail.customers")
        assert forget_names(claim) == 1
        assert forget_names(claim) == 0
