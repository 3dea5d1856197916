"""Whether ingest kept its promise: every receipt once in Bronze, in Silver and in Postgres, and nothing else.

A record on its way from one to the next is no breach; where it is, the positions of outbox, settlement, refinement
and sync tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ingest.evidence import Evidence
from receipts.breach import Breach
from receipts.errors import InvalidInput

_EXAMPLES = 5
_IDENTITY = ["digest", "refused"]
_SENT = {"receipt_id": pl.String, "digest": pl.Binary, "acked": pl.Boolean}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How much each stage holds, what is on its way to the next one, and what is wrong.

    A record may be on its way to several stages at once; `moving` counts it once.
    """

    counts: dict[str, int]
    under_way: dict[str, int]
    moving: int
    breaches: tuple[Breach, ...]

    @property
    def settled(self) -> bool:
        """Say whether everything has arrived everywhere."""
        return not any(self.under_way.values())


def read_sent(path: Path) -> pl.DataFrame:
    """Read what tills sent, in the order they sent it: JSON lines of receipt_id, payload_digest (hex) and acked.

    Raises InvalidInput naming the first line that is none.
    """
    rows: list[tuple[str, bytes, bool]] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                told = json.loads(line)
                rows.append((str(told["receipt_id"]), bytes.fromhex(told["payload_digest"]), bool(told["acked"])))
            except (ValueError, KeyError, TypeError):
                expected = "expected receipt_id, payload_digest (hex) and acked"
                raise InvalidInput("sent", f"line {number} of {path} is not understood; {expected}") from None
    return pl.DataFrame(rows, schema=_SENT, orient="row")


def judge(evidence: Evidence, sent: pl.DataFrame | None = None) -> Verdict:
    """Hold the stages against each other, and against what was sent if that is known (see `read_sent`)."""
    bronze = evidence.bronze
    accepted = bronze.filter(~pl.col("refused"))
    breaches = [*_between_postgres_and_bronze(evidence), *_in_silver(evidence), *_doubles(bronze)]
    if sent is not None:
        breaches += _against_sent(evidence, sent)
    ways = _under_way(evidence)
    return Verdict(
        counts={
            "bronze accepted": accepted.height,
            "bronze refused": bronze.height - accepted.height,
            "postgres versions": evidence.versions.height,
            "postgres receipts": evidence.serving.height,
            "postgres refused": evidence.refusals.height,
            "silver receipts": evidence.silver.height,
            "silver unfit": evidence.unfit.height,
        }
        | ({} if sent is None else {"sent": sent.height, "acked": int(sent["acked"].sum())}),
        under_way={where: records.height for where, records in ways.items()},
        moving=pl.concat(records.select("digest") for records in ways.values())["digest"].n_unique(),
        breaches=tuple(breach for breach in breaches if breach.count),
    )


def _under_way(evidence: Evidence) -> dict[str, pl.DataFrame]:
    """Return by where they go what has not arrived there and need not have."""
    differing = _differing(evidence)
    return {
        "to bronze": evidence.pending.join(evidence.bronze, on=_IDENTITY, how="anti"),
        "to postgres": _unknown_to_postgres(evidence).filter(~pl.col("settled")),
        "to silver": evidence.bronze.filter(~pl.col("refused") & ~pl.col("refined")),
        "to what is served": differing if evidence.unsynced else differing.clear(),
    }


def _between_postgres_and_bronze(evidence: Evidence) -> Iterator[Breach]:
    arriving = pl.concat([evidence.bronze.select(_IDENTITY), evidence.pending])
    known = pl.concat([_named(evidence.versions, refused=False), _named(evidence.refusals, refused=True)])
    yield _breach("known to Postgres are neither in Bronze nor in the outbox", known.join(arriving, _IDENTITY, "anti"))
    lost = _unknown_to_postgres(evidence).filter("settled")
    yield _breach("in Bronze are not known to Postgres", lost)


def _unknown_to_postgres(evidence: Evidence) -> pl.DataFrame:
    accepted = evidence.bronze.filter(~pl.col("refused"))
    refused = evidence.bronze.filter("refused")
    return pl.concat(
        [
            accepted.join(evidence.versions, ["receipt_id", "digest"], "anti"),
            refused.join(evidence.refusals, "digest", "anti"),
        ]
    )


def _in_silver(evidence: Evidence) -> Iterator[Breach]:
    """Silver holds the newest version that it has read and could take."""
    silver = evidence.silver
    accepted = evidence.bronze.filter(~pl.col("refused")).join(evidence.unfit, "sequence", "anti")
    order = ["received_at", "sequence", "digest"]
    newest = (
        accepted.filter("refined").sort(order).unique("receipt_id", keep="last").select("receipt_id", newest="digest")
    )
    yield _breach("in Bronze were read by Silver and are not there", newest.join(silver, "receipt_id", "anti"))
    yield _breach("in Silver are not in Bronze", silver.join(accepted, ["receipt_id", "digest"], "anti"))
    yield _breach("stand twice in Silver", silver.filter(pl.col("receipt_id").is_duplicated()))
    other = silver.join(newest, "receipt_id").filter(pl.col("digest") != pl.col("newest"))
    yield _breach("have a newer version in Bronze than in Silver", other)
    if not evidence.unsynced:
        yield _breach("are served in another version than Silver's, or not at all", _differing(evidence))


def _differing(evidence: Evidence) -> pl.DataFrame:
    return evidence.silver.join(evidence.serving, ["receipt_id", "digest"], "anti")


def _doubles(bronze: pl.DataFrame) -> Iterator[Breach]:
    twice = bronze.filter(pl.struct(_IDENTITY).is_duplicated()).unique(_IDENTITY)
    yield _breach("stand more than once in Bronze", twice)
    yield _breach("in Bronze share a sequence", bronze.filter(pl.col("sequence").is_duplicated()))


def _against_sent(evidence: Evidence, sent: pl.DataFrame) -> Iterator[Breach]:
    accepted = evidence.bronze.filter(~pl.col("refused"))
    arrived = pl.concat([evidence.bronze.select("digest"), evidence.pending.select("digest")])
    yield _breach("were acknowledged and are lost", sent.filter("acked").join(arrived, "digest", "anti"))
    yield _breach("in Bronze were never sent", accepted.join(sent, ["receipt_id", "digest"], "anti"))
    yield _breach("known to Postgres were never sent", evidence.versions.join(sent, ["receipt_id", "digest"], "anti"))
    first = sent.with_row_index("position").unique("digest", keep="first").select("digest", "position")
    ordered = accepted.join(first, "digest").sort("store_id", "sequence")
    late = pl.col("position") < pl.col("position").cum_max().over("store_id")
    yield _breach("in Bronze stand before an earlier one of their store", ordered.filter(late))


def _named(rows: pl.DataFrame, *, refused: bool) -> pl.DataFrame:
    named = rows if "receipt_id" in rows.columns else rows.with_columns(receipt_id=pl.lit(None, pl.String))
    return named.select("receipt_id", "digest", pl.lit(refused).alias("refused"))


def _breach(what: str, rows: pl.DataFrame) -> Breach:
    """Name receipts by their id, and payloads without one by the digest."""
    name = pl.col("receipt_id")
    if "digest" in rows.columns:
        name = name.fill_null(pl.col("digest").bin.encode("hex"))
    return Breach(what, rows.height, tuple(rows.head(_EXAMPLES).select(name).to_series().to_list()))
