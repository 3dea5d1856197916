"""A process in the background gives way, also to those of other sessions."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, pathlib
from data_jobs.priority import stand_back
stand_back(7, alone={alone})
stand_back(7)
group = pathlib.Path("/proc/self/autogroup")
print(os.nice(0), *(group.read_text().split() if group.exists() else [])[-1:])
"""


def _standing_back(*, own_session: bool, alone: bool = False) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(alone=alone)],
        start_new_session=own_session,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def _of_this_session() -> list[str]:
    """Return the session's niceness; nothing where the kernel has no such feature, or in the first session of all."""
    group = Path("/proc/self/autogroup")
    return group.read_text().split()[-1:] if group.exists() else []


def test_a_session_of_its_own_stands_back_as_a_whole() -> None:
    niceness, *of_session = _standing_back(own_session=True)
    assert niceness == str(max(7, os.nice(0)))
    assert of_session == ["7"] * Path("/proc/self/autogroup").exists()


def test_the_session_of_a_terminal_keeps_its_share() -> None:
    niceness, *of_session = _standing_back(own_session=False)
    assert niceness == str(max(7, os.nice(0)))
    assert of_session == _of_this_session()


def test_a_process_in_a_session_with_others_leaves_it_to_stand_back_alone() -> None:
    niceness, *of_session = _standing_back(own_session=False, alone=True)
    assert niceness == str(max(7, os.nice(0)))
    assert of_session == ["7"] * Path("/proc/self/autogroup").exists()
