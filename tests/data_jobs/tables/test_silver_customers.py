"""Customers as Silver keeps them: cleaned as search cleans them, the version received last, refusals with reasons."""

from datetime import timedelta

import pytest

from data_jobs.catalogue import find_table
from data_jobs.declaration import Personal
from ingest.columns import customer_row
from ingest.records import StorePlace
from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import RECEIVED_AT, land, land_payloads, refine_here, rows_of
from tests.fixtures.retail import make_customer

LATER = RECEIVED_AT + timedelta(hours=1)


@pytest.mark.parametrize(
    ("first", "last", "email", "phone"),
    [
        ("Maria", "Kowalski", "maria.kowalski@example.com", "412-555-0167"),
        ("  Zoë ", "O’Brien-Łukasz", "Zoe.OBrien@Example.COM", "+1 (412) 555-0167"),
        ("Дарья", "Æbelø", "", ""),
    ],
)
def test_names_and_contacts_are_cleaned_as_what_search_compares_them_with(
    lake_with_stores: Lake, first: str, last: str, email: str, phone: str
) -> None:
    customer = make_customer(first_name=first, last_name=last, email=email, phone=phone)
    land(lake_with_stores, bronze.CUSTOMERS, [customer])
    refine_here(lake_with_stores)
    (row,) = rows_of(lake_with_stores, "silver.customers").to_dicts()
    served = customer_row(customer, StorePlace(1, "America/New_York"), b"")
    names = ("customer_id", "first_name", "last_name", "name_norm", "email", "email_norm", "phone", "phone_norm")
    names += ("city", "customer_since", "home_store_id", "region_id")
    assert {name: row[name] for name in names} == {name: getattr(served, name) for name in names}


@pytest.mark.parametrize("late", [False, True])
def test_the_version_received_last_stays_whatever_order_versions_come_in(lake_with_stores: Lake, late: bool) -> None:
    before, after = make_customer(), make_customer(last_name="Nowak")
    versions = [(before, RECEIVED_AT), (after, LATER)]
    for customer, at in reversed(versions) if late else versions:
        land(lake_with_stores, bronze.CUSTOMERS, [customer], at)
        refine_here(lake_with_stores)
    (row,) = rows_of(lake_with_stores, "silver.customers").to_dicts()
    assert (row["last_name"], row["name_norm"]) == ("Nowak", "maria nowak")
    assert refine_here(lake_with_stores) == []


def test_a_customer_that_cannot_be_is_in_quarantine_with_the_reason(lake_with_stores: Lake) -> None:
    good = make_customer()
    land(lake_with_stores, bronze.CUSTOMERS, [good, make_customer(customer_id="C2", home_store_id=999)])
    no_day = make_customer(customer_id="C3").canonical().replace('"customer_since":"2019-05-04",', "")
    no_name = make_customer(customer_id="C4", first_name="!", last_name="?").canonical()
    payloads = [(None, "no JSON"), ("C9", good.canonical()), ("C3", no_day), ("C4", no_name)]
    land_payloads(lake_with_stores, bronze.CUSTOMERS, payloads)
    land_payloads(lake_with_stores, bronze.CUSTOMERS, [(None, "{}")], refusal="first_name: Field required")
    refine_here(lake_with_stores)
    assert rows_of(lake_with_stores, "silver.customers")["customer_id"].to_list() == [good.customer_id]
    refused = rows_of(lake_with_stores, "silver.quarantine")
    reasons = ["complete", "complete", "gateway", "known_store", "readable", "same_key"]
    assert sorted(refused["expectation"]) == reasons
    assert set(refused["bronze_table"]) == {"bronze.customers"}
    assert refused["reason"].null_count() == 0


def test_a_customer_nobody_can_reach_is_kept(lake_with_stores: Lake) -> None:
    land(lake_with_stores, bronze.CUSTOMERS, [make_customer(email="", phone="")])
    refine_here(lake_with_stores)
    assert rows_of(lake_with_stores, "silver.customers").height == 1
    assert not lake_with_stores.exists("silver.quarantine") or rows_of(lake_with_stores, "silver.quarantine").is_empty()


def test_nothing_that_says_who_somebody_is_stands_in_the_log(lake_with_stores: Lake) -> None:
    table = find_table("silver.customers")
    assert table.personal is Personal.CONTACT
    assert set(table.statistics) == {"home_store_id", "sequence"}
    land(lake_with_stores, bronze.CUSTOMERS, [make_customer()])
    refine_here(lake_with_stores)
    land(lake_with_stores, bronze.CUSTOMERS, [make_customer(last_name="Nowak")], LATER)  # this one is merged
    refine_here(lake_with_stores)
    versions = range(lake_with_stores.open(table.name).version() + 1)
    log = str([lake_with_stores.read_commit(table.name, version) for version in versions]).casefold()
    assert not [word for word in ("maria", "kowalski", "nowak", "c0000001", "555", "highland") if word in log]
