"""The command line as a client of our own OpenID provider: signed in by a browser, carried on by refresh tokens."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from cluster.credentials import write_private
from cluster.errors import PlatformError
from configs.settings import Settings

_CLIENT = "receipts-cli"
_SIGN_IN_S = 300.0  # how long a person may take in the browser
_ANSWER_S = 15.0
_RENEWED_BEFORE_S = 60  # of an access token's life: what is asked with it takes less
_AGAIN = "Nobody is signed in here: run `receipts sign-in`."


def sign_in(settings: Settings, show: Callable[[str], object]) -> None:
    """Wait on a loopback port for the browser that `show` sends to the sign-in (RFC 8252), and keep the session.

    Raises PlatformError when nobody signs in within five minutes, or the sign-in is refused.
    """
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with _Waiting() as server:
        callback = f"http://127.0.0.1:{server.server_port}/callback"
        asked = {
            "response_type": "code",
            "client_id": _CLIENT,
            "redirect_uri": callback,
            "state": state,
            "nonce": secrets.token_urlsafe(32),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        show(f"{settings.auth.issuer}/authorize?{urlencode(asked)}")
        code = _await_code(server, state, settings.auth.issuer)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": callback, "code_verifier": verifier}
    with _kept(settings) as path:
        _keep(path, _ask(settings, "token", form))


def sign_out(settings: Settings) -> None:
    """End the session, here and for all replicas; safe to repeat."""
    with _kept(settings) as path:
        if path.is_file():
            held = json.loads(path.read_text())
            path.unlink()
            _post(settings, "revoke", {"token": held["refresh_token"]})


def current_token(settings: Settings) -> str:
    """Return an access token of whoever is signed in, the next one if it is due. Raises PlatformError."""
    with _kept(settings) as path:
        if not path.is_file():
            raise PlatformError(_AGAIN)
        held = json.loads(path.read_text())
        if time.time() < held["until"] - _RENEWED_BEFORE_S:
            return held["access_token"]
        try:
            return _keep(
                path, _ask(settings, "token", {"grant_type": "refresh_token", "refresh_token": held["refresh_token"]})
            )
        except _Refused:
            path.unlink()
            raise PlatformError(f"The session has ended. {_AGAIN}") from None


class _Refused(PlatformError):
    """The provider refused."""


class _Waiting(HTTPServer):
    """Waits on a free port of loopback for the browser to come back."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Callback)
        self.timeout = 1.0  # so that the deadline is looked at now and then
        self.told: dict[str, str] = {}


class _Callback(BaseHTTPRequestHandler):
    """Takes the browser back; whatever else comes by is answered and ignored."""

    def do_GET(self) -> None:
        """Note what the browser brings."""
        parts = urlsplit(self.path)
        if parts.path == "/callback" and isinstance(self.server, _Waiting):
            self.server.told = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.send_response(200 if parts.path == "/callback" else 404)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"Go back to the command line.\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the class above
        """Log nothing: the path holds a code."""


def _await_code(server: _Waiting, state: str, issuer: str) -> str:
    deadline = time.monotonic() + _SIGN_IN_S
    while time.monotonic() < deadline:
        server.handle_request()
        told = server.told
        if "code" in told and told.get("iss") == issuer and secrets.compare_digest(told.get("state", ""), state):
            return told["code"]
    raise PlatformError("Nobody signed in within five minutes.")


@contextmanager
def _kept(settings: Settings) -> Generator[Path]:
    """Give the file of the session to one command at a time: two that use one refresh token would end the session."""
    folder = settings.state_dir / "run"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cli-session.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder / "cli-session.json"


def _keep(path: Path, told: dict[str, str]) -> str:
    held = {
        "access_token": told["access_token"],
        "refresh_token": told["refresh_token"],
        "until": time.time() + float(told["expires_in"]),
    }
    write_private(path, json.dumps(held).encode())
    return told["access_token"]


def _ask(settings: Settings, endpoint: str, form: dict[str, str]) -> dict[str, str]:
    answer = _post(settings, endpoint, form)
    if answer.is_client_error:
        raise _Refused("The sign-in was refused; try again.")
    if not answer.is_success:
        raise PlatformError(f"The sign-in at {settings.auth.issuer} is not available at the moment.")
    return answer.json()


def _post(settings: Settings, endpoint: str, form: dict[str, str]) -> httpx.Response:
    try:
        return httpx.post(f"{settings.auth.issuer}/{endpoint}", data={"client_id": _CLIENT} | form, timeout=_ANSWER_S)
    except httpx.HTTPError as error:
        raise PlatformError(
            f"The sign-in does not answer at {settings.auth.issuer} ({type(error).__name__})."
        ) from None
