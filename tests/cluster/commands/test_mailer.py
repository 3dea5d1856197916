"""`receipts mailer` as the platform runs it."""

import asyncio
import signal
import subprocess
import sys

import httpx
import pytest

from cluster import health
from tests.fixtures.environment import environment_of
from tests.fixtures.processes import started
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.smtp_server import mail_server
from tests.serve_apps.mailing.posting import ended, mailing_by, schedule

_COMMAND = [sys.executable, "-m", "cluster.commands", "mailer"]


@pytest.fixture
def retail(settings, sign_ins):
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=[make_receipt()])
    return settings


async def healthy(settings, process) -> None:
    """Wait until the process says that it is ready."""
    for _ in range(600):
        assert process.poll() is None, "the mailer ended"
        if await asyncio.to_thread(health.mailer_is_healthy, settings):
            return
        await asyncio.sleep(0.05)
    pytest.fail("the mailer is not healthy")


async def test_it_finishes_the_message_in_hand_when_it_is_asked_to_stop(retail, sign_ins, owner):
    with mail_server() as server:
        settings = mailing_by(retail, server)
        server.taking.clear()
        with started(_COMMAND, env=environment_of(settings), stderr=subprocess.PIPE) as process:
            await healthy(settings, process)
            delivery = schedule(settings, sign_ins.principal("rep.east"))
            await server.until(lambda: "DATA" in server.asked)
            process.send_signal(signal.SIGTERM)
            server.taking.set()
            assert await asyncio.to_thread(process.wait, 20) == 0
        assert len(server.received) == 1
        await ended(owner, delivery)


async def test_without_a_mail_server_the_embedded_platform_keeps_messages_in_a_folder_and_tells_what_it_did(
    retail, sign_ins, owner
):
    assert not retail.mail.host
    with started(_COMMAND, env=environment_of(retail), stderr=subprocess.PIPE) as process:
        await healthy(retail, process)
        delivery = schedule(retail, sign_ins.principal("rep.east"))
        await ended(owner, delivery)
        (message,) = (retail.state_dir / "mail" / "new").iterdir()
        assert f"Message-ID: <{delivery}@example.com>" in message.read_text()
        told = (await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{retail.mail.metrics_port}/metrics")).text
        process.terminate()
        assert await asyncio.to_thread(process.wait, 20) == 0
    assert "receipts_mail_sent_seconds_count 1.0" in told
    assert (retail.state_dir / "mail").stat().st_mode & 0o077 == 0


def test_elsewhere_it_says_which_setting_is_missing(retail):
    env = environment_of(retail) | {
        "RECEIPTS_ENVIRONMENT": "production",
        "RECEIPTS_LAKE__ROOT": "s3://bucket/lake",
        "RECEIPTS_AUTH__ISSUER": "https://id.example/auth",
        "RECEIPTS_AUTH__DEVELOPMENT_PROVIDER": "false",
    }
    done = subprocess.run(_COMMAND, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == "receipts: RECEIPTS_MAIL__HOST is not set: there is no mail server to hand receipts to.\n"
