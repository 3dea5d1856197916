"""The platform's API as the portal calls it: with the person's own token, and with errors a person can read."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from configs.settings import PortalSettings
from gradio_ui.sessions import Session
from receipts.errors import ReceiptsError
from receipts.tracing import below

if TYPE_CHECKING:
    from receipts.spans import Tracing

_TIMEOUT_S = 10  # a rep on the phone gives up sooner; the API's own statements end after 5 s
_AWAY = "The receipt service cannot be reached at the moment. Try again shortly."
_NAMED = re.compile(r"\{\w+\}")
_Answer = TypeVar("_Answer", bound=BaseModel)


class ApiProblem(ReceiptsError):
    """The API did not answer what was asked; `detail` may be shown, with `request_id` for support."""

    def __init__(self, status: int, detail: str, request_id: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.request_id = request_id


def open_client(settings: PortalSettings) -> httpx.AsyncClient:
    """Return the one client of a process: connections are kept and shared by all sessions."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=50)  # 200 events/s of 20 ms need 4
    return httpx.AsyncClient(base_url=settings.api_url, timeout=_TIMEOUT_S, limits=limits, trust_env=False)


class Api:
    """The platform's API. `of` makes it one person's."""

    def __init__(self, client: httpx.AsyncClient, tracing: Tracing | None = None) -> None:
        self.client = client
        self.tracing = tracing

    def of(self, session: Session) -> Calls:
        """Return the API as a signed-in person may call it."""
        return Calls(self.client, self.tracing, session.access_token)

    async def healthy(self) -> bool:
        """Say whether the API answers at all."""
        try:
            return (await self.client.get("/-/healthz", timeout=2)).is_success  # 2 s: a probe must not queue up
        except httpx.HTTPError:
            return False


class Calls:
    """The API with one person's token. Every call raises ApiProblem; a 404 says nothing about whether it exists."""

    def __init__(self, client: httpx.AsyncClient, tracing: Tracing | None, token: str) -> None:
        self._client = client
        self._tracing = tracing
        self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, model: type[_Answer], route: str, *ids: str, **parameters: object) -> _Answer:
        """Ask for what a route such as "/receipt/{receipt_id}" shows; parameters that are None are left out."""
        return await self._ask(model, f"GET {route}", self._request("GET", route, ids, params=_given(parameters)))

    async def post(
        self, model: type[_Answer], route: str, *ids: str, body: object = None, key: str | None = None
    ) -> _Answer:
        """Ask that something be done; with a `key` it is done once, however often it is sent."""
        request = self._request("POST", route, ids, body=body)
        if key:
            request.headers["Idempotency-Key"] = key
        return await self._ask(model, f"POST {route}", request)

    @asynccontextmanager
    async def stream(self, route: str, *ids: str, **parameters: object) -> AsyncGenerator[httpx.Response]:
        """Open a long answer, to be passed on as it comes."""
        request = self._request("GET", route, ids, params=_given(parameters))
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError:
            raise ApiProblem(503, _AWAY) from None
        try:
            if not response.is_success:
                await response.aread()
                raise _problem(response)
            yield response
        finally:
            await response.aclose()

    def _request(
        self,
        method: str,
        route: str,
        ids: tuple[str, ...],
        *,
        params: dict[str, str] | None = None,
        body: object = None,
    ) -> httpx.Request:
        """Return a request; what is put into the template of the path cannot leave its place."""
        values = iter(ids)
        path = _NAMED.sub(lambda _: quote(next(values), safe=""), route)
        return self._client.build_request(method, path, params=params, json=body, headers=self._headers)

    async def _ask(self, model: type[_Answer], route: str, request: httpx.Request) -> _Answer:
        """Ask; `route` is the method and the template of the path, which is all that traces tell of it."""
        try:
            with below(route, "client") as span:
                if self._tracing is not None:
                    request.headers["traceparent"] = self._tracing.header()
                response = await self._client.send(request)
                if span is not None:
                    span.tell({"http.response.status_code": response.status_code})
        except httpx.HTTPError:
            raise ApiProblem(503, _AWAY) from None
        if not response.is_success:
            raise _problem(response)
        try:
            return model.model_validate_json(response.content)
        except ValidationError:
            request_id = response.headers.get("x-request-id", "")
            raise ApiProblem(502, "The receipt service gave an answer that cannot be read.", request_id) from None


def _given(parameters: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in parameters.items() if value is not None}


def _problem(response: httpx.Response) -> ApiProblem:
    """Read a problem document (RFC 9457); anything else, such as a proxy's own 404, is a service that is not there."""
    if "problem+json" not in response.headers.get("content-type", ""):
        return ApiProblem(503, _AWAY, response.headers.get("x-request-id", ""))
    try:
        document = response.json()
    except ValueError:
        document = {}
    found = document if isinstance(document, dict) else {}
    request_id = str(found.get("request_id", response.headers.get("x-request-id", "")))
    if response.status_code in (400, 404, 409, 422, 429):
        return ApiProblem(response.status_code, str(found.get("detail", "Not found.")), request_id)
    if response.status_code == 403:
        return ApiProblem(403, "Your role does not permit this.", request_id)
    if response.status_code == 401:
        return ApiProblem(401, "Your session has ended.", request_id)
    return ApiProblem(response.status_code, "The receipt service could not answer. Try again shortly.", request_id)
