"""Is a part of the platform alive? Each question is answered within two seconds, also by a machine that hangs."""

from __future__ import annotations

from pathlib import Path

import httpx
import psycopg

from cluster.postgres import admin_dsn, is_running
from configs.settings import Settings

_ANSWER_S = 2.0
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104  # compared with, not bound to


def postgres_is_healthy(settings: Settings) -> bool:
    """Say whether the database takes connections."""
    if settings.database.dsn is None:
        return is_running(settings)
    try:
        with psycopg.connect(admin_dsn(settings), connect_timeout=int(_ANSWER_S)):
            return True
    except psycopg.OperationalError:
        return False


def gateway_is_healthy(settings: Settings) -> bool:
    """Ask the gateway by the standard gRPC health protocol; over TLS, the one with the settings' own certificate."""
    import grpc  # noqa: PLC0415  only this question needs it
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415  as grpc

    target = f"{reachable(settings.ingest.host)}:{settings.ingest.port}"
    options: list[tuple[str, object]] = [("grpc.enable_http_proxy", 0)]
    chain = settings.ingest.tls_certificate
    try:
        if chain is None:
            channel = grpc.insecure_channel(target, options=options)
        else:
            options.append(("grpc.ssl_target_name_override", _certified_name(chain)))
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(chain.read_bytes()), options=options)
        with channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_ANSWER_S)
            return answer.status == health_pb2.HealthCheckResponse.SERVING
    except (grpc.RpcError, OSError, ValueError):
        return False


def _certified_name(chain: Path) -> str:
    """Return a name or address that a certificate is for. Raises ValueError when it is none, or is for nothing."""
    from cryptography import x509  # noqa: PLC0415  as grpc

    certificate = x509.load_pem_x509_certificates(chain.read_bytes())[0]
    try:
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise ValueError(f"{chain} names no host") from None
    return next(str(one.value) for one in named)


def serve_is_healthy(settings: Settings) -> bool:
    """Ask Serve's proxy whether it has an application to send requests to."""
    return _answers(f"http://{reachable(settings.serve.host)}:{settings.serve.port}/-/healthz")


def portal_is_healthy(settings: Settings) -> bool:
    """Ask the portal."""
    return _answers(f"http://{reachable(settings.portal.host)}:{settings.portal.port}/healthz")


def monitor_is_healthy(settings: Settings) -> bool:
    """Ask the monitor whether it has looked lately."""
    return _answers(f"http://{reachable(settings.monitor.host)}:{settings.monitor.port}/ready")


def mailer_is_healthy(settings: Settings) -> bool:
    """Ask the mailer whether it knows what is due."""
    return _answers(f"http://{reachable(settings.mail.metrics_host)}:{settings.mail.metrics_port}/ready")


def reachable(host: str) -> str:
    """Return the address by which this machine reaches a server that listens on `host`."""
    return "127.0.0.1" if host in _EVERYWHERE else host


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=_ANSWER_S, trust_env=False).is_success
    except httpx.HTTPError:
        return False
