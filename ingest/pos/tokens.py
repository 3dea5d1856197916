"""Access tokens of a till: minted with its client id and secret (OAuth 2.0 client credentials), kept while valid."""

from __future__ import annotations

import ssl
import time
from urllib.parse import quote_plus

import httpx

from receipts.errors import ReceiptsError, Unavailable

_RENEW_BEFORE_S = 300.0  # as the Zerobus SDK does: a stream that opens now keeps its token for a while
_TIMEOUT_S = 10.0
_PASSING = {408, 429}  # among the 4xx these alone say: later


class StreamRefused(ReceiptsError):
    """The gateway does not take this stream, and sending it again would not help.

    `about_access` says that another token might help.
    """

    def __init__(self, sentence: str, *, about_access: bool = False) -> None:
        super().__init__(sentence)
        self.about_access = about_access


class Tokens:
    """The tokens of one client. `address` is the URL before /oidc/v1/token."""

    def __init__(self, address: str, client_id: str, client_secret: str, ca_pem: bytes | None = None) -> None:
        self._url = f"{address.rstrip('/')}/oidc/v1/token"
        self._client_id = client_id
        # RFC 6749, section 2.3.1: both parts are URL-encoded.
        self._login = httpx.BasicAuth(quote_plus(client_id), quote_plus(client_secret))
        self._ca_pem = ca_pem
        self._token = ""
        self._renew_at = 0.0  # monotonic

    def bearer(self) -> str:
        """Return a token; it is minted anew from five minutes before the end of the old one.

        Raises StreamRefused when the client is refused and Unavailable when the endpoint cannot answer now.
        """
        if not self._token or time.monotonic() >= self._renew_at:
            self._token, lasts_s = self._mint()
            self._renew_at = time.monotonic() + lasts_s - _RENEW_BEFORE_S
        return self._token

    def forget(self) -> None:
        """Mint a new token next time: the gateway did not accept this one."""
        self._token = ""

    def _mint(self) -> tuple[str, float]:
        trust = ssl.create_default_context(cadata=self._ca_pem.decode() if self._ca_pem else None)
        form = {"grant_type": "client_credentials", "scope": "all-apis"}
        try:
            answer = httpx.post(self._url, data=form, auth=self._login, verify=trust, timeout=_TIMEOUT_S)
        except httpx.HTTPError as error:
            raise Unavailable(f"The token endpoint {self._url} cannot be reached: {error}") from None
        if answer.is_client_error and answer.status_code not in _PASSING:
            raise StreamRefused(
                f"The token endpoint {self._url} refused the client {self._client_id}: status {answer.status_code}."
            )
        if not answer.is_success:
            raise Unavailable(f"The token endpoint {self._url} answered with status {answer.status_code}.")
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> tuple[str, float]:
        try:
            fields = answer.json()
            return str(fields["access_token"]), float(fields.get("expires_in", 0))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Unavailable(f"The token endpoint {self._url} answered with something that is no token.") from None
