"""The serving applications: what each is called, where it is mounted, and which module makes it."""

from __future__ import annotations

from dataclasses import dataclass

from configs.settings import Settings
from serve_apps.provider import require_loopback


@dataclass(frozen=True, slots=True)
class Capability:
    """One application. Its module's `build_app(settings)` makes it."""

    name: str
    prefix: str
    module: str


SIGN_IN = Capability("auth", "/auth", "serve_apps.provider")
CAPABILITIES = (
    Capability("lookup", "/receipt", "serve_apps.lookup"),
    Capability("deliver", "/receipt/deliver", "serve_apps.deliver"),
    Capability("customers", "/customers", "serve_apps.history"),
    Capability("context", "/cs", "serve_apps.context"),
    Capability("fuzzy", "/search/fuzzy", "serve_apps.fuzzy"),
    Capability("semantic", "/search", "serve_apps.semantic"),
    Capability("fraud", "/fraud", "serve_apps.fraud"),
    Capability("audit", "/audit", "serve_apps.audit_log"),
    Capability("export", "/export", "serve_apps.export"),
    Capability("compliance", "/compliance", "serve_apps.compliance"),
    Capability("admin", "/admin", "serve_apps.admin"),
)


def capabilities_of(settings: Settings) -> tuple[Capability, ...]:
    """Return what is served here. Raises SettingsError when the development sign-in is on where it may not be."""
    if settings.auth.development_provider:
        require_loopback(settings)
    return (SIGN_IN, *CAPABILITIES)
