"""What is wrong is said with what to do, the worst first; what is well says nothing."""

import pytest

from cluster.diagnosis import diagnose
from tests.configs.test_monitoring import SEEN

WELL = SEEN | {"failed_batches": {}}
_STANDBY = {"name": "replica1", "role": "standby", "state": "streaming"}


def test_nothing_is_said_of_a_platform_that_is_well():
    assert diagnose(WELL) == []


SLOW = {"running": 1, "wanted": 1, "p95_ms": 25.0}


@pytest.mark.parametrize(
    ("changed", "what", "do", "ill"),
    [
        ({"parts": [{"name": "portal", "what": "portal", "state": "down"}]}, "portal: down", "receipts up", True),
        ({"disk_free": 0.01}, "full but for 1.0%", "free some", True),
        ({"servers": [_STANDBY | {"state": "down"}]}, "replica1 does not follow", "replicas rejoin replica1", True),
        ({"servers": [_STANDBY | {"role": "fenced"}]}, "replica1 was a primary", "replicas rejoin replica1", True),
        (
            {"servers": [_STANDBY, {"name": "postgres", "role": "primary", "state": "down"}]},
            "the primary is down", "receipts replicas promote", True,
        ),
        ({"serving": {"applications": {"lookup": {"running": 1, "wanted": 2}}}}, "1 of 2", "receipts deploy", True),
        (
            {"serving": {"applications": {"lookup": {"running": 1, "wanted": 1, "failing_per_s": 0.5}}}},
            "0.5 answers a second fail", "503", True,
        ),
        (
            {"serving": {"applications": {"lookup": SLOW | {"requests_per_s": 2.0}}}},
            "more than 10 ms", "docs/runbook.md", False,
        ),
        ({"audit": WELL["audit"] | {"faults": 2}}, "2 faults", "receipts audit verify", True),
        ({"audit": WELL["audit"] | {"unanchored_oldest_s": 700.0}}, "not anchored", "rotate-key", True),
        ({"audit": WELL["audit"] | {"unprojected_oldest_s": 400.0}}, "cannot be searched", "pipeline", True),
        ({"ingest": WELL["ingest"] | {"outbox_oldest_s": 90.0}}, "for 90 s", "drainer", True),
        ({"mail": {"waiting": 2, "oldest_s": 400.0}}, "to be mailed for 400 s", "docs/mail.md", True),
        ({"sync": {"silver.receipts": {"lag_s": 180.0}}}, "in Postgres is 180 s behind", "log", True),
        ({"refinement": {"silver.receipts": {"lag_s": 180.0}}}, "in the lake is 180 s behind", "log", True),
        ({"failed_batches": {"silver.receipts": 3}}, "3 batches", "--table silver.receipts", False),
        ({"nightly": {"vacuum": {"error": "OSError: x"}}}, "vacuum failed: OSError: x", "again", False),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_to_do(changed, what, do, ill):
    (problem,) = diagnose(WELL | changed)
    assert what in problem["what"]
    assert do in problem["do"]
    assert problem["ill"] is ill


def test_a_slow_answer_of_a_quiet_minute_is_no_percentile():
    assert diagnose(WELL | {"serving": {"applications": {"lookup": SLOW | {"requests_per_s": 0.1}}}}) == []


def test_vectors_may_wait_and_a_database_that_is_down_hides_only_what_it_would_tell():
    assert (
        diagnose(
            WELL | {"sync": {"gold.product_embeddings": {"lag_s": 500.0}}, "audit": None, "ingest": None, "mail": None}
        )
        == []
    )


def test_ills_come_before_what_can_wait_and_replicas_are_not_missed_where_serve_is_down():
    wrong = {
        "failed_batches": {"silver.receipts": 1},
        "parts": [{"name": "serve", "what": "Serve applications", "state": "down"}],
        "serving": {"applications": {"lookup": {"running": 0, "wanted": 1}}},
    }
    assert [(one["ill"], one["what"]) for one in diagnose(WELL | wrong)] == [
        (True, "Serve applications: down"),
        (False, "1 batches of silver.receipts failed within the hour"),
    ]
