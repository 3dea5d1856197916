"""The gateway's certificate, read again when its files change: a renewed one needs no restart."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import grpc

from receipts.errors import Unavailable

_log = logging.getLogger(__name__)


def server_credentials(chain: Path, key: Path) -> grpc.ServerCredentials:
    """Return what a gRPC port is opened with. Raises Unavailable when the files are no certificate and its key."""
    files = _Files(chain, key)

    def renew() -> grpc.ServerCertificateConfiguration:  # called in every handshake
        files.renewed()
        return files.configuration

    return grpc.dynamic_ssl_server_credentials(files.configuration, renew)


def server_context(chain: Path, key: Path) -> ssl.SSLContext:
    """Return a TLS context for an HTTP server. Raises Unavailable when the files are no certificate and its key."""
    files = _Files(chain, key)
    context = files.context

    def renew(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        files.renewed()
        connection.context = files.context

    context.sni_callback = renew  # called in every handshake, also when the client names no server
    return context


class _Files:
    """A certificate with its chain, and its key, as they were read last.

    While the two do not fit together, as between the writing of one and of the other, what was read before stays.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._paths = chain, key
        try:
            self._read()
        except (OSError, ssl.SSLError) as error:
            raise Unavailable(f"The certificate {chain} cannot be used with the key {key}: {error}.") from error

    def renewed(self) -> bool:
        """Read the files if they changed, and say whether another certificate is in use now."""
        try:
            if self._stamp() == self._seen:
                return False
            self._read()
        except (OSError, ssl.SSLError) as error:
            _log.warning("The certificate has changed and cannot be used yet: %s", error)
            return False
        _log.info("A renewed certificate is in use.")
        return True

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        return tuple((found.st_mtime_ns, found.st_ino) for found in (path.stat() for path in self._paths))

    def _read(self) -> None:
        seen = self._stamp()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self._paths)  # raises when key and certificate do not fit together
        self.context = context
        chain, key = (path.read_bytes() for path in self._paths)
        self.configuration = grpc.ssl_server_certificate_configuration([(key, chain)])
        self._seen = seen
