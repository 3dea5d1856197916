"""What a caller may not say to Ray Serve, and what we say to it instead."""

import pytest

from cluster.entrance import middlewares


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


async def test_the_life_of_an_application_passes_untouched():
    assert await passed({"type": "lifespan"}) == {}
