"""One broken payload does not take its neighbours with it."""

import polars as pl

from data_jobs.bronze_payloads import decode

SHAPE = pl.Struct({"n": pl.Int64, "at": pl.Datetime("us", "UTC")})


def test_broken_payloads_give_nulls_and_the_others_their_values() -> None:
    texts = ['{"n":1}', "x", '{"n":"two"}', '{"n":3,"at":"2026-11-17T23:05:00Z","more":[]}', "[]", "null", '{"n":4}']
    decoded = decode(pl.Series("payload", texts), SHAPE)
    assert decoded["n"].to_list() == [1, None, None, 3, None, None, 4]
    assert decoded["at"].drop_nulls().dt.strftime("%H:%M %Z").to_list() == ["23:05 UTC"]


def test_no_payloads_give_no_rows_but_all_columns() -> None:
    assert decode(pl.Series("payload", [], dtype=pl.String), SHAPE).schema == SHAPE.to_schema()
