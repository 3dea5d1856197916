"""Anchors: where chains ended when they were copied, signed with a key that neither Postgres nor the lake holds."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from data_jobs.declaration import polars_schema
from data_jobs.tables import audit_anchors
from data_jobs.trail.copying import GROUPS_AT_ONCE, Copied
from data_jobs.trail.keys import SigningKey
from data_jobs.trail.lake_groups import GROUPS, append, highest, next_groups, read_position, read_rows
from receipts.lake import Lake

_LOG = logging.getLogger(__name__)
ANCHORS = audit_anchors.TABLE
_NONE_BEFORE = ""  # what the first anchor covers

Head = tuple[int, int, str]  # chain, seq, digest in hex


@dataclass(frozen=True, slots=True)
class Anchor:
    """One signed statement. `body` is the JSON text that is signed, and tells everything else."""

    body: str
    signature: str

    @property
    def digest(self) -> str:
        """Return what the next anchor covers."""
        return hashlib.sha256(self.body.encode()).hexdigest()

    def told(self) -> dict[str, Any]:
        """Return number, previous, made_at, position, key_id, heads and, where a key follows, next_key.

        Raises ValueError or TypeError for a body that is no JSON object.
        """
        return dict(json.loads(self.body))


def anchor_groups(lake: Lake, keys: Sequence[SigningKey], most: int = GROUPS_AT_ONCE) -> Iterator[Copied]:
    """Sign the heads of all chains that copied groups moved, yielding after every anchor.

    The last of the keys signs. Where the last anchor is another one's, that one, if it is here, hands over first.
    """
    after, reached = read_position(lake, ANCHORS), read_position(lake, GROUPS)
    if after < reached and not keys:
        _LOG.warning(
            "The audit trail is copied and not anchored: there is no key. `receipts audit rotate-key` makes one."
        )
        return
    while after < reached:
        groups, upto = next_groups(lake, after, most, ["chain", "seq", "digest"])
        anchor = make_anchor(last_anchor(lake), upto, heads_of(groups), keys)
        append(lake, ANCHORS, _row(anchor), after, upto)
        yield Copied(ANCHORS.name, after, upto, 1)
        after = upto


def heads_of(groups: pl.DataFrame) -> list[Head]:
    """Return the last group of each chain."""
    if groups.is_empty():
        return []
    last = groups.sort("chain", "seq").unique("chain", keep="last", maintain_order=True)
    return [(chain, seq, digest.hex()) for chain, seq, digest in last.select("chain", "seq", "digest").iter_rows()]


def make_anchor(before: Anchor | None, position: int, heads: Sequence[Head], keys: Sequence[SigningKey]) -> Anchor:
    """Sign heads on top of the anchor before."""
    told: dict[str, Any] = before.told() if before is not None else {"number": 0, "key_id": keys[-1].key_id}
    key, following = _signer(str(told.get("next_key", told)["key_id"]), keys)
    body: dict[str, Any] = {
        "number": told["number"] + 1,
        "previous": before.digest if before is not None else _NONE_BEFORE,
        "made_at": datetime.now(UTC).isoformat(timespec="microseconds"),
        "position": position,
        "key_id": key.key_id,
        "heads": heads,
    }
    if following is not None:
        body["next_key"] = {"key_id": following.key_id, "public_key": following.public.public_bytes_raw().hex()}
    text = json.dumps(body, separators=(",", ":"))
    return Anchor(text, key.private.sign(text.encode()).hex())


def last_anchor(lake: Lake) -> Anchor | None:
    """Return the newest anchor."""
    newest = last_number(lake)
    rows = list_anchors(lake, newest - 1, newest)
    return rows[-1] if rows else None


def last_number(lake: Lake) -> int:
    """Return the number of the newest anchor; 0 where there is none."""
    return highest(lake, ANCHORS, "number")


def list_anchors(lake: Lake, after: int, upto: int) -> list[Anchor]:
    """Return the anchors whose numbers are (after, upto], in order."""
    where = (pl.col("number") > after) & (pl.col("number") <= upto)
    rows = read_rows(lake, ANCHORS, where, [("number", after + 1, upto)], ["number", "body", "signature"])
    return [Anchor(body, signature) for _, body, signature in rows.sort("number").iter_rows()]


def _signer(last: str, keys: Sequence[SigningKey]) -> tuple[SigningKey, SigningKey | None]:
    """Return the key that signs, and the one that it hands over to."""
    newest = keys[-1]
    if last == newest.key_id:
        return newest, None
    before = next((key for key in keys if key.key_id == last), None)
    if before is None:
        _LOG.warning(
            "The key %s that signed the last anchor is not here and cannot hand over to %s.", last, newest.key_id
        )
        return newest, None
    return before, newest


def _row(anchor: Anchor) -> pl.DataFrame:
    told = anchor.told()
    row = {
        "number": told["number"],
        "made_at": datetime.fromisoformat(told["made_at"]),
        "position": told["position"],
        "key_id": told["key_id"],
        "body": anchor.body,
        "digest": anchor.digest,
        "signature": anchor.signature,
    }
    return pl.DataFrame([row], schema=polars_schema(ANCHORS.schema))
