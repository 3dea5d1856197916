"""Commands of the imports family: files of other systems, each content imported exactly once.

`receipts import poslog|csv|parquet` ends with status 0 when every record is in, 1 when a file could not be imported to
its end, and 3 when all files were but some records were refused.
"""

from __future__ import annotations

import asyncio
import glob
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cluster.commands.output import print_json
from cluster.commands.sources import complete_journey
from configs.settings import Settings, load_settings
from receipts.errors import InvalidInput, ReceiptsError

if TYPE_CHECKING:
    from ingest.import_reports import Report
    from ingest.importing import FileSource

_WITH_REFUSALS = 3  # exit status: imported, but not all of it
_import = typer.Typer(help="Bring receipts in from elsewhere.", no_args_is_help=True)

_Files = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Files, folders or patterns such as 'logs/*.xml'.")
]
_Mapping = Annotated[Path, typer.Option(help="YAML: which column is which field; see configs/imports/.")]
_Zone = Annotated[
    str, typer.Option(help="Time zone of local times of stores that are not known, such as Europe/Paris.")
]
_Dry = Annotated[bool, typer.Option("--dry-run", help="Read, validate and report; keep nothing.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(_import, name="import")


_import.command("complete-journey")(complete_journey)


@_import.command()
def poslog(
    files: _Files,
    currency: Annotated[str, typer.Option(help="Of transactions that do not name theirs.")] = "USD",
    time_zone: _Zone = "",
    dry_run: _Dry = False,
    as_json: _Json = False,
) -> None:
    """Import ARTS POSLog XML; repeating it, also after a kill, changes nothing. Status 3: some records were refused."""
    from ingest.adapters.poslog import read_poslog
    from ingest.importing import FileSource

    zone = _zone(time_zone)
    sources = [
        FileSource(path, "poslog", lambda zone_of, path=path: read_poslog(path, zone_of, currency), zone)
        for path in _paths(files, ".xml")
    ]
    _run(sources, dry_run=dry_run, as_json=as_json)


@_import.command()
def csv(files: _Files, mapping: _Mapping, dry_run: _Dry = False, as_json: _Json = False) -> None:
    """Import CSV with a row per line item, by a mapping of its columns. Status 3: some records were refused."""
    from ingest.adapters.mapping import load_mapping
    from ingest.adapters.tabular import read_csv
    from ingest.importing import FileSource

    columns = load_mapping(mapping)
    sources = [
        FileSource(path, "csv", lambda zone_of, path=path: read_csv(path, columns, zone_of))
        for path in _paths(files, ".csv")
    ]
    _run(sources, dry_run=dry_run, as_json=as_json)


@_import.command()
def parquet(files: _Files, mapping: _Mapping, dry_run: _Dry = False, as_json: _Json = False) -> None:
    """Import Parquet with a row per line item, by a mapping of its columns. Status 3: some records were refused."""
    from ingest.adapters.mapping import load_mapping
    from ingest.adapters.tabular import read_parquet
    from ingest.importing import FileSource

    columns = load_mapping(mapping)
    sources = [
        FileSource(path, "parquet", lambda zone_of, path=path: read_parquet(path, columns, zone_of))
        for path in _paths(files, ".parquet")
    ]
    _run(sources, dry_run=dry_run, as_json=as_json)


@_import.command("list")
def list_imports(limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50, as_json: _Json = False) -> None:
    """Show the newest imports and what became of their records."""
    from ingest.import_reports import list_reports

    reports = list_reports(load_settings(), limit)
    if as_json:
        print_json([asdict(report) for report in reports])
    else:
        Console().print(_table(reports))


@_import.command()
def show(
    digest: Annotated[str, typer.Argument(help="The first digits of the content's SHA-256, as list prints them.")],
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most refused and skipped records.")] = 50,
    as_json: _Json = False,
) -> None:
    """Show one import: its counts, and which records became no receipt and why."""
    from ingest.import_reports import show_report

    report, notes = show_report(load_settings(), digest, limit)
    if as_json:
        print_json({**asdict(report), "notes": [asdict(note) for note in notes]})
        return
    _tell([report])
    table = Table("record", "line or row", "what", "why")
    for note in notes:
        what = "skipped" if note.skipped else "refused"
        table.add_row(str(note.record), str(note.position), what, escape(note.reason))
    Console().print(table)


def _run(sources: Sequence[FileSource], *, dry_run: bool, as_json: bool) -> None:
    """Import files in turn; a file that fails does not keep the others from being imported."""
    settings = load_settings()
    reports: list[Report] = []
    failures: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for source in sources:
            try:
                reports.append(_import_one(settings, source, progress, dry_run=dry_run))
            except (ReceiptsError, OSError) as error:
                failures.append(f"{source.path}: {error}")
    failures += [f"{report.file_name}: {report.broken}" for report in reports if report.broken]
    if as_json:
        print_json({"dry_run": dry_run, "files": [asdict(report) for report in reports], "failures": failures})
    else:
        _tell(reports, dry_run=dry_run)
    sys.stderr.writelines(f"receipts: {failure}\n" for failure in failures)
    if failures:
        raise typer.Exit(1)
    if any(report.refused for report in reports):
        raise typer.Exit(_WITH_REFUSALS)


def _import_one(settings: Settings, source: FileSource, progress: Progress, *, dry_run: bool) -> Report:
    from ingest.importing import import_file

    task = progress.add_task(escape(source.path.name), total=source.path.stat().st_size)

    def on_progress(done_bytes: int, report: Report) -> None:
        counts = f"{report.records:,} read, {report.refused:,} refused"
        progress.update(task, completed=done_bytes, description=f"{escape(source.path.name)}: {counts}")

    return asyncio.run(import_file(settings, source, dry_run=dry_run, on_progress=on_progress))


def _tell(reports: Sequence[Report], *, dry_run: bool = False) -> None:
    console = Console()
    console.print(_table(reports, unfinished="not kept" if dry_run else "unfinished"))
    for report in reports:
        for reason, count in sorted(report.reasons.items(), key=lambda item: -item[1])[:20]:
            console.print(f"{escape(report.file_name)}: {count:,} {escape(reason)}", highlight=False)


def _table(reports: Sequence[Report], unfinished: str = "unfinished") -> Table:
    table = Table("digest", "file", "format", "state", "records", "new", "known", "refused", "skipped")
    for report in reports:
        state = "broken" if report.broken else "finished" if report.finished_at else unfinished
        counts = (report.records, report.new, report.known, report.refused, report.skipped)
        name = escape(report.file_name)
        table.add_row(report.content_digest[:12], name, report.format, state, *(f"{count:,}" for count in counts))
    return table


def _paths(given: Sequence[str], suffix: str) -> list[Path]:
    """Return the files that are meant, sorted within each argument. Raises InvalidInput when one means none."""
    found: list[Path] = []
    for text in given:
        path = Path(text)
        if path.is_dir():
            here = sorted(one for one in path.iterdir() if one.is_file() and one.suffix.lower() == suffix)
        else:
            fitting = map(Path, glob.glob(text))  # noqa: PTH207  a Path does not glob an absolute pattern
            here = [path] if path.is_file() else sorted(one for one in fitting if one.is_file())
        if not here:
            raise InvalidInput("FILE", f"{text} is no file, no folder with {suffix} files and fits no file")
        found += here
    return list(dict.fromkeys(found))


def _zone(text: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(text) if text else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput("time-zone", f"{text} is not an IANA time zone such as America/New_York") from None
