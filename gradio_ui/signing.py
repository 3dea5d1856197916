"""The portal's own routes: signing in and out, and whether it is healthy."""

from __future__ import annotations

from psycopg import OperationalError
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gradio_ui import render
from gradio_ui.auth import safe_return, sign_in_url
from gradio_ui.doorway import Portal, find_signed_in, portal_of
from gradio_ui.navigation import pages_of
from gradio_ui.sessions import begin_sign_in, end_session, find_session, record_session, take_sign_in
from receipts.errors import ReceiptsError, Unauthenticated, Unavailable

_SIGNING_IN_S = 600  # as long as the state of a sign-in is kept
_PROBE_S = 2  # a probe must not queue up behind work
_HOME = "/"


async def home(request: Request) -> Response:
    """Go to the first page of one's role."""
    session = await find_signed_in(request)
    if session is None:
        return RedirectResponse(sign_in_url(_HOME), 303)
    pages = pages_of(session)
    if not pages:
        detail = f"The role {session.role.replace('_', ' ')} has no page here."
        return HTMLResponse(
            render.page("No page of your role", detail, action="Sign out", target="/sign-out", post=True), 403
        )
    return RedirectResponse(f"{pages[0].path}/", 303)


async def sign_in(request: Request) -> Response:
    """Go to the identity provider; `?next=` says where to come back to."""
    portal = portal_of(request)
    target = safe_return(request.query_params.get("next", _HOME))
    try:
        location, state = await portal.sign_in.begin(request)
    except Unavailable as error:
        return _sorry(error, 503)
    response = RedirectResponse(location, 303)
    cookie = await begin_sign_in(portal.sign_in.pool, target, state)
    return _with_cookie(response, portal, _passing(portal), cookie, _SIGNING_IN_S)


async def callback(request: Request) -> Response:
    """Come back from the identity provider with a code, and be signed in."""
    portal = portal_of(request)
    pool = portal.sign_in.pool
    taken = await take_sign_in(pool, request.cookies.get(_passing(portal), ""))
    if taken is None:
        return _sorry(Unauthenticated("This sign-in was not begun here, or more than ten minutes ago."), 401)
    try:
        session = await portal.sign_in.complete(request, taken[1])
    except Unauthenticated as error:
        return _sorry(error, 401)
    except Unavailable as error:
        return _sorry(error, 503)
    await end_session(pool, request.cookies.get(portal.cookie, ""))
    response = RedirectResponse(taken[0], 303)
    _with_cookie(response, portal, portal.cookie, await record_session(pool, session))
    return _with_cookie(response, portal, _passing(portal), "", 0)


async def sign_out(request: Request) -> Response:
    """End the session: here, in the browser, and at the issuer, whose tokens are worth nothing from then on."""
    portal = portal_of(request)
    cookie = request.cookies.get(portal.cookie, "")
    session = await find_session(portal.sign_in.pool, cookie)
    await end_session(portal.sign_in.pool, cookie)
    if session is not None:
        await portal.sign_in.end(session)
    return _with_cookie(RedirectResponse("/signed-out", 303), portal, portal.cookie, "", 0)


async def signed_out(_: Request) -> Response:
    """Say that it is done."""
    return HTMLResponse(render.page("You are signed out", "See you soon.", action="Sign in", target="/sign-in"))


async def signed_in(request: Request) -> Response:
    """Tell the tab whose session had ended that it can go on."""
    session = await find_signed_in(request)
    if session is None:
        return RedirectResponse("/sign-in?next=/signed-in", 303)
    detail = "Close this tab and go on where you were."
    return HTMLResponse(render.page("You are signed in again", detail, principal_id=session.principal_id))


async def healthz(request: Request) -> Response:
    """Say whether sessions can be read, which is what every page needs."""
    try:
        async with portal_of(request).sign_in.pool.connection(timeout=_PROBE_S) as connection:
            await connection.execute("SELECT 1")
    except OperationalError:
        return JSONResponse({"status": "unavailable", "detail": "The database of sessions cannot be reached."}, 503)
    return JSONResponse({"status": "ok"})


ROUTES = (
    Route("/", home),
    Route("/sign-in", sign_in),
    Route("/callback", callback),
    Route("/sign-out", sign_out, methods=["POST"]),
    Route("/signed-out", signed_out),
    Route("/signed-in", signed_in),
    Route("/healthz", healthz),
)


def _passing(portal: Portal) -> str:
    return f"{portal.cookie}_signing_in"


def _with_cookie(response: Response, portal: Portal, name: str, value: str, max_age: int | None = None) -> Response:
    response.set_cookie(name, value, max_age=max_age, secure=portal.secure, httponly=True, samesite="lax")
    return response


def _sorry(error: ReceiptsError, status: int) -> Response:
    page = render.page("You are not signed in", str(error), action="Try again", target="/sign-in")
    return HTMLResponse(page, status)
