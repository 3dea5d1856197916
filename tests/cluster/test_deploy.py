"""The applications on a real Ray Serve, reached over HTTP."""

import httpx
import psutil
import psycopg
import pytest
import ray
import yaml
from pydantic import SecretStr
from ray import serve
from ray.util import list_named_actors

from cluster import deploy
from cluster.errors import PlatformError
from configs.settings import load_settings
from serve_apps.capabilities import CAPABILITIES, capabilities_of
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.serve_apps.test_export import BEFORE, GROWTH_BYTES, LINES, RECEIPTS, WISH, peak_bytes, plant_many
from tests.serve_apps.test_streaming import eventually, long_reads_at_work


@pytest.fixture
def serve_settings(ray_settings, tmp_path):
    """The test's settings, also as a file for the replicas: a deployment carries no secret."""
    file = tmp_path / "settings.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "database": {
                    "dsn": ray_settings.database.dsn.get_secret_value(),
                    "role_passwords": {
                        role: secret.get_secret_value() for role, secret in ray_settings.database.role_passwords.items()
                    },
                }
            }
        )
    )
    file.chmod(0o600)
    yield ray_settings, file
    if ray.is_initialized():
        serve.shutdown()
        ray.shutdown()


def replicas() -> list[str]:
    """Return the names of the replicas' actors; each is new when a replica is replaced."""
    named = list_named_actors(all_namespaces=True)
    return sorted(one["name"] for one in named if one["name"].startswith("SERVE_REPLICA"))


def test_replicas_get_every_setting_but_no_secret(settings, tmp_path):
    """A deployment's environment is enough to load the same settings, apart from secrets."""
    variables = deploy.replica_environment(settings, tmp_path / "own.yaml")
    secrets = [
        settings.database.dsn.get_secret_value(),
        *(s.get_secret_value() for s in settings.database.role_passwords.values()),
    ]
    assert not [key for key, value in variables.items() if any(secret in value for secret in secrets)]
    del variables["RECEIPTS_CONFIG_FILE"]
    database = settings.database.model_copy(update={"dsn": None, "role_passwords": {}})
    assert load_settings(variables) == settings.model_copy(
        update={"database": database, "state_dir": settings.state_dir.resolve()}
    )


def test_a_changed_secret_is_another_deployment_and_shows_nothing_of_itself(settings):
    variables = deploy.replica_environment(settings)
    before = deploy.fingerprint_of(variables, settings)
    assert before == deploy.fingerprint_of(variables, settings)
    passwords = {
        role: SecretStr(secret.get_secret_value()) for role, secret in settings.database.role_passwords.items()
    }
    passwords["receipts_api"] = SecretStr("another")
    database = settings.database.model_copy(update={"role_passwords": passwords})
    rotated = settings.model_copy(update={"database": database})
    assert deploy.replica_environment(rotated) == variables
    assert deploy.fingerprint_of(variables, rotated) != before
    kept = settings.state_dir / "secrets.json"
    kept.write_text(kept.read_text().replace("{", "{ ", 1))
    assert deploy.fingerprint_of(variables, settings) != before


def test_an_export_passes_serve_while_it_is_read_and_ends_with_its_reader(serve_settings, sign_ins, owner):
    settings, file = serve_settings
    plant_many(settings, owner)
    wanted = [one for one in capabilities_of(settings) if one.name == "export"]
    deploy.deploy(settings, settings.ray.address, capabilities=wanted, config_file=file)
    (pid,) = replica_processes(settings)
    base = f"{settings.portal.api_url}/export/receipts"
    with httpx.Client(headers=sign_ins.headers("supervisor.east"), timeout=60) as client:
        smaller = client.post(base, json=WISH | {"date_from": BEFORE, "date_to": BEFORE}).json()
        client.get(f"{base}/{smaller['export_id']}/file").raise_for_status()
        before = peak_bytes(pid)
        made = client.post(base, json=WISH).json()
        whole = client.get(f"{base}/{made['export_id']}/file").content
        assert whole.count(b"\r\n") == RECEIPTS * LINES + 1
        assert peak_bytes(pid) - before < GROWTH_BYTES < len(whole)
        with client.stream("GET", f"{base}/{made['export_id']}/file") as answer:
            pieces = answer.iter_bytes()
            next(pieces)
            assert eventually(lambda: long_reads_at_work(owner) == 1, 5)
        assert eventually(lambda: long_reads_at_work(owner) == 0, 5)
        assert eventually(lambda: client.get(f"{base}/{made['export_id']}").json()["state"] == "failed", 5)


def replica_processes(settings) -> list[int]:
    """Return the processes of the replicas that were given these settings."""
    found = [one for one in psutil.process_iter(["cmdline"]) if "ServeReplica" in " ".join(one.info["cmdline"] or [])]
    return [one.pid for one in found if one.environ().get("RECEIPTS_STATE_DIR") == str(settings.state_dir.resolve())]


def test_deployed_applications_sign_in_and_answer_and_a_second_deployment_changes_nothing(
    serve_settings, sign_ins, owner: psycopg.Connection
):
    settings, file = serve_settings
    receipt = make_receipt()
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=[receipt])
    wanted = [one for one in capabilities_of(settings) if one.name in {"auth", "lookup", "customers", "context"}]
    seen = []
    for _ in range(2):
        deploy.deploy(settings, settings.ray.address, capabilities=wanted, config_file=file)
        assert set(serve.status().applications) == {one.name for one in wanted}
        seen.append(replicas())
    assert len(seen[0]) == len(wanted)
    assert seen[0] == seen[1]

    secret = yaml.safe_load((settings.state_dir / "secrets.json").read_text())["development_client_secret"]
    with httpx.Client(base_url=settings.portal.api_url, timeout=10) as client:
        form = {"grant_type": "client_credentials", "client_id": "rep.east", "client_secret": secret}
        token = client.post("/auth/token", data=form).raise_for_status().json()["access_token"]
        assert client.get(f"/receipt/{receipt.receipt_id}").status_code == 401
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get(f"/receipt/{receipt.receipt_id}").json()["receipt"] == receipt.model_dump(
            mode="json", exclude_none=True
        )
        history = client.get("/customers/C0000001/receipts?limit=5")  # with a query it takes the long way
        assert history.json()["receipts"][0]["receipt_id"] == receipt.receipt_id
        (request_id,) = history.headers.get_list("x-request-id")  # Serve has a number of its own, and adds it
        assert client.get("/cs/context/C0000001").json()["customer"]["first_name"] == "Maria"
        assert client.get("/receipt/2611170036700300000200").status_code == 422
        for path in ("/metrics", "/receipt/metrics", "/-/metrics"):
            public = httpx.get(f"{settings.portal.api_url}{path}", trust_env=False, timeout=30)
            assert public.is_client_error
            assert "receipts_serve" not in public.text
    counted = httpx.get(f"http://127.0.0.1:{settings.serve.metrics_port}/metrics", trust_env=False, timeout=30).text
    route = 'application="lookup",route="GET /receipt/{receipt_id}",slot="0"'
    assert f'receipts_serve_requests_total{{{route},status="200"}} 1.0' in counted, "answered at the entrance"
    for one in wanted:
        assert f'receipts_serve_up{{application="{one.name}",slot="0"}} 1.0' in counted
    owner.execute("SELECT audit.project()")
    told = owner.execute("SELECT route FROM audit.events WHERE request_id = %s", [request_id]).fetchall()
    assert told == [("GET /customers/{customer_id}/receipts",)]
    routes = [row[0] for row in owner.execute("SELECT route FROM audit.events WHERE principal_id = 'rep.east'")]
    assert sorted(routes) == [
        "GET /cs/context/{customer_id}",
        "GET /customers/{customer_id}/receipts",
        "GET /receipt/{receipt_id}",
        "GET /receipt/{receipt_id}",
        "POST /auth/token",
    ]


def test_an_application_that_cannot_start_is_reported_with_its_error(serve_settings, tmp_path):
    settings, _ = serve_settings
    without_secrets = settings.model_copy(update={"state_dir": tmp_path})
    lookup = next(one for one in CAPABILITIES if one.name == "lookup")
    with pytest.raises(PlatformError, match="RECEIPTS_DATABASE__ROLE_PASSWORDS__RECEIPTS_API is not set"):
        deploy.deploy(without_secrets, settings.ray.address, capabilities=[lookup])
