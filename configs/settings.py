"""Settings of every process: read once at the door, frozen, and handed on in sections."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationError, model_validator

from configs.audit import AuditSettings
from configs.auth import AuthSettings
from configs.database import DatabaseSettings
from configs.language_model import ReadingSettings, SummarySettings
from configs.limits import LimitSettings
from configs.lineage import LineageSettings
from configs.logs import LogSettings
from configs.mail import MailSettings
from configs.monitor import MonitorSettings
from configs.nightly import NightlySettings
from configs.pipeline import PipelineSettings
from configs.portal import PortalSettings
from configs.privacy import PrivacySettings
from configs.section import PREFIX, Section
from configs.telemetry import TelemetrySettings

EMBEDDED = "embedded"  # the environment that needs nothing but this machine
ENVIRONMENT_KEY = "RECEIPTS_ENVIRONMENT"
CONFIG_FILE_KEY = "RECEIPTS_CONFIG_FILE"
_FILES = Path(__file__).parent / "environments"


class SettingsError(Exception):
    """A setting is wrong: one sentence that names the key and what is accepted, never what it held."""


class LakeSettings(Section):
    """Where the Delta tables are: a folder or an object-store URL (s3://bucket/prefix)."""

    root: str = ""  # empty: state_dir/lake
    storage_options: dict[str, SecretStr] = Field(default_factory=dict)


class IngestSettings(Section):
    """The gRPC gateway for tills and its drainer."""

    host: str = "127.0.0.1"
    port: int = Field(default=50061, ge=1024, le=65535)
    gateways: int = Field(default=1, ge=1, le=64)  # gateway processes a node, behind one port
    tls_certificate: Path | None = None  # PEM, with its chain; `receipts certificates` makes one
    tls_key: Path | None = None
    token_port: int = Field(default=50062, ge=1024, le=65535)  # /oidc/v1/token, with the certificate of the gateway
    token_key: SecretStr | None = None  # signs the tills' tokens; the embedded platform's is in state_dir/secrets.json
    token_s: int = Field(default=3_600, ge=60, le=3_600)
    require_token: bool = True  # false only where nobody but this machine reaches the gateway
    metrics_host: str = "127.0.0.1"  # metrics tell of a business: elsewhere only behind something that asks who
    metrics_port: int = Field(default=50063, ge=1024, le=65535)  # Prometheus, /ready; gateway n of a node at +n
    drainer_metrics_port: int = Field(default=50060, ge=1024, le=65535)
    flush_ms: float = Field(default=0.0, ge=0, le=1_000)  # gather for longer than the commit before takes
    batch_records: int = Field(default=512, ge=1, le=10_000)
    max_record_bytes: int = Field(default=1_048_576, ge=1_024)
    max_unacked_records: int = Field(default=20_000, ge=1)  # per stream; beyond it the gateway stops reading
    max_unacked_bytes: int = Field(default=32 * 1024 * 1024, ge=1_024)  # as above
    keepalive_s: float = Field(default=20.0, ge=1, le=7_200)  # a connection silent for so long is asked if it lives
    keepalive_timeout_s: float = Field(default=10.0, ge=1, le=600)  # and is cut when it does not answer for so long
    max_streams: int = Field(default=2_000, ge=1)  # a gateway; beyond it a till is sent to another one
    direct_flush_ms: float = Field(default=200.0, ge=1)  # how long records are gathered for Bronze without Postgres
    recall_hours: float = Field(default=24.0, gt=0)  # how far back repeats are known without Postgres
    drain_interval_s: float = Field(default=1.0, gt=0)
    drain_records: int = Field(default=20_000, ge=1)  # most records in one Bronze commit
    outbox_bytes: int = Field(default=64 * 1024 * 1024, ge=8_192)  # an outbox partition beyond it is rotated
    spool_bytes: int = Field(default=2 * 1024**3, ge=1_048_576)  # most that a till keeps on its disk


class ServeSettings(Section):
    """The HTTP front of Ray Serve."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1024, le=65535)
    min_replicas: int = Field(default=1, ge=1)
    max_replicas: int = Field(default=4, ge=1)
    replica_cpus: float = Field(default=0.0, ge=0)  # what Ray reserves for one; 0 where everything shares one machine
    max_body_bytes: int = Field(default=65_536, ge=1_024)
    metrics_host: str = "127.0.0.1"  # as that of ingest; never what the load balancer reaches
    metrics_port: int = Field(default=50059, ge=1024, le=65535)  # Prometheus: all replicas of this node


class RaySettings(Section):
    """The Ray cluster: an address to join, or none to start one node here."""

    address: str | None = None
    port: int = Field(default=6399, ge=1024, le=65535)
    num_cpus: int = Field(default=0, ge=0)  # 0: as many as the machine has
    object_store_bytes: int = Field(default=512 * 1024 * 1024, ge=80 * 1024 * 1024)
    temp_dir: str = "/tmp/receipts-ray"  # noqa: S108  short: a socket path holds 107 bytes


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach a host."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Settings(Section):
    """All sections. `environment` names the YAML file the defaults came from."""

    environment: str = EMBEDDED
    # Absolute, because Ray's workers have a working directory of their own.
    state_dir: Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())] = Path("var")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    database: DatabaseSettings = DatabaseSettings()
    lake: LakeSettings = LakeSettings()
    ingest: IngestSettings = IngestSettings()
    pipeline: PipelineSettings = PipelineSettings()
    nightly: NightlySettings = NightlySettings()
    lineage: LineageSettings = LineageSettings()
    serve: ServeSettings = ServeSettings()
    limits: LimitSettings = LimitSettings()
    auth: AuthSettings = AuthSettings()
    audit: AuditSettings = AuditSettings()
    privacy: PrivacySettings = PrivacySettings()
    summary: SummarySettings = SummarySettings()
    reading: ReadingSettings = ReadingSettings()
    portal: PortalSettings = PortalSettings()
    mail: MailSettings = MailSettings()
    monitor: MonitorSettings = MonitorSettings()
    ray: RaySettings = RaySettings()
    logs: LogSettings = LogSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        """Refuse what would open the platform: the provider that signs anyone in belongs on one machine."""
        if self.auth.development_provider:
            if self.environment != EMBEDDED:
                raise ValueError(_refused("development_provider", f"true in the environment {self.environment}"))
            if not is_loopback(self.serve.host):
                raise ValueError(_refused("development_provider", f"true while serve.host is {self.serve.host}"))
        if (self.ingest.tls_certificate is None) != (self.ingest.tls_key is None):
            raise ValueError(
                f"{PREFIX}INGEST__TLS_CERTIFICATE and {PREFIX}INGEST__TLS_KEY are set together or not at all."
            )
        if not self.ingest.require_token and not is_loopback(self.ingest.host):
            raise ValueError(
                f"{PREFIX}INGEST__REQUIRE_TOKEN is false while ingest.host is {self.ingest.host}; "
                "only a gateway on loopback may take records from anyone."
            )
        return self

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Refuse an environment of one's own without what only the embedded one brings along."""
        if self.environment == EMBEDDED:
            return self
        if self.database.dsn is None:
            raise ValueError(f"{PREFIX}DATABASE__DSN is not set, and {self.environment} has no embedded database.")
        if not self.lake.root:
            raise ValueError(f"{PREFIX}LAKE__ROOT is not set, and {self.environment} keeps no lake in state_dir.")
        if not self.auth.issuer.startswith("https://") or self.auth.issuer.endswith(".invalid"):
            raise ValueError(f"{PREFIX}AUTH__ISSUER must be the https:// address at which people reach our /auth.")
        if self.auth.upstream.issuer and not self.auth.upstream.issuer.startswith("https://"):
            raise ValueError(f"{PREFIX}AUTH__UPSTREAM__ISSUER must be the https:// address of your provider.")
        return self

    @property
    def lake_root(self) -> str:
        """Return the URL or absolute folder that holds the Delta tables."""
        root = self.lake.root or str(self.state_dir / "lake")
        return root if "://" in root else str(Path(root).expanduser().absolute())


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read settings: the environment's YAML file, then `RECEIPTS_<SECTION>__<KEY>` variables on top.

    `RECEIPTS_ENVIRONMENT` names a file in `configs/environments/` (default `embedded`) and
    `RECEIPTS_CONFIG_FILE` a YAML file of your own. Raises SettingsError on an unknown key or a bad value.
    """
    env = dict(os.environ if environ is None else environ)
    name = env.pop(ENVIRONMENT_KEY, EMBEDDED)
    own = env.pop(CONFIG_FILE_KEY, "")
    known = sorted(path.stem for path in _FILES.glob("*.yaml"))
    if name not in known:
        raise SettingsError(f"{ENVIRONMENT_KEY}={name} is not an environment; known: {', '.join(known)}.")
    tree = _read_yaml(_FILES / f"{name}.yaml")
    if own:
        _merge(tree, _read_yaml(Path(own)))
    for key, value in sorted(env.items()):
        if key.startswith(PREFIX):
            _put(tree, key, value)
    _follow_ports(tree)
    try:
        return Settings.model_validate({**tree, "environment": name})
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None


def _follow_ports(tree: dict[str, object]) -> None:
    """Let the loopback addresses that name a port follow that port, unless they are set themselves."""
    sections = {name: tree.setdefault(name, {}) for name in ("serve", "auth", "portal")}
    serve, auth, portal = (section if isinstance(section, dict) else {} for section in sections.values())
    if "port" in serve:
        auth.setdefault("issuer", f"http://127.0.0.1:{serve['port']}/auth")
        portal.setdefault("api_url", f"http://127.0.0.1:{serve['port']}")
    if "port" in portal:
        portal.setdefault("public_url", f"http://127.0.0.1:{portal['port']}")


def _refused(key: str, why: str) -> str:
    return f"{PREFIX}AUTH__{key.upper()} is {why}; it signs anyone in and is for the embedded loopback platform only."


def _read_yaml(path: Path) -> dict[str, object]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"The settings file {path} ({CONFIG_FILE_KEY}) cannot be read.") from None
    except yaml.YAMLError as error:  # its own message quotes the line, which may hold a secret
        line = error.problem_mark.line + 1 if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark else 1
        raise SettingsError(f"The settings file {path} is not valid YAML at line {line}.") from None
    if not isinstance(loaded, dict):
        raise SettingsError(f"The settings file {path} must hold a mapping of settings sections.")
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
    node[parts[-1]] = _read_mapping(key, value) if _is_mapping(parts) else value


def _read_mapping(key: str, value: str) -> object:
    try:
        loaded = yaml.safe_load(value)
    except yaml.YAMLError:
        loaded = None
    if not isinstance(loaded, dict):
        raise SettingsError(f'{key} must be a mapping such as {{"name": "value"}}.')
    return loaded


def _is_mapping(path: list[str]) -> bool:
    """Say whether a setting is a whole mapping, written as JSON or YAML; every other value is taken as it stands."""
    model = _section(path[:-1])
    return bool(
        model and path[-1] in model.model_fields and get_origin(model.model_fields[path[-1]].annotation) is dict
    )


def _sentence(error: ValidationError) -> str:
    """Say what the first wrong key is, as the user would set it, never with its value: it may be secret."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == "value_error" and (not path or _section(path)):  # a rule of ours on a section or on all
        return first["msg"].removeprefix("Value error, ")
    key = PREFIX + "__".join(path).upper()
    more = f" ({error.error_count() - 1} more wrong)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        section = _section(path[:-1])
        known = sorted(section.model_fields) if section else []
        return f"{key} is not a setting; known here: {', '.join(known)}{more}."
    return f"{key} is wrong: {first['msg']}{more}."


def _section(path: list[str]) -> type[BaseModel] | None:
    model: type[BaseModel] = Settings
    for part in path:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return None
        model = annotation
    return model
