"""The Serve configuration file of production, for `serve deploy` and KubeRay, from what `receipts deploy` uses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from cluster.deploy import PROXY_LOCATION, BuildArguments, build, deployment_options, http_options
from cluster.errors import PlatformError
from cluster.serve_variables import serve_variables
from configs.settings import ENVIRONMENT_KEY, PREFIX, Settings, load_settings
from serve_apps.capabilities import CAPABILITIES, SIGN_IN

_CONFIGS = Path(__file__).parents[1] / "configs"
SERVE_FILE = _CONFIGS / "serve.yaml"
MANIFEST = _CONFIGS / "kubernetes" / "receipts.yaml"
_HEADING = """\
# Ray Serve in production, for `serve deploy configs/serve.yaml` and, word for word, for the RayService of
# configs/kubernetes/receipts.yaml. Written by `receipts deploy --write-config` from what `receipts deploy` uses:
# change cluster/deploy.py, cluster/serve_variables.py or configs/environments/production.yaml and write it again.
# No setting of ours and no secret stands here: the nodes' environment has them (RECEIPTS_…), also
# RECEIPTS_SERVE__REPLICA_CPUS, what Ray reserves for a replica.
"""
_PLACE = re.compile(r"(?<=^  serveConfigV2: \|\n)(?:    .*\n|\n)+", re.MULTILINE)
# What production cannot be without, though nothing of it gets into the file.
_UNUSED = {
    "DATABASE__DSN": "postgresql://unused.invalid/",
    "LAKE__ROOT": "s3://unused.invalid/",
    "AUTH__ISSUER": "https://unused.example/auth",
}


def serve_configuration(settings: Settings) -> dict[str, Any]:
    """Return the content of a Serve configuration file for these settings."""
    applications = [
        {
            "name": one.name,
            "route_prefix": one.prefix,
            "import_path": f"{build.__module__}:{build.__name__}",
            "args": BuildArguments(capability=one.name).model_dump(),
            "deployments": [deployment_options(one, settings)],
        }
        for one in (SIGN_IN, *CAPABILITIES)
    ]
    return {
        "proxy_location": PROXY_LOCATION,
        "http_options": http_options(settings),
        "controller_options": {"runtime_env": {"env_vars": serve_variables()}},
        "logging_config": {"encoding": "JSON", "log_level": "WARNING", "enable_access_log": False},
        "applications": applications,
    }


def production_settings() -> Settings:
    """Return what configs/environments/production.yaml says of serving; nothing else of it is real."""
    unused = {f"{PREFIX}{key}": value for key, value in _UNUSED.items()}
    return load_settings({ENVIRONMENT_KEY: "production", **unused})


def serve_file_text() -> str:
    """Return the file's text."""
    told = yaml.safe_dump(serve_configuration(production_settings()), sort_keys=False, width=120)
    return f"{_HEADING}{told}"


def write_serve_file(path: Path = SERVE_FILE, manifest: Path = MANIFEST) -> tuple[Path, Path]:
    """Write the file, and the same into the Kubernetes manifest; returns both. Raises PlatformError."""
    text = serve_file_text()
    block = "".join(f"    {line}\n" for line in text.removeprefix(_HEADING).splitlines())
    around = manifest.read_text(encoding="utf-8")
    if len(_PLACE.findall(around)) != 1:
        raise PlatformError(f"{manifest} has no place for the Serve configuration: one `serveConfigV2: |` is expected.")
    path.write_text(text, encoding="utf-8")
    manifest.write_text(_PLACE.sub(lambda _: block, around), encoding="utf-8")
    return path, manifest
