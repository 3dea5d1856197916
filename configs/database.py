"""Where Postgres is."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator

from configs.section import PREFIX, Section


class DatabaseSettings(Section):
    """Where Postgres is. Without a `dsn` an embedded PostgreSQL 18 runs under `state_dir`."""

    # A superuser or the database's owner, used by migrations only. Several hosts: whichever of them takes writes.
    dsn: SecretStr | None = None
    read_dsn: SecretStr | None = None  # its standbys, one or several hosts; the embedded server's are known without
    max_replica_lag_s: float = Field(default=5.0, ge=2)  # a standby further behind is not read; measured each second
    embedded_port: int = Field(default=54329, ge=1024, le=65535)
    role_passwords: dict[str, SecretStr] = Field(
        default_factory=dict
    )  # per process role; the embedded server's live in state_dir/secrets.json
    pool_size: int = Field(default=4, ge=1, le=100)
    statement_timeout_ms: int = Field(default=5_000, ge=100)

    @model_validator(mode="after")
    def _has_a_primary(self) -> Self:
        if self.read_dsn is not None and self.dsn is None:
            raise ValueError(
                f"{PREFIX}DATABASE__READ_DSN is set without {PREFIX}DATABASE__DSN; the standbys of the embedded "
                "server are made by `receipts replicas add` and need no setting."
            )
        return self
