"""The failures of running the platform, each a sentence an operator can act on."""

from __future__ import annotations

from receipts.errors import ReceiptsError


class PlatformError(ReceiptsError):
    """A part of the platform could not be started, stopped or prepared."""
