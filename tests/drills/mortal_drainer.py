"""A drainer that kills itself: `mortal_drainer.py POINT N`, the n-th time that the drainer comes to the point."""

import itertools
import os
import signal
import sys
import threading

from configs.settings import load_settings
from ingest.drainer import drain_continuously


def main(point: str, count: int) -> None:
    times = itertools.count(1)

    def at(reached: str) -> None:
        if reached == point and next(times) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    drain_continuously(load_settings(), threading.Event(), at=at)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
