"""Labelled sentences: how they are scored, that the project's own are understood, and what is said of a wrong file."""

from __future__ import annotations

import json
from datetime import date

import pytest
import typer
from typer.testing import CliRunner

from cluster.commands import evaluation
from cluster.evaluations.search import report_sentences
from cluster.evaluations.sentences import (
    TODAY,
    knowing,
    own_sentences,
    read_sentences,
    read_stores,
    score,
    understand,
)
from ingest.sources.overlay.network import network
from receipts.errors import InvalidInput
from serve_apps.understanding.query import Cents, Days, Query, StoreNames

NOTHING = {
    "store": None, "date_from": None, "date_to": None, "amount_min": None, "amount_max": None, "product_terms": [],
    "card_last4": None, "customer_name": None,
}  # fmt: skip


def scores(query, **expected):
    return score(NOTHING | expected, query, TODAY)


def day(number):
    return date(2026, 11, number)


@pytest.mark.parametrize(
    ("found", "expected", "verdict"),
    [
        (Days(day(17), day(17)), ("2026-11-17", "2026-11-17"), (True, True)),
        (Days(day(15), day(19)), ("2026-11-17", "2026-11-17"), (False, True)),
        (Days(day(14), day(17)), ("2026-11-17", "2026-11-17"), (False, False)),
        (None, ("2026-11-17", "2026-11-17"), (False, False)),
        (Days(day(2), day(2)), ("2026-11-01", "2026-11-03"), (False, True)),
        (Days(day(3), day(3)), ("2026-11-01", "2026-11-03"), (False, False)),
        (Days(day(1), day(8)), ("2026-11-01", "2026-11-10"), (False, True)),
        (Days(None, day(9)), (None, "2026-11-10"), (False, True)),
    ],
)
def test_days_are_scored_strictly_and_leniently(found, expected, verdict):
    assert scores(Query(days=found), date_from=expected[0], date_to=expected[1])["date"] == verdict


@pytest.mark.parametrize(
    ("found", "expected", "verdict"),
    [
        (Cents(4000, 4000), (40, 40), (True, True)),
        (Cents(3000, 5000), (40, 40), (False, True)),
        (Cents(2900, 5000), (40, 40), (False, False)),
        (Cents(None, 4000), (None, 40.0), (True, True)),
        (Cents(None, 4000), (30, 40), (False, False)),
        (Cents(0, 4000), (None, 40), (True, True)),
        (Cents(4400, 4600), (40, 50), (False, True)),
    ],
)
def test_amounts_are_scored_strictly_and_leniently(found, expected, verdict):
    assert scores(Query(cents=found), amount_min=expected[0], amount_max=expected[1])["amount"] == verdict


@pytest.mark.parametrize(
    ("found", "expected", "verdict"),
    [
        ("potato chip", "a bag of potato chips", (True, True)),
        ("rotisserie chicken leg", "rotisserie chicken", (False, True)),
        ("chicken", "rotisserie chicken", (False, False)),
    ],
)
def test_a_filler_word_and_a_plural_of_a_product_are_forgiven(found, expected, verdict):
    assert scores(Query(product_terms=(found,)), product_terms=[expected])["product"] == verdict


def test_the_projects_sentences_are_understood_as_well_as_on_record():
    assert len(own_sentences()) >= 150
    shops = [StoreNames(shop.store.store_id, shop.store.name, shop.store.aliases) for shop in network()]
    report = report_sentences(understand(own_sentences(), knowing(shops)), own=True)
    bars = {bar.what: bar for bar in report.bars}
    assert bars["sentences, every field right"].holds, report


def test_the_command_scores_a_file_that_is_given_and_asks_for_what_belongs_to_it(tmp_path):
    file, shops = tmp_path / "sentences.jsonl", tmp_path / "stores.json"
    labelled = {
        "id": 1,
        "query": "milk at Elm Grove",
        "expected": NOTHING | {"store": "Elm Grove", "product_terms": ["milk"]},
    }
    file.write_text(json.dumps(labelled))
    shops.write_text(json.dumps([{"id": 7, "name": "Elm Grove"}]))
    app = typer.Typer()
    evaluation.register(app)
    given = ["eval", "search", "--nl", str(file), "--stores", str(shops), "--today", "2026-11-23", "--json"]
    report = json.loads(CliRunner().invoke(app, given).output)
    assert {bar["what"]: bar["value"] for bar in report["bars"]}["sentences, every field right"] == 1
    for wrong in (given[:4], [*given[:6], "--today", "yesterday"], ["eval", "search", "--semantic", str(file)]):
        assert isinstance(CliRunner().invoke(app, wrong).exception, InvalidInput)


def test_a_file_that_holds_something_else_is_refused_with_the_line(tmp_path):
    file = tmp_path / "sentences.jsonl"
    file.write_text('{"id": 1, "query": "milk", "expected": {}}\nmilk\n')
    with pytest.raises(InvalidInput, match="line 2"):
        read_sentences(file)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_sentences(tmp_path / "absent")
    file.write_text("[1]")
    with pytest.raises(InvalidInput, match="id, name and aliases"):
        read_stores(file)
