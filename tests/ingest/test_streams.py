"""Streams as the gateway lets them in: how many, how long they may say nothing, by which token, and who may look."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import ingest.gateway
from configs.settings import Settings
from ingest.rpc_server import SERVICE
from ingest.server import running
from ingest.tokens import load_tokens
from tests.ingest.till_double import connected, serving, streaming

_LONG_AGO = 1_700_000_000.0  # seconds since the epoch


async def test_a_gateway_takes_as_many_streams_as_it_is_told_and_another_once_one_has_ended(open_shop: Settings):
    narrow = open_shop.model_copy(update={"ingest": open_shop.ingest.model_copy(update={"max_streams": 2})})
    address = f"127.0.0.1:{narrow.ingest.port}"
    async with running(narrow):
        await serving(address)
        async with streaming(address), streaming(address) as second:
            async with connected(address) as third:
                code, sentence = await third.status()
                assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert "has 2 streams, which is all it takes" in sentence
            assert (await second.end())[0] is grpc.StatusCode.OK
            async with streaming(address) as next_one:
                assert (await next_one.end())[0] is grpc.StatusCode.OK


async def test_who_never_opens_a_stream_is_sent_away(gateway: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ingest.gateway, "_OPEN_WITHIN_S", 0.2)
    async with connected(gateway) as till:
        code, sentence = await till.status()
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "was not opened within" in sentence


async def test_a_token_that_has_expired_opens_no_stream(gateway: str, open_shop: Settings):
    tokens = load_tokens(open_shop)
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr("ingest.tokens.time.time", lambda: _LONG_AGO)
        expired = tokens.mint("till-1", frozenset({367}), all_stores=False)
    async with connected(gateway, ("authorization", f"Bearer {expired}")) as till:
        assert await till.status() == (
            grpc.StatusCode.UNAUTHENTICATED,
            "The access token has expired; sign in again.",
        )


async def test_the_service_describes_itself_to_whoever_reaches_it(gateway: str):
    async with grpc.aio.insecure_channel(gateway) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        answers = [answer async for answer in stub.ServerReflectionInfo(asked)]
    names = {service.name for answer in answers for service in answer.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names
