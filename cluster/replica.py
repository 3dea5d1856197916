"""One replica of a serving application: where Ray Serve meets an ordinary ASGI application."""

from __future__ import annotations

import importlib
from contextlib import ExitStack

from fastapi import FastAPI
from ray import serve
from ray.serve._private import constants  # what Serve made of its environment is told nowhere else
from starlette.types import ASGIApp

from cluster import entrance
from cluster.autoscaling import Load
from cluster.replica_metrics import telling
from cluster.serve_variables import require_in_effect
from configs.settings import load_settings
from receipts.logs import start_replica_logs
from serve_apps.short_way import Passage


@serve.ingress()
class Replica:
    """Builds its application from the settings it finds where it runs; no secret travels with the deployment."""

    def __init__(self, name: str, module: str, prefix: str) -> None:
        require_in_effect(vars(constants))
        settings = load_settings()
        start_replica_logs(settings, f"serve {prefix}")
        self._application: FastAPI = importlib.import_module(module).build_app(settings)
        self._load = Load()
        entrance.receive_for(self._application, prefix)
        self._telling = ExitStack()
        self._telling.enter_context(telling(settings, name, self._application))

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Return the application; Serve runs its lifespan in this replica's event loop."""
        return Passage(self._application)

    async def check_health(self) -> None:
        """Raise when the replica cannot do its work; Serve then replaces it."""
        await self._application.state.context.check_health()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Return how busy the replica is, by which Serve adds and removes replicas."""
        return await self._load.stats()
