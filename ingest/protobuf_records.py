"""Protobuf records of any sender: read by the descriptor it sends, handed on as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from receipts.errors import InvalidInput


def json_reader(descriptor: bytes) -> Callable[[bytes], bytes | None]:
    """Return a function from a protobuf record to its JSON, or to None when the bytes do not decode.

    `descriptor` is a serialized DescriptorProto of one message. Fields keep their names and numbers stay numbers;
    the name of an enum value is written in lower case. Raises InvalidInput when the descriptor cannot be used.
    """
    message_class = _message_class(descriptor)

    def read(record: bytes) -> bytes | None:
        message = message_class()
        try:
            message.ParseFromString(record)
            return orjson.dumps(_fields(message))
        except (DecodeError, UnicodeDecodeError, orjson.JSONEncodeError):
            return None

    return read


def _message_class(descriptor: bytes) -> type[Message]:
    try:
        message = DescriptorProto.FromString(descriptor)
        file = FileDescriptorProto(name="record.proto", package=_package(message), message_type=[message])
        pool = DescriptorPool()
        pool.Add(file)
        return GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{message.name}".lstrip(".")))
    except (DecodeError, TypeError, KeyError, ValueError) as error:
        raise InvalidInput(
            "descriptor_proto", "expected a DescriptorProto of one message that needs no other file"
        ) from error


def _package(message: DescriptorProto) -> str:
    """Return the package the sender compiled in, told by how the fields name the nested types."""
    for name in _type_names(message):
        before, found, _ = name.lstrip(".").partition(f"{message.name}.")
        if found:
            return before.rstrip(".")
    return ""


def _type_names(message: DescriptorProto) -> Iterator[str]:
    yield from (field.type_name for field in message.field if field.type_name)
    for nested in message.nested_type:
        yield from _type_names(nested)


def _fields(message: Message) -> dict[str, Any]:
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field: FieldDescriptor, value: Any) -> Any:  # noqa: ANN401 - a protobuf value is of any of its types
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {str(key): item for key, item in value.items()}
    if field.is_repeated:
        return [_single(field, item) for item in value]
    return _single(field, value)


def _single(field: FieldDescriptor, value: Any) -> Any:  # noqa: ANN401 - a protobuf value is of any of its types
    if field.message_type is not None:
        return _fields(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name.lower()
    return value.decode("utf-8") if isinstance(value, bytes) else value
