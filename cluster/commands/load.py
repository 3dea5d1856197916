"""Commands of the load family."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from configs.settings import Settings
    from loadtest.headless import Run


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("load")(load)


def load(
    users: Annotated[int, typer.Option(min=1, help="Simulated reps.")] = 20,
    spawn_rate: Annotated[float, typer.Option(min=0.1, help="Reps who start per second.")] = 5.0,
    duration: Annotated[str, typer.Option(help="How long, as in 30s or 5m.")] = "30s",
    think: Annotated[float, typer.Option(min=0.0, help="Scale of the pauses between clicks; 0 for none.")] = 1.0,
    host: Annotated[str | None, typer.Option(help="Where the API is; by default the one of the settings.")] = None,
    targets: Annotated[Path | None, typer.Option(help="Sample to use instead of drawing a new one.")] = None,
    prepare: Annotated[Path | None, typer.Option(help="Only draw a sample of receipts into this file.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="One journey: lookup, history, context, fuzzy or sentence; repeatable.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=200_000, help="Receipts to draw.")] = 5_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Press the API as reps do and show how it answered, by route; fails when any request failed."""
    from configs.settings import load_settings
    from loadtest import headless

    settings = load_settings()
    if prepare is not None:
        _draw(settings, samples, prepare)
        return
    journeys = tuple(only or ())
    if unknown := set(journeys) - set(headless.JOURNEYS):
        raise typer.BadParameter(f"{min(unknown)} is no journey; there are: {', '.join(headless.JOURNEYS)}")
    with tempfile.TemporaryDirectory(prefix="receipts-load-") as folder:
        plan = headless.Run(
            host=host or settings.portal.api_url,
            targets=(targets or Path(folder) / "targets.json").absolute(),
            sign_in_secret=settings.state_dir / "secrets.json",
            users=users,
            spawn_rate=spawn_rate,
            duration_s=read_duration(duration),
            think=think,
            journeys=journeys,
        )
        if targets is None:
            _draw(settings, samples, plan.targets)
        _press(plan, Path(folder), as_json)


def _draw(settings: Settings, samples: int, path: Path) -> None:
    from rich.console import Console

    from loadtest.targets import sample_targets, write_targets

    said = Console(stderr=True)
    with said.status("Drawing a sample of receipts"):
        sample = sample_targets(settings, samples)
        write_targets(sample, path)
    said.print(f"Drew {len(sample.targets):,} receipts to ask for, into {path}.", soft_wrap=True)


def _press(plan: Run, scratch: Path, as_json: bool) -> None:
    from rich.console import Console

    from loadtest import figures, headless
    from loadtest.bench.report import machine

    said = Console(stderr=True)
    with said.status(f"{plan.users} reps for {plan.duration_s} s against {plan.host}"):
        routes = figures.read_figures(headless.run(plan, scratch))
    if as_json:
        answer = {"name": "load", "machine": machine(), "users": plan.users, "duration_s": plan.duration_s}
        Console(soft_wrap=True).print_json(data={**answer, "routes": figures.as_json(routes)}, indent=None)
    else:
        figures.show(routes, Console())
    failed = sum(route.failures for route in routes)
    if failed:
        said.print(f"receipts: {failed} requests failed.")
        raise typer.Exit(1)


def read_duration(text: str) -> int:
    """Return the seconds of 45, 45s, 10m or 1h."""
    number, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "s")
    if not (number.isdecimal() and int(number) > 0 and unit in "smh"):
        raise typer.BadParameter(f"{text} is no duration; expected a whole number with s, m or h, as in 30s or 5m")
    return int(number) * {"s": 1, "m": 60, "h": 3_600}[unit]
