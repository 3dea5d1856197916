"""What Prometheus is told to ask for, against what ingest serves."""

import json
import re
from pathlib import Path

import promql_parser
import pytest
import yaml

from cluster.gateways import targets_file, write_targets
from configs.settings import IngestSettings, Settings
from ingest import refusals
from ingest.metrics import Metrics, TillMetrics

FOLDER = Path(__file__).parents[2] / "configs" / "monitoring"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
PANELS = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
QUERIES = {rule["alert"]: rule["expr"] for rule in RULES} | {
    f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]
}


def served():
    """The names of all time series that ingest can show, without their labels."""
    registries = (Metrics().registry, TillMetrics().registry)
    registered = {name for one in registries for names in one._collector_to_names.values() for name in names}
    return registered | {sample.name for one in registries for family in one.collect() for sample in family.samples}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_parses_and_asks_for_metrics_that_exist(name):
    promql_parser.parse(QUERIES[name])
    assert set(re.findall(r"receipts_ingest_\w+", QUERIES[name])) <= served()


def test_every_metric_of_ingest_is_watched_or_shown():
    watched = {word for query in QUERIES.values() for word in re.findall(r"receipts_ingest_\w+", query)}
    registries = (Metrics().registry, TillMetrics().registry)
    families = {family.name for registry in registries for family in registry.collect()}
    of_the_process = {name for name in families if "_process_" in name}
    unseen = {name for name in families - of_the_process if not any(word.startswith(name) for word in watched)}
    assert unseen <= {"receipts_ingest_outbox_rows", "receipts_ingest_spool_records"}  # their age and size say more


def test_alerts_ask_for_kinds_of_refusal_that_exist():
    asked = {kind for query in QUERIES.values() for kind in re.findall(r'kind!?="(\w+)"', query)}
    assert asked <= set(refusals.KINDS)


JOBS = {job["job_name"]: job for job in yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"]}


def test_drainers_are_scraped_where_they_serve_by_default():
    assert JOBS["drainer"]["static_configs"] == [{"targets": [f"127.0.0.1:{IngestSettings().drainer_metrics_port}"]}]


def test_gateways_are_looked_for_where_their_supervisor_writes_by_default():
    ((pattern,),) = (one["files"] for one in JOBS["ingest"]["file_sd_configs"])
    by_default = targets_file(Settings(state_dir=FOLDER.parents[1] / "var"))
    assert by_default.match(str((FOLDER / pattern).resolve()))
    assert not by_default.with_name(f".{by_default.name}.unfinished").match(pattern), "never read half written"


def test_the_supervisor_writes_what_prometheus_reads_for_another_user(tmp_path):
    settings = Settings(state_dir=tmp_path, ingest={"metrics_port": 52200, "metrics_host": "0.0.0.0"})
    write_targets(settings, [0, 2])
    path = targets_file(settings)
    assert json.loads(path.read_text()) == [{"targets": ["127.0.0.1:52200", "127.0.0.1:52202"]}]
    assert path.stat().st_mode & 0o044 == 0o044
    write_targets(settings, [])
    assert list(path.parent.iterdir()) == []
