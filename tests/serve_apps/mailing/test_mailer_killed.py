"""A mailer is killed at its worst moments: another goes on, and what may come twice is recognised as one message."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.environment import environment_of
from tests.serve_apps.mailing.posting import ended, mailing, schedule

_MORTAL = Path(__file__).with_name("mortal_mailer.py")


@pytest.mark.parametrize(("point", "copies"), [("claimed", 1), ("taken", 2)])
async def test_a_delivery_whose_mailer_was_killed_is_sent_by_the_next(platform, sign_ins, server, owner, point, copies):
    """Killed before the server had the message, it comes once; after that and before that was noted, twice."""
    delivery = schedule(platform, sign_ins.principal("rep.east"))
    root = str(Path(__file__).parents[3])
    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(_MORTAL), point],
        env={**environment_of(platform), "PYTHONPATH": root},
        timeout=60,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    row = await ended(owner, delivery, "sending")
    assert 60 < (row["due_at"] - row["send_at"]).total_seconds() < 120, "the lease outlasts the longest conversation"
    owner.execute("UPDATE mail.deliveries SET due_at = now()")  # the lease is over
    async with mailing(platform):
        assert (await ended(owner, delivery))["attempts"] == 2
    assert [one.message["Message-ID"] for one in server.received] == [f"<{delivery}@example.com>"] * copies
