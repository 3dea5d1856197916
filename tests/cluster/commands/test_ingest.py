"""The commands as an operator runs them: gateway, till, drainer and quarantine, each its own process."""

import json
import os
import signal
import subprocess
import sys
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from configs.settings import Settings
from tests.fixtures.retail import make_receipt, make_store, store_rows

_DEADLINE_S = 60


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    passwords = settings.database.role_passwords
    return {
        **os.environ,
        "RECEIPTS_STATE_DIR": str(settings.state_dir),
        "RECEIPTS_DATABASE__DSN": settings.database.dsn.get_secret_value(),
        "RECEIPTS_DATABASE__ROLE_PASSWORDS__RECEIPTS_INGEST": passwords["receipts_ingest"].get_secret_value(),
        "RECEIPTS_INGEST__PORT": str(settings.ingest.port),
    }


def _run(environment: dict[str, str], *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cluster.commands", *arguments]
    return subprocess.run(
        command, check=False, env=environment, input=text, capture_output=True, text=True, timeout=_DEADLINE_S
    )


def test_receipts_go_in_by_the_till_command_and_arrive_in_bronze(settings: Settings, environment) -> None:
    store_rows(settings, stores=[make_store()])
    gateway = subprocess.Popen([sys.executable, "-m", "cluster.commands", "ingest", "gateway"], env=environment)
    try:
        _wait_until_serving(settings.ingest.port)
        lines = [make_receipt(sequence_number=n).canonical() for n in range(1, 4)]
        sent = _run(environment, "stream", "-", "--json", text="\n".join([*lines, "", "{}"]))
        assert json.loads(sent.stdout) == {"sent": 4, "acked": 4}, sent.stderr
        assert _run(environment, "ingest", "drain", "--once").stdout == "5 rows moved to Bronze\n"
        (held,) = json.loads(_run(environment, "quarantine", "list", "--json").stdout)
        shown = json.loads(_run(environment, "quarantine", "show", str(held["quarantine_id"])).stdout)
        assert (shown["payload"], shown["state"]) == ("{}", "held")
        assert "is required" in _run(environment, "quarantine", "replay").stdout
    finally:
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(_DEADLINE_S) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("stream", "no-such-file"), "receipts: FILE: no-such-file is not a file"),
        (("quarantine", "show", "7"), "receipts: Nothing in quarantine has the number 7."),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(environment, arguments: tuple[str, ...], sentence: str) -> None:
    done = _run(environment, *arguments)
    assert done.returncode == 1
    assert done.stderr.strip().endswith(sentence)


def _wait_until_serving(port: int) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        while True:
            assert time.monotonic() < deadline, "the gateway does not serve"
            answer = health.Check(request, wait_for_ready=True, timeout=_DEADLINE_S)
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
