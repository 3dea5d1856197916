"""Whatever bytes come as a record, they become a record or a refusal that can be stored."""

import json
from datetime import UTC, datetime

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
from hypothesis import given
from hypothesis import strategies as st

from ingest.protobuf_records import json_reader
from ingest.records import Incoming
from ingest.validation import Origin, Parsed, parse
from receipts.bronze import TABLES
from receipts.errors import InvalidInput
from tests.fixtures.retail import make_customer, make_receipt, make_store

_MAX_BYTES = 100_000
_GOOD = [json.loads(model.canonical()) for model in (make_receipt(), make_customer(), make_store())]
_FIELDS = sorted({name for document in _GOOD for name in document} | set(_GOOD[0]["lines"][0]))
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([10**400, -(10**400), "\ud800", "\x00", "2026-02-30", "9" * 5_000])
)
_keys = st.sampled_from(_FIELDS) | st.text()
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_FIELDS) | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)
_spoiled = st.builds(
    lambda document, changes: {**document, **changes},
    st.sampled_from(_GOOD),
    st.dictionaries(st.sampled_from(_FIELDS), _values, max_size=3),
)


def _judge(payload: bytes) -> list[Parsed | Incoming]:
    """Read the payload as a record of every table; what is refused must be storable as text."""
    verdicts = [parse(payload, Origin(table.name, "test", datetime.now(UTC)), _MAX_BYTES) for table in TABLES]
    for verdict in verdicts:
        if isinstance(verdict, Incoming):
            assert verdict.bronze.refusal
            for text in (verdict.bronze.payload, verdict.bronze.refusal):
                assert "\x00" not in text
                text.encode()
        else:
            verdict.document.encode()
    return verdicts


@given(st.binary())
def test_arbitrary_bytes_are_judged(payload: bytes) -> None:
    _judge(payload)


@given(_values | _spoiled)
def test_arbitrary_json_is_judged(document: object) -> None:
    _judge(json.dumps(document).encode())


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 50_000,
        b'{"a":' * 15_000,
        b"1" * 50_000,
        b'{"total_cents": 1e999999}',
        b'{"total_cents": -1e-999999}',
        b'{"store_id": 1, "store_id": 2}',
        b'"\\ud800"',
        b'{"\\udfff": "\\ud800\\u0041"}',
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf{}",
        b"\x00" * 1_000,
        b"NaN",
        b"{}" * 40_000,
        b"\n" * 1_000,
    ],
)
def test_a_known_trick_is_refused(payload: bytes) -> None:
    assert all(isinstance(verdict, Incoming) for verdict in _judge(payload))


def test_of_a_field_that_is_sent_twice_one_value_counts_for_all_that_is_stored() -> None:
    twice = make_receipt().canonical().replace('"register_id":3', '"register_id":4,"register_id":3', 1).encode()
    (verdict, *_) = _judge(twice)
    assert isinstance(verdict, Parsed)
    assert verdict.document == make_receipt().canonical()


@given(st.binary(), st.binary())
def test_a_descriptor_of_arbitrary_bytes_is_used_or_refused(descriptor: bytes, payload: bytes) -> None:
    try:
        read = json_reader(descriptor)
    except InvalidInput:
        return
    _judge(read(payload) or b"")


_descriptors = st.builds(
    DescriptorProto,
    name=st.text(max_size=8) | st.sampled_from(["Receipt", "a.b", ""]),
    field=st.lists(
        st.builds(
            FieldDescriptorProto,
            name=st.sampled_from([*_FIELDS, "", "a b"]),
            number=st.integers(-1, 20) | st.sampled_from([2**29 - 1, 2**29, 19_000]),
            type=st.sampled_from(FieldDescriptorProto.Type.values()),
            label=st.sampled_from(FieldDescriptorProto.Label.values()),
            type_name=st.sampled_from(["", ".Receipt", "Receipt", ".a.Receipt", ".google.protobuf.Any"]),
        ),
        max_size=6,
    ),
)


@given(_descriptors, st.binary(max_size=200))
def test_a_descriptor_of_arbitrary_fields_is_used_or_refused(descriptor: DescriptorProto, payload: bytes) -> None:
    try:
        read = json_reader(descriptor.SerializeToString())
    except InvalidInput:
        return
    _judge(read(payload) or b"")
    _judge(read(b"") or b"")


def test_a_message_in_itself_ten_thousand_times_is_refused() -> None:
    field = FieldDescriptorProto(
        name="lines",
        number=1,
        type=FieldDescriptorProto.TYPE_MESSAGE,
        label=FieldDescriptorProto.LABEL_OPTIONAL,
        type_name=".Receipt",
    )
    read = json_reader(DescriptorProto(name="Receipt", field=[field]).SerializeToString())
    payload = b""
    for _ in range(10_000):
        size, length = len(payload), b""
        while size > 127:
            length += bytes([size & 127 | 128])
            size >>= 7
        payload = b"\x0a" + length + bytes([size]) + payload
    assert read(payload) is None
    for depth in (50, 99):
        _judge(read(b"".join(b"\x0a" + bytes([min(2 * (depth - i - 1), 127)]) for i in range(depth))) or b"")
