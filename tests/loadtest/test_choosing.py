import random
from collections import Counter
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.choosing import Zipf, absent, describe, misread, phrase
from loadtest.targets import Target
from receipts.errors import InvalidInput
from receipts.identity import natural_key, parse_receipt_id, receipt_id
from tests.receipts.test_identity import KEYS

TARGET = Target(
    receipt_id="2611170041200300012345",
    region_id=1,
    customer_id="C0000001",
    purchased_on=date(2026, 11, 17),
    total_cents=4_723,
    store_name="East Liberty",
    item="CHIX: ROTISSERIE (HOT)",
)


def test_the_most_popular_item_is_chosen_as_often_as_zipf_says():
    ranks = range(1, 101)
    zipf = Zipf(ranks, exponent=1.0)
    source = random.Random(7)
    chosen = Counter(zipf.choose(source) for _ in range(50_000))
    expected = 1 / sum(1 / rank for rank in ranks)
    assert chosen[1] / 50_000 == pytest.approx(expected, rel=0.05)
    assert chosen[1] / chosen[10] == pytest.approx(10, rel=0.25)
    assert set(chosen) == set(ranks), "rare items come too"


@given(st.integers(1, 500), st.floats(0, 2), st.integers())
def test_a_choice_is_always_one_of_the_items(count, exponent, seed):
    items = range(count)
    assert Zipf(items, exponent).choose(random.Random(seed)) in items


def test_there_must_be_something_to_choose_from():
    with pytest.raises(ValueError, match="nothing to choose from"):
        Zipf(())


@given(KEYS, st.integers())
def test_a_misread_id_is_never_accepted(key, seed):
    with pytest.raises(InvalidInput):
        parse_receipt_id(misread(receipt_id(key), random.Random(seed)))


@given(KEYS, st.integers())
def test_an_absent_id_is_valid_and_of_the_same_store_and_day(key, seed):
    made = natural_key(parse_receipt_id(absent(receipt_id(key), random.Random(seed))))
    assert (made.store_id, made.business_date) == (key.store_id, key.business_date)
    assert (made.register_id, made.sequence_number >= 900_000) == (999, True), "where no till of a shop comes"


@given(st.integers())
def test_a_description_is_near_the_receipt(seed):
    search = describe(TARGET, random.Random(seed))
    assert search["store"] == "East Liberty"
    assert search["date_from"] == search["date_to"] == "2026-11-17"
    assert abs(search["amount_cents"] - 4_723) <= 500
    assert search["items"] == ["chix rotisserie"]


@given(st.integers(), st.integers(-(10**6), 10**6))
def test_a_description_never_asks_for_a_negative_amount(seed, cents):
    assert describe(TARGET.model_copy(update={"total_cents": cents}), random.Random(seed))["amount_cents"] >= 0


@given(st.integers())
def test_a_sentence_names_the_store_and_the_day(seed):
    said = phrase(TARGET, random.Random(seed))
    assert "East Liberty" in said
    assert "November 17, 2026" in said
