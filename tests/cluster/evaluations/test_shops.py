"""Stores are found by perturbed names, at forty and at two thousand of them."""

import pytest

from cluster.evaluations.search import report_stores
from cluster.evaluations.shops import chain, evaluate_stores


@pytest.mark.parametrize("stores", [40, 2_000])
def test_stores_are_found_by_perturbed_names_as_well_as_on_record(stores):
    seen = evaluate_stores(chain(stores))
    assert seen.stores == stores
    bars = [bar for bar in report_stores([seen]).bars if "p95" not in bar.what]  # how fast is no matter of a test
    assert f"{stores:,} stores, first" in {bar.what for bar in bars}
    assert [bar for bar in bars if not bar.holds] == []


def test_a_chain_of_any_size_has_no_name_twice():
    names = [name for store in chain(2_000) for name in (store.name, *store.aliases)]
    assert len({store.store_id for store in chain(2_000)}) == 2_000
    assert len(set(names)) > 0.99 * len(names)  # a few aliases of neighbours are shared, as in life


def test_the_same_seed_asks_the_same():
    first, second = (evaluate_stores(chain(40), queries=80, seed=3) for _ in range(2))
    assert first.scores == second.scores
