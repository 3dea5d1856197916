"""Every metric moves when what it counts happens: none is shown that nobody sets."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from prometheus_client import generate_latest

from configs.settings import Settings
from ingest.drainer import drain, drain_continuously
from ingest.metrics import Metrics
from ingest.server import running
from ingest.validation import Origin, refuse
from receipts import bronze
from receipts.database import DatabaseRole, conninfo
from tests.fixtures.retail import make_receipt, make_store, store_rows
from tests.fixtures.tcp_proxy import TcpProxy, through
from tests.ingest.outbox_view import receipts_from, wait_for
from tests.ingest.test_metrics_server import samples, scrape
from tests.ingest.test_outages import _until_refused
from tests.ingest.test_settlement import _AT, _accepted, _direct, _insert
from tests.ingest.till_double import connected, open_stream, record, serving, streaming

_OF_BOTH = {"postgres_up", "lake_up"}
_OF_GATEWAYS = _OF_BOTH | {
    "records",
    "bytes",
    "ack_seconds",
    "in_flight_records",
    "streams",
    "refusals",
    "streams_refused",
}
_OF_DRAINERS = _OF_BOTH | {
    "outbox_rows",
    "outbox_oldest_seconds",
    "outbox_bytes",
    "drained",
    "settled",
    "drainer_given_up",
    "drainer_leading",
    "quarantine_held",
}


def test_every_metric_is_of_gateways_or_of_drainers():
    families = {family.name.removeprefix("receipts_ingest_") for family in Metrics().registry.collect()}
    assert {name for name in families if not name.startswith("process_")} == _OF_GATEWAYS | _OF_DRAINERS


async def test_a_gateway_sets_each_of_its_metrics(open_shop: Settings, postgres_proxy: TcpProxy) -> None:
    shop = through(open_shop, postgres_proxy)
    address, port = f"127.0.0.1:{shop.ingest.port}", shop.ingest.metrics_port
    async with running(shop):
        await serving(address)
        async with connected(address) as stranger:
            await stranger.say(open_stream("retail.pos.nothing"))
            await stranger.status()
        async with streaming(address) as till:
            await till.say(record(0, make_receipt().canonical()), record(1, "{"))
            await till.hear_ack(1)
            working = await asyncio.to_thread(_scraped, port)
            assert working == _OF_GATEWAYS - {"in_flight_records", "lake_up"}
            with _no_lake(shop):
                postgres_proxy.cut()
                await till.say(record(2, make_receipt(sequence_number=2).canonical()))
                await _until_refused(address)
                held = await asyncio.to_thread(_scraped, port)
                assert held >= {"in_flight_records", "lake_up"}
                assert "postgres_up" not in held, "it is what it was before anybody set it"
            await till.hear_ack(2)


def test_a_drainer_sets_each_of_its_metrics(settings: Settings) -> None:
    store_rows(settings, stores=[make_store()])
    drain(settings)
    store_rows(settings, receipts=receipts_from(1, 3))
    metrics, stop, seen = Metrics(), threading.Event(), set()

    def watched() -> set[str]:
        seen.update(_moved(generate_latest(metrics.registry).decode()))
        return seen

    draining = threading.Thread(target=drain_continuously, args=(settings, stop, metrics))
    with psycopg.connect(conninfo(settings, DatabaseRole.INGEST)) as hanging:
        receipt = make_receipt(register_id=9)
        _insert(hanging, _accepted(bronze.RECEIPTS, receipt))
        refused = refuse(b"{", "The record is not valid JSON.", Origin(bronze.RECEIPTS.name, "direct", _AT))
        _direct(settings, bronze.RECEIPTS, [receipt, refused])
        draining.start()
        try:
            wait_for(lambda: watched() >= _OF_DRAINERS - {"drained", "settled", "lake_up"})
            hanging.rollback()
            wait_for(lambda: watched() >= {"drained", "settled"})
            held = ("receipts_ingest_quarantine_held", {"kind": "malformed"})
            wait_for(lambda: metrics.registry.get_sample_value(*held) == 1)
            with _no_lake(settings):
                store_rows(settings, receipts=receipts_from(4, 3))
                wait_for(lambda: "lake_up" in watched())
        finally:
            hanging.rollback()
            stop.set()
            draining.join()
    assert seen == _OF_DRAINERS


@contextmanager
def _no_lake(settings: Settings) -> Iterator[None]:
    """Put a file where Bronze's directory must be: not even root can write below it."""
    folder = Path(settings.lake_root) / "bronze"
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name("aside")
    if folder.exists():
        folder.rename(aside)
    folder.write_text("")
    try:
        yield
    finally:
        folder.unlink()
        if aside.exists():
            aside.rename(folder)


def _scraped(port: int) -> set[str]:
    return _moved(scrape(port))


def _moved(text: str) -> set[str]:
    """Return the families, those of the process left out, that are not what they were when the process began."""
    before = samples(generate_latest(Metrics().registry).decode())
    names = {name for (name, labels), value in samples(text).items() if before.get((name, labels)) != value}
    families = {family.name for family in Metrics().registry.collect()}
    moved = {one for one in families if names & {one, f"{one}_total", f"{one}_count"}}
    return {one.removeprefix("receipts_ingest_") for one in moved if "_process_" not in one}
