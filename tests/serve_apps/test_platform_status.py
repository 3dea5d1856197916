"""How the platform is: told to administrators, with its age, and to nobody else by the database itself."""

import json

import pytest

from receipts.database import DatabaseRole, connect
from serve_apps import admin
from tests.fixtures.serving import PRINCIPALS, running

TOLD = {
    "healthy": True,
    "problems": [{"what": "the nightly job vacuum failed", "do": "it is tried again by itself", "ill": False}],
    "parts": [{"name": "gateway", "what": "gateways for tills", "state": "healthy", "uptime_s": 12.5}],
    "freshness": [{"table": "silver.receipts", "lag_s": 1.5, "promised_s": 120.0}],
    "ingest": {"outbox": 3, "outbox_oldest_s": 0.4, "quarantine_held": 1, "quarantine_replayed": 0},
    "audit": {"unprojected_oldest_s": 0.0, "unanchored_oldest_s": 2.0, "anchor_age_s": None, "faults": 0},
    "serving": [{"application": "lookup", "replicas": 2, "wanted": 2, "requests_per_s": 4.5, "p95_ms": None}],
    "nightly": [
        {
            "job": "vacuum",
            "night": "2026-11-23",
            "started_at": "2026-11-23T03:00:00Z",
            "ended_at": "2026-11-23T03:01:00Z",
            "steps": 4,
            "error": "DeltaError",
        }
    ],
}


@pytest.fixture
async def api(settings, sign_ins):
    async with running(admin.build_app(settings), "/admin") as client:
        client.headers.update(sign_ins.headers("admin"))
        yield client


def tell(owner, told, age_s=0):
    owner.execute(
        "INSERT INTO operations.status (looked_at, told) VALUES (now() - make_interval(secs => %s), %s)",
        (age_s, json.dumps(told)),
    )


async def test_what_the_monitor_told_is_answered_word_for_word_with_its_age(api, owner):
    tell(owner, TOLD)
    answer = (await api.get("/admin/status")).raise_for_status().json()
    assert 0 <= answer.pop("age_s") < 30
    assert answer.pop("looked_at").startswith("20")
    assert answer == TOLD


async def test_a_monitor_that_fell_silent_is_the_first_problem_and_what_it_saw_is_still_told(api, owner, settings):
    tell(owner, TOLD, age_s=settings.monitor.late_s + 300)
    answer = (await api.get("/admin/status")).raise_for_status().json()
    assert answer["healthy"] is False
    assert answer["age_s"] == pytest.approx(settings.monitor.late_s + 300, abs=30)
    first, *others = answer["problems"]
    assert first["what"].startswith("The monitor has not told for ")
    assert first["ill"] is True
    assert (others, answer["parts"]) == (TOLD["problems"], TOLD["parts"])


async def test_before_the_first_look_the_answer_says_so(api):
    answer = (await api.get("/admin/status")).raise_for_status().json()
    assert (answer["looked_at"], answer["age_s"], answer["healthy"], answer["parts"]) == (None, None, False, [])
    assert answer["problems"][0]["what"] == "The monitor has not told anything yet."


async def test_what_another_version_told_is_no_error(api, owner):
    tell(owner, TOLD | {"weather": "fine"})
    answer = (await api.get("/admin/status")).raise_for_status().json()
    assert answer["problems"][0]["what"] == "The monitor is of another version than this replica."


def test_the_database_tells_administrators_alone_whatever_a_route_forgets(settings, sign_ins, owner):
    tell(owner, TOLD)
    with connect(settings, DatabaseRole.API) as reader:
        told = {
            name: reader.execute("SELECT told FROM operations.find_status(%s)", (name,)).fetchall()
            for name in PRINCIPALS
        }
    assert {name for name, rows in told.items() if rows} == {"admin"}
    owner.execute("UPDATE access.principals SET active = false WHERE principal_id = 'admin'")
    with connect(settings, DatabaseRole.API) as reader:
        assert reader.execute("SELECT told FROM operations.find_status('admin')").fetchall() == []


@pytest.mark.parametrize("role", [role for role in DatabaseRole if role is not DatabaseRole.PIPELINE])
def test_only_the_monitors_login_may_write_or_read_the_row(owner, role):
    held = owner.execute(
        "SELECT has_table_privilege(%s, 'operations.status', 'SELECT, INSERT, UPDATE, DELETE')", (role.value,)
    ).fetchone()
    assert held == (False,)
