"""The files for clusters and monitoring, checked as far as that can be done without either."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from cluster.ray_node import node_environment
from cluster.serve_variables import serve_variables
from configs.settings import Settings, load_settings

CONFIGS = Path(__file__).parents[2] / "configs"
MANIFESTS = list(yaml.safe_load_all((CONFIGS / "kubernetes" / "receipts.yaml").read_text()))
SERVICE = next(one for one in MANIFESTS if one["kind"] == "RayService")
OWN_TO_ONE_MACHINE = re.compile(r"PORT|_LOC$|PATH|SERVER_STATE|TMPDIR|DRAIN|AUTH|ACCEL|NBTHREAD|MAXCONN")


def ray_variables():
    """Return what every node elsewhere needs: what our own node sets, and what Serve needs in production."""
    embedded = node_environment(Settings(ray={"address": "elsewhere:6379"}))
    return {key: value for key, value in embedded.items() if not OWN_TO_ONE_MACHINE.search(key)} | serve_variables()


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_file_is_yaml(path):
    assert list(yaml.safe_load_all(path.read_text()))


def test_nodes_everywhere_get_the_ray_settings_that_were_measured():
    kubernetes = next(one["data"] for one in MANIFESTS if one["kind"] == "ConfigMap")
    options = yaml.safe_load((CONFIGS / "ray" / "cluster.yaml").read_text())["docker"]["run_options"]
    machines = dict(shlex.split(option)[1].split("=", 1) for option in options if option.startswith("-e "))
    for given in (kubernetes, {name: value.strip("'") for name, value in machines.items()}):
        assert {name: given.get(name) for name in ray_variables()} == ray_variables()


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


def test_a_browser_of_the_portal_comes_back_to_its_pod_and_its_body_is_as_limited_as_the_portal_says():
    (pod,) = (one for one in MANIFESTS if one["kind"] == "Deployment" and one["metadata"]["name"] == "receipts-portal")
    (container,) = pod["spec"]["template"]["spec"]["containers"]
    (service,) = (one for one in MANIFESTS if one["kind"] == "Service")
    (ingress,) = (one for one in MANIFESTS if one["kind"] == "Ingress")
    assert container["ports"] == [{"name": "http", "containerPort": Settings().portal.port}]
    assert service["spec"]["selector"] == pod["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["ports"][0]["targetPort"] == container["readinessProbe"]["httpGet"]["port"] == "http"
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    told = {key.removeprefix("nginx.ingress.kubernetes.io/"): value for key, value in _annotations(ingress).items()}
    assert (told["affinity"], told["enable-access-log"], told["proxy-buffering"]) == ("cookie", "false", "off")
    assert told["proxy-body-size"] == f"{Settings().portal.max_body_bytes // 1024}k"


def _annotations(manifest):
    return manifest["metadata"]["annotations"]


def test_every_alert_says_what_is_noticed_and_what_to_do():
    groups = yaml.safe_load((CONFIGS / "monitoring" / "alerts.yaml").read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert {"alert", "expr", "for", "labels", "annotations"} <= rule.keys()
        assert {"summary", "action"} <= rule["annotations"].keys() <= {"summary", "action", "runbook"}


def _ports(pods):
    return {port["name"]: port["containerPort"] for one in pods["spec"]["containers"] for port in one.get("ports", ())}


def test_prometheus_finds_on_kubernetes_what_the_pods_serve_under_the_names_that_rules_ask_for():
    (workers,) = SERVICE["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    templates = [one["spec"]["template"] for one in MANIFESTS if one["kind"] == "Deployment"] + [workers["template"]]
    pods = {template["metadata"]["labels"]["app"]: _ports(template) for template in templates}
    jobs = {}
    for monitor in yaml.safe_load_all((CONFIGS / "kubernetes" / "monitoring.yaml").read_text()):
        ports = pods[monitor["spec"]["selector"]["matchLabels"]["app"]]
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            (relabeling,) = endpoint["relabelings"]
            jobs[relabeling["replacement"]] = ports[endpoint["port"]]
    settings = Settings()
    assert jobs == {
        "serve": settings.serve.metrics_port, "haproxy": 9101, "ray": 8080, "ingest": settings.ingest.metrics_port,
        "drainer": settings.ingest.drainer_metrics_port, "monitor": settings.monitor.port,
        "mailer": settings.mail.metrics_port,
    }  # fmt: skip
    scraped = yaml.safe_load((CONFIGS / "monitoring" / "prometheus.yaml").read_text())["scrape_configs"]
    assert jobs.keys() <= {job["job_name"] for job in scraped}
