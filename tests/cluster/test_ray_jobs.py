"""The pipeline as a Ray job, submitted to a cluster's job server."""

import json
import shlex
import sys
import time
from collections.abc import Callable

import psycopg
import pytest
from ray.job_submission import JobStatus, JobSubmissionClient

from configs.settings import Settings
from receipts import bronze
from receipts.lake import lake_of
from tests.data_jobs.landing import land, rows_of
from tests.fixtures.environment import environment_of
from tests.fixtures.ray_cluster import RayCluster
from tests.fixtures.retail import make_receipt, make_store, store_rows

_WAIT_S = 180  # a busy machine takes half a minute to start what a job consists of
_POLL_S = 0.5


@pytest.fixture
def jobs(ray_cluster: RayCluster) -> JobSubmissionClient:
    """The cluster's job server."""
    return JobSubmissionClient(ray_cluster.jobs)


def _submit(jobs: JobSubmissionClient, settings: Settings, *options: str) -> str:
    """Submit the pipeline; the job's environment names the file of settings, and the secrets stay in it."""
    named = {key: value for key, value in environment_of(settings).items() if key.startswith("RECEIPTS_")}
    command = [sys.executable, "-m", "cluster.commands", "pipeline", "run", *options]
    return jobs.submit_job(entrypoint=shlex.join(command), runtime_env={"env_vars": named})


def _wait(jobs: JobSubmissionClient, job: str, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not until():
        assert jobs.get_job_status(job) is not JobStatus.FAILED, jobs.get_job_logs(job)[-3_000:]
        assert time.monotonic() < deadline, f"{jobs.get_job_status(job)}: {jobs.get_job_logs(job)[-3_000:]}"
        time.sleep(_POLL_S)  # polls with a deadline


def test_a_ray_job_refines_what_is_new_and_syncs_it(
    jobs: JobSubmissionClient, settings: Settings, owner: psycopg.Connection
) -> None:
    store, receipt, lake = make_store(), make_receipt(), lake_of(settings)
    store_rows(settings, stores=[store], receipts=[receipt])
    land(lake, bronze.STORES, [store])
    land(lake, bronze.RECEIPTS, [receipt])
    job = _submit(jobs, settings, "--json")
    _wait(jobs, job, lambda: jobs.get_job_status(job) is JobStatus.SUCCEEDED)
    told = next(line for line in jobs.get_job_logs(job).splitlines() if line.startswith("{"))
    done = json.loads(told)
    assert [batch["rows_out"] for batch in done["batches"] if batch["table"] == "silver.receipts"] == [1]
    assert rows_of(lake, "silver.receipts")["receipt_id"].to_list() == [receipt.receipt_id]
    assert owner.execute("SELECT receipt_id FROM retail.receipts WHERE refined_at IS NOT NULL").fetchall() == [
        (receipt.receipt_id,)
    ]


def test_a_ray_job_that_goes_on_finishes_its_round_when_it_is_stopped(
    jobs: JobSubmissionClient, ray_cluster: RayCluster, settings: Settings
) -> None:
    lake = lake_of(settings)
    land(lake, bronze.STORES, [make_store()])
    job = _submit(jobs, settings, "--continuous")
    _wait(jobs, job, lambda: lake.exists("silver.stores") and rows_of(lake, "silver.stores").height == 1)
    assert jobs.stop_job(job)
    _wait(jobs, job, lambda: jobs.get_job_status(job) is JobStatus.STOPPED)
    ended = (ray_cluster.logs / "jobs" / f"supervisor-{job}.log").read_text()
    assert "has been terminated gracefully with SIGTERM" in ended  # and not killed after the time it had
