"""The status counts what is there, measures how far each stage is behind, and never fails on what is not."""

import datetime as dt

import pyarrow as pa
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from cluster.commands.platform import _show_status
from cluster.status import collect
from configs.settings import Settings
from data_jobs.catalogue import find_table
from data_jobs.upkeep.nightly import Job, keep_nights
from receipts import bronze
from receipts.lake import lake_of
from tests.cluster.test_lags import one_row

_NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


def test_an_empty_platform_has_counts_of_zero_and_no_tables(settings: Settings):
    told = collect(settings)
    assert set(told["postgres"].values()) == {0}
    assert told["ingest"] == {"outbox": 0, "outbox_oldest_s": 0.0, "quarantine_held": 0, "quarantine_replayed": 0}
    assert set(told["lake"].values()) == {None}
    assert told["refinement"] == told["sync"] == {}


def test_what_waits_and_what_was_refused_is_counted(settings: Settings, owner):
    owner.execute(
        "INSERT INTO ingest.outbox (turn, sequence, bronze_table, received_at, source, payload_digest, payload)"
        " VALUES (0, 1, 'bronze.receipts', clock_timestamp() - interval '90 s', 'test', '\\x00', '{}')"
    )
    owner.execute(
        "INSERT INTO ingest.quarantine (bronze_table, received_at, source, reason, payload, payload_digest)"
        " VALUES ('bronze.receipts', now(), 'test', 'why', '{}', '\\x00')"
    )
    told = collect(settings)["ingest"]
    assert told["outbox"] == told["quarantine_held"] == 1
    assert told["outbox_oldest_s"] == pytest.approx(90, abs=30)


def test_versions_rows_and_lags_follow_the_lake(settings: Settings, owner):
    lake = lake_of(settings)
    for sequence in (1, 2):
        write_deltalake(lake.ensure(bronze.RECEIPTS), _envelope(sequence), mode="append")
    silver = find_table("silver.receipts")
    handle = lake.ensure(silver.lake_table)
    read = CommitProperties(app_transactions=[Transaction(silver.cursor, 1)])
    write_deltalake(handle, one_row(silver.schema), mode="append", commit_properties=read)
    owner.execute("INSERT INTO sync.watermarks VALUES ('silver.receipts', 0, now(), now())")

    told = collect(settings)
    assert told["lake"]["bronze.receipts"] == {"version": 2, "rows": 2}
    refined = told["refinement"]["silver.receipts"]
    assert (refined["source"], refined["version"], refined["latest"], refined["behind"]) == ("bronze.receipts", 1, 2, 1)
    assert 0 < refined["lag_s"] < 600
    synced = told["sync"]["silver.receipts"]
    assert (synced["version"], synced["latest"], synced["behind"]) == (0, 1, 1)


def test_a_stage_that_has_read_everything_is_not_behind(settings: Settings):
    lake = lake_of(settings)
    write_deltalake(lake.ensure(bronze.RECEIPTS), _envelope(1), mode="append")
    silver = find_table("silver.receipts")
    read = CommitProperties(app_transactions=[Transaction(silver.cursor, 1)])
    write_deltalake(
        lake.ensure(silver.lake_table), pa.Table.from_pylist([], silver.schema), mode="append", commit_properties=read
    )
    refined = collect(settings)["refinement"]["silver.receipts"]
    assert (refined["behind"], refined["lag_s"]) == (0, 0.0)


def test_a_database_that_is_down_is_told_and_the_lake_is_still_measured(settings: Settings):
    lake_of(settings).ensure(bronze.RECEIPTS)
    database = settings.database.model_validate({**settings.database.model_dump(), "dsn": "host=127.0.0.1 port=1"})
    told = collect(settings.model_copy(update={"database": database}))
    assert told["postgres"] is None
    assert told["ingest"] is None
    assert told["lake"]["bronze.receipts"] == {"version": 0, "rows": 0}
    assert {part["name"]: part["state"] for part in told["parts"]}["postgres"] == "down"


def _envelope(sequence: int) -> pa.Table:
    row = {
        "record_key": f"r{sequence}",
        "store_id": 1,
        "sequence": sequence,
        "received_at": _NOW,
        "source": "test",
        "payload_digest": "00",
        "payload": "{}",
        "refusal": None,
    }
    return pa.Table.from_pylist([row], bronze.ENVELOPE)


def test_the_last_attempt_at_each_nightly_job_is_told(settings: Settings):
    lake = lake_of(settings)
    assert collect(settings)["nightly"] == {}
    jobs = [Job(name, dt.time(2), lambda: iter(["something"])) for name in ("compaction", "vacuum")]
    next(keep_nights(lake, jobs, lambda: _NOW - dt.timedelta(days=1)))
    nights = keep_nights(lake, jobs, lambda: _NOW)
    for _ in range(4):
        next(nights)
    told = collect(settings)["nightly"]
    assert set(told) == {"compaction", "vacuum"}
    assert (told["vacuum"]["night"], told["vacuum"]["steps"], told["vacuum"]["error"]) == ("2026-11-23", 1, None)
    assert told["vacuum"]["ended_at"] == _NOW.isoformat()


def test_what_is_wrong_comes_first_with_what_to_do_and_replicas_and_metrics_are_told(settings: Settings, capsys):
    told = collect(settings)
    assert not told["healthy"]
    assert ("portal: down", True) in {(one["what"], one["ill"]) for one in told["problems"]}
    assert told["serving"]["applications"]["lookup"] == {"running": 0, "wanted": 1}
    assert told["audit"]["faults"] == 0
    _show_status(told)
    shown = capsys.readouterr().out
    assert shown.index("receipts up") < shown.index("application")
    assert f":{settings.serve.metrics_port}/metrics" in shown
    assert told["mail"] == {"waiting": 0, "oldest_s": 0.0}
    assert str(settings.state_dir / "mail") in shown.replace("\n", "")


def test_elsewhere_only_what_was_started_here_is_called_down(settings: Settings):
    production = settings.model_copy(update={"environment": "production"})
    assert {part["name"] for part in collect(production)["parts"]} == {"postgres", "ray"}
