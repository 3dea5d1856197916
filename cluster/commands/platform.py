"""Commands of the platform family: bring it up and down, look at it, keep its schema."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Self

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from configs.settings import load_settings

if TYPE_CHECKING:
    from typing import Any

    from cluster.parts import Part
    from cluster.supervision import Step

_Only = Annotated[str | None, typer.Option(help="Only these parts, separated by commas: postgres,gateway,...")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_COLOURS = {"healthy": "green", "unhealthy": "red", "down": "yellow"}


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    for command in (up, down, status, doctor, migrate):
        app.command()(command)


def up(only: _Only = None) -> None:
    """Start the platform, or what of it is not running, and wait until it is healthy."""
    from cluster.status import urls
    from cluster.supervision import bring_up, choose_parts

    settings = load_settings()
    with _Progress() as progress:
        bring_up(settings, choose_parts(_names(only)), progress.report)
    console = Console(stderr=True)
    for name, url in urls(settings).items():
        console.print(f"  {name:<9}{url}", highlight=False)


def down(only: _Only = None) -> None:
    """Stop what `up` started, and wait until it is gone."""
    from cluster.supervision import bring_down, choose_parts

    with _Progress() as progress:
        bring_down(load_settings(), choose_parts(_names(only)), progress.report)


def status(as_json: _Json = False) -> None:
    """Show what is wrong and what to do, then health, replicas, counts, versions and lags; exits with 1 when ill."""
    from cluster.status import collect

    told = collect(load_settings())
    if as_json:
        sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _show_status(told)
    if not told["healthy"]:
        raise typer.Exit(1)


def doctor(as_json: _Json = False) -> None:
    """Check that this machine can run the platform, and say what to do where it cannot."""
    from cluster.doctor import examine

    findings = examine(load_settings())
    if as_json:
        sys.stdout.write(orjson.dumps({"findings": findings}, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        console = Console()
        for finding in findings:
            mark = "[green]ok[/]" if finding.good else "[yellow]--[/]" if finding.optional else "[red]no[/]"
            console.print(f" {mark}  {finding.what}: {finding.detail}", highlight=False)
            if not finding.good:
                console.print(f"       {finding.remedy}", highlight=False)
    if any(not finding.good and not finding.optional for finding in findings):
        raise typer.Exit(1)


def migrate(
    write_schema: Annotated[
        bool, typer.Option(help="Also write cluster/schema.sql, what all migrations make.")
    ] = False,
) -> None:
    """Bring the database's roles and schema up to date."""
    from cluster.parts import prepare_database
    from cluster.schema import write_schema_file

    console = Console(stderr=True)
    if write_schema:
        console.print(f"wrote {write_schema_file()}", highlight=False)
        return
    applied = prepare_database(load_settings())
    console.print(f"applied {', '.join(applied)}" if applied else "nothing to apply", highlight=False)


class _Progress:
    """One line per part, with a spinner on the one at work."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._status = self._console.status("")

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def report(self, part: Part, step: Step) -> None:
        """Show a step; the end of a step stays on the screen."""
        if step.is_under_way:
            self._status.update(f"{part.what}: {step.value}")
        else:
            self._console.print(f"  {part.what}: {step.value}", highlight=False)


def _names(only: str | None) -> list[str] | None:
    return None if only is None else [name.strip() for name in only.split(",") if name.strip()]


def _show_status(told: dict[str, Any]) -> None:
    console = Console()
    for problem in told["problems"]:
        mark = "[red]ill[/]" if problem["ill"] else "[yellow]see[/]"
        console.print(f" {mark}  {escape(problem['what'])}", highlight=False)
        console.print(f"       {escape(problem['do'])}", highlight=False)
    parts = Table("part", "state", "process", "up for")
    for part in told["parts"]:
        state = part["state"]
        uptime = f"{part['uptime_s']:.0f} s" if "uptime_s" in part else ""
        parts.add_row(part["what"], f"[{_COLOURS[state]}]{state}[/]", str(part.get("pid", "")), uptime)
    tables = [parts, _serving_table(told), _counts_table(told)]
    if len(told["servers"]) > 1:
        tables.append(_servers_table(told))
    if told["nightly"]:
        tables.append(_nights_table(told))
    console.print(*tables)
    console.print(f"  receipts are mailed to {told['urls']['mail']}", highlight=False)
    for name, place in told["metrics"].items():
        console.print(f"  metrics of {name:<9}{place}", highlight=False)


def _serving_table(told: dict[str, Any]) -> Table:
    table = Table(
        "application", "replicas", "wanted", "requests/s", "95 % within", "failing/s", title="the last minute"
    )
    for name, one in told["serving"]["applications"].items():
        colour = "green" if one["running"] >= one["wanted"] else "red"
        p95_ms = one.get("p95_ms")
        rates = [f"{one[key]:g}" if key in one else "" for key in ("requests_per_s", "failing_per_s")]
        within = "" if p95_ms is None else f"{p95_ms:g} ms"
        table.add_row(name, f"[{colour}]{one['running']}[/]", f">= {one['wanted']}", rates[0], within, rates[1])
    return table


def _counts_table(told: dict[str, Any]) -> Table:
    counts = Table("where", "what", "rows", "version", "behind by")
    for name, value in (told["postgres"] or {}).items():
        counts.add_row("Postgres", name, str(value), "", "")
    for name, value in (told["ingest"] or {}).items():
        counts.add_row("ingest", name, f"{value:.0f}", "", "")
    for name, value in (told["mail"] or {}).items():
        counts.add_row("mail", name, f"{value:.0f}", "", "")
    for name, value in (told["audit"] or {}).items():
        counts.add_row("audit", name, "" if value is None else f"{value:.0f}", "", "")
    for name, measured in told["lake"].items():
        lags = told["refinement"].get(name, {})
        lag = f"{lags['lag_s']:.0f} s" if lags else ""
        rows, version = (str(measured["rows"]), str(measured["version"])) if measured else ("not created", "")
        counts.add_row("lake", name, rows, version, lag)
    for name, lags in told["sync"].items():
        counts.add_row("sync", name, "", f"{lags['version']} of {lags['latest']}", f"{lags['lag_s']:.0f} s")
    return counts


def _nights_table(told: dict[str, Any]) -> Table:
    nights = Table("nightly job", "night", "ended at", "outcome")
    for job, last in told["nightly"].items():
        nights.add_row(job, last["night"], last["ended_at"][:19], last["error"] or "done")
    return nights


def _servers_table(told: dict[str, Any]) -> Table:
    servers = Table("server", "role", "state", "commits wait", "behind by")
    for one in told["servers"]:
        behind = "" if one["lag_bytes"] is None else f"{one['lag_bytes']} bytes, {one['lag_s']:.1f} s"
        waits = {"quorum": "yes", "async": "no"}.get(one["sync_state"], "")
        servers.add_row(one["name"], one["role"], one["state"], waits, behind)
    return servers
