"""The whole API in one OpenAPI document: every capability below its prefix, with every problem it may answer."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

from configs.settings import Settings
from receipts.database import DatabaseRole
from receipts.errors import InvalidInput
from serve_apps.capabilities import CAPABILITIES, Capability

_REF = "#/components/schemas/"
_PROBLEMS = {
    "400": "The body is no valid JSON.",
    "401": "No access token, or one that is not accepted.",
    "403": "The caller's role does not permit this.",
    "404": "There is no such thing in the caller's regions.",
    "409": "What is asked for is not possible any more; `detail` says why.",
    "413": "The body is too large.",
    "422": "A parameter or the body is not acceptable; `field` and `accepted` say which and why.",
    "429": "Too many requests; try again after Retry-After.",
    "503": "Not available at the moment; try again after Retry-After.",
}
_PROBLEM_HEADERS = {"401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}
_REQUEST_ID = {
    "X-Request-Id": {
        "description": "Names this request in the audit trail and in our logs.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    }
}


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457). `field` and `accepted` are there where one field was at fault."""

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    field: str = ""
    accepted: str = ""


def whole_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of what customers call; signing in is the identity provider's own."""
    # Applications are built and never run: they need a login that nobody uses.
    nowhere = {"dsn": "postgresql://127.0.0.1/none", "role_passwords": {DatabaseRole.API.value: "none"}}
    settings = Settings.model_validate({"database": nowhere})
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"ProblemDocument": ProblemDocument.model_json_schema()}
    for capability in CAPABILITIES:
        app: FastAPI = importlib.import_module(capability.module).build_app(settings)
        part = app.openapi()
        for path, operations in part["paths"].items():
            paths[capability.prefix + path] = {
                method: _completed(operation, capability, app.title) for method, operation in operations.items()
            }
        for name, schema in part["components"]["schemas"].items():
            if schemas.setdefault(name, schema) != schema:
                raise InvalidInput(name, "is the name of two different models of the API; rename one of them")
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own; we answer problems instead
        schemas.pop(unused, None)
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Receipt lookup", "version": importlib.metadata.version("receipt-lookup")},
        "security": [{"accessToken": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"accessToken": bearer}},
    }


def _completed(operation: dict[str, Any], capability: Capability, title: str) -> dict[str, Any]:
    """Return an operation that names its capability and all that may come of it."""
    answers = {status: {**answer, "headers": _REQUEST_ID} for status, answer in operation["responses"].items()}
    answers |= {status: _problem(status, text) for status, text in _PROBLEMS.items()}
    return {
        **operation,
        "operationId": f"{capability.name}_{operation['operationId']}",
        "tags": [title],
        "responses": answers,
    }


def _problem(status: str, text: str) -> dict[str, Any]:
    headers = dict(_REQUEST_ID)
    if status in _PROBLEM_HEADERS:
        headers[_PROBLEM_HEADERS[status]] = {"required": True, "schema": {"type": "string"}}
    content = {"application/problem+json": {"schema": {"$ref": f"{_REF}ProblemDocument"}}}
    return {"description": text, "headers": headers, "content": content}
