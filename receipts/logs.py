"""How every process of ours logs: a line an event, in one form, without personal data.

No code logs what belongs to a person; in case some library does, lines are redacted, and of an exception its type and
place are written, never its text, which may quote anything.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType

import orjson
import psycopg

from configs.settings import EMBEDDED, Settings, SettingsError
from receipts.errors import ReceiptsError
from receipts.log_files import LogFile, output_file
from receipts.redaction import redacted
from receipts.tracing import current

REQUEST: ContextVar[str] = ContextVar("receipts_request_id", default="")  # the id of what is being answered
_log = logging.getLogger(__name__)
_FRAMES = 8
_QUIET = ("httpx", "httpcore", "asyncio", "urllib3", "gradio", "h11")  # they tell of every request, at INFO
# Errors whose texts are ours or the system's: they name a file, an address or a key of the settings.
_SPEAKABLE = (ReceiptsError, SettingsError, OSError, ImportError, psycopg.OperationalError)
# Classes of SQLSTATE that tell of connections, locks, resources and shutdowns. Those of data and keys quote values.
_OF_THE_SERVER = ("08", "25", "40", "53", "55", "57", "58")


def start_logs(settings: Settings, process: str, *, for_person: bool = False) -> None:
    """Let this process log to its standard error as `process`; `for_person` in words, whatever the settings say.

    Where that is a file of the platform, it is put aside when it has grown too large. What ends the process or one of
    its threads is logged too.
    """
    file = output_file(settings.logs, settings.state_dir.resolve() / "log")
    _install(settings, process, file, as_json=settings.logs.format == "json" and not for_person)
    sys.excepthook = _hear_end
    threading.excepthook = lambda died: _hear_end(died.exc_type, died.exc_value, died.exc_traceback)


def start_replica_logs(settings: Settings, process: str) -> None:
    """Let a process that Ray started log as `process`: on the embedded platform to `state_dir/log/replicas.log`.

    Elsewhere to its standard error, which Ray and what collects Ray's logs keep.
    """
    folder = settings.state_dir.resolve() / "log"
    file = LogFile(folder / "replicas.log", settings.logs) if settings.environment == EMBEDDED else None
    _install(settings, process, file, as_json=settings.logs.format == "json")


def described(error: BaseException) -> str:
    """Return what a log may say of an error: its type, and its text where that cannot quote anybody's data."""
    name = type(error).__name__
    if isinstance(error, psycopg.Error) and error.sqlstate:
        said = error.diag.message_primary if error.sqlstate[:2] in _OF_THE_SERVER else None
        return f"{name} ({error.sqlstate})" + (f": {redacted(said)}" if said else "")
    is_of_lake = any(kind.__name__ == "DeltaError" for kind in type(error).__mro__)  # Delta is not imported for that
    if is_of_lake or isinstance(error, _SPEAKABLE):
        return f"{name}: {redacted(str(error).strip())}"
    return name


def place_of(trace: TracebackType | None) -> str:
    """Return where an error came from: functions and lines, the innermost first."""
    frames = traceback.extract_tb(trace)[-_FRAMES:]
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))


class _Lines(logging.Handler):
    """Writes each event as one line."""

    def __init__(self, process: str, file: LogFile | None, *, as_json: bool) -> None:
        super().__init__()
        self._process = process
        self._file = file
        self._render = _as_json if as_json else _as_text

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._render(_told(record, self._process)) + b"\n"
            if self._file is not None:
                self._file.write(line)
            else:
                os.write(2, line)
        except Exception:  # noqa: BLE001 - a full disk must not fail what is logged about
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say nothing: logging itself would print the record with its arguments."""


def _install(settings: Settings, process: str, file: LogFile | None, *, as_json: bool) -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Lines)]:
        root.removeHandler(handler)
    root.addHandler(_Lines(process, file, as_json=as_json))
    root.setLevel(settings.log_level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)


def _told(record: logging.LogRecord, process: str) -> dict[str, object]:
    """Return what is written of an event; what is not known is left out."""
    span = current()
    told: dict[str, object] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname,
        "process": process,
        "pid": record.process,
        "logger": record.name,
        "message": redacted(record.getMessage()),
        "request_id": REQUEST.get(),
        "trace_id": "" if span is None else span.trace_id,
    }
    if record.exc_info and record.exc_info[1] is not None:
        told |= {"error": described(record.exc_info[1]), "at": place_of(record.exc_info[2])}
    return {name: value for name, value in told.items() if value != ""}


def _as_json(told: Mapping[str, object]) -> bytes:
    return orjson.dumps(told, default=str)


def _as_text(told: Mapping[str, object]) -> bytes:
    more = " ".join(f"{name}={told[name]}" for name in ("request_id", "trace_id", "error", "at") if name in told)
    line = f"{told['time']} {told['level']} {told['process']} {told['logger']}: {told['message']} {more}"
    return " ".join(line.split()).encode("utf-8", "backslashreplace")


def _hear_end(_kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Log what nobody caught."""
    if error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
        _log.critical("Ended by an error that nobody foresaw.", exc_info=(type(error), error, trace))
