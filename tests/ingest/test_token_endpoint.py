"""Tills get tokens by their secret, over the gateway's own certificate, and write only what their tokens allow."""

import asyncio
import ssl

import grpc
import httpx
import psycopg
import pytest

from cluster.certificates import ensure_certificates
from cluster.health import gateway_is_healthy
from cluster.tills import add_till, revoke_till
from configs.settings import Settings
from ingest.generated import wire_pb2_grpc
from ingest.server import running
from tests.fixtures.retail import make_receipt
from tests.ingest.till_double import STORES, Conversation, connected, open_stream, record, serving

FORM = {"grant_type": "client_credentials", "scope": "all-apis", "authorization_details": "[]"}


@pytest.fixture
def strict(open_shop: Settings) -> Settings:
    """Settings of a gateway that takes records only with a token."""
    return open_shop.model_copy(update={"ingest": open_shop.ingest.model_copy(update={"require_token": True})})


async def ask(settings: Settings, client_id: str, secret: str, **form: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        url = f"http://127.0.0.1:{settings.ingest.token_port}/oidc/v1/token"
        return await http.post(url, auth=(client_id, secret), data=FORM | form)


async def test_a_token_opens_receipts_and_nothing_that_is_for_feeds(strict: Settings, ingest: psycopg.Connection):
    secret = add_till(strict, "till-367", [367], all_stores=False)
    address = f"127.0.0.1:{strict.ingest.port}"
    async with running(strict):
        await serving(address)
        answer = await ask(strict, "till-367", secret)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["expires_in"] == 3600
        bearer = ("authorization", f"Bearer {answer.json()['access_token']}")
        async with connected(address, bearer) as till:
            await till.say(open_stream(), record(0, make_receipt().canonical()))
            await till.say(record(1, make_receipt(store_id=400).canonical()))
            await till.hear()
            await till.hear_ack(1)
            assert (await till.end())[0] is grpc.StatusCode.OK
        async with connected(address, bearer) as till:
            await till.say(open_stream(STORES))
            assert (await till.status())[0] is grpc.StatusCode.PERMISSION_DENIED
        for metadata in ((), (("authorization", "Bearer x.y.z"),), (("authorization", "Basic eA=="),)):
            async with connected(address, *metadata) as till:
                assert (await till.status())[0] is grpc.StatusCode.UNAUTHENTICATED
    assert ingest.execute("SELECT store_id FROM retail.receipts").fetchall() == [(367,)]
    assert ingest.execute("SELECT kind FROM ingest.quarantine").fetchall() == [("foreign_store",)]


async def test_who_is_wrong_unknown_or_revoked_gets_the_same_answer(strict: Settings):
    secret = add_till(strict, "till-367", [367], all_stores=False)
    revoked = add_till(strict, "till-gone", [367], all_stores=False)
    revoke_till(strict, "till-gone")
    async with running(strict):
        answers = [
            await ask(strict, client_id, given)
            for client_id, given in (("till-367", "wrong"), ("nobody", secret), ("till-gone", revoked))
        ]
        assert {answer.status_code for answer in answers} == {401}
        assert len({answer.text for answer in answers}) == 1
        assert answers[0].json()["error"] == "invalid_client"
        assert answers[0].headers["www-authenticate"].startswith("Basic")
        other = await ask(strict, "till-367", secret, grant_type="password")
        assert (other.status_code, other.json()["error"]) == (400, "unsupported_grant_type")
        large = await ask(strict, "till-367", secret, padding="x" * 20_000)
        assert large.status_code == 413
        for _ in range(9):
            await ask(strict, "till-367", "wrong")
        assert (await ask(strict, "till-367", secret)).status_code == 429


async def test_a_renewed_certificate_is_used_without_a_restart(strict: Settings):
    folder = strict.state_dir / "certificates"
    made = ensure_certificates(folder, ["localhost", "127.0.0.1"], 30)
    files = {"tls_certificate": made.certificate, "tls_key": made.key}
    secure = strict.model_copy(update={"ingest": strict.ingest.model_copy(update=files)})
    async with running(secure):
        await _opens(secure, made.authority.read_bytes())
        await serving_over_tls(secure)
        old = made.authority.read_bytes()
        for path in folder.iterdir():
            path.unlink()
        ensure_certificates(folder, ["localhost", "127.0.0.1"], 30)
        await _opens(secure, made.authority.read_bytes())
        with pytest.raises(AssertionError):
            await _opens(secure, old)


async def serving_over_tls(settings: Settings) -> None:
    """Ask as the platform does, which blocks, until the gateway can store records."""
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(gateway_is_healthy, settings):  # noqa: ASYNC110 - asked over the wire
            await asyncio.sleep(0.05)


async def _opens(settings: Settings, authority: bytes) -> None:
    """Reach both ports, trusting only this authority."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    credentials = grpc.ssl_channel_credentials(authority)
    async with grpc.aio.secure_channel(f"localhost:{settings.ingest.port}", credentials, options) as channel:
        call = wire_pb2_grpc.ZerobusStub(channel).EphemeralStream()
        assert (await Conversation(call).status())[0] is grpc.StatusCode.UNAUTHENTICATED
    trust = ssl.create_default_context(cadata=authority.decode())
    async with httpx.AsyncClient(trust_env=False, verify=trust, timeout=30) as http:
        url = f"https://localhost:{settings.ingest.token_port}/oidc/v1/token"
        assert (await http.post(url, data=FORM)).status_code == 401
