"""Mapping files: what they may say, and what is said about one that is wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

import configs
from ingest.adapters.mapping import Value, cell_text, check_columns, load_mapping
from receipts.errors import InvalidInput

EXAMPLE = Path(configs.__file__).parent / "imports" / "online_retail.yaml"
PARTS = "receipt, line, tender, time_zone, numbers, csv, no_receipts"
LINE = "sku, description, department, category, quantity, unit, unit_price, discount, tax, amount"
VALUE = "column, constant, pattern, values, default, format"
PATTERN = "expected a regular expression: missing ), unterminated subpattern at position 0"
ENCODING = "expected the name of an encoding such as utf-8 or windows-1252"


def wrong(tmp_path: Path, change: str, value: object) -> str:
    """Return what is said about the example with one key set, or deleted by None."""
    tree = yaml.safe_load(EXAMPLE.read_text())
    *path, last = change.split(".")
    node = tree
    for step in path:
        node = node[step]
    if value is None:
        del node[last]
    else:
        node[last] = value
    file = tmp_path / "mapping.yaml"
    file.write_text(yaml.safe_dump(tree))
    with pytest.raises(InvalidInput) as raised:
        load_mapping(file)
    return str(raised.value)


def test_the_example_that_ships_is_valid():
    assert ("receipt.sequence_number.column", "InvoiceNo") in set(load_mapping(EXAMPLE).used())


@pytest.mark.parametrize(
    ("change", "value", "said"),
    [
        ("receipts", {}, f"mapping: receipts is not a key; accepted: {PARTS}"),
        ("line.skus", {}, f"mapping: line.skus is not a key; accepted: {LINE}"),
        ("line.sku.colum", "X", f"mapping: line.sku.colum is not a key; accepted: {VALUE}"),
        ("line.sku", None, "mapping: line.sku is required"),
        ("line.sku", {"column": "A", "constant": "B"}, "mapping: line.sku: expected either column or constant"),
        ("line.sku", {"column": "A", "pattern": "("}, f"mapping: line.sku.pattern: {PATTERN}"),
        ("line.sku", "StockCode", f"mapping: line.sku: expected keys and values: {VALUE}"),
        ("numbers.money", "pounds", "mapping: numbers.money: Input should be 'major' or 'minor'"),
        ("time_zone", "Mars", "mapping: time_zone: expected an IANA time zone such as America/New_York"),
        ("no_receipts", [{"rows": {"InvoiceNo": "("}, "reason": "None."}], f"mapping: no_receipts.0.rows: {PATTERN}"),
        ("csv.encoding", "klingon", f"mapping: csv.encoding: {ENCODING}"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named_with_what_is_accepted(change, value, said, tmp_path):
    assert wrong(tmp_path, change, value) == said


def test_a_file_that_is_no_mapping_is_said(tmp_path):
    file = tmp_path / "mapping.yaml"
    for text, said in (("a: [", "is not valid YAML at line 1"), ("- a", "the file: expected keys and values")):
        file.write_text(text)
        with pytest.raises(InvalidInput, match=said):
            load_mapping(file)
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_mapping(tmp_path / "none.yaml")


def test_a_column_that_the_file_lacks_is_named():
    mapping = load_mapping(EXAMPLE)
    with pytest.raises(InvalidInput, match=r"mapping line\.sku\.column: the file has no column StockCode; its columns"):
        check_columns(mapping, ["InvoiceNo", "InvoiceDate", "CustomerID", "Quantity"])


@pytest.mark.parametrize(
    ("value", "cell", "text"),
    [
        (Value(column="a"), " x ", "x"),
        (Value(column="a", default="d"), None, "d"),
        (Value(constant="7"), "x", "7"),
        (Value(column="a", pattern=r"^(\d+)(?:\.0)?$"), 17850.0, "17850"),
        (Value(column="a", pattern=r"\d+"), "A17", "17"),
        (Value(column="a", pattern=r"^\d+$"), "A17", ""),
        (Value(column="a", pattern="^C|^", values={"C": "return"}, default="sale"), "C536379", "return"),
        (Value(column="a", pattern="^C|^", values={"C": "return"}, default="sale"), "536379", "sale"),
    ],
)
def test_what_is_made_of_a_cell(value, cell, text):
    assert value.text({"a": cell}) == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (2.55, "2.55"),
        (1e-05, "0.00001"),
        (1e20, "100000000000000000000"),
        (float("nan"), ""),
        (Decimal("1E+2"), "100"),
        (7, "7"),
        (date(2026, 11, 17), "2026-11-17"),
        (datetime(2026, 11, 17, 18, 5, tzinfo=UTC), "2026-11-17T18:05:00+00:00"),
    ],
)
def test_a_cell_is_text_without_rounding(cell, text):
    assert cell_text(cell) == text
