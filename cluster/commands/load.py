"""Commands of the load family: the reps' journeys by Locust, on one machine or several."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from configs.settings import Settings
    from loadtest.figures import Figures
    from loadtest.locust_process import Ended, Load, Papers, Place

_load = typer.Typer(help="Press the API as a service centre does.")
_STARTED_PER_SECOND = 10.0  # sign-ins: more would be a load of another kind
_INTERRUPTED = 130  # what a shell gives a command that Ctrl-C ended

_Users = Annotated[int, typer.Option(min=1, max=20_000, help="Reps, each a person of their own.")]
_Duration = Annotated[str, typer.Option(help="How long after the ramp-up, as in 30s or 5m.")]
_RampUp = Annotated[str | None, typer.Option(help="In how long all start; by default ten a second.")]
_Think = Annotated[float, typer.Option(min=0.0, help="Scale of all pauses; 0 for none.")]
_Calls = Annotated[int, typer.Option(min=0, help="End earlier, when everybody has taken so many calls.")]
_Rate = Annotated[
    float | None, typer.Option(min=0.1, help="Instead of reps: lookups per second by a program that never waits.")
]
_Only = Annotated[
    list[str] | None, typer.Option(help="Of the journeys: lookup, customer, fuzzy, sentence, batch; repeatable.")
]
_Host = Annotated[str | None, typer.Option(help="Where the API is; by default the one of the settings.")]
_Kit = Annotated[Path | None, typer.Option(help="People and sample that `receipts load prepare` wrote.")]
_Samples = Annotated[int, typer.Option(min=1, max=200_000, help="Receipts to draw.")]
_Workers = Annotated[int, typer.Option(min=1, max=256, help="Processes that press, on this machine.")]
_Remote = Annotated[int, typer.Option(min=0, help="Wait for so many of `receipts load worker` instead.")]
_Listen = Annotated[str, typer.Option(help="Where those find this master; Locust itself asks for no password.")]
_Port = Annotated[int, typer.Option(min=1, max=65_535, help="Port of the master.")]
_Web = Annotated[
    int | None, typer.Option(min=1, max=65_535, help="Serve Locust's page at this port of loopback; Ctrl-C ends it.")
]
_FailP95 = Annotated[
    list[str] | None, typer.Option(help="ROUTE=MS: fail when p95 is longer; `all` for all; repeatable.")
]
_Html = Annotated[Path | None, typer.Option(help="Write Locust's report with its charts into this file.")]
_Csv = Annotated[Path | None, typer.Option(help="Write figures second by second, into files beginning so.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(_load, name="load")


@_load.callback(invoke_without_command=True)
def load(
    context: typer.Context,
    users: _Users = 20,
    duration: _Duration = "30s",
    ramp_up: _RampUp = None,
    think: _Think = 1.0,
    calls: _Calls = 0,
    rate: _Rate = None,
    only: _Only = None,
    host: _Host = None,
    kit: _Kit = None,
    samples: _Samples = 5_000,
    workers: _Workers = 1,
    remote_workers: _Remote = 0,
    listen: _Listen = "127.0.0.1",
    port: _Port = 5557,
    web: _Web = None,
    fail_p95: _FailP95 = None,
    html: _Html = None,
    csv: _Csv = None,
    as_json: _Json = False,
) -> None:
    """Press the API as reps do and show how it answered, by route; fails when a request failed or a bar was missed."""
    if context.invoked_subcommand is not None:
        return
    from configs.settings import load_settings
    from loadtest.figures import read_bars
    from loadtest.locust_process import Load, Papers, Place

    settings, bars = load_settings(), read_bars(fail_p95 or ())
    chosen = _journeys(only or [], rate)
    load_of = _ramp(Load(users, rate, 0.0, read_duration(duration), think, calls, chosen), ramp_up)
    papers = Papers(html.absolute() if html else None, csv.absolute() if csv else None)
    with _ended_politely(), tempfile.TemporaryDirectory(prefix="receipts-load-") as folder:
        at = (kit or Path(folder) / "kit.json").absolute()
        place = Place(host or settings.portal.api_url, at, workers, remote_workers, listen, port, web)
        with nullcontext() if kit else _borrowed_kit(settings, load_of, place, samples):
            ended = _press(load_of, place, papers, Path(folder))
    _report(load_of, place, ended, bars, as_json=as_json)


@_load.command()
def prepare(
    file: Annotated[Path, typer.Argument(help="Where to write the kit: people with secrets, and the sample.")],
    users: Annotated[int, typer.Option(min=1, max=50_000, help="People to enter.")] = 500,
    samples: _Samples = 5_000,
    hours: Annotated[int, typer.Option(min=1, max=168, help="When the secrets end by themselves.")] = 24,
    in_production: Annotated[
        bool, typer.Option("--in-production", help="Yes, these people may read real receipts.")
    ] = False,
) -> None:
    """Enter the people of a load test and draw a sample, for other machines; those of an earlier test get new secrets.

    It needs the administrator's connection to the database, and is put on record.
    """
    from cluster.credentials import write_private
    from cluster.load_people import PROGRAM, make_kit, only_load_test, require_consent
    from configs.settings import load_settings

    settings, said = load_settings(), _console()
    require_consent(settings, given=in_production)
    with only_load_test(settings):
        kit = make_kit(settings, users, samples, timedelta(hours=hours))
        write_private(file.absolute(), kit.model_dump_json().encode())
    said.print(
        f"{len(kit.people):,} people and {len(kit.sample.targets):,} receipts are in {file}, good until "
        f"{kit.expires_at:%Y-%m-%d %H:%M} UTC. Copy it to every worker, and afterwards: receipts load clean-up",
        soft_wrap=True,
    )
    if PROGRAM not in settings.limits.service_ids:
        said.print(
            f"[yellow]These settings count {PROGRAM} as a person. For --rate and batches start the replicas with it in "
            "RECEIPTS_LIMITS__SERVICES.[/yellow]",
            soft_wrap=True,
        )


@_load.command("clean-up")
def clean_up() -> None:
    """Take the secrets of all people of load tests back and end their sessions."""
    from cluster.load_people import only_load_test, revoke_people
    from configs.settings import load_settings

    settings = load_settings()
    with only_load_test(settings):
        count = revoke_people(settings)
    _console().print(f"{count:,} people of load tests are revoked.")


@_load.command()
def worker(
    master: Annotated[str, typer.Argument(help="Where `receipts load --remote-workers` runs.")],
    kit: Annotated[Path, typer.Option(help="The kit, the same file as the master's.")],
    processes: Annotated[int, typer.Option(min=1, max=256, help="How many: one for each core.")] = 1,
    port: _Port = 5557,
) -> None:
    """Press for a master on another machine, until it says that the run is over."""
    import subprocess

    from loadtest.kit import read_kit
    from loadtest.locust_process import worker_command

    read_kit(kit)  # says in a sentence what is wrong with it
    arguments = worker_command(master, port, kit.absolute(), processes)
    raise typer.Exit(subprocess.run(arguments, check=False).returncode)


@contextmanager
def _borrowed_kit(settings: Settings, load_of: Load, place: Place, samples: int) -> Generator[None]:
    """Enter people for this run only, on a platform for trying things out, and revoke them after it."""
    from cluster.errors import PlatformError
    from cluster.load_people import make_kit, only_load_test, revoke_people
    from configs.settings import EMBEDDED
    from loadtest.kit import people_needed

    if settings.environment != EMBEDDED or place.remote:
        raise PlatformError("Give the people with --kit FILE; `receipts load prepare FILE` enters them.")
    said = _console()
    with only_load_test(settings):
        try:
            with said.status("Entering people and drawing a sample of receipts"):
                lasts = timedelta(
                    seconds=load_of.duration_s + load_of.ramp_up_s, hours=1 if place.web_port is None else 24
                )
                made = make_kit(settings, people_needed(load_of.reps, place.workers), samples, lasts)
                place.kit.touch(mode=0o600)
                place.kit.write_text(made.model_dump_json())
            said.print(f"{len(made.people):,} people, {len(made.sample.targets):,} receipts to ask for.")
            yield
        finally:
            revoke_people(settings)


def _press(load_of: Load, place: Place, papers: Papers, scratch: Path) -> Ended:
    from loadtest import locust_process
    from loadtest.kit import check_size, read_kit

    if load_of.users().get("Rep"):
        check_size(read_kit(place.kit), load_of.reps, place.workers)
    said = _console()
    if place.web_port is not None:
        said.print(f"Locust's page: http://127.0.0.1:{place.web_port}; Ctrl-C ends the run.", soft_wrap=True)
    if place.remote:
        said.print(f"Waiting for {place.remote} workers at {place.listen}:{place.port}.", soft_wrap=True)
    what = f"{load_of.rate:,g} lookups/s" if load_of.rate else f"{load_of.reps:,} reps"
    with said.status(f"{what} against {place.host}: starting") as line:

        def tell(now: Mapping[str, Any]) -> None:
            line.update(
                f"{now['users']:,} users, {now['requests']:,} requests, {now['failures']:,} failed; now "
                f"{now['per_second']:,.0f}/s, p95 {now['p95_ms'] or 0:,.0f} ms; driver {now['cpu_percent']:.0f} %"
            )

        return locust_process.run(load_of, place, papers, scratch, tell)


def _report(load_of: Load, place: Place, ended: Ended, bars: Mapping[str, float], *, as_json: bool) -> None:
    from rich.console import Console

    from loadtest.figures import read_figures
    from loadtest.showing import show

    figures = read_figures(ended.entries, ended.words, rate=load_of.rate, ramp_up_s=load_of.ramp_up_s, bars=bars)
    if as_json:
        Console(soft_wrap=True).print_json(data=_as_json(load_of, place, ended, figures), indent=None)
    else:
        show(figures, Console())
    said = _console()
    if ended.interrupted and place.web_port is None:
        said.print("receipts: the run was ended early; these are its figures so far.")
        raise typer.Exit(_INTERRUPTED)
    if not figures.holds():
        missed = sum(not bar.holds for bar in figures.bars)
        said.print(f"receipts: {figures.failures:,} requests failed, {missed} bars were missed.")
        raise typer.Exit(1)


def _as_json(load_of: Load, place: Place, ended: Ended, figures: Figures) -> dict[str, object]:
    from loadtest.bench.report import machine

    return {
        "name": "load",
        "machine": machine(),
        "users": dict(load_of.users()),
        "think": load_of.think,
        "workers": place.workers,
        "interrupted": ended.interrupted,
        **figures.as_json(),
    }


def _journeys(only: list[str], rate: float | None) -> tuple[str, ...]:
    from loadtest.locust_process import JOURNEYS

    if unknown := set(only) - set(JOURNEYS):
        raise typer.BadParameter(f"{min(unknown)} is no journey; there are: {', '.join(JOURNEYS)}")
    if only and rate is not None:
        raise typer.BadParameter("--rate asks for lookups only; leave --only out")
    return tuple(only)


def _ramp(load_of: Load, ramp_up: str | None) -> Load:
    ramp_up_s = read_duration(ramp_up) if ramp_up else sum(load_of.users().values()) / _STARTED_PER_SECOND
    return replace(load_of, ramp_up_s=ramp_up_s)


def read_duration(text: str) -> int:
    """Return the seconds of 45, 45s, 10m or 1h."""
    number, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "s")
    if not (number.isdecimal() and int(number) > 0 and unit in "smh"):
        raise typer.BadParameter(f"{text} is no duration; expected a whole number with s, m or h, as in 30s or 5m")
    return int(number) * {"s": 1, "m": 60, "h": 3_600}[unit]


@contextmanager
def _ended_politely() -> Generator[None]:
    """Take a request to end as Ctrl-C: the report is written and the people are revoked."""

    def end(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)
