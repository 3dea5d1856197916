from datetime import timedelta

import pytest

from loadtest.targets import read_targets, sample_targets, write_targets
from receipts.errors import NotFound, ReceiptsError
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows

STORES = [
    make_store(),
    make_store(store_id=400, name="Downtown Erie", aliases=[], region_id=2, region="Pittsburgh West"),
]


def fill(settings, count):
    first = make_receipt()
    made = [
        make_receipt(
            store_id=STORES[n % 2].store_id,
            sequence_number=n + 1,
            business_date=first.business_date + timedelta(days=n % 5),
            customer_id=f"C{n % 7:07d}" if n % 3 else None,
        )
        for n in range(count)
    ]
    members = [make_customer(customer_id=f"C{n:07d}", home_store_id=STORES[0].store_id) for n in range(6)]
    store_rows(settings, stores=STORES, customers=members, receipts=made)
    return {one.receipt_id: one for one in made}


def test_a_sample_holds_receipts_of_every_store_as_they_are(settings):
    made = fill(settings, 40)
    sample = sample_targets(settings, 200)
    assert {t.receipt_id for t in sample.targets} == made.keys()
    assert {t.store_name for t in sample.targets} == {"East Liberty", "Downtown Erie"}
    for target in sample.targets:
        receipt = made[target.receipt_id]
        assert target.total_cents == receipt.total_cents
        assert target.item == receipt.lines[0].description


def test_a_customer_is_named_only_where_a_rep_of_the_region_finds_one(settings, owner):
    made = fill(settings, 80)
    regions = dict(owner.execute("SELECT customer_id, region_ids FROM retail.customers").fetchall())
    sample = sample_targets(settings, 200).targets
    for target in sample:
        customer_id = made[target.receipt_id].customer_id
        assert target.customer_id == (customer_id if target.region_id in regions.get(customer_id, ()) else None)
    named = {target.customer_id for target in sample}
    assert {None, "C0000001"} <= named
    assert "C0000006" not in named, "of whom there is no record"


def test_a_large_table_is_read_in_part(settings, owner):
    fill(settings, 400)
    owner.execute("ANALYZE retail.receipts")
    sample = sample_targets(settings, 7)
    assert len({t.receipt_id for t in sample.targets}) == 7


def test_the_same_seed_gives_the_same_sample(settings):
    fill(settings, 20)
    assert sample_targets(settings, 50, seed=3) == sample_targets(settings, 50, seed=3)


def test_a_rep_is_given_only_what_lies_in_the_own_regions(settings):
    fill(settings, 20)
    sample = sample_targets(settings, 50)
    assert {t.region_id for t in sample.within(frozenset({2}))} == {2}
    assert sample.within(None) == sample.targets


def test_a_sample_survives_the_way_through_a_file(settings, tmp_path):
    fill(settings, 10)
    sample = sample_targets(settings, 10)
    write_targets(sample, tmp_path / "new" / "targets.json")
    assert read_targets(tmp_path / "new" / "targets.json") == sample


def test_without_receipts_a_sentence_says_what_to_do(settings):
    with pytest.raises(NotFound, match="no receipts to load-test with; stream some in first"):
        sample_targets(settings, 10)


def test_a_file_that_is_no_sample_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "other.json").write_text('{"secret": 1}')
    for path in (tmp_path / "other.json", tmp_path / "missing.json"):
        with pytest.raises(ReceiptsError, match="holds no targets; write them with `receipts load --prepare"):
            read_targets(path)
