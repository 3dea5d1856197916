"""`receipts drill` asks the running platform and judges its answers."""

import json
import subprocess
import sys

from tests.fixtures.environment import environment_of
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.whole_api import serving_http

_PATIENCE_S = 120  # a deadline for a hanging command, never waited for


def drill(settings, *arguments):
    command = [sys.executable, "-m", "cluster.commands", "drill", "--seconds", "2", "--rate", "40", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment_of(settings), timeout=_PATIENCE_S, check=False
    )


def test_the_command_ends_with_0_while_all_is_well_and_with_1_once_somebody_sees_too_much(settings, sign_ins, owner):
    stores = [make_store(store_id=store, region_id=region) for store, region in ((101, 1), (201, 2))]
    receipts = [make_receipt(store_id=one.store_id, sequence_number=n) for one in stores for n in range(1, 21)]
    customer = make_customer(home_store_id=101)
    store_rows(settings, stores=stores, customers=[customer], receipts=receipts)
    owner.execute("UPDATE retail.customers SET region_ids = '{1,2}'")  # as the pipeline learns it from the receipts
    with serving_http(settings):
        ended = drill(settings)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.endswith("Every answer is on record exactly once, and none left its caller's regions.\n")
        told = json.loads(drill(settings, "--as", "rep.east", "--json").stdout)
        assert told["breaches"] == []
        assert told["counts"]["answered"] == told["noticed"]["good"] > 20
        owner.execute("UPDATE retail.stores SET region_id = 2 WHERE store_id = 101")  # its receipts stay where they are
        ended = drill(settings, "--as", "rep.east")
    assert ended.returncode == 1
    assert "showed what lies outside of the caller's regions: " in ended.stdout.splitlines()[-1]


def test_somebody_unknown_cannot_ask(settings, sign_ins):
    ended = drill(settings, "--as", "nobody")
    assert (ended.returncode, ended.stderr) == (
        1, "receipts: There is no principal nobody; `receipts principals list` shows all.\n",
    )  # fmt: skip
