"""What a drill asks for is there for some callers, out of reach for others, or never was."""

from loadtest.drill.answers import Asker, Kind
from loadtest.drill.subjects import choose_subjects
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows

EAST = Asker("rep.east", frozenset({1}))


def test_everything_is_asked_for_with_the_regions_it_can_be_seen_from(settings, owner):
    stores = [make_store(store_id=101, region_id=1), make_store(store_id=201, region_id=2)]
    receipts = [
        make_receipt(store_id=store, sequence_number=number, customer_id=customer)
        for store, customer in ((101, "C0000001"), (201, "C0000002"), (201, "C0000001"))
        for number in range(1 + (customer == "C0000001") * 50, 12 + (customer == "C0000001") * 50)
    ]
    customers = [make_customer(customer_id=name, home_store_id=201) for name in ("C0000001", "C0000002")]
    store_rows(settings, stores=stores, customers=customers, receipts=receipts)
    owner.execute("UPDATE retail.customers SET region_ids = '{1,2}' WHERE customer_id = 'C0000001'")  # as the pipeline
    world = choose_subjects(settings, 100, seed=1)
    assert world.store_regions == {101: 1, 201: 2}
    sold = {one.receipt_id: frozenset({world.store_regions[one.store_id]}) for one in receipts}
    asked = {one.name: one.region_ids for one in world.subjects if one.kind is Kind.RECEIPT}
    assert {name: ids for name, ids in asked.items() if ids} == sold
    assert any(not ids for ids in asked.values())
    persons = {one.name: one.region_ids for one in world.subjects if one.kind is Kind.HISTORY}
    assert persons == {"C0000001": {1, 2}, "C0000002": {2}, "C9999999999": frozenset()}
    assert {one.kind for one in world.subjects} == set(Kind)
    assert [EAST.sees(persons[name]) for name in sorted(persons)] == [True, False, False]
    assert choose_subjects(settings, 100, seed=1) == world
