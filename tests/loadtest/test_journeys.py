import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.journeys import (
    CALLS,
    Desk,
    Sight,
    fetch_batch,
    known_customer,
    look_up,
    not_there,
    of_another_region,
    receipt_at_hand,
    remembered,
    told,
)
from loadtest.targets import Targets
from receipts.identity import NaturalKey, parse_receipt_id, receipt_id
from tests.loadtest.test_kit import target

DAY = target().purchased_on
HERE, THERE = (
    tuple(
        target(region_id=region, customer_id=f"C{region}{n:06d}" if n % 2 else None).model_copy(
            update={"receipt_id": receipt_id(NaturalKey(region, 1, DAY, n))}
        )
        for n in range(1, 21)
    )
    for region in (1, 2)
)
SAMPLE = Targets(targets=HERE + THERE)
EAST = Sight.of(SAMPLE, frozenset({1}))
HIT = {"receipt": {"receipt_id": HERE[0].receipt_id, "customer_id": HERE[0].customer_id}}
ANSWER = {"hits": [HIT], "receipts": [HIT["receipt"]], "next_cursor": "next"}  # has what any step may look for


def walk(steps, answer=ANSWER):
    """Go through a journey, with the same answer to everything."""
    walked = []
    try:
        step = next(steps)
        while True:
            walked.append(step)
            step = steps.send(answer)
    except StopIteration:
        return walked


def test_the_weights_are_shares_of_a_hundred_calls():
    assert sum(kind.weight for kind in CALLS) == 100


@pytest.mark.parametrize("kind", CALLS, ids=lambda kind: kind.steps.__name__)
@given(seed=st.integers())
def test_a_rep_asks_for_what_lies_in_the_own_regions(kind, seed):
    if kind.steps is of_another_region:
        return
    theirs = {t.receipt_id for t in THERE} | {t.customer_id for t in THERE if t.customer_id}
    asked = [step.path for step in walk(kind.steps(Desk(EAST, random.Random(seed))))]
    assert asked
    assert not [path for path in asked if any(name in path for name in theirs)]


@given(st.integers())
def test_another_regions_receipt_must_look_as_if_there_were_none(seed):
    (step,) = walk(of_another_region(Desk(EAST, random.Random(seed))))
    assert step.path.removeprefix("/receipt/") in {t.receipt_id for t in THERE}
    assert step.expect == (404,)


def test_who_sees_all_regions_has_no_other_and_looks_up_instead():
    desk = Desk(Sight.of(SAMPLE, None), random.Random(1))
    assert walk(of_another_region(desk))[-1].expect == (200,)


@given(st.integers())
def test_a_receipt_that_is_not_there_is_searched_for(seed):
    absent, search, *_ = walk(not_there(Desk(EAST, random.Random(seed))))
    assert absent.expect == (404,)
    assert parse_receipt_id(absent.path.removeprefix("/receipt/"))
    assert search.path == "/search/fuzzy"


@given(st.integers())
def test_a_call_of_a_known_customer_is_all_about_that_customer(seed):
    context, history, *_ = walk(known_customer(Desk(EAST, random.Random(seed))))
    customer_id = context.path.removeprefix("/cs/context/")
    assert customer_id in {t.customer_id for t in HERE}
    assert history.path.startswith(f"/customers/{customer_id}/receipts")


@given(st.integers())
def test_a_search_opens_its_best_hit(seed):
    desk = Desk(EAST, random.Random(seed))
    for steps in (remembered(desk), told(desk)):
        _, opened, *_ = walk(steps)
        assert opened.path == f"/receipt/{HIT['receipt']['receipt_id']}"


@given(st.integers())
def test_a_sentence_that_finds_nothing_is_said_once_more(seed):
    walked = walk(told(Desk(EAST, random.Random(seed))), {"hits": []})
    assert [step.path for step in walked] == ["/search/", "/search/"]


@pytest.mark.parametrize("kind", CALLS, ids=lambda kind: kind.steps.__name__)
@given(seed=st.integers())
def test_a_call_whose_answers_fail_comes_to_an_end(kind, seed):
    assert 1 <= len(walk(kind.steps(Desk(EAST, random.Random(seed))), None)) <= 6


def test_a_scanned_receipt_is_sometimes_misread_first_and_sometimes_typed_from_the_foot_of_the_paper():
    source = random.Random(5)
    walked = [walk(receipt_at_hand(Desk(EAST, source))) for _ in range(2_000)]
    seen = Counter(step.route for steps in walked for step in steps)
    assert seen["GET /receipt/{receipt_id} misread"] == pytest.approx(160, rel=0.25)
    assert seen["GET /receipt/"] == pytest.approx(200, rel=0.25)
    assert all(step.holds for steps in walked for step in steps if step.expect == (200,)), "answers are looked into"


@given(st.integers())
def test_a_batch_has_a_receipt_that_is_not_there_and_knows_it(seed):
    (step,) = walk(fetch_batch(Desk(EAST, random.Random(seed))))
    *present, missing = step.body["receipt_ids"]
    assert set(present) <= {t.receipt_id for t in HERE}
    assert step.holds == f'"not_found":["{missing}"]'


def test_a_program_asks_for_popular_receipts_more_often():
    desk = Desk(EAST, random.Random(3))
    paths = Counter(look_up(desk).path for _ in range(5_000))
    assert paths[f"/receipt/{HERE[0].receipt_id}"] > 5 * paths[f"/receipt/{HERE[-1].receipt_id}"]


def test_without_known_customers_calls_are_about_receipts():
    strangers = Targets(targets=tuple(t.model_copy(update={"customer_id": None}) for t in HERE))
    desk = Desk(Sight.of(strangers, None), random.Random(1))
    assert "/receipt/" in walk(known_customer(desk))[0].path


def test_who_sees_nothing_of_the_sample_has_no_desk():
    assert Sight.of(SAMPLE, frozenset({8})) is None
