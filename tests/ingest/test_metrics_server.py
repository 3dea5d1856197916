import asyncio
import re
import socket
import threading

import grpc
import grpc.aio
import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from cluster.certificates import ensure_certificates
from configs.settings import Settings
from ingest.generated import wire_pb2_grpc
from ingest.metrics import Metrics, TillMetrics
from ingest.server import running
from receipts.errors import Unavailable
from receipts.metrics_server import serving_metrics

# Whatever a label may say. None of these can hold what a customer, a till or a record says of itself.
LABELS = {"table", "way", "outcome", "kind", "status", "le"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def scrape(port):
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30)
    assert answer.status_code == 200
    return answer.text


def samples(text):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_shows_what_was_counted():
    metrics, port = Metrics(), free_port()
    metrics.records.labels("retail.pos.receipts", "outbox", "new").inc(3)
    metrics.ack_seconds.observe(0.004)
    with serving_metrics(metrics.registry, port):
        found = samples(scrape(port))
    labels = (("outcome", "new"), ("table", "retail.pos.receipts"), ("way", "outbox"))
    assert found["receipts_ingest_records_total", labels] == 3
    assert found["receipts_ingest_ack_seconds_bucket", (("le", "0.005"),)] == 1
    assert found["receipts_ingest_ack_seconds_bucket", (("le", "0.003"),)] == 0
    assert found["receipts_ingest_process_cpu_seconds_total", ()] > 0


async def test_an_asyncio_process_serves_while_its_loop_works():
    metrics, port = Metrics(), free_port()
    with serving_metrics(metrics.registry, port):
        assert "receipts_ingest_streams" in await asyncio.to_thread(scrape, port)
    with serving_metrics(metrics.registry, port):  # the port was given back
        assert "receipts_ingest_streams" in await asyncio.to_thread(scrape, port)


def test_a_taken_port_is_said_in_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with (
            pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{port} \(Address already in use\)"),
            serving_metrics(CollectorRegistry(), port),
        ):
            pass


def test_nobody_else_reaches_the_metrics():
    port = free_port()
    with serving_metrics(Metrics().registry, port), pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", port), timeout=5)


def test_a_silent_scraper_does_not_stop_the_next_for_good():
    port = free_port()
    with serving_metrics(Metrics().registry, port), socket.create_connection(("127.0.0.1", port)):
        assert "receipts_ingest_streams" in scrape(port)


def test_every_metric_is_named_for_ingest_and_with_its_unit():
    for registry in (Metrics().registry, TillMetrics().registry):
        for family in registry.collect():
            assert re.fullmatch(r"receipts_ingest_[a-z_]+", family.name), family.name
            assert not family.name.endswith(("_ms", "_kb", "_mb", "_minutes")), "Prometheus counts in base units"
            assert family.documentation


def test_no_label_can_hold_personal_data():
    for registry in (Metrics().registry, TillMetrics().registry):
        for collector in registry._collector_to_names:
            assert set(getattr(collector, "_labelnames", ())) <= LABELS


def test_a_till_shows_how_much_it_holds():
    metrics, port = TillMetrics(), free_port()
    metrics.note_spool(records=7, size_bytes=4_096, oldest_s=12.5)
    with serving_metrics(metrics.registry, port):
        found = samples(scrape(port))
    assert found["receipts_ingest_spool_records", ()] == 7
    assert found["receipts_ingest_spool_bytes", ()] == 4_096
    assert found["receipts_ingest_spool_oldest_seconds", ()] == 12.5


def asked_whether_ready(port):
    return httpx.get(f"http://127.0.0.1:{port}/ready", timeout=30, trust_env=False).status_code


async def until_ready_says(status, port):
    async with asyncio.timeout(60):
        while (said := await asyncio.to_thread(asked_whether_ready, port)) != status:
            assert said in {200, 503}


def test_who_is_not_asked_for_more_is_ready_while_it_serves():
    port = free_port()
    with serving_metrics(CollectorRegistry(), port):
        assert asked_whether_ready(port) == 200


@pytest.mark.parametrize("tls", [True, False])
async def test_a_gateway_says_in_plaintext_when_it_is_ready_and_that_it_is_not_while_it_stops(
    open_shop: Settings, tls: bool
):
    made = ensure_certificates(open_shop.state_dir / "certificates", ["localhost", "127.0.0.1"], 30)
    files = {"tls_certificate": made.certificate, "tls_key": made.key} if tls else {}
    shop = open_shop.model_copy(update={"ingest": open_shop.ingest.model_copy(update=files)})
    port, target = shop.ingest.metrics_port, f"localhost:{shop.ingest.port}"
    credentials = grpc.ssl_channel_credentials(made.authority.read_bytes())
    channel = grpc.aio.secure_channel(target, credentials) if tls else grpc.aio.insecure_channel(target)
    async with channel:
        async with running(shop):
            await until_ready_says(200, port)
            call = wire_pb2_grpc.ZerobusStub(channel).EphemeralStream()  # keeps the gateway from closing at once
            await call.initial_metadata()
            stopping = asyncio.create_task(until_ready_says(503, port))
        await stopping
    with pytest.raises(httpx.ConnectError):
        asked_whether_ready(port)


async def test_a_gateway_whose_loop_hangs_is_not_ready(open_shop: Settings):
    port, said = open_shop.ingest.metrics_port, []
    async with running(open_shop):
        await until_ready_says(200, port)
        asking = threading.Thread(target=lambda: said.append(asked_whether_ready(port)))
        asking.start()
        asking.join()  # blocks the loop, which the gateway shares with this test
        assert said == [503]
        await until_ready_says(200, port)
