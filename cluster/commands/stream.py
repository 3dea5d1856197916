"""The command that acts as a till."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from cluster.commands.output import print_json
from configs.settings import load_settings
from receipts.errors import InvalidInput

if TYPE_CHECKING:
    from ingest.metrics import TillMetrics
    from ingest.pos.point_of_sale import PointOfSale, State
    from ingest.pos.session import Access, Line
    from ingest.till import Sent

_LOOK_S = 0.5  # between two looks at the spool, for the progress shown and the metrics
_Table = Annotated[str, typer.Option(help="Or retail.crm.customers, retail.reference.stores.")]
_Authority = Annotated[Path | None, typer.Option(help="PEM of the authority the gateway's certificate is from.")]
_INTERRUPTED = 130  # exit status of a shell's Ctrl-C: 128 + SIGINT
_PROBLEM = 28  # characters: a terminal of 80 columns holds it all; the whole sentence comes at the end
_COLUMNS = ("{task.description}", "{task.fields[waiting]} waiting", "{task.fields[problem]}")


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(stream)


def stream(
    source: Annotated[str, typer.Argument(metavar="FILE", help="JSON lines; - for standard input.")] = "-",
    table: _Table = "retail.pos.receipts",
    target: Annotated[str | None, typer.Option(help="The gateway as host:port; by default the settings' own.")] = None,
    spool: Annotated[Path | None, typer.Option(help="A folder; by default state_dir/spool/TABLE.")] = None,
    no_spool: Annotated[bool, typer.Option("--no-spool", help="Keep nothing: FILE can be sent again.")] = False,
    patience: Annotated[float, typer.Option(min=0, help="Seconds without an ack, once all is read.")] = 30.0,
    ca: _Authority = None,
    client_id: Annotated[str | None, typer.Option(help="As `receipts tills add` made it.")] = None,
    client_secret_file: Annotated[Path | None, typer.Option(help="A file with the client's secret.")] = None,
    token_url: Annotated[str | None, typer.Option(help="Before /oidc/v1/token; else the gateway's host.")] = None,
    metrics_port: Annotated[int | None, typer.Option(min=1024, max=65535, help="Serve the spool's depth.")] = None,
    status: Annotated[bool, typer.Option("--status", help="Show what waits in the spool, and send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Act as a till: take JSON lines onto the disk as they come, and send them until all are acknowledged.

    What an earlier run left in the spool goes first. Ends with status 1 when nothing was acknowledged for the patience
    given, after the last line was read or with the spool full; the next run sends what waits. SIGTERM and Ctrl-C end
    it at once, likewise.
    """
    from ingest.pos.session import Line

    settings = load_settings()
    folder = spool or settings.state_dir / "spool" / table
    if status:
        _show_depth(folder, as_json)
        return
    ingest = settings.ingest
    address = target or f"{ingest.host}:{ingest.port}"
    login = _Login(client_id, client_secret_file, token_url, ingest.token_port)
    line = Line(address, table, _access(address, ca, login))
    with _open(source) as file:
        if no_spool:
            _print_counts(_send(file, line, patience), "", as_json)
            return
        run = _Run(line, folder, ingest.spool_bytes, patience, metrics_port)
        raise typer.Exit(_stream(file, run, as_json))


@dataclass(frozen=True, slots=True)
class _Login:
    client_id: str | None
    secret_file: Path | None
    token_url: str | None
    token_port: int


@dataclass(frozen=True, slots=True)
class _Run:
    """What a run with a spool needs to know."""

    line: Line
    folder: Path
    spool_bytes: int
    patience_s: float
    metrics_port: int | None


class _Ended(BaseException):
    """Somebody wants the command to end; like KeyboardInterrupt it is nobody else's to handle."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_status = _INTERRUPTED if number == signal.SIGINT else 0


def _stream(file: IO[bytes], run: _Run, as_json: bool) -> int:
    """Take lines and send them; return the exit status after saying how many were sent and where others wait."""
    from ingest.pos.lines import line_groups
    from ingest.pos.point_of_sale import PointOfSale

    till = PointOfSale(run.line, run.folder, spool_bytes=run.spool_bytes)
    try:
        with closing(till), _watching(till, run.metrics_port), _ended_by_signals():
            _take(line_groups(file), till, run.patience_s)
    except _Ended as ended:
        return ended.exit_status
    finally:
        state = till.state()
        where = f"; {state.waiting.records} wait in {run.folder}, and the next run sends them"
        _print_counts(_sent(state), where if state.waiting.records else "", as_json)
    return 0


def _sent(state: State) -> Sent:
    from ingest.till import Sent

    return Sent(state.acked + state.waiting.records, state.acked)


def _take(groups: Iterator[list[str]], till: PointOfSale, patience_s: float) -> None:
    try:
        for group in groups:
            till.put_patiently(*group, patience_s=patience_s)
    except InvalidInput:
        till.flush(patience_s)  # what came before the bad line is sent all the same
        raise
    till.flush(patience_s)


@contextmanager
def _ended_by_signals() -> Generator[None]:
    def end(number: int, _frame: object) -> None:
        raise _Ended(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _watching(till: PointOfSale, metrics_port: int | None) -> Generator[None]:
    """Show progress on standard error, and the metrics if a port is given, for the length of the block."""
    from ingest.metrics import TillMetrics
    from receipts.metrics_server import serving_metrics

    metrics, ended = TillMetrics(), threading.Event()
    with ExitStack() as stack:
        if metrics_port is not None:
            stack.enter_context(serving_metrics(metrics.registry, metrics_port))
        progress = stack.enter_context(_progress())
        task = progress.add_task("acknowledged", total=None, waiting=0, problem="")

        def watch() -> None:
            _show(till, metrics, progress, task)
            while not ended.wait(_LOOK_S):
                _show(till, metrics, progress, task)
            _show(till, metrics, progress, task)

        thread = threading.Thread(target=watch, name="till-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _show(till: PointOfSale, metrics: TillMetrics, progress: Progress, task: TaskID) -> None:
    state = till.state()
    waiting, sent = state.waiting, _sent(state)
    metrics.note_spool(records=waiting.records, size_bytes=waiting.bytes, oldest_s=waiting.oldest_s)
    progress.update(
        task, completed=sent.acked, total=sent.sent, waiting=waiting.records, problem=(state.problem or "")[:_PROBLEM]
    )


def _progress() -> Progress:
    description, *others = (TextColumn(column, markup=False) for column in _COLUMNS)
    columns = (SpinnerColumn(), description, MofNCompleteColumn(), TimeElapsedColumn(), *others)
    return Progress(*columns, console=Console(stderr=True))


def _send(file: IO[bytes], line: Line, patience_s: float) -> Sent:
    """Send lines from memory."""
    from ingest.pos.lines import line_groups
    from ingest.till import send

    records = (record for group in line_groups(file) for record in group)
    with _progress() as progress:
        task = progress.add_task("acknowledged", total=None, waiting=0, problem="")

        def on_progress(sent: Sent) -> None:
            progress.update(task, completed=sent.acked, total=sent.sent, waiting=sent.sent - sent.acked)

        return send(
            records, table=line.table, target=line.target, on_progress=on_progress, patience_s=patience_s,
            access=line.access,
        )  # fmt: skip


def _access(address: str, ca: Path | None, login: _Login) -> Access:
    """Return how to get in: by TLS when there is an authority to trust or the tokens come by TLS."""
    from ingest.pos.session import Access
    from ingest.pos.tokens import Tokens

    ca_pem = _read("--ca", ca) if ca else None
    tls = ca is not None or (login.token_url or "").startswith("https://")
    if login.client_id is None and login.secret_file is None:
        return Access(tls, ca_pem)
    if login.client_id is None or login.secret_file is None:
        raise InvalidInput("--client-id", "goes together with --client-secret-file")
    host = address.rpartition(":")[0].strip("[]")
    shown = f"[{host}]" if ":" in host else host
    url = login.token_url or f"{'https' if tls else 'http'}://{shown}:{login.token_port}"
    for to, is_private in ((host, tls), (urlsplit(url).hostname or url, url.startswith("https://"))):
        if not (is_private or _is_loopback(to)):
            raise InvalidInput("--ca", f"secrets do not travel to {to} in clear text; use it, and https for tokens")
    secret = _read("--client-secret-file", login.secret_file).decode().strip()
    return Access(tls, ca_pem, Tokens(url, login.client_id, secret, ca_pem))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(option, f"{path} cannot be read ({error.strerror})") from None


def _open(source: str) -> IO[bytes]:
    """Open a file or standard input without a buffer, so that a line is read as soon as it has come."""
    if source == "-":
        return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    if not Path(source).exists() or Path(source).is_dir():
        raise InvalidInput("FILE", f"{source} is not a file")
    try:
        return Path(source).open("rb", buffering=0)
    except OSError as error:
        raise InvalidInput("FILE", f"{source} cannot be read ({error.strerror})") from None


def _print_counts(sent: Sent, where: str, as_json: bool) -> None:
    if as_json:
        print_json({"sent": sent.sent, "acked": sent.acked})
    else:
        sys.stdout.write(f"{sent.sent} sent, {sent.acked} acknowledged{where}\n")


def _show_depth(folder: Path, as_json: bool) -> None:
    from ingest.pos.spool import read_depth

    depth = read_depth(folder)
    if as_json:
        print_json({"records": depth.records, "bytes": depth.bytes, "oldest_s": round(depth.oldest_s, 3)})
        return
    since = f", the oldest since {depth.oldest:%Y-%m-%d %H:%M:%S} UTC" if depth.oldest else ""
    sys.stdout.write(f"{depth.records} records ({depth.bytes} bytes) wait in {folder}{since}\n")
