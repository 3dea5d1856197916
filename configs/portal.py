"""How the portal is reached, and by how many processes it answers."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator

from configs.section import PREFIX, Section


class PortalSettings(Section):
    """The Gradio portal."""

    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=1024, le=65535)
    processes: int = Field(default=1, ge=1, le=64)  # of a node; several stand behind HAProxy, each with one event loop
    process_port: int = Field(
        default=7870, ge=1024, le=65_400
    )  # on loopback, of the first; a roll takes more than those
    max_body_bytes: int = Field(default=65_536, ge=1_024)
    api_url: str = "http://127.0.0.1:8000"
    public_url: str = "http://127.0.0.1:7860"
    client_id: str = "receipts-portal"
    client_secret: SecretStr | None = None

    @model_validator(mode="after")
    def _has_ports(self) -> Self:
        """Refuse ports of processes that are also the one that people come to."""
        if self.processes > 1 and self.process_port <= self.port < self.process_port + self.slots:
            last = self.process_port + self.slots - 1
            raise ValueError(
                f"{PREFIX}PORTAL__PROCESS_PORT={self.process_port} is wrong: {self.processes} processes take ports up "
                f"to {last}, and {self.port} is the portal's own."
            )
        return self

    @property
    def slots(self) -> int:
        """Return how many processes there are at most, new ones and those that still finish, each with its port."""
        return 2 * self.processes + 1

    @property
    def is_https(self) -> bool:
        """Say whether people come by https."""
        return self.public_url.startswith("https://")
