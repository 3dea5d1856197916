"""The HTTP API as the command line calls it: signs in, asks, and turns a problem document into one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from cluster.cli_session import current_token
from cluster.credentials import DEVELOPMENT_CLIENT, credentials_file
from cluster.errors import PlatformError
from configs.settings import Settings

_ANSWER_S = 15.0  # a first semantic search loads its model


class ApiRefusal(PlatformError):
    """The API answered a problem; says it in the API's own words."""


def access_token(settings: Settings, principal_id: str) -> str:
    """Return an access token: of any principal where the development provider is on, else of who is signed in here.

    Raises PlatformError when nobody is, the provider's secret is not here, or nobody by that name may sign in.
    """
    if not settings.auth.development_provider:
        return current_token(settings)
    path = credentials_file(settings)
    stored: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    if DEVELOPMENT_CLIENT not in stored:
        raise PlatformError(f"{path} holds no {DEVELOPMENT_CLIENT}; run `receipts up` first.")
    form = {
        "grant_type": "client_credentials",
        "client_id": principal_id,
        "client_secret": stored[DEVELOPMENT_CLIENT],
    }
    answer = _send(settings, "POST", "/auth/token", form=form)
    if answer.status_code == 401:
        raise PlatformError(
            f"Nobody named {principal_id} may sign in; known with `receipts up`: rep.all, rep.east, ..."
        )
    return _checked(answer)["access_token"]


def ask(
    settings: Settings, principal_id: str, method: str, path: str, body: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """Return the API's answer to one request. Raises ApiRefusal with the problem's sentence."""
    headers = {"Authorization": f"Bearer {access_token(settings, principal_id)}"}
    return _checked(_send(settings, method, path, headers=headers, body=body))


def _send(
    settings: Settings,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    body: Mapping[str, object] | None = None,
) -> httpx.Response:
    host = "127.0.0.1" if settings.serve.host in {"0.0.0.0", "::"} else settings.serve.host  # noqa: S104 - a comparison
    base = f"http://{host}:{settings.serve.port}"
    try:
        return httpx.request(method, f"{base}{path}", timeout=_ANSWER_S, headers=headers, data=form, json=body)
    except httpx.HTTPError as error:
        raise PlatformError(
            f"The API does not answer at {base} ({type(error).__name__}); see `receipts status`."
        ) from None


def _checked(answer: httpx.Response) -> dict[str, Any]:
    try:
        told: dict[str, Any] = answer.json()
    except ValueError:
        raise PlatformError(
            f"The API answered {answer.status_code} without a document; see `receipts status`."
        ) from None
    if answer.is_success:
        return told
    detail = told.get("detail") or told.get("error_description") or told.get("title")
    accepted = (
        f" Accepted: {told['accepted']}" if "accepted" in told and str(told["accepted"]) not in str(detail) else ""
    )
    raise ApiRefusal(f"{detail}{accepted} (status {answer.status_code}, request {told.get('request_id', 'unknown')})")
