"""What every application of the API has in common."""

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from receipts.access import Permission
from serve_apps.api import build_api
from serve_apps.exchange import Caller
from serve_apps.guard import guard
from serve_apps.serving import serving_context
from tests.fixtures.serving import running

router = APIRouter()


class Question(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str
    count: int = 1


@router.post("/")
async def echo(question: Question, caller: Annotated[Caller, Depends(guard(Permission.SEARCH_RECEIPTS))]) -> Question:
    return question


@pytest.fixture
async def api(settings, sign_ins):
    small = settings.model_copy(update={"serve": settings.serve.model_copy(update={"max_body_bytes": 1_024})})
    async with running(build_api("Echo", serving_context(small), [router]), "/echo") as client:
        yield client


async def test_a_good_body_is_answered_with_the_protective_headers(api, sign_ins):
    answer = await api.post("/echo/", json={"text": "milk"}, headers=sign_ins.headers("rep.east"))
    assert answer.json() == {"text": "milk", "count": 1}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert len(answer.headers["x-request-id"]) == 32


async def test_a_clients_own_request_id_is_not_taken(api, sign_ins):
    headers = sign_ins.headers("rep.east") | {"X-Request-Id": "mine"}
    answer = await api.post("/echo/", json={"text": "milk"}, headers=headers)
    assert "mine" not in answer.headers["x-request-id"]


async def test_an_oversized_body_is_refused_announced_or_in_chunks(api, sign_ins):
    headers = sign_ins.headers("rep.east") | {"Content-Type": "application/json"}

    async def chunks():
        for _ in range(30):
            yield b"x" * 100

    for content in (b"x" * 1_025, chunks()):
        answer = await api.post("/echo/", content=content, headers=headers)
        assert answer.status_code == 413
        assert "1024 bytes" in answer.json()["detail"]


async def test_who_is_not_signed_in_learns_nothing_of_routes_or_limits(api):
    for method, path, body in (
        ("POST", "/echo/", b"x" * 5_000),
        ("GET", "/echo/nowhere", b""),
        ("PUT", "/echo/", b"{"),
    ):
        answer = await api.request(method, path, content=body)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("body", "status", "field", "accepted"),
    [
        (b"{", 400, "body", "a JSON object"),
        (b"\xff", 400, None, None),
        (b"[]", 422, "body", "dictionary"),
        (b'{"text": "secret@example.com", "colour": 1}', 422, "colour", "count, text"),
        (b'{"count": 1}', 422, "text", "required"),
        (b'{"text": "a", "count": "secret@example.com"}', 422, "count", "integer"),
    ],
)
async def test_a_wrong_body_is_refused_naming_field_and_what_is_accepted_but_no_value(
    api, sign_ins, body, status, field, accepted
):
    headers = sign_ins.headers("rep.east") | {"Content-Type": "application/json"}
    answer = await api.post("/echo/", content=body, headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem.get("field")) == (status, field)
    assert accepted is None or accepted in problem["accepted"]
    assert "secret" not in answer.text
    assert problem["status"] == status


async def test_a_wrong_method_and_an_unknown_route_are_problems(api, sign_ins):
    headers = sign_ins.headers("rep.east")
    assert (await api.get("/echo/", headers=headers)).json()["status"] == 405
    assert (await api.get("/echo/docs", headers=headers)).json()["status"] == 404
    assert (await api.get("/echo/openapi.json", headers=headers)).json()["status"] == 404


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic cmVwOnJlcA==", "bearer\tabc", "Token abc", "Bearer a b", "Bearer é.é.é"],
)
async def test_a_strange_authorization_header_is_a_401(api, authorization):
    headers = [(b"authorization", authorization.encode()), (b"content-type", b"application/json")]
    answer = await api.post("/echo/", content=b"{}", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_two_authorization_headers_are_a_401(api, sign_ins):
    good = ("Authorization", sign_ins.headers("rep.east")["Authorization"])
    answer = await api.post("/echo/", json={"text": "a"}, headers=[good, good])
    assert answer.status_code == 401


async def test_an_expired_token_is_a_401_that_says_so(api, sign_ins, settings):
    short = settings.auth.model_copy(update={"access_token_s": -60})
    from serve_apps.issuing import Issuer

    token = Issuer(short, sign_ins.issuer().key).access_token(sign_ins.principal("rep.east"), "Rep")
    answer = await api.post("/echo/", json={"text": "a"}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert "expired" in answer.json()["detail"]
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
