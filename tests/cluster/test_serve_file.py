"""The Serve file of production says what `receipts deploy` does, and Ray understands all of it."""

import copy
import shutil
import time

import httpx
import pytest
import ray
import yaml
from ray import serve
from ray.serve.context import _get_global_client  # what the job server calls for a file
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

from cluster import deploy, serve_file
from cluster.errors import PlatformError
from serve_apps.capabilities import CAPABILITIES, SIGN_IN
from tests.fixtures.environment import environment_of
from tests.fixtures.retail import make_receipt, make_store, store_rows

FILE = yaml.safe_load(serve_file.SERVE_FILE.read_text())
_PATIENCE_S = 120  # for a replica on a busy machine


def kept(given: object, understood: object, where: str = "") -> list[str]:
    """Return the keys that Ray did not take over: it ignores those it does not know, without a word."""
    if isinstance(given, dict) and isinstance(understood, dict):
        lost = [f"{where}.{key}" for key in given.keys() - understood.keys()]
        return lost + [
            name for key in given.keys() & understood for name in kept(given[key], understood[key], f"{where}.{key}")
        ]
    if isinstance(given, list) and isinstance(understood, list):
        return [name for pair in zip(given, understood, strict=True) for name in kept(*pair, where)]
    return []


def test_file_and_manifest_are_what_the_builder_makes():
    assert serve_file.SERVE_FILE.read_text() == serve_file.serve_file_text(), "run `receipts deploy --write-config`"
    service = next(one for one in yaml.safe_load_all(serve_file.MANIFEST.read_text()) if one["kind"] == "RayService")
    assert yaml.safe_load(service["spec"]["serveConfigV2"]) == FILE, "run `receipts deploy --write-config`"


def test_ray_accepts_the_file_and_knows_every_key_of_it():
    understood = ServeDeploySchema.model_validate(copy.deepcopy(FILE)).model_dump(exclude_unset=True)
    assert kept(FILE, understood) == []
    misspelt = copy.deepcopy(FILE)
    misspelt["applications"][0]["deployments"][0]["max_surge"] = 100
    understood = ServeDeploySchema.model_validate(copy.deepcopy(misspelt)).model_dump(exclude_unset=True)
    assert kept(misspelt, understood) == [".applications.deployments.max_surge"]


def test_every_capability_is_served_where_the_command_serves_it():
    served = {(app["name"], app["route_prefix"]) for app in FILE["applications"]}
    assert served == {(one.name, one.prefix) for one in (SIGN_IN, *CAPABILITIES)}


def test_two_replicas_of_each_survive_the_loss_of_one():
    scaled = [app["deployments"][0]["autoscaling_config"]["min_replicas"] for app in FILE["applications"]]
    assert set(scaled) == {2}


def test_writing_it_again_changes_nothing_and_a_manifest_without_its_place_is_refused(tmp_path):
    manifest = tmp_path / "receipts.yaml"
    shutil.copy(serve_file.MANIFEST, manifest)
    serve_file.write_serve_file(tmp_path / "serve.yaml", manifest)
    assert (tmp_path / "serve.yaml").read_bytes() == serve_file.SERVE_FILE.read_bytes()
    assert manifest.read_bytes() == serve_file.MANIFEST.read_bytes()
    manifest.write_text("kind: RayService\n")
    with pytest.raises(PlatformError, match="has no place for the Serve configuration"):
        serve_file.write_serve_file(tmp_path / "serve.yaml", manifest)


def test_an_application_that_nobody_knows_is_refused_by_name(monkeypatch, settings):
    for key, value in environment_of(settings).items():
        monkeypatch.setenv(key, value)
    with pytest.raises(PlatformError, match=r"no capability fancy; known: auth, lookup, "):
        deploy.build({"capability": "fancy"})


def test_an_application_of_the_file_is_deployed_and_answers(ray_settings, sign_ins):
    """The file itself wants a cluster: here one application of it, small enough for this machine."""
    receipt = make_receipt()
    store_rows(ray_settings, stores=[make_store()], receipts=[receipt])
    environment = {key: value for key, value in environment_of(ray_settings).items() if key.startswith("RECEIPTS_")}
    told = copy.deepcopy(FILE)
    (lookup,) = (app for app in told["applications"] if app["name"] == "lookup")
    lookup["deployments"][0]["autoscaling_config"]["min_replicas"] = 1
    lookup["runtime_env"] = {"env_vars": environment}
    told |= {"applications": [lookup], "http_options": deploy.http_options(ray_settings)}
    ray.init(address=ray_settings.ray.address, namespace="serve", log_to_driver=False)
    try:
        serve.start(proxy_location=told["proxy_location"], http_options=told["http_options"])
        _get_global_client().deploy_apps(ServeDeploySchema.model_validate(told))
        deadline = time.monotonic() + _PATIENCE_S
        while (one := serve.status().applications.get("lookup")) is None or one.status != ApplicationStatus.RUNNING:
            assert one is None or one.status != ApplicationStatus.DEPLOY_FAILED, one
            assert time.monotonic() < deadline, one
            time.sleep(0.2)  # polls with a deadline
        base = f"http://127.0.0.1:{ray_settings.serve.port}"
        while httpx.get(f"{base}/-/healthz").status_code != 200:
            assert time.monotonic() < deadline, "the proxy does not route to it"
            time.sleep(0.2)  # polls with a deadline
        answer = httpx.get(f"{base}/receipt/{receipt.receipt_id}", headers=sign_ins.headers("rep.east"))
        assert answer.json()["receipt"]["receipt_id"] == receipt.receipt_id
    finally:
        serve.shutdown()
        ray.shutdown()
