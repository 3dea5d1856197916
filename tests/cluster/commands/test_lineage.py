"""The commands that tell of the pipeline, as an operator runs them."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, refine_here
from tests.fixtures.retail import make_receipt, make_store

_DEADLINE_S = 120


def _run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RECEIPTS_STATE_DIR": str(tmp_path), "COLUMNS": "200"}
    command = [sys.executable, "-m", "cluster.commands", *arguments]
    return subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=_DEADLINE_S)


def test_the_sources_of_a_column_are_drawn_as_a_tree(tmp_path: Path) -> None:
    drawn = _run(tmp_path, "lineage", "retail.receipts.skus")
    assert drawn.stdout.split() == [
        "retail.receipts.skus", "└──", "silver.receipts.skus", "└──", "bronze.receipts.payload.lines.sku",
    ], drawn.stderr  # fmt: skip


def test_what_comes_from_a_column_is_told_as_json(tmp_path: Path) -> None:
    told = json.loads(_run(tmp_path, "lineage", "silver.stores.name", "--down", "--json").stdout)
    (field,) = told["fields"]
    assert (told["direction"], field["field"]) == ("down", "name")
    assert {"table": "gold.customer_profiles", "field": "document"}.items() <= field["next"][0].items()


def test_a_column_that_is_not_there_is_refused_in_one_sentence(tmp_path: Path) -> None:
    refused = _run(tmp_path, "lineage", "silver.receipts.nonsense")
    assert refused.returncode == 1
    assert refused.stderr.startswith("receipts: column: nonsense is not one of receipt_id")


def test_the_graph_draws_every_table_with_what_it_promises(tmp_path: Path) -> None:
    drawn = _run(tmp_path, "pipeline", "graph").stdout
    tables = json.loads(_run(tmp_path, "pipeline", "graph", "--json").stdout)["tables"]
    for table in tables:
        assert table["table"] in drawn
        assert table["grain"] in drawn
    (receipts,) = [table for table in tables if table["table"] == "silver.receipts"]
    assert receipts["key"] == ["receipt_id"]
    assert (receipts["personal"], receipts["served_as"]) == ("pseudonymous", "retail.receipts")
    assert {"name": "readable", "action": "quarantine", "sentence": "The payload is no receipt."} in receipts[
        "expectations"
    ]
    assert "served as retail.receipts" in drawn
    assert "expects, or else warn: near_its_business_date" in drawn
    assert "refused rows go to silver.quarantine" in drawn


def test_the_graph_as_a_chart_names_every_edge(tmp_path: Path) -> None:
    chart = _run(tmp_path, "pipeline", "graph", "--mermaid").stdout.splitlines()
    assert chart[0] == "flowchart LR"
    assert "    bronze_receipts --> silver_receipts" in chart
    assert "    silver_stores -. looked up .-> silver_receipts" in chart
    assert '    silver_receipts ==> retail_receipts[("retail.receipts")]' in chart


@pytest.fixture
def refined(tmp_path: Path) -> Path:
    lake = Lake(str(tmp_path / "lake"))
    land(lake, bronze.STORES, [make_store()])
    for number in range(2):
        at = RECEIVED_AT + timedelta(hours=number)
        land(lake, bronze.RECEIPTS, [make_receipt(sequence_number=1, tax_cents=number)], at)
        refine_here(lake)
    return tmp_path


def test_the_last_events_of_a_table_are_told(refined: Path) -> None:
    told = json.loads(_run(refined, "pipeline", "events", "--table", "silver.receipts", "--json").stdout)["events"]
    assert [(event["table"], event["rows_in"], event["changed"]) for event in told] == [
        ("silver.receipts", 1, 0),
        ("silver.receipts", 1, 1),
    ]
    shown = _run(refined, "pipeline", "events", "--last", "1").stdout
    assert "gold." in shown
    assert "silver." not in shown
