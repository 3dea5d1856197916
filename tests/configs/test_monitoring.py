"""What Prometheus is told to ask for, against what the platform serves."""

import json
import re
from functools import cache
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily

from cluster.gateways import targets_file, write_targets
from cluster.platform_metrics import PlatformCollector
from cluster.status import metrics_places
from configs.settings import IngestSettings, Settings
from ingest import refusals
from ingest.metrics import Metrics, TillMetrics
from serve_apps import lookup
from serve_apps.exposition import Whose, registry_of
from serve_apps.mailing.metrics import Metrics as MailMetrics
from serve_apps.meters import SECONDS
from serve_apps.reads import Standby

FOLDER = Path(__file__).parents[2] / "configs" / "monitoring"
DOCS = FOLDER.parents[1] / "docs"
GROUPS = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
RECORDED = [
    rule for group in yaml.safe_load((FOLDER / "recording.yaml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARDS = {
    path.name: json.loads(path.read_text()) for path in sorted((FOLDER / "grafana/dashboards").glob("*.json"))
}
PANELS = [(name, panel) for name, dashboard in DASHBOARDS.items() for panel in dashboard["panels"]]
QUERIES = (
    {rule["alert"]: rule["expr"] for rule in RULES}
    | {rule["record"]: rule["expr"] for rule in RECORDED}
    | {
        f"{name}: {panel['title']} {target['refId']}": target["expr"]
        for name, panel in PANELS
        for target in panel["targets"]
    }
)
OURS = re.compile(r"(?<![\w:])receipts_\w+")
RECORD = re.compile(r"\b[a-z]+:\w+:\w+")


# What a monitor tells that has seen one of everything.
SEEN = {
    "parts": [{"name": "serve", "state": "healthy"}],
    "problems": [],
    "disk_free": 0.5,
    "servers": [{"name": "replica1", "role": "standby", "state": "streaming", "lag_s": 0.0, "lag_bytes": 0}],
    "ingest": {"outbox_oldest_s": 0.0, "quarantine_held": 0, "quarantine_replayed": 0},
    "audit": {"unprojected_oldest_s": 0.0, "unanchored_oldest_s": 0.0, "anchor_age_s": 1.0, "faults": 0},
    "mail": {"waiting": 0, "oldest_s": 0.0},
    "refinement": {"silver.receipts": {"lag_s": 0.0}},
    "sync": {"silver.receipts": {"lag_s": 0.0, "synced_at": "2026-11-23T12:00:00+00:00"}},
    "nightly": {"vacuum": {"ended_at": "2026-11-23T12:00:00+00:00", "error": None}},
    "failed_batches": {"silver.receipts": 1},
    "serving": {"applications": {"lookup": {"running": 1, "wanted": 1}}},
}


class Looks:
    """A monitor that has looked."""

    told, took_s, failed = SEEN, 0.1, 0

    def is_fresh(self):
        return True


@cache
def families():
    """One family of each metric that anything here can show, with at least one sample where it has labels."""
    app = lookup.build_app(Settings(state_dir=FOLDER, database={"role_passwords": {"receipts_api": "x"}}))
    context = app.state.context
    context.traffic.of("GET /x").add(200, 0.001)
    context.reads.standbys["replica1"] = Standby("replica1", "", context.pool, 0.0)
    platform = CollectorRegistry()
    platform.register(PlatformCollector(Looks()))
    ours = (Metrics().registry, TillMetrics().registry, MailMetrics().registry)
    registries = (*ours, registry_of(app, Whose("lookup", 0)), platform)
    found = [family for registry in registries for family in registry.collect()]
    up = GaugeMetricFamily("receipts_serve_up", "Made where a node's replicas are put together.", 1)
    return [*found, up]


def served():
    """The names of all time series that we can show, without their labels."""
    registered = {
        name
        for one in (Metrics(), TillMetrics(), MailMetrics())
        for n in one.registry._collector_to_names.values()
        for name in n
    }
    return registered | {sample.name for family in families() for sample in family.samples}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_parses_and_asks_for_metrics_that_exist(name):
    promql_parser.parse(QUERIES[name])
    assert set(OURS.findall(QUERIES[name])) <= served()
    assert set(RECORD.findall(QUERIES[name])) <= {rule["record"] for rule in RECORDED}


def test_every_metric_is_watched_or_shown():
    used = {word for query in QUERIES.values() for word in OURS.findall(query)}
    names = {family.name for family in families() if "_process_" not in family.name}
    unseen = {name for name in names if not any(word.startswith(name) for word in used)}
    assert unseen <= {"receipts_ingest_outbox_rows", "receipts_ingest_spool_records"}  # their age and size say more


def test_every_recording_is_asked_for():
    used = {word for query in QUERIES.values() for word in RECORD.findall(query)}
    assert {rule["record"] for rule in RECORDED} - used == set()


def test_labels_that_are_asked_for_have_values_that_exist():
    """Refusals and stages are told by words of the code: a misspelt one would never match."""
    told = {
        label: {sample.labels[label] for family in families() for sample in family.samples if label in sample.labels}
        for label in ("stage", "outcome", "question", "reason")
    }
    for query in QUERIES.values():
        for label, asked in re.findall(r'\b(stage|outcome|question|reason)!?=~?"([^"]+)"', query):
            for one in asked.split("|"):
                assert any(re.fullmatch(one, value) for value in told[label]), (label, one)


def test_the_promise_of_lookups_is_measured_at_a_bound_that_is_counted():
    bounds = {bound for rule in RECORDED for bound in re.findall(r'le="([^"]+)"', rule["expr"])}
    assert {float(bound) for bound in bounds} == {0.01}
    assert 0.01 in SECONDS


def test_every_page_has_its_runbook():
    chapters = re.findall(r"^### (\w+)$", (DOCS / "runbook.md").read_text(), re.MULTILINE)
    pages = {
        rule["alert"]: rule["annotations"].get("runbook") for rule in RULES if rule["labels"]["severity"] == "page"
    }
    assert pages == {name: f"docs/runbook.md#{name.lower()}" for name in chapters}
    assert [
        rule["alert"] for rule in RULES if rule["labels"]["severity"] != "page" and "runbook" in rule["annotations"]
    ] == []


def test_alerts_ask_for_kinds_of_refusal_that_exist():
    asked = {kind for query in QUERIES.values() for kind in re.findall(r'kind!?="(\w+)"', query)}
    assert asked <= set(refusals.KINDS)


JOBS = {job["job_name"]: job for job in yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"]}


def test_all_that_serves_metrics_by_default_is_scraped_there():
    settings = Settings()
    assert JOBS["serve"]["static_configs"] == [{"targets": [f"127.0.0.1:{settings.serve.metrics_port}"]}]
    assert JOBS["monitor"]["static_configs"] == [{"targets": [f"127.0.0.1:{settings.monitor.port}"]}]
    assert JOBS["mailer"]["static_configs"] == [{"targets": [f"127.0.0.1:{settings.mail.metrics_port}"]}]
    places = metrics_places(settings)
    for job in ("haproxy", "ray"):
        (target,) = JOBS[job]["static_configs"][0]["targets"]
        assert places[job].endswith(f":{target.rpartition(':')[2]}/metrics")


def test_grafana_is_provisioned_with_what_the_dashboards_ask():
    source = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/receipts.yaml").read_text())
    assert [one["type"] for one in source["datasources"]] == ["prometheus"]
    provider = yaml.safe_load((FOLDER / "grafana/provisioning/dashboards/receipts.yaml").read_text())
    assert [one["type"] for one in provider["providers"]] == ["file"]
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS) >= 4
    for dashboard in DASHBOARDS.values():
        assert [one["type"] for one in dashboard["templating"]["list"]] == ["datasource"]
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
        assert all(panel["targets"] for panel in dashboard["panels"])


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
