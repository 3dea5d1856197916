"""Settings of every process: read once at the door, frozen, and handed on in sections."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

PREFIX = "RECEIPTS_"
ENVIRONMENT_KEY = "RECEIPTS_ENVIRONMENT"
CONFIG_FILE_KEY = "RECEIPTS_CONFIG_FILE"
_FILES = Path(__file__).parent / "environments"


class SettingsError(Exception):
    """A setting is wrong: one sentence that names the key, what it held and what is accepted."""


class Section(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(Section):
    """Where Postgres is. Without a `dsn` an embedded PostgreSQL 18 runs under `state_dir`."""

    dsn: SecretStr | None = None  # a superuser or the database's owner: used by migrations only
    embedded_port: int = Field(54329, ge=1024, le=65535)
    role_passwords: dict[str, SecretStr] = {}  # per process role; the embedded server's live in state_dir/secrets.json
    pool_size: int = Field(4, ge=1, le=100)
    statement_timeout_ms: int = Field(5_000, ge=100)


class LakeSettings(Section):
    """Where the Delta tables are: a folder or an object-store URL (s3://bucket/prefix)."""

    root: str = ""  # empty: state_dir/lake
    storage_options: dict[str, SecretStr] = {}


class IngestSettings(Section):
    """The gRPC gateway for tills and its drainer."""

    host: str = "127.0.0.1"
    port: int = Field(50061, ge=1024, le=65535)
    flush_ms: float = Field(2.0, ge=0, le=1_000)
    batch_records: int = Field(512, ge=1, le=10_000)
    max_record_bytes: int = Field(1_048_576, ge=1_024)
    max_unacked_records: int = Field(20_000, ge=1)  # per stream; beyond it the gateway stops reading
    drain_interval_s: float = Field(1.0, gt=0)
    drain_records: int = Field(20_000, ge=1)  # most records in one Bronze commit


class PipelineSettings(Section):
    """Ray Data jobs from Bronze to Gold and the sync back to Postgres."""

    interval_s: float = Field(5.0, gt=0)
    parallelism: int = Field(2, ge=1)


class ServeSettings(Section):
    """The HTTP front of Ray Serve."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1024, le=65535)
    min_replicas: int = Field(1, ge=1)
    max_replicas: int = Field(4, ge=1)
    max_body_bytes: int = Field(65_536, ge=1_024)


class AuthSettings(Section):
    """Whose tokens the API accepts."""

    issuer: str = "http://127.0.0.1:8000/auth"
    audience: str = "receipts-api"
    access_token_s: int = Field(3_600, ge=1, le=3_600)
    development_provider: bool = False  # the built-in identity provider: loopback only


class PortalSettings(Section):
    """The Gradio portal."""

    host: str = "127.0.0.1"
    port: int = Field(7860, ge=1024, le=65535)
    api_url: str = "http://127.0.0.1:8000"
    public_url: str = "http://127.0.0.1:7860"
    client_id: str = "receipts-portal"
    client_secret: SecretStr | None = None


class RaySettings(Section):
    """The Ray cluster: an address to join, or none to start one node here."""

    address: str | None = None
    port: int = Field(6399, ge=1024, le=65535)
    num_cpus: int = Field(0, ge=0)  # 0: as many as the machine has
    object_store_bytes: int = Field(512 * 1024 * 1024, ge=80 * 1024 * 1024)
    temp_dir: str = "/tmp/receipts-ray"  # short: Ray's sockets live below it and a socket path holds 107 bytes


class Settings(Section):
    """All sections. `environment` names the YAML file the defaults came from."""

    environment: str = "embedded"
    state_dir: Path = Path("var")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    database: DatabaseSettings = DatabaseSettings()
    lake: LakeSettings = LakeSettings()
    ingest: IngestSettings = IngestSettings()
    pipeline: PipelineSettings = PipelineSettings()
    serve: ServeSettings = ServeSettings()
    auth: AuthSettings = AuthSettings()
    portal: PortalSettings = PortalSettings()
    ray: RaySettings = RaySettings()

    @property
    def lake_root(self) -> str:
        """Return the URL or absolute folder that holds the Delta tables."""
        return self.lake.root or str((self.state_dir / "lake").resolve())


def load_settings(environ: dict[str, str] | None = None) -> Settings:
    """Read settings: the environment's YAML file, then `RECEIPTS_<SECTION>__<KEY>` variables on top.

    `RECEIPTS_ENVIRONMENT` names a file in `configs/environments/` (default `embedded`) and
    `RECEIPTS_CONFIG_FILE` a YAML file of your own. Raises SettingsError on an unknown key or a bad value.
    """
    env = dict(os.environ if environ is None else environ)
    name = env.pop(ENVIRONMENT_KEY, "embedded")
    own = env.pop(CONFIG_FILE_KEY, "")
    tree = _read_yaml(_FILES / f"{name}.yaml", name)
    if own:
        _merge(tree, _read_yaml(Path(own), own))
    for key, value in sorted(env.items()):
        if key.startswith(PREFIX):
            _put(tree, key, value)
    try:
        return Settings.model_validate({**tree, "environment": name})
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None


def _read_yaml(path: Path, name: str) -> dict[str, object]:
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in _FILES.glob("*.yaml")))
        raise SettingsError(f"{ENVIRONMENT_KEY}={name} has no settings file {path}; known environments: {known}.")
    loaded = yaml.safe_load(path.read_text()) or {}
    if not isinstance(loaded, dict):
        raise SettingsError(f"{path} must hold a mapping of settings sections.")
    return loaded


def _merge(tree: dict[str, object], other: dict[str, object]) -> None:
    for key, value in other.items():
        below = tree.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            _merge(below, value)
        else:
            tree[key] = value


def _put(tree: dict[str, object], key: str, value: str) -> None:
    """Set one value at its place; the whole path is checked by the model afterwards."""
    parts = key.removeprefix(PREFIX).lower().split("__")
    node = tree
    for part in parts[:-1]:
        below = node.setdefault(part, {})
        if not isinstance(below, dict):
            raise SettingsError(f"{key} reaches below {part}, which is a single value.")
        node = below
    node[parts[-1]] = yaml.safe_load(value) if value[:1] in "{[" else value


def _sentence(error: ValidationError) -> str:
    """Say what the first wrong key is, as the user would set it, without its value if that is secret."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = [str(part) for part in first["loc"]]
    key = PREFIX + "__".join(path).upper()
    more = f" ({error.error_count() - 1} more wrong)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"{key} is not a setting; known here: {', '.join(_known(path[:-1]))}{more}."
    return f"{key} is wrong: {first['msg']}{more}."


def _known(path: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return sorted(model.model_fields)
