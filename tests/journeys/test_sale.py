"""A sale from the till to the rep's screen: gRPC in, HTTP out, everything between is real."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, date, datetime

import httpx
import psycopg
import pytest

from cluster.api_client import access_token, ask
from cluster.postgres import admin_dsn
from cluster.status import collect
from ingest.till import send
from tests.fixtures.retail import make_receipt

_ARRIVES_S = 180  # the first batch starts Ray's workers and reads the embedding model, on two busy cores
CHEESE = {
    "line_number": 1, "sku": "700100", "description": "ROQUEFORT WEDGE 6 OZ", "department": "DELI",
    "category": "SPECIALTY CHEESE", "quantity": 1.0, "unit_price_cents": 1249, "amount_cents": 1249,
}  # fmt: skip


def deliver(settings, *records, table="retail.pos.receipts"):
    return send(records, table=table, target=f"{settings.ingest.host}:{settings.ingest.port}")


def status_of(settings, path, principal="rep.all", token=None):
    held = token or access_token(settings, principal)
    base = f"http://127.0.0.1:{settings.serve.port}"
    return httpx.get(f"{base}{path}", headers={"Authorization": f"Bearer {held}"}, timeout=15)


def await_until(condition, what):
    deadline = time.monotonic() + _ARRIVES_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {_ARRIVES_S} s"
        time.sleep(0.5)  # polls with a deadline


def is_refined(settings, count):
    postgres = collect(settings)["postgres"]
    return postgres is not None and postgres["receipts_refined"] >= count


@pytest.fixture(scope="module")
def sold(platform):
    """Two receipts of one customer, refined and embedded: chicken on a Tuesday, and fancy cheese."""
    chicken = make_receipt()
    cheese = make_receipt(
        sequence_number=2, business_date=date(2026, 11, 19), purchased_at=datetime(2026, 11, 19, 22, 0, tzinfo=UTC),
        lines=[CHEESE],
    )  # fmt: skip
    sent = deliver(platform, chicken.canonical(), cheese.canonical())
    assert (sent.sent, sent.acked) == (2, 2)
    await_until(lambda: is_refined(platform, 2), "refinement")
    await_until(lambda: not _unembedded(platform), "embedding")
    return chicken, cheese


def _unembedded(settings):
    told = collect(settings)
    return told["postgres"]["products"] < 3 or any(lag["behind"] for lag in told["refinement"].values())


def test_a_receipt_is_readable_as_soon_as_it_is_acked(platform):
    receipt = make_receipt(store_id=406, sequence_number=77)
    deliver(platform, receipt.canonical())
    answer = status_of(platform, f"/receipt/{receipt.receipt_id}")
    assert answer.status_code == 200
    assert answer.json()["receipt"] == json.loads(receipt.canonical())
    assert answer.json()["store"]["name"] == "Shadyside"


def test_a_sentence_finds_the_receipt_and_says_why(platform, sold):
    chicken, _ = sold
    query = {"text": "chicken from East Liberty last Tuesday", "today": "2026-11-23"}
    answer = ask(platform, "rep.east", "POST", "/search/", query)
    best = answer["hits"][0]
    assert best["receipt"]["receipt_id"] == chicken.receipt_id
    assert {reason["field"] for reason in best["matched_on"]} >= {"store", "date", "product"}
    assert any("CHIX" in highlight["description"] for highlight in best["highlights"])


def test_some_kind_of_fancy_cheese_is_found_by_meaning(platform, sold):
    _, cheese = sold
    answer = ask(platform, "rep.east", "POST", "/search/", {"text": "some kind of fancy cheese", "today": "2026-11-23"})
    assert answer["hits"][0]["receipt"]["receipt_id"] == cheese.receipt_id


def test_the_customers_context_tells_what_they_spent(platform, sold):
    chicken, cheese = sold
    answer = ask(platform, "rep.east", "GET", "/cs/context/C0000001")
    assert answer["customer"]["email_masked"] != "maria.kowalski@example.com"
    assert "maria.kowalski" not in json.dumps(answer)
    assert answer["profile"]["lifetime_spend_cents"] >= chicken.total_cents + cheese.total_cents


def test_another_regions_receipt_is_as_unknown_as_one_that_never_was(platform):
    elsewhere = make_receipt(store_id=500, customer_id=None)
    deliver(platform, elsewhere.canonical())
    hidden = status_of(platform, f"/receipt/{elsewhere.receipt_id}", "rep.east")
    never = status_of(platform, f"/receipt/{make_receipt(sequence_number=999_999).receipt_id}", "rep.east")
    assert hidden.status_code == never.status_code == 404
    assert status_of(platform, f"/receipt/{elsewhere.receipt_id}", "rep.west").status_code == 200
    unlike = {"request_id", "instance"}
    assert {k: v for k, v in hidden.json().items() if k not in unlike} == {
        k: v for k, v in never.json().items() if k not in unlike
    }


def test_every_answer_and_refusal_is_on_record(platform, sold):
    chicken, _ = sold
    status_of(platform, f"/receipt/{chicken.receipt_id}", "supervisor.east")
    status_of(platform, f"/receipt/{chicken.receipt_id}", "privacy")
    with psycopg.connect(admin_dsn(platform)) as connection:
        connection.execute("SELECT audit.project()")  # as the pipeline does every few seconds
        seen = connection.execute(
            "SELECT principal_id, outcome FROM audit.events WHERE %s = ANY (receipt_ids) OR principal_id = 'privacy'",
            (chicken.receipt_id,),
        ).fetchall()
    assert ("supervisor.east", "answered") in seen
    assert ("privacy", "refused") in seen


def test_a_malformed_record_is_quarantined_and_the_stream_lives_on(platform):
    good = make_receipt(sequence_number=300)
    wrong = good.canonical().replace('"total_cents":', '"total_cent":')
    sent = deliver(platform, wrong, good.canonical())
    assert sent.acked == 2
    assert status_of(platform, f"/receipt/{good.receipt_id}").status_code == 200
    with psycopg.connect(admin_dsn(platform)) as connection:
        reasons = [row[0] for row in connection.execute("SELECT reason FROM ingest.quarantine")]
    assert any("total_cent" in reason for reason in reasons)


def test_a_repeat_changes_nothing_and_a_correction_serves_once_refined(platform, sold):
    chicken, _ = sold
    corrected = make_receipt(operator_id="17")
    deliver(platform, chicken.canonical(), corrected.canonical(), corrected.canonical())

    def serves_the_correction():
        return status_of(platform, f"/receipt/{chicken.receipt_id}").json()["receipt"].get("operator_id") == "17"

    await_until(serves_the_correction, "the correction")


def test_a_receipt_is_mailed_unless_it_is_taken_back_in_time(platform, sold):
    chicken, _ = sold
    signed = {"Authorization": f"Bearer {access_token(platform, 'rep.all')}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{platform.serve.port}", headers=signed, timeout=15) as api:
        undone, wanted = (
            api.post(
                "/receipt/deliver/", json={"receipt_id": chicken.receipt_id, "email": f"{name}@example.com"}
            ).json()
            for name in ("undone", "wanted")
        )
        path = f"/receipt/deliver/{undone['delivery_id']}/undo"
        assert api.post(path).json()["status"] == "cancelled"
        path = f"/receipt/deliver/{wanted['delivery_id']}"
        await_until(lambda: api.get(path).json()["status"] == "sent", "mailing")
        took = datetime.fromisoformat(api.get(path).json()["sent_at"]) - datetime.fromisoformat(wanted["send_at"])
    mailed = [one.read_text() for one in (platform.state_dir / "mail" / "new").iterdir()]
    assert [f"To: {name}@example.com" in "".join(mailed) for name in ("undone", "wanted")] == [False, True]
    assert took.total_seconds() < 5


def test_no_token_and_a_tampered_token_are_refused(platform, sold):
    chicken, _ = sold
    path = f"/receipt/{chicken.receipt_id}"
    token = access_token(platform, "rep.all")
    tampered = token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")
    assert status_of(platform, path, token=tampered).status_code == 401
    bare = httpx.get(f"http://127.0.0.1:{platform.serve.port}{path}", timeout=15)
    assert bare.status_code == 401
    assert bare.headers["content-type"] == "application/problem+json"


def test_status_tells_counts_versions_lags_and_health(platform, sold):
    command = [sys.executable, "-m", "cluster.commands", "status", "--json"]
    overrides = [
        f"RECEIPTS_STATE_DIR={platform.state_dir}",
        f"RECEIPTS_DATABASE__EMBEDDED_PORT={platform.database.embedded_port}",
        f"RECEIPTS_INGEST__PORT={platform.ingest.port}",
        f"RECEIPTS_SERVE__PORT={platform.serve.port}",
        f"RECEIPTS_PORTAL__PORT={platform.portal.port}",
        f"RECEIPTS_MONITOR__PORT={platform.monitor.port}",
        f"RECEIPTS_MAIL__METRICS_PORT={platform.mail.metrics_port}",
        f"RECEIPTS_RAY__PORT={platform.ray.port}",
        f"RECEIPTS_RAY__TEMP_DIR={platform.ray.temp_dir}",
    ]
    done = subprocess.run(["/usr/bin/env", *overrides, *command], capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert told["healthy"]
    assert told["postgres"]["receipts"] >= 2
    assert told["lake"]["silver.receipts"]["rows"] >= 2
    assert {"version", "latest", "behind", "lag_s"} <= told["sync"]["silver.receipts"].keys()
