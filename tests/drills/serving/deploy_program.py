"""Puts the drills' applications on another Ray cluster than the run's, whose settings are this process' own."""

import os
import sys

from cluster.ray_node import address, node_environment
from configs.settings import load_settings

settings = load_settings()
os.environ.update(node_environment(settings))  # before Ray is first imported

from cluster.deploy import deploy  # noqa: E402 - it imports Ray
from serve_apps.capabilities import CAPABILITIES  # noqa: E402 - as above

deploy(settings, address(settings), capabilities=[one for one in CAPABILITIES if one.name in sys.argv[1:]])
