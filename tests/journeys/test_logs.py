"""After a sale, its lookups and all that can be wrong with them, no log of the platform tells of anybody."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import psycopg

from cluster.api_client import access_token
from cluster.postgres import admin_dsn
from ingest.till import send
from tests.fixtures.retail import make_customer, make_receipt
from tests.journeys.test_sale import await_until

# Names that stand nowhere else, in every form in which a library could write them.
PERSON = make_customer(
    customer_id="C0007777",
    first_name="Xanthippe",
    last_name="Quibbleworth",
    email="xanthippe.quibbleworth@example.com",
    phone="+14125557788",
)
SOLD = make_receipt(store_id=406, sequence_number=7_701, customer_id=PERSON.customer_id)
CARD = "4111111111111111"


def hunted(token: str) -> list[bytes]:
    said = [PERSON.first_name, PERSON.last_name, PERSON.email, PERSON.phone, "5557788", PERSON.customer_id, CARD]
    return [text.lower().encode() for text in (*said, SOLD.receipt_id, token, token.split(".")[2])]


def ask_everything(settings, token: str) -> list[str]:
    """Ask what is found, what is not and what is wrong; return the ids of the requests."""
    signed = {"Authorization": f"Bearer {token}"}
    name = f"{PERSON.first_name} {PERSON.last_name}"
    with httpx.Client(base_url=f"http://127.0.0.1:{settings.serve.port}", headers=signed, timeout=20) as api:
        answers = [
            api.get(f"/receipt/{SOLD.receipt_id}"),
            api.get(f"/customers/{PERSON.customer_id}/receipts"),
            api.get(f"/cs/context/{PERSON.customer_id}"),
            api.post("/search/", json={"text": f"milk for {name}, {PERSON.email}, card {CARD}"}),
            api.post("/search/fuzzy/", json={"customer_name": name}),
            api.post("/search/fuzzy/", json={"store": [name]}),
            api.post("/search/", content=f'{{"text": "{name}'.encode()),
            api.get(f"/cs/context/{PERSON.email}"),
            api.get(f"/{PERSON.last_name}"),
            api.post("/receipt/deliver/", json={"receipt_id": SOLD.receipt_id}),
            api.post("/receipt/deliver/", json={"receipt_id": SOLD.receipt_id, "email": PERSON.email, "gift": True}),
            api.post("/receipt/deliver/", json={"receipt_id": SOLD.receipt_id, "email": f"{PERSON.email} {name}"}),
            api.get(f"/receipt/{SOLD.receipt_id}", headers={"Authorization": f"Bearer {token}x"}),
            api.get(f"/receipt/{SOLD.receipt_id}", headers={"traceparent": name, "tracestate": PERSON.email}),
        ]
    with httpx.Client(base_url=settings.portal.public_url, timeout=20) as portal:
        portal.get(f"/rep/?receipt={SOLD.receipt_id}&q={PERSON.last_name}")
        portal.get(f"/callback?code={token}&state={PERSON.last_name}")
        portal.post(f"/rep/gradio_api/run/predict?{PERSON.last_name}", json={"data": [name]})
    assert {answer.status_code for answer in answers} == {200, 202, 401, 404, 422}
    return [answer.headers["x-request-id"] for answer in answers if "x-request-id" in answer.headers]


def is_refined(settings) -> bool:
    with psycopg.connect(admin_dsn(settings)) as connection:
        query = "SELECT refined_at IS NOT NULL FROM retail.receipts WHERE receipt_id = %s"
        row = connection.execute(query, (SOLD.receipt_id,)).fetchone()
    return row is not None and row[0]


def is_mailed(settings) -> bool:
    mailed = [path.read_text() for path in (settings.state_dir / "mail" / "new").glob("*")]
    return sum(f"To: {PERSON.email}" in message for message in mailed) == 2


def logs_of(settings) -> dict[Path, bytes]:
    """Return what all processes of a platform have written: ours, Postgres and Ray with Serve, HAProxy and replicas."""
    places = (settings.state_dir, Path(settings.ray.temp_dir))
    names = ("*.log", "*.log.*", "*.out", "*.err")
    found = {path.resolve() for place in places for name in names for path in place.rglob(name) if path.is_file()}
    return {path: path.read_bytes() for path in found}


def test_no_log_of_any_process_tells_of_anybody(platform):
    target = f"{platform.ingest.host}:{platform.ingest.port}"
    token = access_token(platform, "rep.all")
    send([PERSON.canonical()], table="retail.crm.customers", target=target)
    wrong = SOLD.canonical().replace('"total_cents":', f'"{PERSON.last_name}":')
    carded = SOLD.canonical().replace("FLUID MILK", f"{PERSON.first_name} {CARD}")
    send([SOLD.canonical(), wrong, carded, PERSON.email], table="retail.pos.receipts", target=target)
    assert ask_everything(platform, token)
    await_until(lambda: is_refined(platform), "refinement")  # so that drainer and pipeline had all of it in hand
    await_until(lambda: is_mailed(platform), "mailing")
    logs = logs_of(platform)
    assert {"gateway.log", "drainer.log", "mailer.log", "pipeline.log", "portal.log", "postgres.log"} <= {
        path.name for path in logs
    }
    assert any("serve" in path.parts for path in logs)
    told = [
        f"{path.name}: {word.decode()}" for path, text in logs.items() for word in hunted(token) if word in text.lower()
    ]
    assert told == []


def test_our_processes_write_lines_of_json(platform):
    for name in ("gateway", "drainer", "mailer", "pipeline", "portal"):
        lines = (platform.state_dir / "log" / f"{name}.log").read_text().splitlines()
        ours = [json.loads(line) for line in lines if line.startswith("{")]
        assert ours, name
        assert {"time", "level", "process", "pid", "logger", "message"} <= ours[0].keys()
        assert {one["process"] for one in ours} <= {"gateway", "gateways", "drainer", "mailer", "pipeline", "portal"}
