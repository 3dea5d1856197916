"""A mailer that kills itself: `mortal_mailer.py POINT`, when it first comes to the point."""

import asyncio
import os
import signal
import sys

from configs.settings import load_settings
from serve_apps.mailing.mailer import Mailer
from serve_apps.mailing.metrics import Metrics
from serve_apps.mailing.outlets import outlet_of


def main(point: str) -> None:
    def at(reached: str) -> None:
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = load_settings()
    outlet = outlet_of(settings)
    assert outlet is not None
    asyncio.run(Mailer(settings, outlet, Metrics(), at).run(asyncio.Event()))


if __name__ == "__main__":
    main(sys.argv[1])
