"""Which column of a table is which field of a receipt: a YAML file, checked before anything is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from receipts.errors import InvalidInput

Row = Mapping[str, object]


class Part(BaseModel):
    """A part of the mapping, which refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Value(Part):
    """Where a field comes from: a column or a constant, then what is made of its text."""

    column: str = ""
    constant: str | None = None
    pattern: str = ""  # a regular expression: its first group, or all of it, is the text; nothing where it does not fit
    values: dict[str, str] = {}  # texts that stand for others
    default: str = ""  # in place of an empty text
    format: str = ""  # of a date or time, as strptime reads it; ISO 8601 without

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        return _pattern(value)

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if bool(self.column) == (self.constant is not None):
            raise ValueError("expected either column or constant")
        return self

    def text(self, row: Row) -> str:
        """Return the text of a row's field."""
        raw = self.constant if self.constant is not None else cell_text(row[self.column])
        if self.pattern:
            found = re.search(self.pattern, raw)
            raw = "" if found is None else (found[1] if found.re.groups else found[0]) or ""
        return self.values.get(raw, raw) or self.default


class ReceiptValues(Part):
    """The fields of a receipt, from its first row; the first four tell one receipt from another."""

    store_id: Value
    register_id: Value
    business_date: Value
    sequence_number: Value
    purchased_at: Value
    receipt_type: Value = Value(constant="sale")
    operator_id: Value | None = None
    customer_id: Value | None = None
    currency: Value = Value(constant="USD")
    original_receipt_id: Value | None = None
    tax: Value | None = None  # of the whole receipt; without it the lines' own
    total: Value | None = None  # compared with what the lines add up to


class LineValues(Part):
    """The fields of a line, from its row."""

    sku: Value
    description: Value
    department: Value | None = None
    category: Value | None = None
    quantity: Value
    unit: Value | None = None
    unit_price: Value
    discount: Value | None = None
    tax: Value | None = None
    amount: Value | None = None  # after the discount and before tax; without it, price times quantity less discount


class TenderValues(Part):
    """How a receipt was paid, from its first row: one tender of the whole total."""

    tender_type: Value = Value(constant="other")
    card_brand: Value | None = None
    card_last4: Value | None = None


class Numbers(Part):
    """How numbers are written."""

    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] = ""
    money: Literal["major", "minor"] = "major"  # dollars or cents


class Text(Part):
    """How a CSV file is written; what is empty is found out from the file."""

    encoding: str = ""
    delimiter: str = Field(default="", max_length=1)

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            "".encode(value or "utf-8")
        except LookupError:
            raise ValueError("expected the name of an encoding such as utf-8 or windows-1252") from None
        return value


class NoReceipt(Part):
    """What an export holds beside receipts: where every row fits all patterns, by column, it is refused."""

    rows: dict[str, str] = Field(min_length=1)  # column: regular expression that is found in its text
    reason: str = Field(min_length=1, max_length=200)  # a sentence

    @field_validator("rows")
    @classmethod
    def _compile(cls, value: dict[str, str]) -> dict[str, str]:
        return {column: _pattern(pattern) for column, pattern in value.items()}

    def holds(self, rows: Iterable[Row]) -> bool:
        """Say whether rows that stand together are what this describes."""
        return all(re.search(pattern, cell_text(row[column])) for row in rows for column, pattern in self.rows.items())


class ColumnMapping(Part):
    """A whole mapping file."""

    receipt: ReceiptValues
    line: LineValues
    tender: TenderValues = TenderValues()
    time_zone: str = ""  # of times without an offset; without it, that of the receipt's store
    numbers: Numbers = Numbers()
    csv: Text = Text()
    no_receipts: tuple[NoReceipt, ...] = ()  # the first that fits gives the reason

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            if value:
                ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("expected an IANA time zone such as America/New_York") from None
        return value

    def used(self) -> Iterator[tuple[str, str]]:
        """Yield the key and the column of each field that has one."""
        for name in ("receipt", "line", "tender"):
            part = getattr(self, name)
            for field in type(part).model_fields:
                value = getattr(part, field)
                if isinstance(value, Value) and value.column:
                    yield f"{name}.{field}.column", value.column
        for number, kind in enumerate(self.no_receipts):
            yield from ((f"no_receipts.{number}.rows", column) for column in kind.rows)


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from None
    return value


def load_mapping(path: Path) -> ColumnMapping:
    """Read a mapping file. Raises InvalidInput naming the key and what is accepted."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise InvalidInput("mapping", f"{path} cannot be read") from None
    except yaml.YAMLError as error:
        line = error.problem_mark.line + 1 if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark else 1
        raise InvalidInput("mapping", f"{path} is not valid YAML at line {line}") from None
    try:
        return ColumnMapping.model_validate(tree)
    except ValidationError as error:
        raise InvalidInput("mapping", _sentence(error.errors()[0])) from None


def check_columns(mapping: ColumnMapping, columns: list[str]) -> list[str]:
    """Return the columns that a mapping uses. Raises InvalidInput when the file lacks one."""
    for key, column in mapping.used():
        if column not in columns:
            shown = ", ".join(columns[:50])
            raise InvalidInput(f"mapping {key}", f"the file has no column {column}; its columns are {shown}")
    return list(dict.fromkeys(column for _, column in mapping.used()))


def cell_text(cell: object) -> str:
    """Return a cell as text; floats by their shortest decimal form, so that 2.55 stays 2.55."""
    match cell:
        case None:
            return ""
        case str():
            return cell.strip()
        case float():
            return "" if cell != cell else format(Decimal(repr(cell)), "f")  # noqa: PLR0124  only NaN differs from itself
        case Decimal():
            return format(cell, "f")
        case datetime() | date():
            return cell.isoformat()
        case _:
            return str(cell)


def _sentence(error: ErrorDetails) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{key} is not a key; accepted: {', '.join(_accepted(error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"{key} is required"
    if error["type"].startswith(("model", "dict")):
        return f"{key or 'the file'}: expected keys and values: {', '.join(_accepted(error['loc']))}"
    return f"{key}: {error['msg'].removeprefix('Value error, ')}"


def _accepted(path: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the part of the mapping at a path."""
    part: type[BaseModel] = ColumnMapping
    for step in path:
        field = part.model_fields.get(str(step))
        if field is None:
            break
        kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        part = next((kind for kind in kinds if issubclass(kind, BaseModel)), part)
    return list(part.model_fields)
