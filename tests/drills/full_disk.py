"""A disk that is full: a small volume under Bronze with ballast on it, or a limit on what processes write."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BYTES = 64 * 2**20  # of a volume under Bronze: memory, once it is full
_BLOCK = b"\0" * 4_096  # a page, the least that a tmpfs gives
_MOST_BYTES = 1_024  # less than a commit to Bronze takes
_NOSUID, _NODEV = 2, 4  # of mount(2)
_DETACH = 2  # of umount2(2): out of the tree at once, whoever still has a file open
_FORBIDDEN = {errno.EPERM, errno.EACCES, errno.ENODEV, errno.ENOSYS}  # no right to mount, or no tmpfs


def mount(folder: Path, size_bytes: int = _BYTES) -> bool:
    """Put an empty volume where a folder is, and say whether this process may."""
    options = f"size={size_bytes},mode=0755".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(_NOSUID | _NODEV), options) == 0:
        return True
    assert ctypes.get_errno() in _FORBIDDEN, os.strerror(ctypes.get_errno())
    return False


def unmount(folder: Path) -> None:
    done = ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(folder), _DETACH)
    assert done == 0, os.strerror(ctypes.get_errno())


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Fill a volume to its last block, and give the space back in the end."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(_BLOCK)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    yield
    ballast.unlink()


@contextmanager
def limited(*pids: int) -> Iterator[None]:
    """Let no file that the processes write grow beyond a few bytes: writes end half-way."""
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_MOST_BYTES, resource.RLIM_INFINITY))
    yield
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
