"""A sentence read again by a language model: a real endpoint that speaks OpenAI's protocol."""

from __future__ import annotations

import json
from datetime import date

import pytest

from configs.language_model import ReadingSettings
from configs.settings import SettingsError, load_settings
from serve_apps.model_reading import ModelReader
from serve_apps.understanding.parser import Knowledge, parse
from serve_apps.understanding.query import Cents, Days, StoreNames
from serve_apps.understanding.stores import gazetteer
from tests.fixtures.language_model import Endpoint, said, served

TODAY = date(2026, 11, 23)
KNOWN = Knowledge(gazetteer([StoreNames(1, "Elm Grove", ("Elm Gr",)), StoreNames(2, "Robinson", ())]))
EMPTY = {"products": [], "not_bought": [], "person": None, "store": None, "date": None, "amount": None}


@pytest.fixture
def endpoint():
    return Endpoint(said(json.dumps(EMPTY)))


@pytest.fixture
async def read(endpoint):
    """Parse a sentence, and read it again with a model that answers so."""
    with served(endpoint) as url:
        reader = ModelReader(ReadingSettings(url=url, model="small-model", timeout_s=1.0))

        async def ask(text, **answer):
            endpoint.answer = said(f"```json\n{json.dumps(EMPTY | answer)}\n```")
            return await reader.read(text, parse(text, TODAY, KNOWN), TODAY, KNOWN)

        yield ask
        await reader.aclose()


async def test_the_model_says_which_words_are_goods_and_who_is_a_person(read):
    query = await read("zorblax quimby and the frobnitz, elm grove", products=["frobnitz"], person="zorblax quimby")
    assert query.product_terms == ("frobnitz",)
    assert query.customer_name == "zorblax quimby"
    assert query.store_name == "Elm Grove"
    assert [m.confidence for m in query.mentions] == [0.8, 0.8, 1.0]


async def test_the_parsers_own_code_says_what_the_words_mean(read):
    query = await read("zorblax may 40 frobnitz", products=["zorblax"], date="may", amount="40")
    assert query.days == Days(date(2026, 5, 1), date(2026, 5, 31))
    assert query.cents == Cents(4000, 4000)
    assert (await read("zorblax whenever", products=["zorblax"], date="whenever", amount="zorblax")).days is None


async def test_the_parser_is_surer_where_it_spoke(read):
    text = "zorblax for $20 at Robinson last tuesday"
    first = parse(text, TODAY, KNOWN)
    query = await read(text, products=["zorblax"], store="elm grove", date="last", amount="20", person="Robinson")
    assert (query.days, query.cents, query.store_name, query.customer_name) == (
        first.days, Cents(2000, 2000), "Robinson", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "invented",
    [{"products": ["champagne"]}, {"person": "Jane Roe"}, {"products": "zorblax"}, {"products": [7, None, ""]}],
)
async def test_what_does_not_stand_in_the_sentence_is_dropped(read, invented):
    query = await read("zorblax", **invented)
    assert query.customer_name is None
    assert query.product_terms == ()


async def test_nothing_that_identifies_leaves_and_nothing_is_asked_where_all_is_sure(read, endpoint):
    await read("zorblax jane.doe@example.com 412-555-0199 card 4111-1111-1111-1234 C0001234")
    ((_, _, body),) = endpoint.received
    for secret in (b"jane.doe", b"example.com", b"555", b"0199", b"4111", b"1234"):
        assert secret not in body
    await read("milk at Elm Grove last tuesday, about $40")
    assert len(endpoint.received) == 1


@pytest.mark.parametrize("answer", [b"<html>", {"choices": []}, said("no JSON"), said("[1]"), said("{")])
async def test_an_answer_that_is_none_changes_nothing(endpoint, answer):
    endpoint.answer = answer
    with served(endpoint) as url:
        reader = ModelReader(ReadingSettings(url=url, model="small-model"))
        query = parse("zorblax", TODAY, KNOWN)
        assert await reader.read("zorblax", query, TODAY, KNOWN) == query
        await reader.aclose()


async def test_without_an_endpoint_all_stays_as_it_is():
    reader = ModelReader(ReadingSettings())
    query = parse("zorblax", TODAY, KNOWN)
    assert await reader.read("zorblax", query, TODAY, KNOWN) is query
    await reader.aclose()


def test_an_address_without_a_model_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="RECEIPTS_READING__MODEL"):
        load_settings({"RECEIPTS_ENVIRONMENT": "embedded", "RECEIPTS_READING__URL": "http://127.0.0.1:1/v1"})
