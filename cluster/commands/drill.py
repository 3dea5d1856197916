"""The command of a drill: ask while you break something, and hold every answer against the audit trail."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.commands.output import print_json
from configs.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from configs.settings import Settings
    from loadtest.drill.answers import Asker, Interruption, Subject
    from loadtest.drill.judge import Verdict
    from loadtest.drill.load import Plan

_SAMPLE = 120  # receipts to ask for: nobody may open many customers an hour
_ASKERS = ("rep.all", "rep.east", "rep.west")


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("drill")(drill)


def drill(
    seconds: Annotated[float, typer.Option(min=1, help="How long to ask.")] = 60.0,
    rate: Annotated[float, typer.Option(min=1, help="Questions a second.")] = 80.0,
    seed: Annotated[int, typer.Option(help="What the questions are chosen by.")] = 1,
    principal: Annotated[
        list[str] | None, typer.Option("--as", metavar="PRINCIPAL", help="Who asks; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask for receipts, histories and contexts while you break something; then judge every answer.

    Exit code: 0 if everything that was answered is on record exactly once and within the caller's regions, 1 if not.
    """
    from loadtest.drill.answers import History, interruption
    from loadtest.drill.judge import judge, read_events
    from loadtest.drill.load import Load
    from loadtest.drill.subjects import choose_subjects

    settings = load_settings()
    askers = _askers(settings, principal or list(_ASKERS))
    world = choose_subjects(settings, _SAMPLE, seed)
    history, day, began = History(), datetime.now(UTC).date(), time.monotonic()
    with Load(_plan(settings, askers, world.subjects, seed, rate), history):
        time.sleep(seconds)  # the drill is as long as it is asked to be
    answers = history.since(began)
    verdict = judge(answers, read_events(settings, day), world.store_regions)
    noticed = interruption(answers, began)
    if as_json:
        print_json({"noticed": asdict(noticed), **asdict(verdict)})
    else:
        sys.stdout.write(_tell(noticed, verdict))
    if verdict.breaches:
        raise typer.Exit(1)


def _askers(settings: Settings, names: list[str]) -> list[Asker]:
    from cluster.principals import list_principals
    from loadtest.drill.answers import Asker
    from receipts.errors import NotFound

    known = {one.principal_id: one for one in list_principals(settings)}
    if unknown := set(names) - known.keys():
        raise NotFound(f"There is no principal {min(unknown)}; `receipts principals list` shows all.")
    return [Asker(name, None if known[name].all_regions else frozenset(known[name].region_ids)) for name in names]


def _plan(settings: Settings, askers: list[Asker], subjects: Sequence[Subject], seed: int, rate: float) -> Plan:
    from cluster.api_client import access_token
    from cluster.health import reachable
    from loadtest.drill.load import Plan

    tokens = {one.principal_id: access_token(settings, one.principal_id) for one in askers}
    return Plan(reachable(settings.serve.host), settings.serve.port, askers, subjects, tokens, seed, rate)


def _tell(noticed: Interruption, verdict: Verdict) -> str:
    lines = [f"{count:>14}  {what}" for what, count in verdict.counts.items()]
    lines += [str(noticed), *(f"BROKEN: {breach}" for breach in verdict.breaches)]
    if not verdict.breaches:
        lines.append("Every answer is on record exactly once, and none left its caller's regions.")
    return "\n".join([*lines, ""])
