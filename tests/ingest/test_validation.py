"""What is accepted and what is refused, for any bytes a till may send."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.records import CustomerRow, Incoming, ReceiptRow, StorePlace, StoreRow
from ingest.validation import Origin, Parsed, parse, place
from receipts import bronze
from receipts.card_numbers import contains_card_number
from receipts.models import Receipt
from tests.fixtures.retail import MILK, make_customer, make_receipt, make_store

_STORES = {367: StorePlace(1, "America/New_York"), 7: StorePlace(2, "Pacific/Kiritimati")}
_NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
_MAX = 100_000
_VISA = "4111111111111111"
_ANY_TABLE = st.sampled_from([table.name for table in bronze.TABLES])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _read(payload: bytes, table: str = bronze.RECEIPTS.name) -> Incoming:
    origin = Origin(table, "test", _NOW)
    read = parse(payload, origin, _MAX)
    return place(read, _STORES, origin) if isinstance(read, Parsed) else read


def _receipt(**changes: Any) -> bytes:
    return json.dumps(json.loads(make_receipt().canonical()) | changes).encode()


def _reason(payload: bytes, table: str = bronze.RECEIPTS.name) -> str:
    reason = _read(payload, table).bronze.refusal
    assert reason is not None
    return reason


@given(payload=st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode()), table=_ANY_TABLE)
def test_any_bytes_are_accepted_or_refused_with_a_sentence(payload: bytes, table: str) -> None:
    record = _read(payload, table)
    assert record.row is not None or (record.bronze.refusal or "").endswith(".")
    assert "\x00" not in record.bronze.payload
    assert len(record.bronze.payload_digest) == 32
    record.bronze.payload.encode()  # is text that Postgres and Parquet can hold


@given(field=st.sampled_from(sorted(Receipt.model_fields)), value=_JSON)
def test_any_value_in_any_field_is_accepted_or_refused_by_name(field: str, value: Any) -> None:
    record = _read(_receipt(**{field: value}))
    if record.row is None:
        reason = record.bronze.refusal
        related = field.removesuffix("_cents") in reason or "receipt_id" in reason or "tenders" in reason
        assert related or "lines" in reason or "store_id" in reason or "JSON" in reason, reason


@given(
    spelled=st.permutations(list(json.loads(make_receipt().canonical()).items())),
    indent=st.sampled_from([None, 2]),
    with_id=st.booleans(),
)
def test_the_same_receipt_written_otherwise_is_the_same_record(
    spelled: list, indent: int | None, with_id: bool
) -> None:
    fields = dict(spelled)
    if not with_id:
        del fields["receipt_id"]
    assert _read(json.dumps(fields, indent=indent).encode()).identity == _read(_receipt()).identity


@given(name=st.text(min_size=1, max_size=40))
def test_what_is_accepted_reads_back_as_itself(name: str) -> None:
    record = _read(_receipt(lines=[dict(MILK) | {"description": name}], **_totals(349)))
    if record.row is not None:
        again = _read(record.bronze.payload.encode())
        assert again.bronze == record.bronze
        assert Receipt.model_validate_json(record.bronze.payload).lines[0].description == name.strip()


@pytest.mark.parametrize(
    "place_number",
    [
        lambda number: {"operator_id": number},
        lambda number: {"customer_id": number},
        lambda number: {"lines": [dict(MILK) | {"sku": number}], **_totals(349)},
        lambda number: {"lines": [dict(MILK) | {"description": f"PAID {number} OK"}], **_totals(349)},
        lambda number: {"lines": [dict(MILK) | {"category": number}], **_totals(349)},
        lambda number: {"tenders": [{"tender_type": "credit", "amount_cents": 1048, "card_brand": number}]},
        lambda number: {"tenders": [{"tender_type": "credit", "amount_cents": 1048, "card_last4": number}]},
        lambda number: {number: 1},
        lambda number: {"currency": number},
        lambda number: {"original_receipt_id": number},
    ],
)
def test_a_card_number_in_any_field_is_refused_and_destroyed(place_number: Any) -> None:
    record = _read(_receipt(**place_number(_VISA)))
    assert record.row is None
    assert not contains_card_number(record.bronze.payload)
    assert not contains_card_number(record.bronze.refusal or "")


def test_card_numbers_of_customers_and_stores_are_refused_too() -> None:
    customer = make_customer(street=f"card {_VISA}").canonical().encode()
    store = make_store(aliases=["East Liberty", _VISA]).canonical().encode()
    assert _reason(customer, bronze.CUSTOMERS.name) == "street: holds a full card number, which is never accepted."
    assert _reason(store, bronze.STORES.name) == "aliases.1: holds a full card number, which is never accepted."


@pytest.mark.parametrize("sku", ["4006381333931", "0012345678905", "10012345678902", "30614141999996", "840361"])
def test_product_codes_that_pass_the_luhn_check_by_chance_are_taken(sku: str) -> None:
    assert _read(_receipt(lines=[dict(MILK) | {"sku": sku}], **_totals(349))).row is not None


def test_every_receipt_id_may_be_an_original_receipt() -> None:
    for number in range(1, 400):
        original = make_receipt(sequence_number=number).receipt_id
        assert _read(_receipt(receipt_type="return", original_receipt_id=original)).row is not None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"total_cents": 1}, "total_cents is 1, not subtotal_cents + tax_cents."),
        ({"surprise": "Maria"}, "surprise: is not a field of this record."),
        ({"store_id": "367"}, "store_id: Input should be a valid integer."),
        ({"store_id": 12, "receipt_id": ""}, "store_id: store 12 is not known; send its store record, then replay"),
        ({"business_date": "17.11.2026"}, "business_date: expected a day written YYYY-MM-DD."),
        ({"purchased_at": "2026-11-17T18:05:00"}, "purchased_at: Input should have timezone info."),
        ({"purchased_at": "0001-01-01T00:00:00+14:00"}, "purchased_at: the year is not between 2000 and 2099."),
    ],
)
def test_a_refusal_names_the_field_and_repeats_no_value(changes: dict[str, Any], reason: str) -> None:
    assert _reason(_receipt(**changes)).startswith(reason)


@given(secret=st.text(alphabet="qxzw", min_size=8, max_size=20), field=st.sampled_from(sorted(Receipt.model_fields)))
def test_a_refusal_never_repeats_what_a_field_held(secret: str, field: str) -> None:
    reason = _read(_receipt(**{field: [secret]})).bronze.refusal
    assert reason is not None
    assert secret not in reason


def test_the_day_of_a_purchase_is_the_stores_own() -> None:
    changes = {"purchased_at": "2026-11-18T03:30:00Z", "receipt_id": ""}
    here, there = _read(_receipt(**changes)).row, _read(_receipt(**changes, store_id=7)).row
    assert isinstance(here, ReceiptRow)
    assert isinstance(there, ReceiptRow)
    assert (here.purchased_on.isoformat(), there.purchased_on.isoformat()) == ("2026-11-17", "2026-11-18")


def test_customers_and_stores_carry_the_columns_they_are_found_by() -> None:
    customer = _read(make_customer(last_name="Łukasz").canonical().encode(), bronze.CUSTOMERS.name).row
    store = _read(make_store().canonical().encode(), bronze.STORES.name).row
    assert isinstance(customer, CustomerRow)
    assert isinstance(store, StoreRow)
    assert (customer.name_norm, customer.phone_norm, customer.region_id) == ("maria lukasz", "4125550167", 1)
    assert customer.address == "12 Highland Avenue, Pittsburgh, PA 15206"
    assert (store.name_norm, store.aliases_norm) == ("east liberty", "e liberty\npenn avenue")


def _totals(cents: int) -> dict[str, Any]:
    tender = {"tender_type": "cash", "amount_cents": cents}
    return {"subtotal_cents": cents, "total_cents": cents, "discount_cents": 0, "tenders": [tender]}
