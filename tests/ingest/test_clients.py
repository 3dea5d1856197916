"""Tills renew their tokens while Postgres is away, and what was revoked or rotated meanwhile ends once it is back."""

import asyncio

import httpx

from cluster.tills import add_till, revoke_till, rotate_till
from configs.settings import Settings
from ingest.server import running
from tests.fixtures.tcp_proxy import TcpProxy, through
from tests.ingest.till_double import serving

_DEADLINE_S = 60


async def _ask(settings: Settings, client_id: str, secret: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=_DEADLINE_S) as http:
        url = f"http://127.0.0.1:{settings.ingest.token_port}/oidc/v1/token"
        return await http.post(url, auth=(client_id, secret), data={"grant_type": "client_credentials"})


async def test_known_clients_renew_during_an_outage_and_old_secrets_end_after_it(
    open_shop: Settings, postgres_proxy: TcpProxy
) -> None:
    kept, gone, rotated = (add_till(open_shop, f"till-{n}", [367], all_stores=False) for n in (1, 2, 3))
    known = {"till-1": kept, "till-2": gone, "till-3": rotated}
    shop = through(open_shop, postgres_proxy)
    async with running(shop):
        await serving(f"127.0.0.1:{shop.ingest.port}")
        for client_id, secret in known.items():
            assert (await _ask(shop, client_id, secret)).status_code == 200
        postgres_proxy.cut()
        late = add_till(open_shop, "till-4", [367], all_stores=False)  # by an administrator who still reaches Postgres
        revoke_till(open_shop, "till-2")
        renewed = rotate_till(open_shop, "till-3")
        refused = await _ask(shop, "till-4", late)
        assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
        assert "try again shortly" in refused.json()["error_description"]
        for client_id, secret in known.items():
            answer = await _ask(shop, client_id, secret)
            assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")
        assert (await _ask(shop, "till-1", "wrong")).status_code == 401
        postgres_proxy.restore()
        async with asyncio.timeout(_DEADLINE_S):
            while (await _ask(shop, "till-4", late)).status_code == 503:  # noqa: ASYNC110 - asked over the wire
                await asyncio.sleep(0.05)
        # Reading till-4 read them all: before that, or a minute at most, the old secrets are still taken.
        statuses = [(await _ask(shop, client_id, secret)).status_code for client_id, secret in known.items()]
        assert statuses == [200, 401, 401]
        assert (await _ask(shop, "till-3", renewed)).status_code == 200
        assert (await _ask(shop, "till-4", late)).status_code == 200
