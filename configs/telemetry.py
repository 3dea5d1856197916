"""Where traces go, and how many."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from configs.section import PREFIX, Section

_URL = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*)?")
_CLIENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _check_endpoint(value: str) -> str:
    if value and not _URL.fullmatch(value):
        raise ValueError("expected the base URL of an OTLP/HTTP receiver, such as http://127.0.0.1:4318")
    return value.rstrip("/")


def _check_clients(value: str) -> str:
    if value and not all(_CLIENT.fullmatch(name) for name in value.split(",")):
        raise ValueError("expected clients separated by commas, such as crm,till-367")
    return value


class TelemetrySettings(Section):
    """Tracing by OpenTelemetry: off until there is an endpoint. See docs/tracing.md."""

    endpoint: Annotated[str, AfterValidator(_check_endpoint)] = ""  # OTLP over HTTP; spans go to <endpoint>/v1/traces
    headers: dict[str, SecretStr] = Field(default_factory=dict)  # what the receiver wants, such as its API key
    certificate: Path | None = None  # PEM of the authority that signed the receiver's certificate; else the system's
    share: float = Field(default=0.01, ge=0, le=1)  # of the traces that begin here
    job_share: float = Field(default=1.0, ge=0, le=1)  # of batches, syncs and drained windows: there are few
    trusted_clients: Annotated[str, AfterValidator(_check_clients)] = ""  # beside the portal, whose traces go on here
    interval_s: float = Field(default=5.0, gt=0, le=60)  # how long finished spans are gathered
    timeout_s: float = Field(default=5.0, gt=0, le=60)  # a receiver that takes longer loses the batch
    most_waiting: int = Field(default=4_096, ge=512, le=65_536)  # spans a process keeps; those beyond it are dropped

    @model_validator(mode="after")
    def _keeps_its_secrets(self) -> Self:
        """Refuse to send a receiver's key where anyone on the way reads it."""
        url = urlsplit(self.endpoint)
        if self.headers and url.scheme == "http" and url.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise ValueError(f"{PREFIX}TELEMETRY__HEADERS would go in the clear: use an https:// endpoint.")
        return self
