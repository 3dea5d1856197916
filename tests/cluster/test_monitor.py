"""The monitor sees what `receipts status` sees, tells Prometheus, and goes on when a look fails."""

import threading

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from cluster.health import monitor_is_healthy
from cluster.monitor import Monitor, watch_over
from cluster.platform_metrics import PREFIX, PlatformCollector
from receipts import bronze
from receipts.lake import lake_of

LABELS = {"part", "server", "table", "state", "job", "application"}


def told(monitor, name, **labels):
    registry = CollectorRegistry()
    registry.register(PlatformCollector(monitor))
    return registry.get_sample_value(f"{PREFIX}_{name}", labels)


def test_a_look_tells_parts_waits_and_the_trail(settings, owner):
    lake_of(settings).ensure(bronze.RECEIPTS)
    owner.execute(
        "INSERT INTO ingest.outbox (turn, sequence, bronze_table, received_at, source, payload_digest, payload)"
        " VALUES (0, 1, 'bronze.receipts', clock_timestamp() - interval '90 s', 'test', '\\x00', '{}')"
    )
    owner.execute("INSERT INTO audit.faults (chain, seq) VALUES (1, 1)")
    owner.execute("SELECT audit.extend(chain, 1, head, '[]') FROM audit.open_chain()")
    monitor = Monitor(settings)
    assert told(monitor, "part_up", part="postgres") is None, "nothing is told before the first look"
    monitor.look()
    assert told(monitor, "part_up", part="postgres") == told(monitor, "postgres_up") == 1
    assert told(monitor, "part_up", part="gateway") == 0
    assert told(monitor, "problems") >= 7
    assert told(monitor, "outbox_oldest_seconds") == pytest.approx(90, abs=30)
    assert told(monitor, "quarantine_records", state="held") == 0
    assert told(monitor, "audit_faults") == 1
    assert 0 < told(monitor, "audit_unsearchable_seconds") < 60
    assert told(monitor, "audit_unanchored_seconds") == 0
    assert told(monitor, "audit_anchor_age_seconds") is None
    assert told(monitor, "replicas_running", application="lookup") == 0
    assert told(monitor, "replicas_wanted", application="lookup") == 1
    owner.execute("SELECT audit.project()")
    monitor.look()
    assert told(monitor, "audit_unsearchable_seconds") == 0
    assert 0 < told(monitor, "audit_unanchored_seconds") < 60


def test_what_was_seen_once_is_not_told_for_ever(settings):
    often = settings.monitor.model_copy(update={"interval_s": 0.0})  # instead of waiting until a look is old
    monitor = Monitor(settings.model_copy(update={"monitor": often}))
    monitor.look()
    assert not monitor.is_fresh()
    assert told(monitor, "part_up", part="postgres") is None
    assert told(monitor, "look_seconds") > 0


def test_a_look_that_fails_is_counted_and_the_next_one_tries_again(settings):
    settings.state_dir.mkdir(exist_ok=True)
    lake = settings.state_dir / "lake"
    folder = lake / "bronze" / "receipts" / "_delta_log"
    folder.mkdir(parents=True)
    broken = folder / "00000000000000000000.json"
    broken.write_text("{")
    monitor = Monitor(settings)
    monitor.look()
    assert (told(monitor, "look_failures_total"), monitor.is_fresh()) == (1, False)
    broken.unlink()
    monitor.look()
    assert (told(monitor, "look_failures_total"), monitor.is_fresh()) == (1, True)


def test_it_is_healthy_once_it_has_looked_and_no_label_can_hold_personal_data(settings):
    stop = threading.Event()
    watching = threading.Thread(target=watch_over, args=(settings, stop))
    assert not monitor_is_healthy(settings)
    watching.start()
    try:
        while not monitor_is_healthy(settings):
            assert watching.is_alive()
        url = f"http://127.0.0.1:{settings.monitor.port}/metrics"
        text = httpx.get(url, timeout=30, trust_env=False).text
    finally:
        stop.set()
        watching.join()
    for family in text_string_to_metric_families(text):
        assert family.name.startswith(f"{PREFIX}_")
        assert family.documentation
        assert {label for sample in family.samples for label in sample.labels} <= LABELS
