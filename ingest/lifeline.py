"""What ties a gateway to the fleet that started it: one socket, on which it says that it serves and hears its end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

READY = b"R"


class Lifeline:
    """A gateway's end of the socket it inherited as the file descriptor `fd`."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.settimeout(0)

    def tell_ready(self) -> None:
        """Tell the fleet that this gateway serves."""
        with contextlib.suppress(OSError):  # the fleet is gone, which `watch` hears too
            self._socket.send(READY)

    def watch(self, stop: Callable[[], None]) -> None:
        """Call `stop` in the running loop once the fleet has ended, however it ended: nobody would look after us."""
        loop = asyncio.get_running_loop()

        def heard() -> None:
            with contextlib.suppress(BlockingIOError):
                if not self._socket.recv(1):
                    loop.remove_reader(self._socket)
                    stop()

        loop.add_reader(self._socket, heard)
