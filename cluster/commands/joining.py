"""How a command gets at the Ray cluster."""

from __future__ import annotations

import os
from pathlib import Path

from cluster.errors import PlatformError
from cluster.ray_node import address, is_running, node_environment
from configs.settings import CONFIG_FILE_KEY, Settings


def ray_address(settings: Settings) -> str:
    """Return where to join the cluster; call it before the first `import ray`, which reads what this sets.

    Raises PlatformError when nobody answers there: Ray itself would wait for minutes.
    """
    if not is_running(settings):
        raise PlatformError(f"No Ray node answers at {address(settings)}; start one with `receipts up --only ray`.")
    os.environ.update(node_environment(settings))
    return address(settings)


def config_file() -> Path | None:
    """Return the settings file that this command was given, for processes elsewhere that need the same."""
    own = os.environ.get(CONFIG_FILE_KEY)
    return Path(own) if own else None
