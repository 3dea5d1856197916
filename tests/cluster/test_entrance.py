"""What a caller may not say to Ray Serve, and what we say to it instead."""

import httpx
import pytest

from cluster import entrance
from cluster.entrance import middlewares
from serve_apps import lookup
from tests.fixtures.retail import make_receipt, make_store, store_rows


async def passed(scope: dict) -> dict:
    """Return the headers that reach Serve, by name."""
    seen = []

    async def app(scope, receive, send):
        seen.append(dict(scope.get("headers", ())))

    (middleware,) = middlewares()
    await middleware.cls(app)(scope, None, None)
    return seen[0]


@pytest.mark.parametrize(("method", "undisturbed"), [("GET", b"?1"), ("POST", None)])
async def test_only_we_say_how_serve_treats_a_request(method, undisturbed):
    sent = {
        b"authorization": b"Bearer x",
        b"x-request-id": b"mine",
        b"x-request-timeout-seconds": b"0",
        b"x-request-disconnect-disabled": b"?0",
    }
    headers = await passed({"type": "http", "method": method, "headers": list(sent.items())})
    assert headers[b"authorization"] == b"Bearer x"
    assert headers[b"x-request-id"] not in {b"", b"mine"}
    assert b"x-request-timeout-seconds" not in headers
    assert headers.get(b"x-request-disconnect-disabled") == undisturbed


async def test_an_answer_carries_the_number_it_is_on_record_by_and_not_serves():
    sent = []

    async def app(scope, receive, send):
        ours = next(value for name, value in scope["headers"] if name == b"x-request-id")
        headers = [(b"x-request-id", b"on record"), (b"a", b"b"), (b"x-request-id", ours)]  # as Serve adds its own
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    async def send(message):
        sent.append(message)

    (middleware,) = middlewares()
    await middleware.cls(app)({"type": "http", "method": "GET", "headers": []}, None, send)
    assert sent[0]["headers"] == [(b"x-request-id", b"on record"), (b"a", b"b")]
    assert len(sent) == 2


async def test_the_life_of_an_application_passes_untouched():
    assert await passed({"type": "lifespan"}) == {}


async def test_what_has_a_shortcut_is_answered_at_the_door_and_all_else_passes_on(settings, sign_ins, monkeypatch):
    receipt = make_receipt()
    store_rows(settings, stores=[make_store()], receipts=[receipt])
    monkeypatch.setattr(entrance, "_received", [])  # this process outlives the test, a replica's does not
    app = lookup.build_app(settings)
    entrance.receive_for(app, "/receipt")
    (middleware,) = middlewares()
    passed_on = []

    async def serve(scope, receive, send):
        passed_on.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    headers, there = sign_ins.headers("rep.east"), f"/receipt/{receipt.receipt_id}"
    transport = httpx.ASGITransport(middleware.cls(serve))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await client.get(there, headers=headers)).status_code == 204, "its pools are not open yet"
        async with app.router.lifespan_context(app):
            assert (await client.get(there, headers=headers)).json()["receipt"]["receipt_id"] == receipt.receipt_id
            assert (await client.get(there)).status_code == 401
            for path in (f"{there}?x=1", "/receipt/123", "/receipt", "/-/healthz", "/customers/C1/receipts"):
                assert (await client.get(path, headers=headers)).status_code == 204
            assert (await client.post(there, headers=headers)).status_code == 204
        assert (await client.get(there, headers=headers)).status_code == 204, "its pools are closed"
    assert passed_on == [
        there, there, "/receipt/123", "/receipt", "/-/healthz", "/customers/C1/receipts",
        there, there,
    ]  # fmt: skip
