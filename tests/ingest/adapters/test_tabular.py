"""Tables with a row for each line item, and what they become."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from ingest.adapters.found import BrokenFile, Found
from ingest.adapters.mapping import ColumnMapping, load_mapping
from ingest.adapters.tabular import read_csv, read_parquet
from receipts.errors import InvalidInput
from receipts.models import MAX_LINES, Receipt
from tests.ingest.adapters.test_mapping import EXAMPLE

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID"
SALE = (
    "536365,85123A,WHITE HANGING HEART,6,2010-12-01 08:26:00,2.55,17850.0\n"
    "536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850.0\n"
)
CANCELLED = "C536379,D,Discount,-1,2010-12-01 09:41:00,27.50,14527.0\n"


def mapping(**changes: object) -> ColumnMapping:
    tree = yaml.safe_load(EXAMPLE.read_text())
    for path, value in changes.items():
        part, _, key = path.partition("__")
        if key:
            tree[part][key] = value
        else:
            tree[part] = value
    return ColumnMapping.model_validate(tree)


def read(rows: str | bytes, tmp_path: Path, use: ColumnMapping | None = None) -> list[Found]:
    path = tmp_path / "table.csv"
    path.write_bytes(rows if isinstance(rows, bytes) else f"{HEADER}\n{rows}".encode())
    return list(read_csv(path, use or load_mapping(EXAMPLE), lambda _: None))


def receipts(found: list[Found]) -> list[Receipt]:
    assert [one.problem for one in found] == [""] * len(found)
    return [Receipt.model_validate_json(one.payload) for one in found]


def test_adjacent_rows_are_one_receipt(tmp_path):
    sale, cancelled = receipts(read(SALE + CANCELLED, tmp_path))
    assert (sale.store_id, sale.sequence_number, sale.customer_id) == (901, 536365, "17850")
    assert sale.purchased_at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert [(line.sku, line.quantity, line.amount_cents) for line in sale.lines] == [
        ("85123A", 6.0, 1_530),
        ("71053", 6.0, 2_034),
    ]
    assert (sale.total_cents, sale.currency, sale.tenders[0].tender_type) == (3_564, "GBP", "other")
    assert (cancelled.receipt_type, cancelled.total_cents, cancelled.sequence_number) == ("return", -2_750, 536379)


def test_parquet_says_the_same_as_csv(tmp_path):
    rows = list(csv.DictReader(io.StringIO(f"{HEADER}\n{SALE}{CANCELLED}")))
    typed = [
        row
        | {"Quantity": float(row["Quantity"]), "UnitPrice": float(row["UnitPrice"])}
        | {"CustomerID": float(row["CustomerID"]), "InvoiceDate": datetime.fromisoformat(row["InvoiceDate"])}
        for row in rows
    ]
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.Table.from_pylist(typed), path, row_group_size=1)
    found = list(read_parquet(path, load_mapping(EXAMPLE), lambda _: None))
    assert [one.payload for one in found] == [one.payload for one in read(SALE + CANCELLED, tmp_path)]
    assert [one.position for one in found] == [1, 3]


def test_rows_of_one_receipt_that_stand_apart_are_refused(tmp_path):
    first, _, again = read(SALE + CANCELLED + SALE, tmp_path)
    assert first.problem == ""
    assert again.problem == "The rows of this receipt do not stand together; sort the file by receipt."


def test_one_receipt_with_two_times_stays_one(tmp_path):
    rows = SALE.splitlines()
    (receipt,) = receipts(read(f"{rows[0]}\n{rows[1].replace('08:26', '08:27')}\n", tmp_path))
    assert (len(receipt.lines), receipt.purchased_at.minute) == (2, 26)


def test_a_row_of_another_width_spoils_the_receipts_it_may_belong_to(tmp_path):
    other = SALE.replace("536365", "536366")
    before, after, beyond = read(SALE + "1,2\n" + CANCELLED + other, tmp_path)
    said = "Line 4 has 2 columns, the header 7; it may belong to this receipt."
    assert (before.problem, after.problem, beyond.problem) == (said, said, "")
    alone, after = read("1,2\n" + SALE, tmp_path)
    assert (alone.position, alone.problem, after.problem) == (2, said.replace("4", "2"), said.replace("4", "2"))


@pytest.mark.parametrize(
    ("good", "bad", "problem"),
    [
        ("536365,", "A536365,", "A bad debt was written off; no goods were sold."),
        ("536365,", "X536365,", "sequence_number: is missing."),
        ("2.55", "two", "lines.0.unit_price: expected a decimal number such as 12.99."),
        (",6,", ",,", "lines.0.quantity: is missing."),
        ("2010-12-01 08:26:00", "01/12/2010", "business_date: expected a day written YYYY-MM-DD."),
    ],
)
def test_a_cell_that_cannot_be_read_refuses_its_receipt(good, bad, problem, tmp_path):
    (found,) = read(SALE.replace(good, bad), tmp_path)
    assert found.problem == problem
    assert json.loads(found.payload)[1]["StockCode"] == "71053"


def test_rows_that_are_all_no_sale_are_refused_but_a_give_away_within_one_is_not(tmp_path):
    lost = "536370,22139,thrown away,-40,2010-12-01 10:00:00,0.0,\n536370,22140,?,3,2010-12-01 10:00:00,0.0,\n"
    given = "536371,22139,SAMPLE,1,2010-12-01 10:05:00,0.0,\n536371,22140,BELL,1,2010-12-01 10:05:00,0.85,\n"
    known = "536372,22139,SAMPLE,1,2010-12-01 10:05:00,0.0,17850.0\n"
    assert [one.problem for one in read(lost + given + known, tmp_path)] == [
        "Stock was counted or written off; nobody bought it.",
        "",
        "",
    ]


def test_formats_of_dates_numbers_and_money(tmp_path):
    use = mapping(
        receipt__business_date={"column": "InvoiceDate", "format": "%d.%m.%Y %H:%M"},
        receipt__purchased_at={"column": "InvoiceDate", "format": "%d.%m.%Y %H:%M"},
        receipt__currency={"constant": "EUR"},
        line__amount={"column": "CustomerID"},
        numbers={"decimal": ",", "thousands": "."},
        time_zone="Europe/Berlin",
        receipt__customer_id={"constant": ""},
    )
    (receipt,) = receipts(read('100001,2,Apfel,"1.000,5",01.07.2026 12:00,"1,5","1.500,75"\n', tmp_path, use))
    assert receipt.purchased_at == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert (receipt.lines[0].quantity, receipt.lines[0].unit_price_cents) == (1000.5, 150)
    assert receipt.total_cents == 150_075
    rows = "100001,2,A,2,2026-07-01 12:00,255,\n"
    (receipt,) = receipts(read(rows, tmp_path, mapping(numbers={"money": "minor"})))
    assert receipt.total_cents == 510


def test_a_total_that_the_file_gives_is_compared_by_the_validation(tmp_path):
    use = mapping(receipt__total={"column": "CustomerID"}, receipt__customer_id={"constant": ""})
    (found,) = read("100001,2,A,2,2026-07-01 12:00,2.55,9.99\n", tmp_path, use)
    assert json.loads(found.payload)["total_cents"] == 999


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encoding_and_delimiter_are_found_out(encoding, delimiter, tmp_path):
    text = f"{HEADER}\n{SALE.replace('WHITE', 'CAFÉ')}".replace(",", delimiter)
    (receipt,) = receipts(read(text.encode(encoding), tmp_path))
    assert receipt.lines[0].description == "CAFÉ HANGING HEART"


def test_text_that_does_not_fit_its_encoding_breaks_the_file_there(tmp_path):
    use = mapping(csv={"encoding": "utf-8"})
    found: list[Found] = []
    path = tmp_path / "table.csv"
    path.write_bytes(f"{HEADER}\n{SALE}{CANCELLED * 3_000}".encode() + "CAFÉ".encode("windows-1252"))
    with pytest.raises(BrokenFile, match="is not utf-8 text; name the encoding in the mapping"):
        found.extend(read_csv(path, use, lambda _: None))
    assert found[0].problem == ""


def test_broken_quotes_and_a_missing_column_are_said(tmp_path):
    with pytest.raises(BrokenFile, match="Line 2: is no CSV"):
        read('1,"2"x,A,2,2026-07-01 12:00,2.55,\n', tmp_path)
    with pytest.raises(InvalidInput, match="the file has no column InvoiceDate"):
        read(b"InvoiceNo,StockCode\n1,2\n", tmp_path)


def test_a_file_that_is_no_parquet_is_broken(tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1 but no more")
    with pytest.raises(BrokenFile, match="The Parquet file cannot be read"):
        list(read_parquet(path, load_mapping(EXAMPLE), lambda _: None))


def test_a_receipt_without_end_is_kept_to_one_line_too_many(tmp_path):
    (found,) = read(SALE * (MAX_LINES + 5), tmp_path)
    assert len(json.loads(found.payload)["lines"]) == MAX_LINES + 1


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n"), max_size=12)


@given(rows=st.lists(st.lists(CELLS, min_size=7, max_size=7), max_size=8))
def test_whatever_stands_in_the_cells_every_row_is_accounted_for(rows, tmp_path_factory):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    found = read(text.getvalue(), tmp_path_factory.mktemp("csv"), mapping(csv={"encoding": "utf-8", "delimiter": ","}))
    assert len(found) <= len(rows)
    assert sum(len(json.loads(one.payload)) for one in found if one.problem) + sum(
        len(json.loads(one.payload)["lines"]) for one in found if not one.problem
    ) == len(rows)
