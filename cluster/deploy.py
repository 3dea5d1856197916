"""Puts the serving applications on Ray Serve, each scaled by itself, and waits until they answer."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import ray
from pydantic import BaseModel, ConfigDict, SecretStr
from ray import serve
from ray.serve.schema import ApplicationStatus, ServeStatus

from cluster.credentials import credentials_file, write_private
from cluster.errors import PlatformError
from cluster.replica import Replica
from configs.settings import CONFIG_FILE_KEY, ENVIRONMENT_KEY, PREFIX, Settings, load_settings
from serve_apps.capabilities import SIGN_IN, Capability, capabilities_of

PROXY_LOCATION = "EveryNode"
_DEADLINE_S = 240.0  # six replicas that import torch and open pools, one after another on a busy small machine
_POLL_S = 0.5
_REPLICA_CODE = (
    "cluster/autoscaling.py", "cluster/deploy.py", "cluster/entrance.py", "cluster/replica.py",
    "cluster/replica_metrics.py", "cluster/serve_variables.py", "configs", "receipts", "serve_apps",
)  # fmt: skip
_FAILED = {ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.UNHEALTHY}

Progress = Callable[[Mapping[str, str]], None]


def deploy(
    settings: Settings,
    address: str,
    *,
    capabilities: Sequence[Capability] | None = None,
    config_file: Path | None = None,
    on_progress: Progress = lambda _: None,
) -> None:
    """Deploy all applications and return when each answers over HTTP; doing it again changes only what changed.

    `on_progress` gets each application's state by name. Raises PlatformError with the replica's own words when an
    application does not come up.
    """
    wanted = capabilities_of(settings) if capabilities is None else tuple(capabilities)
    ray.init(address=address, namespace="serve", log_to_driver=False, ignore_reinit_error=True)
    serve.start(proxy_location=PROXY_LOCATION, http_options=http_options(settings))
    variables = replica_environment(settings, config_file)
    fingerprint = fingerprint_of(variables, settings)
    unchanged = _unchanged(settings, fingerprint)
    targets = [
        serve.RunTarget(
            target=_application(capability, settings, variables), name=capability.name, route_prefix=capability.prefix
        )
        for capability in wanted
        if capability.name not in unchanged
    ]
    if targets:
        serve.run_many(targets, wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)
    for name in serve.status().applications.keys() - {capability.name for capability in wanted}:
        serve.delete(name)
    deadline = time.monotonic() + _DEADLINE_S
    _wait_until_running(wanted, deadline, on_progress)
    _wait_until_routed(settings, wanted, deadline)
    _record(settings, fingerprint)


class BuildArguments(BaseModel):
    """What a Serve configuration file says about one application."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capability: str


def build(args: Mapping[str, str]) -> serve.Application:
    """Build one application by name for a Serve configuration file: `args: {capability: lookup}`.

    Settings and secrets come from the environment of the process that builds, as on Kubernetes. What the file says
    about deployments goes over what is built here; the two are the same in configs/serve.yaml. Raises PlatformError.
    """
    wanted = BuildArguments.model_validate(args).capability
    settings = load_settings()
    named = {one.name: one for one in capabilities_of(settings)}
    if wanted not in named:
        raise PlatformError(f"There is no capability {wanted}; known: {', '.join(named)}.")
    return _application(named[wanted], settings, replica_environment(settings))


def http_options(settings: Settings) -> dict[str, object]:
    """Return where Serve's proxies listen. Without a request timeout Serve needs no task to watch each request."""
    return {"host": settings.serve.host, "port": settings.serve.port}


def deployment_options(capability: Capability, settings: Settings) -> dict[str, Any]:
    """Return how an application is scaled, checked, drained and replaced, under the names of a Serve file."""
    # Few sign in at a time: more replicas than it takes to lose one would only wait.
    fewest = settings.serve.min_replicas
    most = fewest if capability == SIGN_IN else max(fewest, _most_replicas(settings))
    return {
        "name": capability.name,
        "autoscaling_config": {
            "min_replicas": fewest,
            "max_replicas": most,
            "policy": {"policy_function": "cluster.autoscaling:replicas_wanted"},
            "target_ongoing_requests": 16,
            "look_back_period_s": 20,  # longer than the ten seconds between two reports of a replica
            "upscale_delay_s": 5,
            "downscale_delay_s": 300,
        },
        "max_ongoing_requests": 256,  # more than enough for full groups of lookups and audit events
        "max_surge_percent": 100,  # else a new version of a single replica stalls callers for seconds
        "graceful_shutdown_timeout_s": 15,
        "health_check_period_s": 2,  # one that died is missed at its next check, and only then replaced
        "health_check_timeout_s": 15,
        # Every answer is in the audit trail.
        "logging_config": {
            "enable_access_log": False,
            "log_level": "WARNING",
            "encoding": settings.logs.format.upper(),
        },
    }


def replica_environment(settings: Settings, config_file: Path | None = None) -> dict[str, str]:
    """Return the variables that give a replica these settings, without any secret.

    Secrets come from the replica's own environment, its configuration file or `state_dir/secrets.json`.
    """
    variables = {ENVIRONMENT_KEY: settings.environment}
    _flatten(settings, PREFIX, variables)
    variables[f"{PREFIX}STATE_DIR"] = str(settings.state_dir.resolve())
    if config_file is not None:
        variables[CONFIG_FILE_KEY] = str(config_file.resolve())
    return variables


def fingerprint_of(variables: Mapping[str, str], settings: Settings) -> str:
    """Return a digest that changes with the replicas' settings, their secrets or the code they run.

    All secrets together are its key, so that whoever reads it can try none of them by itself.
    """
    key = hashlib.sha256(repr(sorted(_secrets(settings, ""))).encode())
    stored = credentials_file(settings)
    if stored.is_file():
        key.update(stored.read_bytes())
    digest = hmac.new(key.digest(), repr(sorted(variables.items())).encode(), hashlib.sha256)
    root = Path(__file__).parent.parent
    for place in (root / name for name in _REPLICA_CODE):
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.suffix in {".py", ".sql"}:
                digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _secrets(section: BaseModel, prefix: str) -> Iterator[tuple[str, str]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _secrets(value, f"{prefix}{name}.")
        elif isinstance(value, SecretStr):
            yield f"{prefix}{name}", value.get_secret_value()
        elif isinstance(value, dict):
            yield from (
                (f"{prefix}{name}.{key}", one.get_secret_value())
                for key, one in value.items()
                if isinstance(one, SecretStr)
            )


def _flatten(section: BaseModel, prefix: str, variables: dict[str, str]) -> None:
    for name in type(section).model_fields:
        value = getattr(section, name)
        key = f"{prefix}{name.upper()}"
        if isinstance(value, BaseModel):
            _flatten(value, f"{key}__", variables)
        elif isinstance(value, dict) and value and all(isinstance(one, str) for one in value.values()):
            variables[key] = json.dumps(value)
        elif name != "environment" and value is not None and not isinstance(value, SecretStr | dict):
            variables[key] = str(value).lower() if isinstance(value, bool) else str(value)


def _application(capability: Capability, settings: Settings, variables: Mapping[str, str]) -> serve.Application:
    deployed = serve.deployment(
        **deployment_options(capability, settings),
        ray_actor_options={"num_cpus": settings.serve.replica_cpus, "runtime_env": {"env_vars": dict(variables)}},
    )
    return deployed(Replica).bind(capability.name, capability.module, capability.prefix)


def _most_replicas(settings: Settings) -> int:
    """Return the setting; where nothing is reserved for a replica, so where all share one machine, half its cores."""
    if settings.serve.replica_cpus > 0:
        return settings.serve.max_replicas
    return min(settings.serve.max_replicas, max(1, len(os.sched_getaffinity(0)) // 2))


def _unchanged(settings: Settings, fingerprint: str) -> set[str]:
    """Return the applications that run as this machine last deployed them, of this very code and these settings.

    Serve would replace their replicas regardless. Deployed from elsewhere, they are replaced: that costs only time.
    """
    path = _record_file(settings)
    recorded: dict[str, list[object]] = json.loads(path.read_text()) if path.is_file() else {}
    return {
        name
        for name, one in serve.status().applications.items()
        if one.status is ApplicationStatus.RUNNING and recorded.get(name) == [fingerprint, one.last_deployed_time_s]
    }


def _record(settings: Settings, fingerprint: str) -> None:
    """Note what runs now and since when, once all of it runs."""
    deployed = {name: [fingerprint, one.last_deployed_time_s] for name, one in serve.status().applications.items()}
    write_private(_record_file(settings), json.dumps(deployed).encode())


def _record_file(settings: Settings) -> Path:
    return settings.state_dir.resolve() / "run" / "serve-deployed.json"


def _wait_until_running(wanted: Sequence[Capability], deadline: float, on_progress: Progress) -> None:
    while True:
        status = serve.status()
        states = {one.name: status.applications[one.name].status for one in wanted if one.name in status.applications}
        on_progress({name: state.value for name, state in states.items()})
        for name, state in states.items():
            if state in _FAILED:
                raise PlatformError(f"The application {name} does not start: {_why(status, name)}")
        late = [one.name for one in wanted if states.get(one.name) is not ApplicationStatus.RUNNING]
        if not late:
            return
        if time.monotonic() > deadline:
            raise PlatformError(f"The application {late[0]} is not running yet: {_why(status, late[0])}")
        time.sleep(_POLL_S)


def _why(status: ServeStatus, name: str) -> str:
    """Return the last line of what Serve says of an application and its deployments: the replica's error."""
    application = status.applications.get(name)
    if application is None:
        return "Serve does not know it."
    messages = [application.message, *(deployment.message for deployment in application.deployments.values())]
    lines = [line.strip() for message in messages for line in message.splitlines() if line.strip()]
    return lines[-1] if lines else application.status.value


def _wait_until_routed(settings: Settings, wanted: Sequence[Capability], deadline: float) -> None:
    """Wait until the proxy on this node sends requests to each application: until then it answers 404."""
    base = f"http://127.0.0.1:{settings.serve.port}"
    while True:
        try:
            routes = httpx.get(f"{base}/-/routes", timeout=2).json()
            healthy = httpx.get(f"{base}/-/healthz", timeout=2).is_success
        except (httpx.HTTPError, ValueError):
            routes, healthy = {}, False
        missing = [one.prefix for one in wanted if one.prefix not in routes]
        if healthy and not missing:
            return
        if time.monotonic() > deadline:
            raise PlatformError(f"{base} does not serve {', '.join(missing) or 'yet'}, though its replicas run.")
        time.sleep(_POLL_S)
