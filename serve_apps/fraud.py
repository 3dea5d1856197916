"""The fraud desk: what staff flag and review, and the patterns that the pipeline finds."""

from __future__ import annotations

from fastapi import FastAPI

from configs.settings import Settings
from serve_apps import fraud_flags, fraud_patterns
from serve_apps.api import build_api
from serve_apps.serving import serving_context


def build_app(settings: Settings) -> FastAPI:
    """Return the fraud desk's application."""
    context = serving_context(settings, application="fraud")
    routers = [fraud_flags.router, fraud_patterns.router]
    return build_api("Fraud desk", context, routers, purpose="fraud_prevention")
