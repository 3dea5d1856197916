"""All replicas of a node are found under one address, whichever of them come, hang and go."""

import socket
from contextlib import ExitStack

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster import replica_metrics
from cluster.replica_metrics import list_tellers, put_together, telling
from serve_apps import history, lookup


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(replica_metrics, "_AGAIN_S", 0.05)  # the same code, sooner than after five seconds
    monkeypatch.setattr(replica_metrics, "_POLL_S", 0.05)  # as above


def scraped(settings) -> dict[str, dict[tuple[str, str], float]]:
    """Return the samples of the node by name, application and slot; waits until somebody serves it."""
    url = f"http://127.0.0.1:{settings.serve.metrics_port}/metrics"
    transport = httpx.HTTPTransport(retries=5)  # with growing pauses, some seconds in all
    with httpx.Client(transport=transport, trust_env=False, timeout=30) as client:
        text = client.get(url).raise_for_status().text
    found: dict[str, dict[tuple[str, str], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.labels["application"], sample.labels["slot"]
            found.setdefault(sample.name, {})[key] = sample.value
    return found


def test_one_address_tells_of_every_replica_and_goes_on_when_the_first_one_ends(settings):
    with ExitStack() as others:
        with telling(settings, "lookup", lookup.build_app(settings)):
            for name, module in (("lookup", lookup), ("customers", history)):
                others.enter_context(telling(settings, name, module.build_app(settings)))
            everyone = {("lookup", "0"), ("lookup", "1"), ("customers", "0")}
            found = scraped(settings)
            assert found["receipts_serve_up"] == dict.fromkeys(everyone, 1.0)
            assert found["receipts_serve_ready"].keys() == everyone
            assert found["receipts_serve_process_start_time_seconds"].keys() == everyone
        assert scraped(settings)["receipts_serve_up"].keys() == everyone - {("lookup", "0")}
        with telling(settings, "lookup", lookup.build_app(settings)):
            assert scraped(settings)["receipts_serve_up"].keys() == everyone, "the number is free again"
    assert list_tellers(settings) == []


def test_a_replica_that_hangs_is_told_as_down_and_keeps_nobody_from_being_heard(settings, monkeypatch):
    monkeypatch.setattr(replica_metrics, "_ANSWER_S", 0.05)  # a replica that hangs is given up sooner
    with (
        telling(settings, "lookup", lookup.build_app(settings)),
        socket.create_server(("127.0.0.1", 0)) as silent,
        ExitStack() as held,
    ):
        slot, note = replica_metrics._take_slot(replica_metrics._folder(settings), "lookup")
        held.enter_context(note)
        note.write(f'{{"port": {silent.getsockname()[1]}}}')
        note.flush()
        found = scraped(settings)
    assert slot == 1
    assert found["receipts_serve_up"] == {("lookup", "0"): 1.0, ("lookup", "1"): 0.0}


def test_an_address_that_is_taken_stops_no_replica(settings):
    with (
        socket.create_server(("127.0.0.1", settings.serve.metrics_port)),
        telling(settings, "lookup", lookup.build_app(settings)),
    ):
        assert [one.whose.application for one in list_tellers(settings)] == ["lookup"]


def test_expositions_are_put_together_family_by_family():
    one = '# HELP a What.\n# TYPE a gauge\na{slot="0"} 1.0\n# HELP b What.\n# TYPE b counter\nb{slot="0"} 2.0\n'
    two = '# HELP a What.\n# TYPE a gauge\na{slot="1"} 3.0\n'
    assert put_together([one, two]) == (
        '# HELP a What.\n# TYPE a gauge\na{slot="0"} 1.0\na{slot="1"} 3.0\n'
        '# HELP b What.\n# TYPE b counter\nb{slot="0"} 2.0\n'
    )
    assert put_together([]) == ""
