"""The command that judges a platform says what is wrong with it, and ends with 1."""

import subprocess

import psycopg
import pytest

from cluster.postgres import admin_dsn
from receipts.bronze import RECEIPTS
from receipts.lake import lake_of
from tests.drills.conftest import STORES
from tests.drills.rig import Rig
from tests.drills.worker import command
from tests.fixtures.environment import environment_of

# Ray Data warns of settings of its own when it makes its context.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


def _verify(rig: Rig) -> subprocess.CompletedProcess[str]:
    sent = rig.settings.state_dir / "sent.jsonl"
    rig.history.write(sent)
    arguments = command("ingest", "verify", "--sent", str(sent))
    return subprocess.run(
        arguments, env=environment_of(rig.settings), capture_output=True, text=True, timeout=60, check=False
    )


def test_the_command_ends_with_0_while_all_is_well_and_with_1_once_a_receipt_is_gone(rig):
    rig.start(STORES)
    rig.soon()
    rig.conclude()
    told = _verify(rig)
    assert (told.returncode, told.stdout.splitlines()[-1]) == (0, "Every receipt stands where it belongs, once."), told

    rig.end()  # or the platform would make good what is broken here
    one, other = lake_of(rig.settings).open(RECEIPTS.name).to_pyarrow_table()["record_key"].to_pylist()[:2]
    with psycopg.connect(admin_dsn(rig.settings)) as owner:
        owner.execute("DELETE FROM retail.receipts WHERE receipt_id = %s", [one])
    told = _verify(rig)
    assert told.returncode == 1
    assert f"BROKEN: 1 in Bronze are not known to Postgres: {one}" in told.stdout.splitlines()

    lake_of(rig.settings).open(RECEIPTS.name).delete(f"record_key = '{other}'")
    told = _verify(rig)
    assert told.returncode == 1
    for sentence in ("known to Postgres are neither in Bronze nor in the outbox", "were acknowledged and are lost"):
        assert f"BROKEN: 1 {sentence}: {other}" in told.stdout.splitlines()
