"""The portal by several processes of a node behind one address: replaced when they die, and rolled one by one."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cluster.fleet import Fleet, Kind, run_together
from cluster.fleet_files import fleet_file, heed_signals
from cluster.portal_front import Switch
from configs.settings import Settings

NAME = "portal-processes"  # of a node's fleet
_FRONT = "portal-front"


def run_fleet(settings: Settings) -> None:
    """Run `portal.processes` and HAProxy before them until SIGTERM or SIGINT; SIGHUP replaces the processes.

    HAProxy ends first: no request then meets a process that is gone. Raises PlatformError when one cannot start.
    """
    front, processes = portal_fleets(settings)
    run_together((front, processes), heed_signals(processes.roll))


def portal_fleets(settings: Settings) -> tuple[Fleet, Fleet]:
    """Return HAProxy and the processes, not yet running."""
    switch = Switch(settings)
    front = Kind("front of the portal", _FRONT, front_command, slots=1, lead=lambda _: switch.repeat())
    process = Kind("process of the portal", NAME, process_command, settings.portal.slots, lead=switch.lead)
    return (
        Fleet(1, front, fleet_file(settings, _FRONT)),
        Fleet(settings.portal.processes, process, fleet_file(settings, NAME)),
    )


def front_command(_slot: int, lifeline: int) -> Sequence[str]:
    """Return how the front is started."""
    return (sys.executable, "-m", "cluster.commands", "portal", "front", "--lifeline", str(lifeline))


def process_command(slot: int, lifeline: int) -> Sequence[str]:
    """Return how a process of the fleet is started."""
    options = ("--slot", str(slot), "--lifeline", str(lifeline))
    return (sys.executable, "-m", "cluster.commands", "portal", "process", *options)
