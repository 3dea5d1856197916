"""Chains walked group by group: nothing changed, missing, added or moved, and all as anchors and the copy say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from data_jobs.trail.anchor_verification import AnchoredHead, heads_over_time
from data_jobs.trail.evidence import Chain, Evidence, Group, Pair, month_of
from data_jobs.trail.faults import Broken, Verdict
from data_jobs.trail.telling import UNREADABLE, digest_of, events_of

_MARK_BYTES = 8  # of each digest of the chain that is walked: tells where it leaves what anchors say


@dataclass(slots=True)  # not frozen: it moves along its chain
class _Walker:
    """How far a chain was walked, and what is known of its end."""

    chain: int
    known: Chain
    head: AnchoredHead | None
    digest: bytes
    seq: int = 0
    marks: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class ChainRules:
    """What the chains of a range are held against."""

    evidence: Evidence
    heads: Mapping[int, AnchoredHead]
    retired: frozenset[date]  # months whose groups left the spool


def verify_chains(
    rules: ChainRules, counts: Mapping[int, int], verdict: Verdict
) -> Iterator[tuple[Group, list[dict[str, Any]]]]:
    """Walk chains of so many groups, yielding each group with its events. Raises Broken at the first wrong row."""
    evidence = rules.evidence
    chains = evidence.chains()
    waiting = sorted({*chains, *counts, *rules.heads}, reverse=True)
    walker: _Walker | None = None
    for pair in evidence.walk(counts):
        chain = pair.group.chain
        while walker is None or walker.chain != chain:
            if walker is not None:
                _end(walker)
            walker = _begin(waiting.pop(), chains, rules.heads)
        _check(pair, walker, rules, verdict)
        yield pair.group, _events(pair.group)
    if walker is not None:
        _end(walker)
    while waiting:
        _end(_begin(waiting.pop(), chains, rules.heads))
    verdict.chains = len(chains)


def _begin(chain: int, chains: Mapping[int, Chain], heads: Mapping[int, AnchoredHead]) -> _Walker:
    if chain not in chains:
        raise Broken("is gone from audit.chains", chain=chain)
    return _Walker(chain, chains[chain], heads.get(chain), chains[chain].root)


def _check(pair: Pair, walker: _Walker, rules: ChainRules, verdict: Verdict) -> None:
    """Hold a group against its copy, its chain, its content, its place in the order and its anchor."""
    group = pair.group
    if group.seq != walker.seq + 1:
        raise Broken(f"is missing; the group {group.seq} follows", chain=group.chain, seq=walker.seq + 1)
    _compare(pair, rules)
    if group.previous != walker.digest:
        before = "the group before it" if walker.seq else "the root of its chain"
        raise _wrong(group, f"does not follow from {before}")
    if digest_of(group.previous, group.payload) != group.digest:
        raise _wrong(group, "holds another payload than its digest covers")
    if group.position is None and group.seq <= walker.known.projected:
        raise _wrong(group, "is gone from audit.projections")
    if group.seq == walker.known.projected and group.digest != walker.known.head:
        raise _wrong(group, "is another group than audit.chains ends with")
    walker.seq, walker.digest = group.seq, group.digest
    walker.marks += group.digest[:_MARK_BYTES]
    verdict.groups += 1
    if pair.copied is None:
        verdict.not_copied_groups += 1
    if walker.head is None or group.seq > walker.head.seq:
        verdict.unanchored_groups += 1
        verdict.unanchored_events += group.events or 0
    elif group.seq == walker.head.seq and group.digest.hex() != walker.head.digest:
        raise _rewritten(walker, rules)


def _compare(pair: Pair, rules: ChainRules) -> None:
    spooled, copied = pair
    group = pair.group
    if spooled is None:
        if month_of(group.chain) not in rules.retired:
            raise _wrong(group, "is gone from audit.spool; the lake holds it")
    elif copied is None:
        if spooled.position is not None and spooled.position <= rules.evidence.copied:
            raise _wrong(group, "is gone from the lake's copy; audit.spool holds it")
    elif spooled != copied:
        names = [name for name in Group._fields if getattr(spooled, name) != getattr(copied, name)]
        whole = [digest_of(each.previous, each.payload) == each.digest for each in pair if each is not None]
        side = {(False, True): "audit.spool does not hold what its digest covers",
                (True, False): "the lake does not hold what its digest covers"}  # fmt: skip
        told = side.get((whole[0], whole[1]), "one of the two was rewritten")
        raise _wrong(group, f"differs in {', '.join(names)} between audit.spool and the lake's copy; {told}")


def _wrong(group: Group, what: str) -> Broken:
    return Broken(what, chain=group.chain, seq=group.seq)


def _end(walker: _Walker) -> None:
    """See that a chain goes on for as long as is known of it."""
    if walker.head is not None and walker.seq < walker.head.seq:
        raise Broken(
            f"is missing; the anchor {walker.head.anchor} covers the chain up to group {walker.head.seq}",
            chain=walker.chain, seq=walker.seq + 1,
        )  # fmt: skip
    if walker.seq < walker.known.projected:
        raise Broken(
            f"is missing; audit.chains ends with group {walker.known.projected}",
            chain=walker.chain, seq=walker.seq + 1,
        )  # fmt: skip


def _rewritten(walker: _Walker, rules: ChainRules) -> Broken:
    """Find between which anchored groups a chain that holds together leaves what was anchored."""
    right = 0
    for head in heads_over_time(rules.evidence.lake, walker.chain):
        mark = walker.marks[(head.seq - 1) * _MARK_BYTES : head.seq * _MARK_BYTES]
        if mark.hex() != head.digest[: 2 * _MARK_BYTES]:
            return Broken(
                f"was rewritten, or one up to group {head.seq} was: the anchor {head.anchor} tells another digest",
                chain=walker.chain, seq=right + 1,
            )  # fmt: skip
        right = head.seq
    return Broken("is another group than was anchored", chain=walker.chain, seq=walker.seq)


def _events(group: Group) -> list[dict[str, Any]]:
    try:
        events = list(events_of(group.chain, group.seq, group.payload))
    except UNREADABLE:
        raise _wrong(group, "holds what cannot be read as events") from None
    if group.events is not None and group.events != len(events):
        raise _wrong(group, f"holds {len(events)} events, and audit.projections says {group.events}")
    return events
