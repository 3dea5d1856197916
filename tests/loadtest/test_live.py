"""The whole command against our own applications, served by uvicorn over a real database."""

import asyncio
import contextlib
import importlib
import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import AsyncExitStack

import httpx
import pytest
import typer
import uvicorn
from typer.testing import CliRunner

from cluster.commands.load import read_duration, register
from loadtest.kit import read_kit
from serve_apps.capabilities import CAPABILITIES, SIGN_IN
from tests.fixtures.environment import environment_of
from tests.fixtures.ports import free_ports
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows

MODULES = {one.prefix: one.module for one in (*CAPABILITIES, SIGN_IN)}
PREFIXES = sorted(MODULES, key=len, reverse=True)  # the longest prefix that fits has the request, as with Ray Serve
REPS = "SELECT count(DISTINCT principal_id) FROM audit.events WHERE principal_id LIKE 'load.rep-%'"
PATIENCE_S = 180  # a deadline for what hangs, never waited for
CALMLY = ("--think", 0.02, "--duration", "5m")  # a run ends when everybody has taken the calls of a test


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

    def serve(prefixes=tuple(PREFIXES), limits=None):
        ours = settings.limits.model_copy(update={"services": "load.program", **(limits or {})})
        together = Together(settings.model_copy(update={"limits": ours}), prefixes)
        server = uvicorn.Server(uvicorn.Config(together, port=settings.serve.port, log_level="warning"))
        thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
        thread.start()
        stop.append((server, thread))
        deadline = time.monotonic() + PATIENCE_S  # the search applications load their models first
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
    return lambda *options: CliRunner().invoke(app, ["load", *map(str, options)])


@pytest.fixture
def started(settings):
    """Start `receipts load` as a process of its own; it is killed when the test leaves it behind."""
    running = contextlib.ExitStack()

    def start(*options):
        process = subprocess.Popen(
            [sys.executable, "-m", "cluster.commands", "load", *map(str, options)],
            env=environment_of(settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.enter_context(process)
        running.callback(process.kill)
        return process

    with running:
        yield start


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


def audited(owner, query=REPS):
    owner.execute("SELECT audit.project()")
    return owner.execute(query).fetchone()[0]


def test_reps_take_calls_without_a_failure_each_as_a_person_of_the_own(settings, served, load, owner, sign_ins):
    fill(settings)
    served()
    for path, question in (("/search/", {"text": "milk"}), ("/search/fuzzy", {"items": ["milk"]})):
        # The first search reads models and vocabulary, here on the loop that sign-ins share.
        first = httpx.post(
            f"{settings.portal.api_url}{path}", json=question, headers=sign_ins.headers("rep.all"), timeout=PATIENCE_S
        )
        assert first.status_code == 200, first.text
    ended = load("--users", 12, "--ramp-up", "1s", "--calls", 12, *CALMLY, "--json")
    assert ended.exit_code == 0, ended.stdout + ended.stderr
    told = json.loads(ended.stdout)
    routes = {route["route"]: route for route in told["routes"]}
    assert set(routes) >= {
        "POST /auth/token",
        "GET /receipt/{receipt_id}",
        "GET /customers/{customer_id}/receipts",
        "GET /cs/context/{customer_id}",
        "POST /search/fuzzy",
        "POST /search/",
        "POST /receipt/batch",
    }, "which of the rare ones come is chance"
    assert routes["POST /auth/token"]["requests"] == 12 + 1, "everybody signs in, and so does the program"
    assert all(route["failures"] == 0 and route["requests"] > 0 for route in routes.values())
    assert all(0 <= route["p50_ms"] <= route["p95_ms"] <= route["p99_ms"] for route in routes.values())
    assert (told["refused_by_limits"], told["errors"], told["interrupted"]) == (0, [], False)
    assert told["driver"]["processes"] == 1
    assert audited(owner) == 12, "each looked at something under a name of their own"
    on_record = audited(owner, "SELECT count(*) FROM audit.events WHERE route NOT LIKE 'receipts load%'")
    assert told["requests"] <= on_record, "no answer without its audit row"
    assert owner.execute("SELECT count(*) FROM auth.clients WHERE revoked_at IS NULL").fetchone() == (0,)


def test_what_a_limit_refuses_fails_the_run_and_is_counted_apart(settings, served, load):
    fill(settings)
    narrow = settings.limits.customers.model_copy(update={"opened": 1})
    served(prefixes=("/auth", "/receipt", "/customers", "/cs"), limits={"customers": narrow})
    ended = load("--users", 2, "--calls", 10, *CALMLY, "--only", "customer", "--json")
    told = json.loads(ended.stdout)
    assert ended.exit_code == 1
    assert 0 < told["refused_by_limits"] == sum(route["failures"] for route in told["routes"])
    assert {error["error"] for error in told["errors"]} == {"refused by a limit: customers-opened"}


def test_a_failing_route_fails_the_command_and_is_named_in_the_table(settings, served, load, tmp_path):
    fill(settings)
    served(prefixes=("/auth", "/receipt"))
    ended = load("--users", 2, "--calls", 2, *CALMLY, "--only", "customer", "--html", tmp_path / "r.html")
    assert ended.exit_code == 1
    assert "GET /customers/{customer_id}/receipts" in ended.stdout
    assert "expected 200, got 404" in ended.stdout
    assert "requests failed" in ended.stderr
    assert "<html" in (tmp_path / "r.html").read_text()


def test_a_missed_bar_fails_the_command(settings, served, load):
    fill(settings)
    served(prefixes=("/auth", "/receipt"))
    bars = ("--fail-p95", "GET /never=1", "--fail-p95", "POST /receipt/batch=60000")
    ended = load("--calls", 1, "--only", "batch", *bars)
    assert ended.exit_code == 1
    assert "MISSED  p95 of GET /never, ms (never asked)" in ended.stdout
    assert "holds   p95 of POST /receipt/batch" in ended.stdout


def test_a_constant_rate_counts_from_when_a_lookup_was_due(settings, served, load):
    fill(settings)
    served(prefixes=("/auth", "/receipt"))
    ended = load("--rate", 40, "--ramp-up", "1s", "--calls", 30, "--duration", "5m", "--json")
    assert ended.exit_code == 0, ended.stdout + ended.stderr
    told = json.loads(ended.stdout)
    routes = {route["route"]: route for route in told["routes"]}
    assert told["users"] == {"Caller": 4}
    assert routes["POST /auth/token"]["requests"] == 1, "one program has one token"
    assert told["rate"]["since_due"]["requests"] == routes["GET /receipt/{receipt_id}"]["requests"] == 4 * 30
    assert told["rate"]["since_due"]["p95_ms"] >= routes["GET /receipt/{receipt_id}"]["p95_ms"]
    assert told["rate"]["target_per_second"] == 40


def test_several_processes_share_the_people(settings, served, load, owner):
    fill(settings)
    served(prefixes=("/auth", "/receipt", "/customers", "/cs", "/search/fuzzy"))
    (port,) = free_ports(1)
    press = ("--ramp-up", "1s", "--calls", 3, *CALMLY, "--only", "lookup", "--port", port, "--json")
    ended = load("--users", 7, "--workers", 2, *press)
    assert ended.exit_code == 0, ended.stdout + ended.stderr
    told = json.loads(ended.stdout)
    assert next(r for r in told["routes"] if r["route"] == "POST /auth/token")["requests"] == 7
    assert told["driver"]["processes"] == 3, "two that press, and the master"
    assert audited(owner) == 7, "nobody was played by both"


def test_workers_elsewhere_come_with_the_same_kit(settings, served, load, started, owner, tmp_path):
    fill(settings)
    served(prefixes=("/auth", "/receipt", "/customers", "/cs", "/search/fuzzy"))
    kit = tmp_path / "kit.json"
    prepared = load("prepare", kit, "--users", 8)
    assert prepared.exit_code == 0, prepared.stderr
    assert "afterwards: receipts load clean-up" in " ".join(prepared.stderr.split())
    assert (kit.stat().st_mode & 0o777, len(read_kit(kit).sample.targets)) == (0o600, 60)
    (port,) = free_ports(1)
    press = ("--ramp-up", "1s", "--calls", 3, *CALMLY, "--only", "lookup", "--json")
    master = started("--users", 6, "--kit", kit, "--remote-workers", 2, "--port", port, *press)
    workers = [started("worker", "127.0.0.1", "--kit", kit, "--port", port) for _ in range(2)]
    stdout, stderr = master.communicate(timeout=PATIENCE_S)
    assert master.returncode == 0, stdout + stderr
    assert [worker.wait(timeout=PATIENCE_S) for worker in workers] == [0, 0]
    told = json.loads(stdout)
    assert (told["workers"], told["driver"]["processes"]) == (2, 3)
    assert audited(owner) == 6
    assert load("clean-up").stderr.startswith("9 people of load tests are revoked")
    too_many = load("--users", 8, "--kit", kit)
    assert "8 reps with 1 workers need 9 people, the kit has 8" in str(too_many.exception)


@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM])
def test_ended_early_it_reports_what_it_saw_and_revokes_its_people(settings, served, started, owner, word):
    fill(settings)
    served(prefixes=("/auth", "/receipt"))
    press = started("--users", 3, "--duration", "1h", "--think", 0.02, "--only", "lookup", "--only", "batch", "--json")
    deadline = time.monotonic() + PATIENCE_S
    while not audited(owner, "SELECT count(*) FROM audit.events WHERE route = 'POST /receipt/batch'"):
        assert press.poll() is None, press.communicate()
        assert time.monotonic() < deadline, "it does not press"
        time.sleep(0.1)  # between two looks
    press.send_signal(word)
    stdout, stderr = press.communicate(timeout=PATIENCE_S)
    assert press.returncode == 130, stdout + stderr
    told = json.loads(stdout)
    assert told["interrupted"]
    assert told["requests"] > 0
    assert "ended early" in stderr
    assert owner.execute("SELECT count(*) FROM auth.clients WHERE revoked_at IS NULL").fetchone() == (0,)


def test_without_a_platform_the_command_fails(settings, load, sign_ins):
    fill(settings)
    ended = load("--users", 1, "--duration", "3s")
    assert ended.exit_code == 1
    assert "no answer: ConnectionRefusedError" in ended.stdout


def test_where_nobody_may_be_entered_by_the_way_people_come_from_a_file(settings, load, monkeypatch):
    monkeypatch.setenv("RECEIPTS_ENVIRONMENT", "production")
    monkeypatch.setenv("RECEIPTS_LAKE__ROOT", str(settings.state_dir / "lake"))
    monkeypatch.setenv("RECEIPTS_AUTH__ISSUER", "https://receipts.example.com/auth")
    assert "Give the people with --kit FILE" in str(load("--users", 1, "--duration", "1s").exception)
    assert "--in-production" in str(load("prepare", settings.state_dir / "kit.json").exception)


@pytest.mark.parametrize(("text", "seconds"), [("45", 45), ("30s", 30), ("5m", 300), ("1h", 3_600)])
def test_a_duration_is_read_as_people_write_it(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "0s", "-3s", "1d", "1.5m", "²s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(typer.BadParameter, match="is no duration; expected a whole number"):
        read_duration(text)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--only", "dance"), "dance is no journey; there are: lookup, customer, fuzzy, sentence, batch"),
        (("--rate", 5, "--only", "lookup"), "--rate asks for lookups only"),
    ],
)
def test_what_cannot_be_pressed_is_said_in_a_sentence(load, options, said):
    ended = load(*options)
    assert ended.exit_code == 2
    assert said in " ".join(ended.stderr.replace("│", " ").split())
