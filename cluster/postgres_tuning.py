"""How the embedded Postgres is set: for the machine it finds, and so that no personal data reaches its log."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

import psutil

_MB = 1024 * 1024
_FIXED = {
    "listen_addresses": "127.0.0.1",  # this build has no TLS: it must never listen beyond loopback
    "unix_socket_directories": "",
    "max_connections": "200",
    "password_encryption": "scram-sha-256",
    "wal_compression": "pglz",  # this build has neither lz4 nor zstd
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",  # solid-state disks
    "work_mem": "16MB",
    "jit": "off",  # lookups last less than compiling them would
    "track_io_timing": "on",
    "idle_in_transaction_session_timeout": "5min",  # an abandoned transaction would hold the outbox back for ever
    "log_min_duration_statement": "1s",
    "log_error_verbosity": "terse",  # DETAIL lines quote rows, which hold personal data
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_SHARED_MEMORY_NEEDED = 1024 * _MB  # parallel index builds map maintenance_work_mem; containers often give 64 MB


def configuration(port: int, extra: Mapping[str, str] | None = None) -> str:
    """Return the text of receipts.conf for this machine; `extra` overrides single settings."""
    memory_mb = psutil.virtual_memory().total // _MB
    values = {
        **_FIXED,
        "port": str(port),
        "shared_buffers": f"{_between(memory_mb // 16, 128, 2_048)}MB",
        "effective_cache_size": f"{max(memory_mb // 2, 256)}MB",
        "maintenance_work_mem": f"{_between(memory_mb // 64, 64, 512)}MB",
        "dynamic_shared_memory_type": _shared_memory_type(),
        **(extra or {}),
    }
    return "".join("{} = '{}'\n".format(name, value.replace("'", "''")) for name, value in values.items())


def _between(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def _shared_memory_type() -> str:
    try:
        roomy = shutil.disk_usage("/dev/shm").total >= _SHARED_MEMORY_NEEDED  # noqa: S108  # measured, not written
    except OSError:
        return "sysv"
    return "posix" if roomy else "sysv"
