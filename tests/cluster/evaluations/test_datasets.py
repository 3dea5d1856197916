"""Data sets held against SQL over their raw files: a few lines of every kind of dirt, and a few real households."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from cluster.commands import evaluation
from cluster.evaluations.datasets import evaluate
from cluster.evaluations.sources import Dataset, complete_journey, online_retail
from loadtest.bench.report import Report
from receipts.errors import InvalidInput
from receipts.lake import Lake
from tests.data_jobs.landing import rows_of, run_here

MAX_BYTES = 1_000_000
STOCK = "Stock was counted or written off; nobody bought it."
DEBT = "A bad debt was written off; no goods were sold."
APART = "The rows of this receipt do not stand together; sort the file by receipt."
ROWS = [
    # An invoice with a line that is there twice, and two times.
    ("536365", "85123A", "WHITE HANGING HEART", 6, "2010-12-01 08:26", 2.55, 17850.0, "United Kingdom"),
    ("536365", "71053", "WHITE METAL LANTERN", 6, "2010-12-01 08:26", 3.39, 17850.0, "United Kingdom"),
    ("536365", "71053", "WHITE METAL LANTERN", 6, "2010-12-01 08:27", 3.39, 17850.0, "United Kingdom"),
    # What is no goods, a voucher, a sample within a sale, and half a penny.
    ("536366", "POST", "POSTAGE", 1, "2010-12-01 08:28", 18.0, 12583.0, "France"),
    ("536366", "gift_0001_20", "Dotcomgiftshop Gift Voucher £20.00", 1, "2010-12-01 08:28", 17.355, 12583.0, "France"),
    ("536366", "22139", "amazon sales", 1, "2010-12-01 08:28", 0.0, 12583.0, "France"),
    # Stock written off and found, with a clerk's note or none.
    ("536367", "22139", "thrown away", -40, "2010-12-01 08:30", 0.0, None, "United Kingdom"),
    ("536368", "22140", None, 56, "2010-12-01 08:31", 0.0, None, "United Kingdom"),
    # A sale to nobody known, with a line without a price and without a name.
    ("536369", "BANK CHARGES", "Bank Charges", 1, "2010-12-01 09:00", 15.0, None, "Unspecified"),
    ("536369", "22141", None, 1, "2010-12-01 09:00", 0.0, None, "Unspecified"),
    # Cancelled the next day, some of it; a manual discount is a return too.
    ("C536370", "71053", "WHITE METAL LANTERN", -6, "2010-12-02 09:41", 3.39, 17850.0, "United Kingdom"),
    ("C536371", "D", "Discount", -1, "2010-12-02 09:50", 27.5, 14527.0, "United Kingdom"),
    ("A536372", "B", "Adjust bad debt", 1, "2010-12-02 10:00", -11062.06, None, "United Kingdom"),
    # The pieces nobody needs, and the error found out twelve minutes later.
    ("541431", "23166", "MEDIUM CERAMIC TOP STORAGE JAR", 74215, "2011-01-18 10:01", 1.04, 12346.0, "United Kingdom"),
    ("C541433", "23166", "MEDIUM CERAMIC TOP STORAGE JAR", -74215, "2011-01-18 10:17", 1.04, 12346.0, "United Kingdom"),
    # Summer time, and an invoice of which a line comes too late.
    ("556001", "85123A", "WHITE HANGING HEART", 1, "2011-06-30 23:30", 2.55, 17850.0, "United Kingdom"),
    ("556002", "85123A", "WHITE HANGING HEART", 2, "2011-07-01 00:10", 2.55, 17850.0, "United Kingdom"),
    ("556001", "71053", "WHITE METAL LANTERN", 1, "2011-06-30 23:30", 3.39, 17850.0, "United Kingdom"),
]  # fmt: skip
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")


@pytest.fixture
def dirty(tmp_path: Path) -> Dataset:
    """Lines as they are in Online Retail, a few of each kind."""
    rows = pl.DataFrame(ROWS, schema=COLUMNS, orient="row").with_columns(
        pl.col("Quantity").cast(pl.Float64),
        pl.Series("InvoiceDate", [datetime.fromisoformat(row[4]) for row in ROWS], pl.Datetime("ns")),
    )
    rows.write_parquet(tmp_path / "rows.parquet")
    return online_retail(tmp_path / "rows.parquet")


def evaluated(dataset: Dataset, tmp_path: Path) -> tuple[Report, Lake]:
    lake = Lake(str(tmp_path / "lake"))
    return evaluate(dataset, lake, run_here, 2, MAX_BYTES), lake


def missed(report: Report) -> dict[str, float]:
    return {bar.what: bar.value for bar in report.bars if not bar.holds}


def test_every_dirty_line_is_in_silver_or_refused_for_its_reason(dirty, tmp_path):
    report, _ = evaluated(dirty, tmp_path)
    found = {result.what: result.value for result in report.results}
    assert missed(report) == {}
    assert found["lines in the files"] == len(ROWS)
    assert found["lines in Silver"] == len(ROWS) - 4
    assert [found[f"lines in quarantine: {reason}"] for reason in (STOCK, DEBT, APART)] == [2, 1, 1]


def test_what_was_bought_and_brought_back_is_as_a_bookkeeper_has_it(dirty, tmp_path):
    _, lake = evaluated(dirty, tmp_path)
    profiles = rows_of(lake, "gold.customer_profiles").rows_by_key("customer_id", named=True, unique=True)
    big_error, regular = profiles["12346"], profiles["17850"]
    assert (big_error["lifetime_spend_cents"], big_error["visits"], big_error["returns"]) == (0, 1, 1)
    assert regular["lifetime_spend_cents"] == 1530 + 2034 + 2034 - 2034 + 255 + 510
    assert (regular["visits"], regular["returns"]) == (3, 1)
    days = rows_of(lake, "gold.store_days").rows_by_key("day", named=True, unique=True)
    assert {str(day): (row["sales"], row["returns"]) for day, row in days.items()} == {
        "2010-12-01": (3, 0),
        "2010-12-02": (0, 2),
        "2011-01-18": (1, 1),
        "2011-06-30": (1, 0),
        "2011-07-01": (1, 0),
    }
    lines = rows_of(lake, "silver.receipt_lines")
    assert lines.filter(pl.col("sku") == "gift_0001_20")["amount_cents"].to_list() == [1736]
    assert set(lines.filter(pl.col("quantity") < 0)["receipt_type"]) == {"return"}


def test_a_line_that_the_sql_has_otherwise_is_noticed(dirty, tmp_path):
    rows = dirty.raw["rows"]
    dearer = pl.when(pl.col("position") == 0).then(2.56).otherwise("UnitPrice").alias("UnitPrice")
    report, _ = evaluated(replace(dirty, raw={"rows": rows.with_columns(dearer)}), tmp_path)
    totals = ("receipts", "receipt_lines", "store_days", "product_sales", "customer_profiles", "spending_insights")
    assert missed(report) == {f"rows of {name} that differ from the SQL": 2 for name in totals}


def test_a_line_that_never_arrived_is_noticed(dirty, tmp_path):
    rows = dirty.raw["rows"]
    more = pl.concat([rows, rows.head(1).with_columns(pl.lit(99, pl.UInt32).alias("position"), InvoiceNo=pl.lit("1"))])
    report, _ = evaluated(replace(dirty, raw={"rows": more}), tmp_path)
    assert missed(report)["lines neither in Silver nor in quarantine"] == 1


def test_real_households_come_out_as_the_sql_has_them(tmp_path):
    report, _ = evaluated(complete_journey(400), tmp_path)
    found = {result.what: result.value for result in report.results}
    assert missed(report) == {}
    assert found["lines in Silver"] == found["lines in the files"] > 3_000


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InvalidInput, match="is no file"):
        online_retail(tmp_path / "none.parquet")


def test_one_must_say_which_data_set_is_meant():
    import typer

    app = typer.Typer()
    evaluation.register(app)
    result = CliRunner().invoke(app, ["eval", "datasets"])
    assert isinstance(result.exception, InvalidInput)
