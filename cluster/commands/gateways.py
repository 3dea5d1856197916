"""Commands for fleets of gateways: run this node's, replace them one by one, put them on a Ray cluster."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from cluster.commands.joining import config_file, ray_address
from cluster.commands.output import print_json
from cluster.errors import PlatformError
from cluster.processes import find_process
from configs.settings import load_settings
from receipts.logs import start_logs

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_HERE = "this node"


def add_to(ingest: typer.Typer) -> None:
    """Add these commands to `receipts ingest`."""
    for command in (gateways, restart, deploy, undeploy):
        ingest.command()(command)


def gateways() -> None:
    """Run this node's gateways (ingest.gateways of them, one port) until SIGTERM; SIGHUP replaces them one by one."""
    from cluster.gateways import run_fleet

    settings = load_settings()
    start_logs(settings, "gateways")
    run_fleet(settings)


def restart(
    on_ray: Annotated[bool, typer.Option("--ray", help="Those of all nodes of the Ray cluster.")] = False,
    as_json: _Json = False,
) -> None:
    """Replace the gateways one by one, so that tills always find one; returns when all are new."""
    settings = load_settings()
    if on_ray:
        address = ray_address(settings)
        from cluster.gateway_actors import roll

        _show(roll(address), as_json=as_json)
        return
    from cluster.fleet_files import roll_here
    from cluster.gateways import NAME

    process = find_process(settings, "gateway")
    if process is None:
        raise PlatformError("No gateways run here; start them with `receipts up`.")
    _show({_HERE: roll_here(settings, NAME, process.pid)}, as_json=as_json)


def deploy(as_json: _Json = False) -> None:
    """Put gateways on every node of the Ray cluster, one actor a node; repeat it when nodes have joined."""
    settings = load_settings()
    address = ray_address(settings)
    from cluster.gateway_actors import deploy as deploy_fleets

    _show(deploy_fleets(settings, address, config_file()), as_json=as_json)


def undeploy() -> None:
    """Let the gateways of all nodes of the Ray cluster finish, and end them."""
    address = ray_address(load_settings())
    from cluster.gateway_actors import undeploy as undeploy_fleets

    sys.stdout.write(f"{undeploy_fleets(address)} nodes have no gateways any more\n")


def _show(fleets: dict[str, dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(fleets)
        return
    for node, told in fleets.items():
        members = ", ".join(f"{one['state']} (process {one['pid']})" for one in told["gateways"])
        sys.stdout.write(f"{node}: {members}\n")
