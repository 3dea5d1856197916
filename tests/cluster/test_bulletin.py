"""What leaves the machines of a status: enough to see what is wrong, and nothing that says where or by whom."""

import json

from cluster.bulletin import bulletin, publish
from cluster.diagnosis import VECTORS
from cluster.monitor import Monitor
from cluster.status import look, watch_of
from receipts import bronze
from receipts.lake import lake_of
from serve_apps import admin
from tests.fixtures.serving import running

FAILED = "DeltaError: Generic S3 error at s3://lake/silver with key AKIAEXAMPLE"


def lag(lag_s):
    return {"version": 1, "latest": 2, "behind": 1, "lag_s": lag_s}


def a_look(settings):
    """A real look at a platform of which only the database is there, and a nightly job that failed."""
    told = look(settings, watch_of(settings))
    night = {
        "night": "2026-11-23",
        "started_at": "2026-11-23T03:00:00+00:00",
        "ended_at": "2026-11-23T03:01:00+00:00",
        "steps": 0,
        "error": FAILED,
    }
    return told | {
        "nightly": {"vacuum": night},
        "refinement": {"silver.receipts": lag(3.0), VECTORS: lag(500.0)},
        "sync": {"silver.receipts": lag(130.0)},
    }


def test_it_holds_no_address_path_process_or_words_of_an_error(settings, owner):
    lake_of(settings).ensure(bronze.RECEIPTS)
    told = a_look(settings)
    text = bulletin(settings, told).model_dump_json()
    hidden = [str(settings.state_dir), settings.lake_root, "127.0.0.1", "://", "AKIAEXAMPLE", "postgresql", "password"]
    assert [word for word in [*hidden, *told["urls"].values(), *told["metrics"].values()] if word in text] == []
    assert '"pid"' not in text


def test_it_says_what_is_wrong_and_how_far_each_table_is_behind_at_worst(settings, owner):
    told = json.loads(bulletin(settings, a_look(settings)).model_dump_json())
    assert told["healthy"] is False
    assert told["freshness"] == [
        {"table": "silver.receipts", "lag_s": 130.0, "promised_s": 120.0},
        {"table": VECTORS, "lag_s": 500.0, "promised_s": 120.0 + settings.pipeline.embed_interval_s},
    ]
    (night,) = told["nightly"]
    assert (night["job"], night["error"]) == ("vacuum", "DeltaError")
    said = {one["what"] for one in told["problems"]}
    assert {"silver.receipts in Postgres is 130 s behind", "the nightly job vacuum failed: DeltaError"} <= said
    states = {one["name"]: one["state"] for one in told["parts"]}
    assert (states["postgres"], states["gateway"]) == ("healthy", "down")
    assert told["ingest"]["outbox"] == told["audit"]["faults"] == 0


async def test_what_a_monitor_sees_is_what_an_administrator_reads(settings, sign_ins):
    monitor = Monitor(settings)
    async with running(admin.build_app(settings), "/admin") as api:
        for _ in range(2):  # the second look takes the place of the first
            monitor.look()
            answer = (await api.get("/admin/status", headers=sign_ins.headers("admin"))).raise_for_status().json()
            assert answer["age_s"] < 30
            assert {one["name"] for one in answer["parts"]} == {one["name"] for one in monitor.told["parts"]}


def test_without_postgres_a_look_still_counts(settings):
    database = settings.database.model_validate({**settings.database.model_dump(), "dsn": "host=127.0.0.1 port=1"})
    monitor = Monitor(settings.model_copy(update={"database": database}))
    monitor.look()
    assert (monitor.is_fresh(), monitor.failed, monitor.told["ingest"]) == (True, 0, None)


def test_only_one_row_is_kept(settings, owner):
    told = a_look(settings)
    publish(settings, told)
    publish(settings, told | {"nightly": {}})
    ((nightly,),) = owner.execute("SELECT told -> 'nightly' FROM operations.status").fetchall()
    assert nightly == []
