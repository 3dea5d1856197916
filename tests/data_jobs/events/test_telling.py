"""A pipeline run tells what it did, as an operator runs it."""

import json
import subprocess
import sys

from configs.settings import Settings
from data_jobs.events.log import find_pending, list_events
from receipts import bronze
from receipts.lake import lake_of
from tests.data_jobs.landing import land
from tests.fixtures.environment import environment_of
from tests.fixtures.retail import make_receipt, make_store

_DEADLINE_S = 300


def test_a_run_records_its_batches_and_sends_them_on(ray_settings: Settings) -> None:
    lake, path = lake_of(ray_settings), ray_settings.state_dir / "lineage.jsonl"
    land(lake, bronze.STORES, [make_store()])
    land(lake, bronze.RECEIPTS, [make_receipt()])
    environment = {
        **environment_of(ray_settings),
        "RECEIPTS_LINEAGE__TRANSPORT": "file",
        "RECEIPTS_LINEAGE__PATH": str(path),
    }
    command = [sys.executable, "-m", "cluster.commands", "pipeline", "run", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    batches = json.loads(done.stdout)["batches"]
    assert {batch["table"] for batch in batches} >= {"silver.receipts", "gold.customer_profiles"}
    assert {batch["error"] for batch in batches} == {None}
    assert find_pending(lake, lake.open("events.pipeline")).events == ()
    events = list_events(lake)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["job"]["name"] for line in lines if line["eventType"] == "COMPLETE"] == [e.table for e in events]
