"""The stock SDK in an environment of its own, and a platform for it: gateway processes and the lookup over HTTP."""

import asyncio
import json
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from cluster.health import gateway_is_healthy
from configs.settings import Settings
from serve_apps.lookup import build_app
from tests.fixtures.environment import environment_of

# The newest. From 1.2 on the SDK is Apache-2.0; it wants an older protobuf than we do, so it lives by itself.
_SDK = "databricks-zerobus-ingest-sdk==1.10.0"
_HOME = Path(__file__).parents[2] / ".venv-interop"
_SCRIPT = Path(__file__).parent / "sdk_till.py"
_DEADLINE_S = 300


@pytest.fixture(scope="session")
def sdk_python() -> Path:
    """The interpreter of an environment that holds the SDK and nothing of ours; made once, kept between runs."""
    python, made = _HOME / "bin" / "python", _HOME / f".{_SDK}"
    if not made.is_file():
        venv.create(_HOME, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", _SDK], check=True)
        made.touch()
    return python


@pytest.fixture
def sdk_till(sdk_python: Path, tmp_path: Path) -> Callable[..., dict]:
    """Run the SDK over records with a plan, as sdk_till.py describes it; returns what it told."""

    def run(records: list[str], environment: dict[str, str] | None = None, **plan: object) -> dict:
        lines, file = tmp_path / "records.jsonl", tmp_path / "plan.json"
        lines.write_text("\n".join(records))
        defaults = {"table": "retail.pos.receipts", "batch": 1, "every": 0, "records": str(lines)}
        file.write_text(json.dumps(defaults | plan))
        ended = subprocess.run(
            [sdk_python, _SCRIPT, file],
            env={"RUST_LOG": "off", **(environment or {})},  # nothing of ours, no proxy
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return run


@pytest.fixture
def gateway_process() -> Iterator[Callable[[Settings], None]]:
    """Start `receipts ingest gateway` with settings and wait until it serves; stopped after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(settings: Settings) -> None:
        command = [sys.executable, "-m", "cluster.commands", "ingest", "gateway"]
        started.append(subprocess.Popen(command, env=environment_of(settings)))
        deadline = time.monotonic() + _DEADLINE_S
        while not gateway_is_healthy(settings):
            assert started[-1].poll() is None, "the gateway ended"
            assert time.monotonic() < deadline, "the gateway does not serve"
            time.sleep(0.1)

    yield start
    for process in started:
        process.terminate()
        assert process.wait(_DEADLINE_S) == 0


@pytest.fixture
def lookup_url(settings: Settings) -> Iterator[str]:
    """The lookup application on a real port; "{}" stands for the id."""
    app = build_app(settings)

    async def below_its_prefix(scope, receive, send) -> None:
        await app({**scope, "root_path": "/receipt"}, receive, send)

    server = uvicorn.Server(uvicorn.Config(below_its_prefix, port=settings.serve.port, log_level="warning"))
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
    thread.start()
    deadline = time.monotonic() + _DEADLINE_S
    while not server.started:
        assert thread.is_alive(), "the lookup ended before it was up"
        assert time.monotonic() < deadline, "the lookup is not up"
        thread.join(timeout=0.05)
    yield f"http://127.0.0.1:{settings.serve.port}/receipt/{{}}"
    server.should_exit = True
    thread.join(_DEADLINE_S)
