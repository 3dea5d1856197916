"""A log file that several processes append to and that never grows without bound."""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from configs.logs import LogSettings

_MODE = 0o640


def put_aside(path: Path, settings: LogSettings) -> None:
    """Rename a file that has grown too large, as the first of those that are kept; the oldest goes."""
    if not path.is_file() or path.stat().st_size <= settings.most_bytes:
        return
    names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, settings.kept + 1))]
    for newer, older in reversed(list(itertools.pairwise(names))):
        if newer.is_file():
            newer.replace(older)


class LogFile:
    """A file and the descriptors of this process that lead into it: its standard output, or one of its own.

    Whoever finds it too large puts it aside; the others see that the name is another file and follow. So nobody has to
    be told, and what libraries print goes the same way.
    """

    def __init__(self, path: Path, settings: LogSettings, outputs: Sequence[int] = ()) -> None:
        """Take descriptors that are open on the file, or open it."""
        self._path = path
        self._settings = settings
        path.parent.mkdir(parents=True, exist_ok=True)
        self._outputs = list(outputs) or [self._open()]

    def write(self, line: bytes) -> None:
        """Append a line."""
        self._follow()
        os.write(self._outputs[0], line)

    def _follow(self) -> None:
        ours = os.fstat(self._outputs[0])
        try:
            named = self._path.stat().st_ino
        except FileNotFoundError:
            named = 0
        if named == ours.st_ino and ours.st_size <= self._settings.most_bytes:
            return
        place = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(place, fcntl.LOCK_EX)  # one process puts it aside, and the next one finds it small
            put_aside(self._path, self._settings)
            opened = self._open()
        finally:
            os.close(place)
        for output in self._outputs:
            os.dup2(opened, output)
        os.close(opened)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _MODE)


def output_file(settings: LogSettings, folder: Path) -> LogFile | None:
    """Return the file of a folder that this process' standard error leads into; None where it leads elsewhere."""
    try:
        path = Path("/proc/self/fd/2").readlink()
        if path.parent != folder or not os.path.samestat(path.stat(), os.fstat(2)):
            return None
        outputs = [number for number in (2, 1) if os.path.samestat(os.fstat(number), os.fstat(2))]
    except OSError:
        return None
    return LogFile(path, settings, outputs)
