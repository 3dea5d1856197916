"""The administrators' application: how the platform is, and the quarantine desk."""

from __future__ import annotations

from fastapi import FastAPI

from configs.settings import Settings
from serve_apps import platform_status, quarantine
from serve_apps.api import build_api
from serve_apps.serving import serving_context


def build_app(settings: Settings) -> FastAPI:
    """Return the administrators' application."""
    routers = [platform_status.router, quarantine.router]
    return build_api("Administration", serving_context(settings, application="admin"), routers, purpose="operations")
