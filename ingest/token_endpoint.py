"""Where tills get their tokens: OAuth 2.0 client credentials (RFC 6749, section 4.4), asked for as the SDK does."""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qs, unquote_plus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ingest.clients import ClientDirectory
from ingest.failures import Failures
from ingest.tokens import Tokens
from receipts.errors import Unauthenticated, Unavailable

PATH = "/oidc/v1/token"
_log = logging.getLogger(__name__)
_MOST_BYTES = 16_384  # the SDK's form has about 700
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_SCOPES = frozenset({"all-apis"})


class _Refused(Exception):
    """An answer of RFC 6749, section 5.2: its code, a sentence, and the status."""

    def __init__(self, code: str, sentence: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status


class TokenEndpoint:
    """Answers token requests.

    What a token allows is in the client's own row. The request can neither widen nor narrow it, so its `resource` and
    `authorization_details` are not read.
    """

    def __init__(self, clients: ClientDirectory, tokens: Tokens) -> None:
        self._clients = clients
        self._tokens = tokens
        self._failures = Failures()

    def app(self) -> Starlette:
        """Return the endpoint as an application."""
        return Starlette(routes=[Route(PATH, self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> JSONResponse:
        """Answer one request. A failure says what RFC 6749 lets it say, and nothing of who exists."""
        try:
            return await self._token(request)
        except _Refused as refusal:
            headers = dict(_NO_STORE)
            if refusal.status is HTTPStatus.UNAUTHORIZED:
                headers["WWW-Authenticate"] = 'Basic realm="receipts"'
            if refusal.status is HTTPStatus.TOO_MANY_REQUESTS:
                headers["Retry-After"] = "60"
            content = {"error": refusal.code, "error_description": str(refusal)}
            return JSONResponse(content, refusal.status, headers)

    async def _token(self, request: Request) -> JSONResponse:
        form = _form(await _body(request))
        client_id, secret = _credentials(request.headers.get("authorization", ""))
        address = request.client.host if request.client else ""
        if self._failures.too_many(address, client_id):
            sentence = "Too many requests failed; wait a minute."
            raise _Refused("invalid_client", sentence, HTTPStatus.TOO_MANY_REQUESTS)
        try:
            client = await self._clients.authenticate(client_id, secret)
        except Unauthenticated as error:
            self._failures.note(address, client_id)
            _log.warning("A token was refused to %s at %s: %s", client_id, address, error)
            raise _Refused("invalid_client", str(error), HTTPStatus.UNAUTHORIZED) from None
        except Unavailable as error:
            raise _Refused("temporarily_unavailable", str(error), HTTPStatus.SERVICE_UNAVAILABLE) from None
        _check_grant(form)
        _log.info("A token was given to %s at %s.", client_id, address)
        token = self._tokens.mint(client.client_id, client.store_ids, all_stores=client.all_stores)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": self._tokens.lifetime_s}
        return JSONResponse({**answer, "scope": "all-apis"}, headers=_NO_STORE)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            sentence = f"The request has more than {_MOST_BYTES} bytes."
            raise _Refused("invalid_request", sentence, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return bytes(body)


def _form(body: bytes) -> Mapping[str, str]:
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=20)
    except ValueError:
        raise _Refused("invalid_request", "The request is no form of URL-encoded fields.") from None
    if any(len(values) > 1 for values in fields.values()):
        raise _Refused("invalid_request", "A field is given twice.")
    return {name: values[0] for name, values in fields.items()}


def _credentials(header: str) -> tuple[str, str]:
    """Read HTTP Basic (RFC 6749, section 2.3.1: both parts are URL-encoded in it)."""
    scheme, _, encoded = header.partition(" ")
    try:
        name, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        colon = name = secret = ""
    client_id = unquote_plus(name)
    if scheme.lower() != "basic" or not colon or not _CLIENT_ID.fullmatch(client_id):
        sentence = "Authenticate the client by HTTP Basic with its client_id and secret."
        raise _Refused("invalid_client", sentence, HTTPStatus.UNAUTHORIZED)
    return client_id, unquote_plus(secret)


def _check_grant(form: Mapping[str, str]) -> None:
    grant = form.get("grant_type")
    if grant is None:
        raise _Refused("invalid_request", "The field grant_type is missing.")
    if grant != "client_credentials":
        raise _Refused("unsupported_grant_type", "The only grant is client_credentials.")
    if not set(form.get("scope", "").split()) <= _SCOPES:
        raise _Refused("invalid_scope", f"The only scope is {', '.join(sorted(_SCOPES))}.")
