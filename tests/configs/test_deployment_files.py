"""The files for clusters and monitoring, checked as far as that can be done without either."""

import json
import re
from pathlib import Path

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

import cluster.deploy
from cluster.ray_node import node_environment
from configs.settings import Settings, load_settings
from serve_apps.capabilities import CAPABILITIES, SIGN_IN

CONFIGS = Path(__file__).parents[2] / "configs"
MANIFESTS = list(yaml.safe_load_all((CONFIGS / "kubernetes" / "receipts.yaml").read_text()))
SERVICE = next(one for one in MANIFESTS if one["kind"] == "RayService")
SERVE = yaml.safe_load(SERVICE["spec"]["serveConfigV2"])
OWN_TO_ONE_MACHINE = re.compile(r"PORT|_LOC$|PATH|SERVER_STATE|TMPDIR|DRAIN|AUTH|ACCEL")


def ray_variables():
    """Return what our own node sets and every node elsewhere needs as well."""
    embedded = node_environment(Settings(ray={"address": "elsewhere:6379"}))
    return {key for key in embedded if not OWN_TO_ONE_MACHINE.search(key)}


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_file_is_yaml(path):
    assert list(yaml.safe_load_all(path.read_text()))


def test_ray_accepts_the_serve_configuration_and_knows_its_keys():
    ServeDeploySchema.model_validate(SERVE)
    assert SERVE.keys() <= ServeDeploySchema.model_fields.keys(), "Ray ignores unknown keys silently"


def test_kubernetes_serves_every_capability_where_the_command_would():
    served = {(app["name"], app["route_prefix"]) for app in SERVE["applications"]}
    assert served == {(one.name, one.prefix) for one in (SIGN_IN, *CAPABILITIES)}
    for app in SERVE["applications"]:
        module, name = app["import_path"].split(":")
        assert (module, name) == (cluster.deploy.__name__, cluster.deploy.build.__name__)
        assert app["args"] == {"capability": app["name"]}


def test_nodes_everywhere_get_the_ray_settings_that_were_measured():
    kubernetes = next(one["data"] for one in MANIFESTS if one["kind"] == "ConfigMap")
    machines = yaml.safe_load((CONFIGS / "ray" / "cluster.yaml").read_text())["docker"]["run_options"]
    assert ray_variables() <= kubernetes.keys()
    assert ray_variables() <= {re.sub(r'^-e "?(\w+)=.*', r"\1", option) for option in machines}


def test_no_file_holds_a_secret():
    assigned = re.compile(r"(?i)\w*(?:password|secret|token|dsn)\w*\s*[:=]\s*['\"]?(?!null|/|token\b)[^\s{\[#]{8,}")
    found = [
        line for path in CONFIGS.rglob("*.yaml") for line in path.read_text().splitlines() if assigned.search(line)
    ]
    assert [line for line in found if not line.lstrip().startswith("#")] == []


def test_environments_of_pods_name_settings_that_exist():
    given = {
        item["name"]: item["value"]
        for one in MANIFESTS
        if one["kind"] == "Deployment"
        for container in one["spec"]["template"]["spec"]["containers"]
        for item in container["env"]
    }
    secret = {
        "RECEIPTS_DATABASE__DSN": "postgresql://db.example/receipts",
        "RECEIPTS_LAKE__ROOT": "s3://bucket/lake",
        "RECEIPTS_AUTH__ISSUER": "https://id.example",
    }
    assert load_settings(given | secret).environment == "production"


def test_kubelets_ask_a_gateway_in_plaintext_where_it_answers_with_or_without_tls():
    (gateway,) = (one for one in MANIFESTS if one["metadata"]["name"] == "receipts-gateway")
    (container,) = gateway["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    settings = Settings().ingest
    assert ports == {"grpc": settings.port, "tokens": settings.token_port, "metrics": settings.metrics_port}
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "metrics"}
    assert {"name": "RECEIPTS_INGEST__METRICS_HOST", "value": "0.0.0.0"} in container["env"]


def test_every_alert_says_what_is_noticed_and_what_to_do():
    groups = yaml.safe_load((CONFIGS / "monitoring" / "alerts.yaml").read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert {"alert", "expr", "for", "labels", "annotations"} <= rule.keys()
        assert {"summary", "action"} == rule["annotations"].keys()


def test_every_panel_of_the_dashboard_has_a_query():
    panels = json.loads((CONFIGS / "monitoring" / "dashboard.json").read_text())["panels"]
    assert all(target["expr"] for panel in panels for target in panel["targets"])
    assert len({panel["id"] for panel in panels}) == len(panels)
