"""The platform's own nightly jobs, all of them, on a real lake and a real Postgres."""

from datetime import UTC, datetime, timedelta

from configs.nightly import NightlySettings
from configs.settings import Settings
from data_jobs.changes import list_files
from data_jobs.upkeep.jobs import limits_of, nightly_jobs, tidy
from data_jobs.upkeep.nightly import keep_nights, list_last
from data_jobs.writer_lock import sole_writer
from receipts import bronze
from receipts.lake import lake_of
from tests.data_jobs.landing import land, refine_here, rows_of
from tests.fixtures.retail import make_receipt, make_store


def test_every_job_is_done_in_one_night_and_what_is_there_stays(settings: Settings) -> None:
    lake = lake_of(settings)
    land(lake, bronze.STORES, [make_store()])
    for number in range(1, 8):
        land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=number)])
        refine_here(lake)
    before = rows_of(lake, "silver.receipts").sort("receipt_id")
    with sole_writer(settings) as claim:
        jobs = nightly_jobs(settings, claim, lambda: iter(["embedded"]))
        next(keep_nights(lake, jobs, lambda: datetime.now(UTC) - timedelta(days=1)))
        nights = keep_nights(lake, jobs)
        deadline = datetime.now(UTC) + timedelta(seconds=120)
        while len(list_last(lake)) < 6:
            next(nights)
            assert datetime.now(UTC) < deadline
    last = list_last(lake)
    assert set(last) == {"audit_partitions", "audit_retention", "compaction", "embeddings", "retention", "vacuum"}
    assert {event["error"] for event in last.values()} == {None}
    assert list_files(lake.open("bronze.receipts")).height == 1
    assert rows_of(lake, "silver.receipts").sort("receipt_id").equals(before)
    assert refine_here(lake) == []


def test_a_job_that_is_switched_off_is_none(settings: Settings) -> None:
    quiet = settings.model_copy(update={"nightly": NightlySettings(compaction=None, history_days=3)})
    with sole_writer(settings) as claim:
        names = [job.name for job in nightly_jobs(quiet, claim, lambda: iter(()))]
    assert names == ["audit_partitions", "retention", "audit_retention", "vacuum", "embeddings"]
    assert limits_of(quiet).history == timedelta(days=3)


def test_small_files_are_brought_together_between_rounds_now_and_then(settings: Settings) -> None:
    lake = lake_of(settings)
    for number in range(1, 41):
        land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=number)])
    tidying = tidy(lake, every=3)
    for _ in range(3):
        next(tidying)
    assert list_files(lake.open("bronze.receipts")).height == 40
    next(tidying)
    assert list_files(lake.open("bronze.receipts")).height == 1
