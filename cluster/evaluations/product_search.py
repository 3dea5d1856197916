"""How well products are found: by concepts, by two words of a name, by a misspelt name, through the product's SQL."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg

from cluster import postgres
from cluster.benchmarks.private_platform import private_platform
from cluster.evaluations.catalogues import Article
from cluster.evaluations.concepts import Concept
from cluster.evaluations.literal_queries import LiteralQuery, misspelt_names, two_word_queries, words_of
from cluster.evaluations.ranking import ndcg, precision, recall
from receipts.embedding import Embedder, add_up, product_digest, product_texts
from receipts.products import expand, search_text
from receipts.sentence_model import SentenceModel, model_folder, query_text
from receipts.sql import load_sql
from serve_apps.spelling import Spelling

if TYPE_CHECKING:
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]
    Connection = psycopg.Connection[Any]

_SQL = load_sql("cluster.evaluations", "product_search")
_PLACES = 50  # the longest ranking that is judged
_NEAREST = 100  # that search asks the index for
_SEED = 20_261_123


@dataclass(frozen=True, slots=True)
class Judged:
    """Means over the concepts, 0 to 1."""

    ndcg_at_10: float
    precision_at_10: float
    recall_at_50: float


@dataclass(frozen=True, slots=True)
class ConceptResult:
    """One concept: how many articles answer it, how well it is ranked, and what is shown first."""

    concept: Concept
    relevant: int
    ndcg_at_10: float
    names_only_ndcg_at_10: float
    first: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProductSearchReport:
    """Everything measured in one run. `names_only` ranks by the same model over bare names and compares them all."""

    articles: int
    ours: Judged
    names_only: Judged
    literal_queries: int
    literal_precision_at_10: float
    known_items: int
    known_item_hit_at_10: float
    index_recall_at_100: float  # of what comparing every vector finds
    query_ms: tuple[float, ...]  # wall time in the database, of every query, in their order
    encode_ms: tuple[float, ...]  # processor time of this process, of every query
    concepts: tuple[ConceptResult, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sample:
    """How many literal questions are made, and the seed that makes the same ones in every run."""

    two_words: int = 200
    misspelt: int = 200
    seed: int = _SEED


def evaluate_product_search(
    articles: Sequence[Article], concepts: Sequence[Concept], sample: Sample | None = None
) -> ProductSearchReport:
    """Load a catalogue into a Postgres of its own and judge what search finds in it."""
    with private_platform(("postgres",)) as settings:
        return judge_products(postgres.admin_dsn(settings), articles, concepts, sample or Sample())


def judge_products(
    dsn: str, articles: Sequence[Article], concepts: Sequence[Concept], sample: Sample
) -> ProductSearchReport:
    """Do so in a migrated, empty database."""
    names, sums = _vectors(articles)
    with psycopg.connect(dsn, autocommit=True) as connection:
        _load(connection, articles, sums)
        search = _Search(connection, articles, names)
        results, ours, bare = _judged(search, articles, concepts)
        two_words = two_word_queries(articles, sample.two_words, sample.seed)
        misspelt = misspelt_names(articles, sample.misspelt, sample.seed)
        literal = [precision(search.ranked(query.typed), query.meant) for query in two_words]
        known = [_is_found(search.ranked(query.typed), query) for query in misspelt]
        return ProductSearchReport(
            articles=len(articles),
            ours=ours,
            names_only=bare,
            literal_queries=len(literal),
            literal_precision_at_10=fmean(literal) if literal else 0.0,
            known_items=len(known),
            known_item_hit_at_10=fmean(known) if known else 0.0,
            index_recall_at_100=_index_recall(connection, search, [concept.query for concept in concepts]),
            query_ms=tuple(search.query_ms),
            encode_ms=tuple(search.encode_ms),
            concepts=tuple(results),
        )


class _Search:
    """Asks as a replica does: spelling, vector, function; and remembers what each question took."""

    def __init__(self, connection: Connection, articles: Sequence[Article], names: Vectors) -> None:
        self._connection = connection
        self._spelling = Spelling.of(words_of(articles))
        self._model = SentenceModel(model_folder())
        self._names = names
        self._skus = [article.sku for article in articles]
        self.query_ms: list[float] = []
        self.encode_ms: list[float] = []

    def vector(self, typed: str) -> Vectors:
        return self._model.encode([query_text(self._spelling.corrected(typed))])[0]

    def ranked(self, typed: str) -> list[str]:
        started = time.process_time()
        embedding = written(self.vector(typed))
        self.encode_ms.append(1_000 * (time.process_time() - started))
        asked = {"lexical": self._spelling.corrected(typed), "embedding": embedding, "places": _PLACES}
        began = time.perf_counter()
        rows = self._connection.execute(_SQL["rank_products"], asked).fetchall()
        self.query_ms.append(1_000 * (time.perf_counter() - began))
        return [str(row[0]) for row in rows]

    def ranked_by_names(self, typed: str) -> list[str]:
        """Return the baseline: the model over bare names, every one compared, and nothing else."""
        likeness = self._names @ self._model.encode([typed])[0]
        return [self._skus[place] for place in np.argsort(-likeness, kind="stable")[:_PLACES]]


def written(vector: Vectors) -> str:
    """Return a vector as pgvector reads it."""
    return f"[{','.join(f'{x:.5f}' for x in vector)}]"


def _judged(
    search: _Search, articles: Sequence[Article], concepts: Sequence[Concept]
) -> tuple[list[ConceptResult], Judged, Judged]:
    described = {article.sku: article.description for article in articles}
    results: list[ConceptResult] = []
    ours: list[tuple[float, float, float]] = []
    bare: list[tuple[float, float, float]] = []
    for concept in concepts:
        relevant = concept.answers(articles)
        ranked = search.ranked(concept.query)
        ours.append(_marks(ranked, relevant))
        bare.append(_marks(search.ranked_by_names(concept.query), relevant))
        first = tuple(described[sku] for sku in ranked[:10])
        results.append(ConceptResult(concept, len(relevant), ours[-1][0], bare[-1][0], first))
    return results, _mean(ours), _mean(bare)


def _marks(ranked: Sequence[str], relevant: frozenset[str]) -> tuple[float, float, float]:
    return ndcg(ranked, relevant), precision(ranked, relevant), recall(ranked, relevant, _PLACES)


def _mean(marks: Sequence[tuple[float, float, float]]) -> Judged:
    return Judged(*map(fmean, zip(*marks, strict=True))) if marks else Judged(0.0, 0.0, 0.0)


def _is_found(ranked: Sequence[str], query: LiteralQuery) -> bool:
    return not query.meant.isdisjoint(ranked[:10])


def _vectors(articles: Sequence[Article]) -> tuple[Vectors, Vectors]:
    """Return the vectors of bare names and those that search is given, each distinct text encoded once."""
    embedder = Embedder(threads=len(os.sched_getaffinity(0)))
    names = [expand(article.description) for article in articles]
    distinct = sorted(set(names))
    known = dict(zip(distinct, embedder.encode(distinct), strict=True))

    def encode(texts: Sequence[str]) -> Vectors:
        others = [text for text in texts if text not in known]
        known.update(zip(others, embedder.encode(others), strict=True))
        return np.array([known[text] for text in texts], dtype=np.float32)

    texts = [product_texts(a.description, a.department, a.category) for a in articles]
    return encode(names), add_up(texts, encode)


def _load(connection: Connection, articles: Sequence[Article], sums: Vectors) -> None:
    vectors: dict[str, str] = {}
    with connection.cursor() as cursor, cursor.copy(_SQL["copy_products"]) as copy:
        for article, vector in zip(articles, sums, strict=True):
            row = (article.description, article.department, article.category)
            digest = product_digest(*row)
            copy.write_row((article.sku, *row, search_text(*row), digest))
            vectors.setdefault(digest, written(vector))
    ((index,),) = connection.execute(_SQL["find_index"]).fetchall()
    connection.execute(_SQL["drop_index"])
    with connection.cursor() as cursor, cursor.copy(_SQL["copy_embeddings"]) as copy:
        for digest, vector in vectors.items():
            copy.write_row((digest, vector, Embedder.model_name))
    connection.execute(_SQL["allow_memory"])
    connection.execute(str(index).encode())
    connection.execute(_SQL["analyze_products"])


def _index_recall(connection: Connection, search: _Search, phrases: Sequence[str]) -> float:
    """Return the share of the nearest that the index finds; what is as near as the last of them counts as it."""
    shares: list[float] = []
    for phrase in phrases:
        asked = {"embedding": written(search.vector(phrase)), "places": _NEAREST}
        found = [row[0] for row in connection.execute(_SQL["find_nearest"], asked)]
        exact = [row[0] for row in connection.execute(_SQL["find_nearest_exactly"], asked)]
        if exact:
            shares.append(sum(likeness >= exact[-1] for likeness in found) / len(exact))
    return fmean(shares) if shares else 0.0
