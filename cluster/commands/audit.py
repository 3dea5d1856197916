"""Commands of the audit family: verify the trail, its keys, and let old months go."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.commands.output import print_json
from configs.settings import load_settings
from receipts.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Generator

    from data_jobs.trail.faults import Verdict
    from data_jobs.trail.verification import Scope, Step

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    audit = typer.Typer(help="The audit trail: prove that it is whole, its keys, its retention.", no_args_is_help=True)
    audit.command("verify")(verify_command)
    audit.command("keys")(keys)
    audit.command("rotate-key")(rotate_key)
    audit.command("retain")(retain)
    app.add_typer(audit, name="audit")


def verify_command(
    since: Annotated[str, typer.Option("--from", metavar="DATE", help="First day (UTC) of the events.")] = "",
    until: Annotated[str, typer.Option("--to", metavar="DATE", help="Last day (UTC) of the events.")] = "",
    anchors: Annotated[str, typer.Option(metavar="PLACE", help="Folder or URL of the anchors' second place.")] = "",
    key: Annotated[list[Path] | None, typer.Option(help="Trust this public key (PEM) and no other.")] = None,
    as_json: Json = False,
) -> None:
    """Verify the audit trail: every digest, chain, event, copy, anchor and signature.

    Exit code: 0 if all of it is as it was written, 1 if not; then the first row that is broken is named.
    """
    from data_jobs.trail.keys import trusted_keys
    from data_jobs.trail.place import place_of
    from data_jobs.trail.verification import Scope, verify

    settings = load_settings()
    scope = Scope(
        trusted_keys(settings, key or ()), place_of(settings, anchors), _day("--from", since), _day("--to", until)
    )
    verdict = _show(verify(settings, scope), quiet=as_json)
    if as_json:
        print_json(_plain(verdict, scope))
    else:
        sys.stdout.write(_tell(verdict))
    if verdict.broken is not None:
        raise typer.Exit(1)


def keys(as_json: Json = False) -> None:
    """Show the public keys that anchors are verified with, for whoever verifies them elsewhere."""
    from data_jobs.trail.keys import public_pem, signing_keys, trusted_keys

    settings = load_settings()
    signing = [key.key_id for key in signing_keys(settings)][-1:]
    known = {key_id: public_pem(key) for key_id, key in trusted_keys(settings).items()}
    if as_json:
        print_json([{"key_id": name, "signs": name in signing, "public_key": pem} for name, pem in known.items()])
        return
    for name, pem in known.items():
        sys.stdout.write(f"{name}{' (signs)' if name in signing else ''}\n{pem}")


def rotate_key() -> None:
    """Make another key for anchors; the one before signs one anchor more, which hands over to it."""
    from cluster.credentials import add_anchor_key
    from data_jobs.trail.keys import key_id_of, read_public

    settings = load_settings()
    if settings.audit.anchor_key is not None:
        raise InvalidInput(
            "RECEIPTS_AUDIT__ANCHOR_KEY",
            "the key is a setting: set RECEIPTS_AUDIT__ANCHOR_KEY_BEFORE to it and RECEIPTS_AUDIT__ANCHOR_KEY to the "
            "next one",
        )
    path = add_anchor_key(settings)
    sys.stdout.write(
        f"The key {key_id_of(read_public(path))} signs from the next anchor but one. Give its public half to those who "
        f"verify: {path}\n"
    )


def retain(as_json: Json = False) -> None:
    """Let months of the trail go that may, as every night."""
    from cluster.commands.progress import show_steps
    from data_jobs.trail.retention import retire
    from data_jobs.upkeep.nightly import utc_now
    from data_jobs.writer_lock import sole_writer

    settings = load_settings()
    with sole_writer(settings):
        steps = (step for step in retire(settings, utc_now().date()) if step is not None)
        done = show_steps(steps, quiet=as_json)
    if as_json:
        print_json({"done": [asdict(step) for step in done]})
    elif not done:
        sys.stdout.write("There was nothing to do.\n")


def _day(option: str, text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(option, f"{text} is no day such as 2026-11-29") from None


def _show(steps: Generator[Step, None, Verdict], *, quiet: bool) -> Verdict:
    """Verify with a bar for each stage on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
        while True:
            try:
                step = next(steps)
            except StopIteration as ended:
                return ended.value
            if step.stage not in bars:
                bars[step.stage] = progress.add_task(step.stage, total=step.total or None)
            progress.advance(bars[step.stage], step.done)


def _plain(verdict: Verdict, scope: Scope) -> dict[str, Any]:
    broken = verdict.broken
    told = {name: value for name, value in asdict(verdict).items() if name != "broken"}
    where = None
    if broken is not None:
        where = {"what": str(broken)} | {
            name: getattr(broken, name) for name in ("chain", "seq", "event_id", "anchor") if getattr(broken, name)
        }
    place = None if scope.place is None else scope.place.root
    return {"whole": broken is None, "broken": where, "anchors_at": place, **told}


def _tell(verdict: Verdict) -> str:
    counts = {
        "anchors": verdict.anchors,
        "chains": verdict.chains,
        "groups": verdict.groups,
        "events": verdict.events,
        "groups not copied to the lake yet": verdict.not_copied_groups,
    }
    lines = [f"{count:>14,}  {what}" for what, count in counts.items()]
    if verdict.retired:
        lines.append(f"Gone by retention, on record: {', '.join(verdict.retired)}")
    if verdict.anchored_at is not None:
        lines.append(f"Anchored up to position {verdict.anchored_position:,}, at {verdict.anchored_at.isoformat()}")
    lines += [f"Not proven: {note}" for note in verdict.notes]
    broken = verdict.broken
    lines.append(f"BROKEN: {broken}" if broken is not None else "The audit trail is as it was written.")
    return "\n".join(lines) + "\n"
