"""Bronze payloads read as typed columns, a broken one without harm to the others."""

from __future__ import annotations

import polars as pl
from polars.exceptions import ComputeError


def decode(payloads: pl.Series, shape: pl.Struct) -> pl.DataFrame:
    """Return one column per field of the shape; a payload that is not of this shape gives nulls.

    The decoder refuses a whole series for one bad text, so a refused series is halved until the bad ones stand
    alone: the cost is logarithmic for each of them and nothing where all are good.
    """
    if payloads.is_empty():
        return pl.DataFrame(schema=dict(shape.to_schema()))
    return _decode(payloads, shape).struct.unnest()


def _decode(payloads: pl.Series, shape: pl.Struct) -> pl.Series:
    try:
        return payloads.str.json_decode(shape)
    except ComputeError:
        if len(payloads) == 1:
            return pl.Series(payloads.name, [None], dtype=shape)
        half = len(payloads) // 2
        return pl.concat([_decode(payloads[:half], shape), _decode(payloads[half:], shape)])
