"""The sources family: a real data set (`receipts import complete-journey`) or generated receipts, sent as by tills."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from configs.settings import Settings, load_settings
from receipts.errors import InvalidInput

if TYPE_CHECKING:
    from ingest.till import Sent

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Target = Annotated[str, typer.Option(help="The gateway's host:port; default: the one in the settings.")]
_HOME = "America/New_York"  # whose calendar says what day it is
_PROGRESS_EVERY = 1_000  # records between two drawings of the bar


@dataclass(frozen=True, slots=True)
class Shipment:
    """Records for one of the gateway's tables; `count` is what the progress bar ends at."""

    what: str
    table: str
    count: int
    records: Iterable[str]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(generate)


def complete_journey(
    baskets: Annotated[
        int | None, typer.Option(min=1, help="Only so many baskets, rounded up to whole households; default: all.")
    ] = None,
    as_if_now: Annotated[
        bool,
        typer.Option(
            "--as-if-now",
            help="Move 2017 by whole weeks up to the days before today (remembered, so a re-run changes nothing).",
        ),
    ] = False,
    target: _Target = "",
    as_json: _Json = False,
) -> None:
    """Send the 155,848 real baskets of Complete Journey, with their shops and customers; repeating changes nothing."""
    settings = load_settings()
    shipments, facts = journey_shipments(settings, baskets, as_if_now=as_if_now)
    ship(shipments, target or gateway_of(settings), facts, as_json=as_json)


def generate(
    receipts: Annotated[int, typer.Option(min=1, help="How many receipts.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, days and sizes give the same bytes.")] = 1,
    start: Annotated[str, typer.Option(help="First day, YYYY-MM-DD; default: a year before the last.")] = "",
    end: Annotated[str, typer.Option(help="Last day, YYYY-MM-DD; default: yesterday.")] = "",
    stores: Annotated[int, typer.Option(min=1, help="How many shops.")] = 120,
    customers: Annotated[int, typer.Option(min=0, help="How many loyal customers.")] = 20_000,
    dirt: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of receipts spoilt on purpose.")] = 0.0,
    out: Annotated[
        str, typer.Option(help="Write receipts to FILE.jsonl (stores and customers beside it), or - for stdout.")
    ] = "",
    send: Annotated[bool, typer.Option("--send", help="Send stores, customers and receipts to the gateway.")] = False,
    target: _Target = "",
    as_json: _Json = False,
) -> None:
    """Make receipts of any volume from a seed: realistic groceries, seasons, returns and, if wanted, dirt."""
    from ingest.sources.synthetic.dirt import soiled_receipts
    from ingest.sources.synthetic.history import history_customers, history_stores
    from ingest.sources.synthetic.plan import make_plan

    if bool(out) == send:
        raise InvalidInput("out", "say where the receipts go: --out FILE.jsonl, --out - or --send")
    last = _day("end", end) if end else datetime.now(ZoneInfo(_HOME)).date() - timedelta(days=1)
    first = _day("start", start) if start else last - timedelta(days=364)
    plan = make_plan(receipts=receipts, seed=seed, start=first, end=last, stores=stores, customers=customers)
    spoilt: Counter[str] = Counter()
    shipments = (
        Shipment("stores", "retail.reference.stores", stores, history_stores(plan)),
        Shipment("customers", "retail.crm.customers", customers, history_customers(plan)),
        Shipment("receipts", "retail.pos.receipts", receipts, soiled_receipts(plan, dirt, spoilt)),
    )
    facts: dict[str, object] = {"first_day": str(first), "last_day": str(last), "seed": seed, "dirt": spoilt}
    if send:
        settings = load_settings()
        ship(shipments, target or gateway_of(settings), facts, as_json=as_json)
    elif out == "-":
        _write(shipments[-1], sys.stdout)
    else:
        _write_files(shipments, Path(out), facts, as_json=as_json)


def journey_shipments(
    settings: Settings, baskets: int | None, *, as_if_now: bool
) -> tuple[tuple[Shipment, ...], dict[str, str]]:
    """Return Complete Journey as shipments in the order they must arrive, and the days its receipts span."""
    from ingest.sources.anchors import remembered_weeks
    from ingest.sources.complete_journey import (
        LAST_DAY,
        journey_customers,
        journey_receipts,
        journey_stores,
        open_journey,
    )
    from ingest.sources.journey_tables import TIME_ZONE

    today = datetime.now(ZoneInfo(TIME_ZONE)).date()
    weeks = remembered_weeks(settings.state_dir, LAST_DAY, today) if as_if_now else 0
    journey = open_journey(baskets, weeks)
    stores, customers = list(journey_stores()), list(journey_customers(journey))
    days = journey.baskets["business_date"]
    shipments = (
        Shipment("stores", "retail.reference.stores", len(stores), stores),
        Shipment("customers", "retail.crm.customers", len(customers), customers),
        Shipment("receipts", "retail.pos.receipts", journey.baskets.height, journey_receipts(journey)),
    )
    return shipments, {"first_day": str(days.min()), "last_day": str(days.max())}


def gateway_of(settings: Settings) -> str:
    """Return the host:port of the gateway that the settings name."""
    return f"{settings.ingest.host}:{settings.ingest.port}"


def ship(shipments: Iterable[Shipment], gateway: str, facts: Mapping[str, object], *, as_json: bool) -> None:
    """Send every shipment in turn under a progress bar, then print what was sent and acknowledged."""
    began = time.monotonic()
    counts = send_all(shipments, gateway)
    seconds = time.monotonic() - began
    if as_json:
        sent = {what: {"sent": sent.sent, "acked": sent.acked} for what, sent in counts.items()}
        sys.stdout.write(json.dumps({**sent, **facts, "target": gateway, "seconds": round(seconds, 1)}) + "\n")
        return
    told = (f"{name} {value}" for name, value in facts.items() if isinstance(value, str | int))
    table = Table("what", "sent", "acked", title=", ".join(told))
    for what, sent in counts.items():
        table.add_row(what, f"{sent.sent:,}", f"{sent.acked:,}")
    Console().print(table)


def send_all(shipments: Iterable[Shipment], gateway: str) -> dict[str, Sent]:
    """Send every shipment in turn under a progress bar on stderr; return what was sent and acknowledged, by name."""
    return {shipment.what: _send(shipment, gateway) for shipment in shipments}


def _send(shipment: Shipment, gateway: str) -> Sent:
    from ingest.till import send

    with _progress() as progress:
        task = progress.add_task(shipment.what, total=shipment.count, rate="")
        return send(
            shipment.records,
            table=shipment.table,
            target=gateway,
            on_progress=lambda sent: _show(progress, task, sent.acked),
        )


def _write_files(shipments: Iterable[Shipment], out: Path, facts: Mapping[str, object], *, as_json: bool) -> None:
    """Write receipts to a file of JSON lines, stores and customers to files beside it, and print the counts."""
    counts: dict[str, object] = {}
    for shipment in shipments:
        path = out if shipment.what == "receipts" else out.with_suffix(f".{shipment.what}{out.suffix}")
        with path.open("w", encoding="utf-8", newline="\n") as file:
            counts[shipment.what] = {"file": str(path), "records": _write(shipment, file)}
    lines = [json.dumps({**counts, **facts})] if as_json else [f"{what}: {count}" for what, count in counts.items()]
    sys.stdout.write("\n".join(lines) + "\n")


def _write(shipment: Shipment, file: TextIO) -> int:
    """Write one record a line and return how many there were."""
    written = 0
    with _progress() as progress:
        task = progress.add_task(shipment.what, total=shipment.count, rate="")
        for written, record in enumerate(shipment.records, 1):
            file.write(record + "\n")
            if written % _PROGRESS_EVERY == 0:
                _show(progress, task, written)
        _show(progress, task, written)
    return written


def _progress() -> Progress:
    rate = TextColumn("{task.fields[rate]}")
    columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), rate, TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def _show(progress: Progress, task: TaskID, done: int) -> None:
    elapsed = progress.tasks[task].elapsed or 1e-3  # a task that has just begun has none yet
    progress.update(task, completed=done, rate=f"{done / elapsed:,.0f}/s")


def _day(field: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(field, f"{text} is not a date; expected YYYY-MM-DD") from None
