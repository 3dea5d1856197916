"""Product search judged on the project's own catalogue, in a real Postgres with the real model."""

from __future__ import annotations

import json

import polars as pl
import pytest

from cluster.evaluations.catalogues import own_catalogue, read_catalogue
from cluster.evaluations.concepts import own_concepts, read_concepts
from cluster.evaluations.literal_queries import misspelt_names, two_word_queries
from cluster.evaluations.product_search import Sample, judge_products
from cluster.evaluations.search import report_products
from receipts.errors import InvalidInput
from receipts.products import expand, singular

CATALOGUE = own_catalogue()


def test_every_own_concept_is_answered_by_some_articles_and_by_no_great_part_of_the_catalogue():
    concepts = own_concepts()
    assert len(concepts) >= 60
    assert len({concept.id for concept in concepts}) == len({concept.query for concept in concepts}) == len(concepts)
    answered = {concept.query: len(concept.answers(CATALOGUE)) for concept in concepts}
    assert {query: count for query, count in answered.items() if not 5 <= count <= 300} == {}


def test_every_aisle_that_a_concept_names_is_there():
    there = {article.category for article in CATALOGUE}
    assert {aisle for concept in own_concepts() for aisle in concept.aisles or ()} <= there


def test_two_word_queries_are_held_by_ten_names_and_the_same_in_every_run():
    queries = two_word_queries(CATALOGUE, 40, seed=1)
    assert len(queries) == 40
    assert queries == two_word_queries(CATALOGUE, 40, seed=1)
    assert queries != two_word_queries(CATALOGUE, 40, seed=2)
    words = {a.sku: {singular(word) for word in expand(a.description).split()} for a in CATALOGUE}
    for query in queries:
        assert len(query.meant) >= 10
        assert all(set(query.typed.split()) <= words[sku] for sku in query.meant)


def test_a_misspelt_name_has_one_wrong_word():
    names = {article.sku: expand(article.description).split() for article in CATALOGUE}
    for query in misspelt_names(CATALOGUE, 60, seed=1):
        typed, meant = query.typed.split(), names[next(iter(query.meant))]
        wrong = [(a, b) for a, b in zip(typed, meant, strict=True) if a != b]
        assert len(wrong) == 1
        assert abs(len(wrong[0][0]) - len(wrong[0][1])) <= 1


def test_a_catalogue_is_read_from_a_file(tmp_path):
    path = tmp_path / "catalogue.parquet"
    rows = {"product_name": ["Brie", None], "aisle": ["specialty cheeses", "x"], "department": ["dairy eggs", "y"]}
    pl.DataFrame(rows).write_parquet(path)
    first, second = read_catalogue(path)
    assert (first.name, first.description, first.category) == ("Brie", "Brie", "specialty cheeses")
    assert second.name == ""
    pl.DataFrame({"name": ["Brie"]}).write_parquet(path)
    with pytest.raises(InvalidInput, match="no column product_name"):
        read_catalogue(path)
    with pytest.raises(InvalidInput, match="no file"):
        read_catalogue(tmp_path / "none.parquet")


def test_labelled_questions_are_read_from_a_file(tmp_path):
    path = tmp_path / "queries.jsonl"
    told = {"id": "D1", "query": "stone fruit", "relevant": ["peach"], "exclude": ["tea"], "aisles": None, "more": 1}
    path.write_text(json.dumps(told) + "\n\n")
    (concept,) = read_concepts(path)
    peaches = concept.answers(CATALOGUE)
    assert {a.name for a in CATALOGUE if a.sku in peaches} >= {"Yellow Peaches"}
    assert all("Tea" not in a.name for a in CATALOGUE if a.sku in peaches)
    for wrong in ('{"id": 1}', "[]", '{"id": "D1", "query": "x", "relevant": ["("]}', "no json"):
        path.write_text(wrong)
        with pytest.raises(InvalidInput, match="no labelled question"):
            read_concepts(path)


def test_goods_are_found_as_well_as_on_record_and_far_better_than_by_bare_names(settings):
    report = judge_products(settings.database.dsn.get_secret_value(), CATALOGUE, own_concepts(), Sample())
    assert report.articles == len(CATALOGUE)
    assert len(report.query_ms) == len(own_concepts()) + report.literal_queries + report.known_items
    assert report.ours.ndcg_at_10 > report.names_only.ndcg_at_10 + 0.1
    bars = report_products(report, own=True).bars
    assert {"concepts, nDCG@10", "two literal words, P@10", "one-typo known items, hit@10"} <= {
        bar.what for bar in bars
    }
    assert [bar for bar in bars if not bar.holds] == []
