"""Describes and writes protobuf records as a sender with a schema of its own does."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_TYPES = {
    str: FieldDescriptorProto.TYPE_STRING,
    int: FieldDescriptorProto.TYPE_INT64,
    float: FieldDescriptorProto.TYPE_DOUBLE,
}


def describe(name: str, example: dict[str, Any], package: str) -> DescriptorProto:
    """Describe a message that holds a JSON object, its nested objects as nested messages."""
    message = DescriptorProto(name=name.rsplit(".", 1)[-1])
    for number, (key, value) in enumerate(example.items(), 1):
        field = message.field.add(name=key, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
        if isinstance(value, list):
            field.label = FieldDescriptorProto.LABEL_REPEATED
            nested = f"{name}.{key.title()}"
            message.nested_type.append(describe(nested, {k: v for one in value for k, v in one.items()}, package))
            field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{package}.{nested}"
        else:
            field.type = _TYPES[type(value)]
    return message


def message_class(message: DescriptorProto, package: str) -> type[Message]:
    """Return the class that writes what was described."""
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="pos.proto", package=package, message_type=[message]))
    return GetMessageClass(pool.FindMessageTypeByName(f"{package}.{message.name}"))


def encode(kind: type[Message], value: dict[str, Any]) -> bytes:
    """Return a JSON object as bytes of that class."""
    return ParseDict(value, kind()).SerializeToString()
