"""Commands of the demo family: everything at once, on real receipts."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from configs.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.demonstration import Found


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(demo)


def demo(
    baskets: Annotated[int, typer.Option(min=100, help="How many real baskets to stream in.")] = 20_000,
) -> None:
    """Bring everything up, stream real baskets in, find one again and hold the counts side by side."""
    from rich.console import Console

    from cluster.commands.platform import up
    from cluster.commands.sources import gateway_of, journey_shipments, send_all
    from cluster.demonstration import await_arrival, disagreements, find_again, stages
    from cluster.errors import PlatformError
    from cluster.status import urls

    began = time.monotonic()
    settings, console = load_settings(), Console(stderr=True)
    console.rule("[bold]1. The platform comes up", align="left")
    up()
    console.rule("[bold]2. Tills stream receipts in", align="left")
    shipments, _ = journey_shipments(settings, baskets, as_if_now=True)
    sent = send_all(shipments, gateway_of(settings))["receipts"]
    console.rule("[bold]3. Receipts are refined, synced and embedded", align="left")
    with _progress(console) as tell:
        status = await_arrival(settings, tell)
    console.rule("[bold]4. A rep finds one again", align="left")
    _show_found(find_again(settings))
    console.rule("[bold]5. What every stage holds", align="left")
    counts = stages(settings, sent.sent, sent.acked, status)
    _show_counts(counts, settings, urls(settings))
    console.print(f"Done in {time.monotonic() - began:.0f} s. Stop it with: make down", highlight=False)
    wrong = disagreements(counts)
    if wrong:
        raise PlatformError(f"The counts disagree: {'; '.join(wrong)}.")


@contextmanager
def _progress(console: Console) -> Generator[Callable[[str], None]]:
    """Move one line on a terminal; where there is none (CI, a log file) leave a line for each change."""
    if console.is_terminal:
        with console.status("Looking") as spinner:
            yield spinner.update
        return
    last = ""

    def leave_a_line(what: str) -> None:
        nonlocal last
        if what != last:
            console.print(f"  {what}", highlight=False)
        last = what

    yield leave_a_line


def _show_found(found: Found) -> None:
    from rich.console import Console

    from cluster.paper import customer_card, receipt_paper, search_hits

    console = Console()
    console.print(f'\n[bold]$ receipts search "{found.sentence}"[/]', highlight=False)
    console.print(search_hits(found.answer))
    console.print(f"\n[bold]$ receipts lookup {found.receipt['receipt']['receipt_id']}[/]", highlight=False)
    console.print(receipt_paper(found.receipt))
    if found.customer is not None:
        console.print(f"\n[bold]$ receipts context {found.customer['customer']['customer_id']}[/]", highlight=False)
        console.print(customer_card(found.customer))


def _show_counts(counts: dict[str, int], settings: Settings, urls: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("stage", "receipts")
    table.columns[1].justify = "right"
    for stage, count in counts.items():
        table.add_row(stage, f"{count:,}")
    console = Console()
    console.print(table)
    for name, url in urls.items():
        console.print(f"  {name:<9}{url}", highlight=False)
    if settings.auth.development_provider:
        console.print("  sign in to the portal as rep.all; no password", highlight=False)
