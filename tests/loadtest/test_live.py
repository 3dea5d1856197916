"""The whole command against our own applications, served by uvicorn over a real database."""

import asyncio
import importlib
import json
import threading
import time
from contextlib import AsyncExitStack

import pytest
import typer
import uvicorn
from typer.testing import CliRunner

from cluster.commands.load import read_duration, register
from loadtest.targets import read_targets
from serve_apps.capabilities import CAPABILITIES, SIGN_IN
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows

MODULES = {one.prefix: one.module for one in (*CAPABILITIES, SIGN_IN)}
PREFIXES = sorted(MODULES, key=len, reverse=True)  # the longest prefix that fits has the request, as with Ray Serve


class Together:
    """All applications below their prefixes, as Ray Serve routes them."""

    def __init__(self, settings, prefixes):
        self.apps = {prefix: importlib.import_module(MODULES[prefix]).build_app(settings) for prefix in prefixes}
        self.stack = AsyncExitStack()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            for app in self.apps.values():
                await self.stack.enter_async_context(app.router.lifespan_context(app))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self.stack.aclose()
            await send({"type": "lifespan.shutdown.complete"})
            return
        prefix = next((p for p in self.apps if scope["path"].startswith(p)), None)
        app = self.apps[prefix] if prefix else next(iter(self.apps.values()))
        await app({**scope, "root_path": prefix or ""}, receive, send)


@pytest.fixture
def served(settings, sign_ins):
    """Serve the applications on the port of the settings for the length of a test."""
    stop = []

    def serve(prefixes=tuple(PREFIXES)):
        config = uvicorn.Config(Together(settings, prefixes), port=settings.serve.port, log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
        thread.start()
        stop.append((server, thread))
        deadline = time.monotonic() + 120  # the search applications load their models first
        while not server.started:
            assert thread.is_alive(), "the server ended before it was up"
            assert time.monotonic() < deadline, "the server is not up"
            thread.join(timeout=0.05)

    yield serve
    for server, thread in stop:
        server.should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive()


@pytest.fixture
def load(settings, monkeypatch):
    """Run `receipts load` with the settings of the test; returns exit status, stdout and stderr."""
    monkeypatch.setenv("RECEIPTS_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("RECEIPTS_SERVE__PORT", str(settings.serve.port))
    monkeypatch.setenv("RECEIPTS_DATABASE__DSN", settings.database.dsn.get_secret_value())
    for role, password in settings.database.role_passwords.items():
        monkeypatch.setenv(f"RECEIPTS_DATABASE__ROLE_PASSWORDS__{role.upper()}", password.get_secret_value())
    app = typer.Typer()
    register(app)
    return lambda *options: CliRunner().invoke(app, list(map(str, options)))


def fill(settings):
    stores = [make_store(), make_store(store_id=400, name="Troy Hill", aliases=[], region_id=2)]
    store_rows(
        settings,
        stores=stores,
        customers=[make_customer(customer_id=f"C{n:07d}", home_store_id=stores[n % 2].store_id) for n in range(6)],
        receipts=[
            make_receipt(sequence_number=n + 1, store_id=stores[n % 2].store_id, customer_id=f"C{n % 6:07d}")
            for n in range(60)
        ],
    )


def test_reps_look_up_browse_and_search_without_a_failure(settings, served, load):
    fill(settings)
    served()
    ended = load("--users", 6, "--spawn-rate", 20, "--duration", "12s", "--think", 0.05, "--json")
    assert ended.exit_code == 0, ended.stdout + ended.stderr
    told = json.loads(ended.stdout)
    routes = {route["route"]: route for route in told["routes"]}
    assert set(routes) == {
        "POST /auth/token",
        "GET /receipt/{receipt_id}",
        "GET /receipt/{receipt_id} misread",
        "GET /customers/{customer_id}/receipts",
        "GET /cs/context/{customer_id}",
        "POST /search/fuzzy",
        "POST /search/",
    }
    assert routes["POST /auth/token"]["requests"] == 6
    assert all(route["failures"] == 0 and route["requests"] > 0 for route in routes.values())
    assert all(0 < route["p50_ms"] <= route["p95_ms"] <= route["p99_ms"] for route in routes.values())


def test_every_answer_the_reps_got_has_its_audit_row(settings, served, load, owner):
    fill(settings)
    served()
    ended = load("--users", 3, "--duration", "4s", "--think", 0.05, "--json", "--only", "lookup")
    asked = sum(r["requests"] for r in json.loads(ended.stdout)["routes"] if "/receipt" in r["route"])
    owner.execute("SELECT audit.project()")
    (audited,) = owner.execute("SELECT count(*) FROM audit.events WHERE route LIKE '%/receipt/%'").fetchone()
    assert 0 < asked <= audited, "an answer may be lost at the end of the run, an audit row never"


def test_a_failing_route_fails_the_command_and_is_named_in_the_table(settings, served, load):
    fill(settings)
    served(prefixes=("/auth", "/receipt"))
    ended = load("--users", 2, "--duration", "4s", "--think", 0.05, "--only", "history")
    assert ended.exit_code == 1
    assert "GET /customers/{customer_id}/receipts" in ended.stdout
    assert "requests failed" in ended.stderr


def test_without_a_platform_the_command_fails(settings, load, sign_ins):
    fill(settings)
    ended = load("--users", 1, "--duration", "3s")
    assert ended.exit_code == 1


def test_a_sample_can_be_prepared_for_other_machines(settings, load, sign_ins, tmp_path):
    fill(settings)
    assert load("--prepare", tmp_path / "targets.json").exit_code == 0
    assert len(read_targets(tmp_path / "targets.json").targets) == 60


@pytest.mark.parametrize(("text", "seconds"), [("45", 45), ("30s", 30), ("5m", 300), ("1h", 3_600)])
def test_a_duration_is_read_as_people_write_it(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "0s", "-3s", "1d", "1.5m", "²s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(typer.BadParameter, match="is no duration; expected a whole number"):
        read_duration(text)


def test_an_unknown_journey_is_refused_with_the_known_ones(load):
    ended = load("--only", "dance")
    assert ended.exit_code == 2
    assert "dance is no journey" in ended.stderr
