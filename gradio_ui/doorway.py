"""What every request passes: only known routes, a session where one is needed, and headers that keep answers in."""

from __future__ import annotations

import logging
import re
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from psycopg import OperationalError
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gradio_ui import render
from gradio_ui.api import Api
from gradio_ui.assets import FOR_EVER, HASHED, STATIC, Assets
from gradio_ui.auth import SignIn, sign_in_url
from gradio_ui.sessions import Session, find_session
from receipts.access import Permission
from receipts.errors import Forbidden, Unauthenticated

log = logging.getLogger(__name__)
# Everything else that Gradio serves is closed: uploads, files, deep links, the queue, monitoring, its API pages.
_OPEN = re.compile(r"/(static|assets|svelte)/.+|/theme\.css")
_SIGNED_IN = re.compile(r"/|/config|/gradio_api/run/predict")
_SCRIPT = re.compile(rb"<script(?=[\s>])")
_HASHED = re.compile(HASHED)
_PORTAL, _SESSION = "receipts.portal", "receipts.session"


@dataclass(frozen=True, slots=True)
class Portal:
    """What handlers need: the sign-in, with the pool of sessions, and the API."""

    sign_in: SignIn
    api: Api
    cookie: str  # the name of the session's cookie
    public_url: str  # where people come from: scheme, host and port
    assets: Assets
    most_bytes: int  # of a request's body

    @property
    def secure(self) -> bool:
        """Say whether people come by https."""
        return self.public_url.startswith("https://")


def portal_of(request: Request) -> Portal:
    """Return the portal that a request came in by."""
    return request.scope[_PORTAL]


async def find_signed_in(request: Request) -> Session | None:
    """Return who asks, looked up once per request, or None."""
    if _SESSION not in request.scope:
        portal = portal_of(request)
        cookie = request.cookies.get(portal.cookie, "")
        session = await find_session(portal.sign_in.pool, cookie)
        if session is not None and session.is_due:
            session = await portal.sign_in.renew(cookie)
        request.scope[_SESSION] = session
    return request.scope[_SESSION]


async def require(request: Request, permission: Permission) -> Session:
    """Return who asks; raises Unauthenticated or Forbidden. Every handler calls this itself."""
    session = await find_signed_in(request)
    if session is None:
        raise Unauthenticated("Your session has ended.")
    if not session.may(permission):
        raise Forbidden(f"The role {session.role.replace('_', ' ')} does not include this page.")
    return session


def is_navigation(request: Request) -> bool:
    """Say whether a person opens a page, as opposed to a script of a page that asks for something."""
    mode = request.headers.get("sec-fetch-mode")
    return request.method == "GET" and (
        mode == "navigate" or (mode is None and "text/html" in request.headers.get("accept", ""))
    )


class Doorway:
    """Stands before the whole application. `mounts` maps the path of a Gradio page to what it takes to open it."""

    def __init__(self, app: ASGIApp, portal: Portal, mounts: dict[str, Permission]) -> None:
        self._app = app
        self.portal = portal
        self._mounts = mounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or answer it here."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no part of the portal speaks WebSocket
        scope[_PORTAL] = self.portal
        sealed = _Sealed(send, scope["path"], self.portal.assets)
        whole = await _read_whole(scope, receive, self.portal.most_bytes)
        if whole is None:
            await PlainTextResponse("The request is too large.", 413)(scope, receive, sealed)
            return
        refusal = await self._refusal(Request(scope, whole))
        try:
            await (refusal or self._app)(_as_public(scope, self.portal.public_url), whole, sealed)
        except Exception as error:  # noqa: BLE001 - an event that the page does not have ends here too
            # Without text and traceback: they may quote somebody's data.
            log.error("portal request failed: %s", type(error).__name__)  # noqa: TRY400 - as said
            if not sealed.has_begun:
                await JSONResponse({"detail": "Something went wrong here. Try again."}, 500)(scope, whole, sealed)

    async def _refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that goes no further."""
        query = f"?{request.url.query}" if request.url.query else ""
        here = f"{request.url.path}{query}"
        if is_navigation(request) and request.headers.get("host") != urlsplit(self.portal.public_url).netloc:
            return RedirectResponse(f"{self.portal.public_url}{here}", 307)  # the cookies belong to one name
        mount = next((m for m in self._mounts if request.url.path.startswith(f"{m}/")), None)
        if mount is None:
            return None
        inner = request.url.path.removeprefix(mount)
        if _OPEN.fullmatch(inner):
            return None
        if not _SIGNED_IN.fullmatch(inner):
            return PlainTextResponse("There is no such page.", 404)
        try:
            await require(request, self._mounts[mount])
        except Unauthenticated as error:
            return _refused(request, error, 401) or RedirectResponse(sign_in_url(here), 303)
        except Forbidden as error:
            page = render.page("Not a page of your role", str(error), action="Sign out", target="/sign-out", post=True)
            return _refused(request, error, 403) or HTMLResponse(page, 403)
        except OperationalError:
            return unavailable()
        return None


def unavailable() -> Response:
    """Return the answer while the database of sessions is away."""
    page = render.page(
        "The portal is not available", "Its database cannot be reached at the moment. Try again shortly."
    )
    return HTMLResponse(page, 503)


def _refused(request: Request, error: Exception, status: int) -> Response | None:
    """Return the refusal of a script's request; None for a person's, who gets a page."""
    return None if is_navigation(request) else JSONResponse({"detail": str(error)}, status)


class _Sealed:
    """Sends an answer with protective headers; scripts of an HTML page get the nonce that the policy names."""

    def __init__(self, send: Send, path: str, assets: Assets) -> None:
        self._send = send
        self._path = path
        self._assets = assets
        self._nonce = secrets.token_urlsafe(16)
        self._start: Message | None = None
        self._page = bytearray()
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        """Send one message, or hold it back."""
        if message["type"] == "http.response.start":
            message["headers"] = self._headers(message)
            if any(k == b"content-type" and v.startswith(b"text/html") for k, v in message["headers"]):
                self._start = message  # held back: the length of the page is known when it is whole
                return
        elif self._start is not None:
            self._page += message.get("body", b"")
            if message.get("more_body", False):
                return
            page = self._assets.linked(bytes(self._page))
            body = _SCRIPT.sub(b'<script nonce="' + self._nonce.encode() + b'"', page)
            kept = [(k, v) for k, v in self._start["headers"] if k != b"content-length"]
            await self._send({**self._start, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
            message = {"type": "http.response.body", "body": body}
        self.has_begun = True
        await self._send(message)

    def _headers(self, start: Message) -> list[tuple[bytes, bytes]]:
        """Return the headers of an answer with ours in place of any that Gradio or a library may set.

        What may be kept for ever is the same for everybody: it has no nonce.
        """
        given: list[tuple[bytes, bytes]] = start["headers"]
        if self._path.startswith(STATIC):
            keeps = next((value for name, value in given if name == b"cache-control"), b"no-store")
        else:
            keeps = FOR_EVER.encode() if start["status"] == 200 and _HASHED.match(self._path) else b"no-store"
        policy = _policy("" if keeps == FOR_EVER.encode() else f" 'nonce-{self._nonce}'")
        ours = {**_FIXED, b"content-security-policy": policy.encode(), b"cache-control": keeps}
        return [*((name, value) for name, value in given if name not in ours), *ours.items()]


def _policy(nonce: str) -> str:
    """Return the Content-Security-Policy: Gradio compiles its templates, hence unsafe-eval; no inline script runs."""
    return (
        f"default-src 'self'; script-src 'self'{nonce} 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-src 'none'; frame-ancestors 'none'"
    )


_FIXED = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"x-frame-options": b"DENY",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


async def _read_whole(scope: Scope, receive: Receive, most_bytes: int) -> Receive | None:
    """Return what gives a request's body, whose length is now known, or None when it is too long."""
    if scope["method"] in {"GET", "HEAD"}:
        return receive
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most_bytes:
            return None
    whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def receive_whole() -> Message:
        return whole.pop() if whole else await receive()

    return receive_whole


def _as_public(scope: Scope, public_url: str) -> Scope:
    """Return a request as it comes in by the public address, whatever it says of itself: Gradio builds links from that.

    Pages are asked for uncompressed, because their scripts get a nonce; assets stay compressed.
    """
    public = urlsplit(public_url)
    is_page = any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
    dropped = {b"host", b"forwarded", b"accept-encoding"} if is_page else {b"host", b"forwarded"}
    kept = [(k, v) for k, v in scope["headers"] if k not in dropped and not k.startswith(b"x-forwarded-")]
    return {**scope, "scheme": public.scheme, "headers": [*kept, (b"host", public.netloc.encode())]}
