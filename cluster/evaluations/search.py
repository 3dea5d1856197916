"""How good the searches are: each score beside the one on record, or beside what an unseen set must reach."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from importlib import resources

from cluster.evaluations.people import PeopleReport
from cluster.evaluations.product_search import ProductSearchReport
from cluster.evaluations.sentences import Understanding
from cluster.evaluations.shops import StoresReport
from loadtest.bench.report import Bar, Report, Result

_UNSEEN = 0.90  # of sentences that nobody here tuned to
_SLACK = 1e-9
_PARSE_MS = 5.0
_STORES, _STORE_MS = 0.98, 1.0
_NDCG, _LEAD = 0.80, 0.10
_LITERAL = {"two literal words, P@10": 0.95, "one-typo known items, hit@10": 0.90}
_BARE = "dense vectors of bare names"


def recorded() -> Mapping[str, float]:
    """Return the scores of the project's own sets that may not drop, by name."""
    return json.loads(resources.files("cluster.evaluations").joinpath("recorded.json").read_text("utf-8"))


def report_sentences(seen: Understanding, *, own: bool) -> Report:
    """Return the shares of sentences that are understood: all fields right, and each."""
    shares = {"every field right": seen.lenient, "every field right, strictly": seen.strict} | seen.by_field
    results = [Result(f"sentences, {name}", 100 * count / seen.sentences, "%") for name, count in shares.items()]
    results += [Result("sentences", seen.sentences, ""), Result("to parse one, p95", seen.p95_ms(), "ms")]
    lenient = seen.lenient / seen.sentences
    bars = (
        held_to_record({"sentences, every field right": lenient})
        if own
        else (Bar("sentences, every field right", lenient, f">= {_UNSEEN}", lenient >= _UNSEEN),)
    )
    quick = Bar("to parse one, p95", seen.p95_ms(), f"< {_PARSE_MS:.0f} ms", seen.p95_ms() < _PARSE_MS)
    return Report("search: sentences", 1, results, (*bars, quick))


def report_stores(reports: Sequence[StoresReport]) -> Report:
    """Return how often a perturbed name leads to its store, among few stores and among many."""
    results: list[Result] = []
    held: dict[str, float] = {}
    bars: list[Bar] = []
    for seen in reports:
        name = f"{seen.stores:,} stores"
        recall = seen.recall()
        held[f"{name}, first"] = recall
        results += [Result(f"{name}: {one.kind}", 100 * one.first / one.asked, "%") for one in seen.scores]
        results += [Result(f"{name}: first", 100 * recall, "%"), Result(f"{name}: one name, p95", seen.p95_ms, "ms")]
        bars.append(Bar(f"{name}: first", recall, f">= {_STORES}", recall >= _STORES))
        bars.append(Bar(f"{name}: one name, p95", seen.p95_ms, f"< {_STORE_MS:.0f} ms", seen.p95_ms < _STORE_MS))
    return Report("search: stores", 1, results, (*held_to_record(held), *bars))


def report_people(seen: PeopleReport) -> Report:
    """Return how often a perturbed name leads to its bearer."""
    results = [Result(f"people, {one.kind}: among ten", 100 * one.among_ten / one.asked, "%") for one in seen.scores]
    held = {f"people, first {places}": seen.recall(places) for places in (1, 10)}
    held["people but nicknames, first 10"] = seen.recall(10, nicknames=False)
    results += [Result(name, 100 * share, "%") for name, share in held.items()]
    return Report("search: people", 1, [*results, Result("customers", seen.customers, "")], held_to_record(held))


def report_products(seen: ProductSearchReport, *, own: bool) -> Report:
    """Return how well concepts are ranked, beside the model alone over bare names, and what literal questions find."""
    pairs = (
        ("concepts, nDCG@10", seen.ours.ndcg_at_10, seen.names_only.ndcg_at_10),
        ("concepts, P@10", seen.ours.precision_at_10, seen.names_only.precision_at_10),
        ("concepts, recall@50", seen.ours.recall_at_50, seen.names_only.recall_at_50),
    )
    results = [Result(what, ours, "", _BARE, bare, ours / bare if bare else None) for what, ours, bare in pairs]
    literal = {
        "two literal words, P@10": seen.literal_precision_at_10,
        "one-typo known items, hit@10": seen.known_item_hit_at_10,
        "index beside comparing all, recall@100": seen.index_recall_at_100,
    }
    results += [Result(what, value, "") for what, value in literal.items()]
    results += [
        Result("articles", seen.articles, ""),
        Result("a question in the database, median", statistics.median(seen.query_ms), "ms"),
        Result("to embed a question, median of processor time", statistics.median(seen.encode_ms), "ms"),
    ]
    scores = {what: ours for what, ours, _ in pairs} | literal
    ndcg, lead = seen.ours.ndcg_at_10, seen.ours.ndcg_at_10 - seen.names_only.ndcg_at_10
    bars = (
        held_to_record(scores)
        if own
        else (
            Bar("concepts, nDCG@10", ndcg, f">= {_NDCG}", ndcg >= _NDCG),
            Bar("concepts, nDCG@10 ahead of bare names", lead, f">= {_LEAD}", lead >= _LEAD),
        )
    )
    return Report("search: goods", 1, results, (*bars, *_literal_bars(literal)))


def _literal_bars(literal: Mapping[str, float]) -> list[Bar]:
    return [Bar(what, literal[what], f">= {least}", literal[what] >= least) for what, least in _LITERAL.items()]


def held_to_record(scores: Mapping[str, float]) -> Sequence[Bar]:
    """Return a bar for each score: it may not be below the one on record."""
    known = recorded()
    return [
        Bar(name, score, f">= {known[name]:.3f}, on record", score >= known[name] - _SLACK)
        for name, score in scores.items()
        if name in known
    ]
