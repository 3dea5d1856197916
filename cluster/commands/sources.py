"""Commands of the sources family: a real data set or generated receipts, sent as tills would send them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from configs.settings import load_settings

if TYPE_CHECKING:
    from ingest.till import Sent

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Target = Annotated[str, typer.Option(help="The gateway's host:port; default: the one in the settings.")]
_import = typer.Typer(help="Bring receipts in from elsewhere, through the gateway.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class Shipment:
    """Records for one of the gateway's tables; `count` is what the progress bar ends at."""

    what: str
    table: str
    count: int
    records: Iterable[str]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(_import, name="import")


@_import.command("complete-journey")
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
    from ingest.sources.anchors import remembered_weeks
    from ingest.sources.complete_journey import (
        LAST_DAY,
        journey_customers,
        journey_receipts,
        journey_stores,
        open_journey,
    )
    from ingest.sources.journey_tables import TIME_ZONE

    settings = load_settings()
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
    gateway = target or f"{settings.ingest.host}:{settings.ingest.port}"
    ship(shipments, gateway, {"first_day": str(days.min()), "last_day": str(days.max())}, as_json=as_json)


def ship(shipments: Iterable[Shipment], gateway: str, facts: dict[str, str], *, as_json: bool) -> None:
    """Send every shipment in turn under a progress bar, then print what was sent and acknowledged."""
    began = time.monotonic()
    counts = {shipment.what: _send(shipment, gateway) for shipment in shipments}
    seconds = time.monotonic() - began
    if as_json:
        sent = {what: {"sent": sent.sent, "acked": sent.acked} for what, sent in counts.items()}
        sys.stdout.write(json.dumps({**sent, **facts, "target": gateway, "seconds": round(seconds, 1)}) + "\n")
        return
    table = Table("what", "sent", "acked", title=", ".join(f"{name} {value}" for name, value in facts.items()))
    for what, sent in counts.items():
        table.add_row(what, f"{sent.sent:,}", f"{sent.acked:,}")
    Console().print(table)


def _send(shipment: Shipment, gateway: str) -> Sent:
    from ingest.till import send

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(shipment.what, total=shipment.count, rate="")

        def show(sent: Sent) -> None:
            elapsed = progress.tasks[task].elapsed or 1e-3
            progress.update(task, completed=sent.acked, rate=f"{sent.acked / elapsed:,.0f}/s")

        return send(shipment.records, table=shipment.table, target=gateway, on_progress=show)
