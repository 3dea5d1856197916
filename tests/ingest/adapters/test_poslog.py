"""POSLog documents as tills write them, and what they become."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.adapters.found import Found
from ingest.adapters.poslog import read_poslog
from ingest.sources.synthetic.history import chunk_receipts
from ingest.sources.synthetic.plan import make_plan
from receipts.identity import NaturalKey, receipt_id
from receipts.models import Receipt
from tests.fixtures.retail import make_receipt
from tests.ingest.adapters.poslog_writer import HEAD, TAIL, poslog

NEW_YORK = ZoneInfo("America/New_York")
KEY = (
    "<RetailStoreID>00367</RetailStoreID><WorkstationID>3</WorkstationID><SequenceNumber>73</SequenceNumber>"
    "<BusinessDayDate>2026-11-17</BusinessDayDate>"
)
TIMES = "<BeginDateTime>2026-11-17T18:01:00</BeginDateTime><EndDateTime>2026-11-17T18:05:00</EndDateTime>"
MILK = (
    "<LineItem><SequenceNumber>1</SequenceNumber><Sale><ItemID>840361</ItemID><Description>MILK</Description>"
    "<RegularSalesUnitPrice>3.49</RegularSalesUnitPrice><ExtendedAmount>3.49</ExtendedAmount>"
    "<Quantity>1</Quantity></Sale></LineItem>"
)
CASH = '<LineItem><SequenceNumber>2</SequenceNumber><Tender TenderType="Cash"><Amount>3.49</Amount></Tender></LineItem>'


def read(text: str | bytes, tmp_path: Path, zone: ZoneInfo | None = NEW_YORK) -> list[Found]:
    path = tmp_path / "log.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_poslog(path, lambda _: zone, "USD"))


def sale(retail: str, *, key: str = KEY, times: str = TIMES, flags: str = "", status: str = "") -> str:
    retail_flags = f' TransactionStatus="{status}"' if status else ""
    body = f"{key}{times}<OperatorID>48</OperatorID><CurrencyCode>USD</CurrencyCode>"
    whole = f"{body}<RetailTransaction{retail_flags}>{retail}</RetailTransaction>"
    return f"{HEAD}<Transaction{flags}>{whole}</Transaction>{TAIL}"


def receipt_of(text: str, tmp_path: Path) -> Receipt:
    (found,) = read(text, tmp_path)
    assert (found.problem, found.skipped) == ("", "")
    return Receipt.model_validate_json(found.payload)


def problem_of(text: str, tmp_path: Path) -> str:
    (found,) = read(text, tmp_path)
    assert found.problem
    return found.problem


def item(kind: str, inner: str, number: int = 1, flags: str = "") -> str:
    return f"<LineItem{flags}><SequenceNumber>{number}</SequenceNumber><{kind}>{inner}</{kind}></LineItem>"


def tender(amount: str, kind: str = "Cash", more: str = "", attributes: str = "") -> str:
    return f'<LineItem><Tender TenderType="{kind}"{attributes}><Amount>{amount}</Amount>{more}</Tender></LineItem>'


def goods(amount: str, more: str = "", sku: str = "42", price: str = "", quantity: str = "1") -> str:
    regular = f"<RegularSalesUnitPrice>{price}</RegularSalesUnitPrice>" if price else ""
    return (
        f"<ItemID>{sku}</ItemID><Description>Thing {sku}</Description>{regular}"
        f"<ExtendedAmount>{amount}</ExtendedAmount><Quantity>{quantity}</Quantity>{more}"
    )


LINK = (
    '<TransactionLink ReasonCode="{reason}"><RetailStoreID>367</RetailStoreID><WorkstationID>2</WorkstationID>'
    "<SequenceNumber>7</SequenceNumber><BusinessDayDate>2026-11-10</BusinessDayDate></TransactionLink>"
)
LINKED = receipt_id(NaturalKey(367, 2, date(2026, 11, 10), 7))


# Round trip ----------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10_000))
def test_whatever_the_generator_makes_comes_back_from_poslog_as_it_was(seed, tmp_path_factory):
    plan = make_plan(receipts=40, seed=seed, start=date(2026, 10, 25), end=date(2026, 11, 7), stores=3, customers=20)
    receipts = [Receipt.model_validate_json(text) for text in chunk_receipts(plan, 0)]
    path = tmp_path_factory.mktemp("poslog") / "log.xml"
    path.write_text("".join(poslog(receipts, NEW_YORK)))
    found = list(read_poslog(path, lambda _: NEW_YORK, "USD"))
    assert [(one.problem, one.skipped) for one in found] == [("", "")] * len(receipts)
    assert [Receipt.model_validate_json(one.payload) for one in found] == receipts
    assert [one.position for one in found] == list(range(3, 3 + len(receipts)))


# Sales ---------------------------------------------------------------------------------------------------------


def test_a_sale_keeps_its_key_and_its_local_time(tmp_path):
    receipt = receipt_of(sale(MILK + CASH), tmp_path)
    assert receipt.natural_key == NaturalKey(367, 3, date(2026, 11, 17), 73)
    assert receipt.purchased_at == datetime(2026, 11, 17, 23, 5, tzinfo=UTC)
    assert (receipt.receipt_type, receipt.operator_id, receipt.total_cents) == ("sale", "48", 349)


def test_the_store_may_be_a_business_unit_as_in_version_6(tmp_path):
    key = KEY.replace("<RetailStoreID>00367</RetailStoreID>", "<BusinessUnit><UnitID>367</UnitID></BusinessUnit>")
    assert receipt_of(sale(MILK + CASH, key=key), tmp_path).store_id == 367


@pytest.mark.parametrize(
    "root",
    [
        "<POSLog>",
        '<POSLog xmlns="http://www.nrf-arts.org/IXRetail/namespace" MajorVersion="2" MinorVersion="1">',
        '<a:Envelope xmlns:a="urn:a"><POSLog xmlns="http://www.nrf-arts.org/IXRetail/namespace/">',
    ],
)
def test_other_versions_no_namespace_and_envelopes_are_read(root, tmp_path):
    tail = "</POSLog></a:Envelope>" if "Envelope" in root else TAIL
    text = sale(MILK + CASH).replace(HEAD, root).replace(TAIL, tail)
    assert receipt_of(text, tmp_path).total_cents == 349


def test_what_vendors_added_in_their_own_namespace_is_passed_over(tmp_path):
    added = '<v:LineItem xmlns:v="urn:v"><Sale><ItemID>9</ItemID></Sale></v:LineItem>'
    assert len(receipt_of(sale(added + MILK + CASH), tmp_path).lines) == 1


def test_times_follow_the_clocks_of_the_store(tmp_path):
    def instant(local: str) -> datetime:
        return receipt_of(sale(MILK + CASH, times=f"<EndDateTime>{local}</EndDateTime>"), tmp_path).purchased_at

    assert instant("2026-11-01T01:30:00") == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # twice that day: the first
    assert instant("2026-11-01T01:30:00-05:00") == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert instant("2026-03-08T02:30:00") == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)  # left out that day
    assert instant("2026-07-01T12:00:00.250Z") == datetime(2026, 7, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def test_a_local_time_of_an_unknown_store_is_refused(tmp_path):
    (found,) = read(sale(MILK + CASH), tmp_path, zone=None)
    assert "EndDateTime: is local time, but the store" in found.problem
    (found,) = read(sale(MILK + CASH, times="<EndDateTime>2026-11-17T18:05:00Z</EndDateTime>"), tmp_path, zone=None)
    assert found.problem == ""


def test_a_discount_is_taken_off_once_however_the_till_writes_the_extended_amount(tmp_path):
    modifier = '<RetailPriceModifier><Amount Action="Subtract">1.00</Amount></RetailPriceModifier>'
    for extended in ("6.99", "7.99"):
        receipt = receipt_of(sale(item("Sale", goods(extended, modifier, price="7.99")) + tender("6.99")), tmp_path)
        (line,) = receipt.lines
        assert (line.unit_price_cents, line.discount_cents, line.amount_cents) == (799, 100, 699)
        assert receipt.discount_cents == 100


def test_a_price_modifier_that_was_taken_back_counts_for_nothing(tmp_path):
    modifier = '<RetailPriceModifier VoidFlag="true"><Amount>1.00</Amount></RetailPriceModifier>'
    (line,) = receipt_of(sale(item("Sale", goods("7.99", modifier, price="7.99")) + tender("7.99")), tmp_path).lines
    assert (line.discount_cents, line.amount_cents) == (0, 799)


def test_a_modifier_without_an_amount_tells_old_and_new_price(tmp_path):
    modifier = "<RetailPriceModifier><PreviousPrice>2.00</PreviousPrice><NewPrice>1.50</NewPrice></RetailPriceModifier>"
    inner = goods("4.50", modifier, price="2.00", quantity="3")
    (line,) = receipt_of(sale(item("Sale", inner) + tender("4.50")), tmp_path).lines
    assert (line.discount_cents, line.amount_cents) == (150, 450)


def test_a_discount_of_the_whole_transaction_stays_a_line_as_in_the_standard(tmp_path):
    discount = item("Discount", "<Amount>0.49</Amount><Description>Staff</Description>", 2)
    receipt = receipt_of(sale(MILK + discount + tender("3.00")), tmp_path)
    assert [(line.sku, line.description, line.amount_cents) for line in receipt.lines] == [
        ("840361", "MILK", 349),
        ("DISCOUNT", "Staff", -49),
    ]
    assert (receipt.subtotal_cents, receipt.discount_cents) == (300, 49)


def test_tax_of_lines_and_of_the_transaction_is_not_counted_twice(tmp_path):
    taxed = item("Sale", goods("10.00", "<Tax><Amount>0.70</Amount></Tax>"))
    receipt = receipt_of(sale(taxed + item("Tax", "<Amount>0.70</Amount>", 2) + tender("10.70")), tmp_path)
    assert (receipt.lines[0].tax_cents, receipt.tax_cents, receipt.total_cents) == (70, 70, 1_070)


def test_tax_that_is_included_in_the_price_comes_off_the_line(tmp_path):
    inner = goods("11.90", "<Tax><Amount>1.90</Amount></Tax>")
    text = sale(item("Sale", inner) + tender("11.90")).replace("<Sale>", '<Sale TaxIncludedInPriceFlag="true">')
    receipt = receipt_of(text, tmp_path)
    assert (receipt.subtotal_cents, receipt.tax_cents, receipt.total_cents) == (1_000, 190, 1_190)


def test_weighed_goods_and_package_prices(tmp_path):
    petrol = (
        "<ItemID>9</ItemID><RegularSalesUnitPrice>3.459</RegularSalesUnitPrice>"
        '<ExtendedAmount>34.59</ExtendedAmount><Quantity UnitOfMeasureCode="GAL">10.000</Quantity>'
    )
    package = (
        '<ItemID>8</ItemID><RegularSalesUnitPrice Quantity="3">1.00</RegularSalesUnitPrice>'
        "<ExtendedAmount>2.00</ExtendedAmount><Quantity>6</Quantity>"
    )
    lines = receipt_of(sale(item("Sale", petrol) + item("Sale", package, 2) + tender("36.59")), tmp_path).lines
    assert [(line.quantity, line.unit, line.unit_price_cents, line.amount_cents) for line in lines] == [
        (10.0, "gal", 346, 3_459),
        (6.0, "ea", 33, 200),
    ]


def test_voided_lines_and_tenders_are_left_out(tmp_path):
    void = item("Sale", goods("9.99"), 3, ' VoidFlag="true"') + item("Sale", goods("1.00"), 4, ' CancelFlag="1"')
    card = tender("5.00", "Credit").replace("<LineItem>", '<LineItem VoidFlag="true">')
    receipt = receipt_of(sale(MILK + void + card + CASH), tmp_path)
    assert (len(receipt.lines), len(receipt.tenders), receipt.total_cents) == (1, 1, 349)


def test_the_customer_is_known_by_id_or_loyalty_account(tmp_path):
    for customer in (
        "<Customer><CustomerID>C7</CustomerID></Customer>",
        "<LoyaltyAccount><LoyaltyAccountID>C7</LoyaltyAccountID></LoyaltyAccount>",
    ):
        assert receipt_of(sale(MILK + CASH + customer), tmp_path).customer_id == "C7"


# Tenders -------------------------------------------------------------------------------------------------------


def test_several_tenders_with_change(tmp_path):
    card = '<CreditDebit CardType="Debit"><PrimaryAccountNumber>XXXXXXXXXXXX4242</PrimaryAccountNumber></CreditDebit>'
    paid = (
        tender("1.00", "CreditDebit", card)
        + tender("0.49", "GiftCard")
        + tender("5.00", "Cash", "<TenderChange><Amount>3.00</Amount></TenderChange>")
    )
    receipt = receipt_of(sale(MILK + paid), tmp_path)
    assert [(one.tender_type, one.amount_cents, one.card_last4) for one in receipt.tenders] == [
        ("debit", 100, "4242"),
        ("gift_card", 49, None),
        ("cash", 500, None),
        ("cash", -300, None),
    ]


def test_change_is_not_taken_off_twice_when_the_amount_is_after_it(tmp_path):
    paid = tender("3.49", "Cash", "<TenderChange><Amount>1.51</Amount></TenderChange>")
    assert [one.amount_cents for one in receipt_of(sale(MILK + paid), tmp_path).tenders] == [349]


@pytest.mark.parametrize(
    ("written", "kind"),
    [("Cash", "cash"), ("Credit", "credit"), ("EBT", "ebt"), ("Gift Certificate", "gift_card"), ("Check", "check"),
     ("MobilePayment", "mobile"), ("ManufacturerCoupon", "coupon"), ("acs:Barter", "other")],
)  # fmt: skip
def test_each_kind_of_tender_is_known(written, kind, tmp_path):
    assert receipt_of(sale(MILK + tender("3.49", written)), tmp_path).tenders[0].tender_type == kind


@pytest.mark.parametrize("shown", ["4242424242424242", "4242-4242-4242-4242", "1234567890123456"])
def test_a_full_card_number_is_refused_and_destroyed(shown, tmp_path):
    card = f"<CreditDebit><PrimaryAccountNumber>{shown}</PrimaryAccountNumber></CreditDebit>"
    (found,) = read(sale(MILK + tender("3.49", "Credit", card)), tmp_path)
    assert found.problem == "tenders.0: holds a full card number, which is never accepted."
    assert shown not in found.payload
    assert "[card number removed]" in found.payload


@pytest.mark.parametrize(("shown", "last4"), [("424242******4242", "4242"), ("4242", "4242"), ("tok_9f", None)])
def test_a_masked_number_gives_its_last_four_digits(shown, last4, tmp_path):
    card = f"<CreditDebit><PrimaryAccountNumber>{shown}</PrimaryAccountNumber></CreditDebit>"
    assert receipt_of(sale(MILK + tender("3.49", "Credit", card)), tmp_path).tenders[0].card_last4 == last4


# Returns, voids and what is no receipt -------------------------------------------------------------------------


@pytest.mark.parametrize("minus", ["", "-"])
def test_a_return_counts_negative_with_a_sign_or_without_and_knows_what_was_bought(minus, tmp_path):
    inner = goods(f"{minus}3.49", LINK.format(reason="Return"), quantity=f"{minus}1", price="3.49")
    total = f'<Total TotalType="TransactionGrandAmount">{minus}3.49</Total>'
    receipt = receipt_of(sale(item("Return", inner) + tender(f"{minus}3.49") + total), tmp_path)
    assert (receipt.receipt_type, receipt.total_cents, receipt.original_receipt_id) == ("return", -349, LINKED)
    assert (receipt.lines[0].quantity, receipt.lines[0].unit_price_cents) == (-1.0, 349)
    assert receipt.tenders[0].amount_cents == -349


def test_a_refund_beside_a_purchase_is_an_exchange(tmp_path):
    goods_back = item("Return", goods("2.00"), 2)
    receipt = receipt_of(sale(MILK + goods_back + tender("1.49")), tmp_path)
    assert (receipt.receipt_type, receipt.total_cents) == ("sale", 149)
    refund = tender("1.49", attributes=' TypeCode="Refund"') + tender("2.98")
    assert [one.amount_cents for one in receipt_of(sale(MILK + goods_back + refund), tmp_path).tenders] == [-149, 298]


def test_a_cancelled_transaction_is_a_void_that_shows_its_lines(tmp_path):
    taken_back = MILK.replace("<LineItem>", '<LineItem VoidFlag="true">')
    receipt = receipt_of(sale(taken_back, flags=' CancelFlag="true"'), tmp_path)
    assert (receipt.receipt_type, receipt.total_cents, receipt.tenders) == ("void", 349, ())


def test_a_post_void_knows_what_it_takes_back(tmp_path):
    receipt = receipt_of(sale(LINK.format(reason="Voided")), tmp_path)
    assert (receipt.receipt_type, receipt.original_receipt_id, receipt.lines[0].sku) == ("void", LINKED, "VOID")
    assert receipt_of(sale(MILK, status="PostVoided"), tmp_path).receipt_type == "void"


def test_training_suspended_and_control_transactions_are_skipped_with_a_reason(tmp_path):
    reasons = [
        read(text, tmp_path)[0].skipped
        for text in (
            sale(MILK + CASH, flags=' TrainingModeFlag="true"'),
            sale(MILK, status="Suspended"),
            f"{HEAD}<Transaction>{KEY}<ControlTransaction><NoSale/></ControlTransaction></Transaction>{TAIL}",
        )
    ]
    assert reasons == [
        "A cashier was in training.",
        "The transaction was suspended or never finished.",
        "ControlTransaction is no sale, return or void.",
    ]


# What cannot become a receipt ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "problem"),
    [
        ("<RetailStoreID>00367</RetailStoreID>", "RetailStoreID: is missing."),
        ("<WorkstationID>3</WorkstationID>", "WorkstationID: is missing."),
        ("<SequenceNumber>73</SequenceNumber>", "SequenceNumber: is missing."),
        ("<BusinessDayDate>2026-11-17</BusinessDayDate>", "BusinessDayDate: is missing."),
        (TIMES, "EndDateTime: is missing."),
        ("<ItemID>840361</ItemID>", "LineItem 1 ItemID: is missing."),
        ("<Tender TenderType=\"Cash\"><Amount>3.49</Amount>", "tenders.0: Amount is missing."),
    ],
)  # fmt: skip
def test_a_missing_field_is_named(missing, problem, tmp_path):
    text = sale(MILK + CASH)
    assert missing in text
    left = '<Tender TenderType="Cash">' if "Tender" in missing else ""
    assert problem_of(text.replace(missing, left), tmp_path) == problem


@pytest.mark.parametrize(
    ("good", "bad", "problem"),
    [
        ("00367", "S-367", "RetailStoreID: expected a whole number."),
        ("<Amount>3.49", "<Amount>3.4900001", "Amount: has more decimals than USD has."),
        ("<Amount>3.49", "<Amount>1e999999999", "Amount: expected a decimal number such as 12.99."),
        ("<Amount>3.49", "<Amount>NaN", "Amount: expected a decimal number such as 12.99."),
        ("T18:05:00", "T25:05:00", "EndDateTime: expected a time such as 2026-11-17T18:05:00."),
        ("<Quantity>1", "<Quantity>-1", "LineItem 1 Quantity: is negative but the amount is not."),
        ("USD", "XAU", "currency: expected one of CAD, EUR, GBP, JPY, MXN, USD."),
    ],
)
def test_a_value_that_cannot_be_read_is_named_and_not_repeated(good, bad, problem, tmp_path):
    assert problem_of(sale(MILK + CASH).replace(good, bad), tmp_path) == problem


def test_the_largest_numbers_that_are_read_are_refused_by_the_validation_only(tmp_path):
    inner = goods("1.00", price="9" * 12 + "." + "9" * 12, quantity="9" * 12)
    inner = inner.replace("<ExtendedAmount>1.00</ExtendedAmount>", "")
    (found,) = read(sale(item("Sale", inner) + tender("1.00")), tmp_path)
    assert found.problem == ""
    assert json.loads(found.payload)["subtotal_cents"] > 10**24


def test_a_refused_transaction_is_kept_as_it_was_written(tmp_path):
    (found,) = read(sale(MILK + CASH).replace("00367", "S-367"), tmp_path)
    assert found.payload.startswith("<Transaction><RetailStoreID>S-367</RetailStoreID>")


def test_totals_that_do_not_add_up_are_left_to_the_validation(tmp_path):
    total = '<Total TotalType="TransactionGrandAmount">9.99</Total>'
    (found,) = read(sale(MILK + CASH + total), tmp_path)
    assert (found.problem, json.loads(found.payload)["total_cents"]) == ("", 999)


def test_a_yen_has_no_cents(tmp_path):
    text = "".join(poslog([make_receipt(currency="JPY")], NEW_YORK))
    assert receipt_of(text, tmp_path) == make_receipt(currency="JPY")
