"""The fraud desk: what staff flag and review."""

from __future__ import annotations

from fastapi import FastAPI

from configs.settings import Settings
from serve_apps import fraud_flags
from serve_apps.api import build_api
from serve_apps.serving import serving_context


def build_app(settings: Settings) -> FastAPI:
    """Return the fraud desk's application."""
    context = serving_context(settings, application="fraud")
    return build_api("Fraud desk", context, [fraud_flags.router], purpose="fraud_prevention")
