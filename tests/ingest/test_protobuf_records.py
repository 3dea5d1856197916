"""Protobuf records of a sender's own making, read by the descriptor it sends."""

import json

import grpc
import psycopg
import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto

from ingest.generated import wire_pb2
from ingest.protobuf_records import json_reader
from receipts.errors import InvalidInput
from tests.fixtures.retail import make_receipt
from tests.ingest.protobuf_writer import describe, encode, message_class
from tests.ingest.till_double import connected, open_stream


@pytest.fixture(scope="module")
def example() -> dict:
    return json.loads(make_receipt().canonical())


@pytest.fixture(scope="module", params=["acme.pos.v1", "x"])
def descriptor(request: pytest.FixtureRequest, example: dict) -> tuple[DescriptorProto, str]:
    return describe("TillReceipt", example, request.param), request.param


def _encode(descriptor: tuple[DescriptorProto, str], value: dict) -> bytes:
    return encode(message_class(*descriptor), value)


def test_a_record_becomes_the_json_it_stands_for(descriptor: tuple[DescriptorProto, str], example: dict) -> None:
    read = json_reader(descriptor[0].SerializeToString())
    assert json.loads(read(_encode(descriptor, example)) or b"") == example


def test_bytes_that_do_not_decode_are_told_apart(descriptor: tuple[DescriptorProto, str]) -> None:
    assert json_reader(descriptor[0].SerializeToString())(b"\xff\xff\xff") is None


@pytest.mark.parametrize(
    "descriptor", [b"", b"\xff\xff", describe("A", {"b": [{"c": 1}]}, "x").SerializeToString()[:-9]]
)
def test_a_descriptor_that_cannot_be_used_is_refused(descriptor: bytes) -> None:
    with pytest.raises(InvalidInput, match="descriptor_proto"):
        json_reader(descriptor)


async def test_protobuf_receipts_are_stored_like_json_ones(
    gateway: str, ingest: psycopg.Connection, descriptor: tuple[DescriptorProto, str], example: dict
) -> None:
    encoded = _encode(descriptor, example)
    opening = open_stream(record_format=wire_pb2.PROTO, descriptor_proto=descriptor[0].SerializeToString())
    async with connected(gateway) as till:
        await till.say(opening)
        assert (await till.hear()).opened.stream_id
        records = wire_pb2.Payloads(records=[encoded, b"\xff\xff\xff"])
        await till.say(wire_pb2.FromTill(record=wire_pb2.OneRecord(offset=0, proto=encoded)))
        await till.say(wire_pb2.FromTill(batch=wire_pb2.RecordBatch(offset=1, proto=records)))
        await till.hear_ack(1)
        assert (await till.end())[0] is grpc.StatusCode.OK
    stored = ingest.execute("SELECT document FROM retail.receipts").fetchall()
    assert stored == [(make_receipt().canonical(),)]
    reasons = ingest.execute("SELECT reason FROM ingest.quarantine").fetchall()
    assert reasons == [("The record does not decode by its descriptor.",)]
