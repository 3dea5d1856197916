"""What runs in the background stands back behind what somebody waits for."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# In the environment before polars is imported. Work comes in pieces as small as a task or a micro-batch, for which two
# threads took a quarter more processor time than one, and tasks are as many as there are cores.
ONE_THREAD = {"POLARS_MAX_THREADS": "1"}
_AUTOGROUP = Path("/proc/self/autogroup")


def stand_back(niceness: int, *, alone: bool = False) -> None:
    """Lower the priority of this process to a niceness, and of its session where it leads one.

    With `alone`, it leaves the session of another. What is as low already, because it stood back before or was started
    so, stays as it is.

    Linux shares the processor out between sessions first and looks at niceness only within one (sched(7), "The
    autogroup feature"): a nice process that was started as a session of its own would still get as much as all
    processes of another one together. Kernels without the feature, and those where a control group decides, need
    no more than the niceness.
    """
    os.nice(max(0, niceness - os.nice(0)))
    if alone and os.getsid(0) != os.getpid():
        if os.getpgid(0) == os.getpid():  # who leads a group may not leave the session: first into the parent's
            os.setpgid(0, os.getpgid(os.getppid()))
        os.setsid()
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # the kernel has no such feature, or we may not use it
            _AUTOGROUP.write_text(str(niceness))
