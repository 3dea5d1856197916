import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecordFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECORD_FORMAT_UNSPECIFIED: _ClassVar[RecordFormat]
    PROTO: _ClassVar[RecordFormat]
    JSON: _ClassVar[RecordFormat]
    AVRO: _ClassVar[RecordFormat]
RECORD_FORMAT_UNSPECIFIED: RecordFormat
PROTO: RecordFormat
JSON: RecordFormat
AVRO: RecordFormat

class FromTill(_message.Message):
    __slots__ = ("open", "record", "batch")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    open: OpenStream
    record: OneRecord
    batch: RecordBatch
    def __init__(self, open: _Optional[_Union[OpenStream, _Mapping]] = ..., record: _Optional[_Union[OneRecord, _Mapping]] = ..., batch: _Optional[_Union[RecordBatch, _Mapping]] = ...) -> None: ...

class ToTill(_message.Message):
    __slots__ = ("opened", "ack", "close_soon")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    CLOSE_SOON_FIELD_NUMBER: _ClassVar[int]
    opened: StreamOpened
    ack: Ack
    close_soon: CloseSoon
    def __init__(self, opened: _Optional[_Union[StreamOpened, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., close_soon: _Optional[_Union[CloseSoon, _Mapping]] = ...) -> None: ...

class OpenStream(_message.Message):
    __slots__ = ("table_name", "descriptor_proto", "record_format", "avro_schema_json")
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTOR_PROTO_FIELD_NUMBER: _ClassVar[int]
    RECORD_FORMAT_FIELD_NUMBER: _ClassVar[int]
    AVRO_SCHEMA_JSON_FIELD_NUMBER: _ClassVar[int]
    table_name: str
    descriptor_proto: bytes
    record_format: RecordFormat
    avro_schema_json: str
    def __init__(self, table_name: _Optional[str] = ..., descriptor_proto: _Optional[bytes] = ..., record_format: _Optional[_Union[RecordFormat, str]] = ..., avro_schema_json: _Optional[str] = ...) -> None: ...

class StreamOpened(_message.Message):
    __slots__ = ("stream_id",)
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    def __init__(self, stream_id: _Optional[str] = ...) -> None: ...

class OneRecord(_message.Message):
    __slots__ = ("offset", "proto", "json", "avro")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    PROTO_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    AVRO_FIELD_NUMBER: _ClassVar[int]
    offset: int
    proto: bytes
    json: bytes
    avro: bytes
    def __init__(self, offset: _Optional[int] = ..., proto: _Optional[bytes] = ..., json: _Optional[bytes] = ..., avro: _Optional[bytes] = ...) -> None: ...

class RecordBatch(_message.Message):
    __slots__ = ("offset", "proto", "json", "avro")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    PROTO_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    AVRO_FIELD_NUMBER: _ClassVar[int]
    offset: int
    proto: Payloads
    json: Payloads
    avro: Payloads
    def __init__(self, offset: _Optional[int] = ..., proto: _Optional[_Union[Payloads, _Mapping]] = ..., json: _Optional[_Union[Payloads, _Mapping]] = ..., avro: _Optional[_Union[Payloads, _Mapping]] = ...) -> None: ...

class Payloads(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, records: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("durable_up_to",)
    DURABLE_UP_TO_FIELD_NUMBER: _ClassVar[int]
    durable_up_to: int
    def __init__(self, durable_up_to: _Optional[int] = ...) -> None: ...

class CloseSoon(_message.Message):
    __slots__ = ("within",)
    WITHIN_FIELD_NUMBER: _ClassVar[int]
    within: _duration_pb2.Duration
    def __init__(self, within: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
