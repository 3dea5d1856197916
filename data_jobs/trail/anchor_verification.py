"""Anchors held against each other, their signatures, and the second place; what they say of the chains is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from data_jobs.trail.anchoring import Anchor, last_number, list_anchors
from data_jobs.trail.faults import Broken, Verdict
from data_jobs.trail.keys import handed_over
from data_jobs.trail.place import AnchorPlace
from receipts.lake import Lake

_AT_ONCE = 500
_READERS = 8  # of a store that takes milliseconds for each file
_LATE = timedelta(minutes=10)  # by then an anchor is in the second place, or something is wrong


class AnchoredHead(NamedTuple):
    """How far a chain is anchored."""

    seq: int
    digest: str  # hex
    anchor: int


class AnchorScope(Protocol):
    """Whose anchors are believed, and where else they stand."""

    @property
    def trusted(self) -> Mapping[str, Ed25519PublicKey]:
        """Return the keys that may sign, by id."""
        ...

    @property
    def place(self) -> AnchorPlace | None:
        """Return the second place."""
        ...


@dataclass(frozen=True, slots=True)
class _SecondPlace:
    place: AnchorPlace
    published: frozenset[int]  # the anchors that were there when verification began

    def read(self, after: int) -> dict[int, Anchor | None]:
        """Return some files by number; None for one that cannot be read."""
        wanted = sorted(self.published.intersection(range(after + 1, after + _AT_ONCE + 1)))
        with ThreadPoolExecutor(_READERS) as readers:
            return dict(zip(wanted, readers.map(self._read_one, wanted), strict=True))

    def agrees(self, number: int, anchor: Anchor, copy: Anchor | None, made_at: datetime) -> bool:
        """Hold an anchor against its copy; says no where there cannot be one yet. Raises Broken."""
        if number in self.published:
            if copy != anchor:
                raise Broken(f"is another one in {self.place.root} than in the lake", anchor=number)
            return True
        if made_at < datetime.now(UTC) - _LATE or max(self.published, default=0) > number:
            raise Broken(f"is gone from {self.place.root}", anchor=number)
        return False

    def _read_one(self, number: int) -> Anchor | None:
        try:
            return self.place.read(number)
        except ValueError:
            return None


@dataclass(slots=True)  # not frozen: anchors move it on
class _Signers:
    """Who may sign the next anchor."""

    trusted: dict[str, Ed25519PublicKey]
    previous: str = ""  # the digest of the last anchor
    position: int = 0


@dataclass(frozen=True, slots=True)
class Heads:
    """The last anchored group of each chain in a range."""

    low: int
    high: int
    by_chain: dict[int, AnchoredHead] = field(default_factory=dict)

    def take(self, number: int, heads: list[Any]) -> None:
        """Move on to what an anchor says. Raises Broken where it contradicts an earlier one."""
        for chain, seq, digest in heads:
            if not self.low <= chain < self.high:
                continue
            known = self.by_chain.get(chain)
            if known is not None and (seq < known.seq or (seq == known.seq and digest != known.digest)):
                raise Broken(f"contradicts the anchor {known.anchor}", chain=chain, seq=seq, anchor=number)
            self.by_chain[chain] = AnchoredHead(seq, digest, number)


def verify_anchors(lake: Lake, scope: AnchorScope, heads: Heads, verdict: Verdict, newest: int) -> Iterator[int]:
    """Check all anchors from the first up to `newest`, yielding how many at a time.

    Raises Broken at the first that is wrong.
    """
    signers = _Signers(dict(scope.trusted))
    second = _SecondPlace(scope.place, frozenset(scope.place.numbers())) if scope.place is not None else None
    for after in range(0, newest, _AT_ONCE):
        anchors = list_anchors(lake, after, min(after + _AT_ONCE, newest))
        copies = second.read(after) if second is not None else {}
        for number, anchor in enumerate(anchors, after + 1):
            told = _check(number, anchor, signers)
            made_at = datetime.fromisoformat(told["made_at"])
            if second is not None and not second.agrees(number, anchor, copies.get(number), made_at):
                verdict.notes.append(f"The anchor {number} is not in {second.place.root} yet.")
            heads.take(number, told["heads"])
            verdict.anchored_position, verdict.anchored_at = told["position"], made_at
        verdict.anchors += len(anchors)
        if len(anchors) < min(_AT_ONCE, newest - after):
            raise Broken("is gone from the lake", anchor=after + len(anchors) + 1)
        yield len(anchors)
    if second is not None and max(second.published, default=0) > last_number(lake):
        raise Broken(f"stands in {second.place.root} and is gone from the lake", anchor=newest + 1)


def heads_over_time(lake: Lake, chain: int) -> Iterator[AnchoredHead]:
    """Yield all that anchors say of a chain, the oldest first."""
    for after in range(0, last_number(lake), _AT_ONCE):
        for number, anchor in enumerate(list_anchors(lake, after, after + _AT_ONCE), after + 1):
            for of, seq, digest in anchor.told()["heads"]:
                if of == chain:
                    yield AnchoredHead(seq, digest, number)


def _check(number: int, anchor: Anchor, signers: _Signers) -> dict[str, Any]:
    """Return what an anchor tells when it follows from the one before and is signed by who may."""
    try:
        told = anchor.told()
        stated, key_id, previous, position = told["number"], told["key_id"], told["previous"], told["position"]
        signature = bytes.fromhex(anchor.signature)
    except (ValueError, KeyError, TypeError):
        raise Broken("cannot be read", anchor=number) from None
    key = signers.trusted.get(key_id)
    if key is None:
        raise Broken(f"is signed with the key {key_id}, which is not trusted", anchor=number)
    try:
        key.verify(signature, anchor.body.encode())
    except InvalidSignature:
        raise Broken("does not have the signature of what it says", anchor=number) from None
    if stated != number:
        gone = "is gone from the lake" if stated > number else "stands where another one was"
        raise Broken(gone, anchor=number)
    if previous != signers.previous or position < signers.position:
        raise Broken("does not follow from the anchor before it", anchor=number)
    if "next_key" in told:
        signers.trusted[told["next_key"]["key_id"]] = handed_over(told["next_key"])
    signers.previous, signers.position = anchor.digest, position
    return told
