"""The platform's API as the portal calls it: with the person's own token, and with errors a person can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from configs.settings import PortalSettings
from gradio_ui.answers import CustomerContext, FullReceipt, History, SearchAnswer
from receipts.errors import ReceiptsError
from receipts.tracing import below

if TYPE_CHECKING:
    from receipts.spans import Tracing

_TIMEOUT_S = 10  # a rep on the phone gives up sooner; the API's own statements end after 5 s
_HISTORY_SHOWN = 8  # receipts in the customer panel
_AWAY = "The receipt service cannot be reached at the moment. Try again shortly."
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
    """The calls of the portal. Each raises ApiProblem; a 404 says nothing about whether the thing exists."""

    def __init__(self, client: httpx.AsyncClient, tracing: Tracing | None = None) -> None:
        self._client = client
        self._tracing = tracing

    async def find_receipt(self, token: str, receipt_id: str) -> FullReceipt:
        """Return one receipt with its store."""
        return await self._ask(FullReceipt, token, "GET /receipt/{receipt_id}", f"/receipt/{receipt_id}")

    async def search(self, token: str, text: str) -> SearchAnswer:
        """Return what fits a text in plain words."""
        return await self._ask(SearchAnswer, token, "POST /search/", "/search/", {"text": text})

    async def find_context(self, token: str, customer_id: str) -> CustomerContext:
        """Return a customer with the profile."""
        return await self._ask(CustomerContext, token, "GET /cs/context/{customer_id}", f"/cs/context/{customer_id}")

    async def list_receipts(self, token: str, customer_id: str) -> History:
        """Return a customer's newest receipts."""
        return await self._ask(
            History,
            token,
            "GET /customers/{customer_id}/receipts",
            f"/customers/{customer_id}/receipts?limit={_HISTORY_SHOWN}",
        )

    async def healthy(self) -> bool:
        """Say whether the API answers at all."""
        try:
            return (await self._client.get("/-/healthz", timeout=2)).is_success  # 2 s: a probe must not queue up
        except httpx.HTTPError:
            return False

    async def _ask(
        self, model: type[_Answer], token: str, route: str, path: str, body: dict[str, object] | None = None
    ) -> _Answer:
        """Ask; `route` is the method and the template of the path, which is all that traces tell of it."""
        headers = {"Authorization": f"Bearer {token}"}
        method = route.partition(" ")[0]
        try:
            with below(route, "client") as span:
                if self._tracing is not None:
                    headers["traceparent"] = self._tracing.header()
                response = await self._client.request(method, path, json=body, headers=headers)
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
    if response.status_code in (400, 404, 422, 429):
        return ApiProblem(response.status_code, str(found.get("detail", "Not found.")), request_id)
    if response.status_code == 403:
        return ApiProblem(403, "Your role does not permit this.", request_id)
    if response.status_code == 401:
        return ApiProblem(401, "Your session has ended.", request_id)
    return ApiProblem(response.status_code, "The receipt service could not answer. Try again shortly.", request_id)
