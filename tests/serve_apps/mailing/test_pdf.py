"""The PDF is read as a customer's program reads it."""

import io
import re

import pytest
from pypdf import PdfReader

from receipts.barcode import bars
from serve_apps.mailing.pdf import render_pdf
from serve_apps.mailing.sheet import lay_out
from tests.fixtures.retail import MILK, make_receipt, make_store

MM = 72 / 25.4


def read(receipt, store=None, *, gift=False) -> PdfReader:
    return PdfReader(io.BytesIO(render_pdf(lay_out(receipt, store or make_store(), gift=gift))), strict=True)


def words(reader: PdfReader) -> str:
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


def test_it_is_one_strip_of_paper_that_says_what_the_till_printed():
    reader = read(make_receipt())
    (page,) = reader.pages
    assert page.mediabox.width == pytest.approx(80 * MM)
    said = words(reader)
    for part in (
        "East Liberty", "6343 Penn Avenue", "Tue 11/17/2026 6:05 PM", "FLUID MILK WHITE ONLY $3.49",
        "Savings -$1.00", "TOTAL $10.48", "Visa •••• 4242 $10.48", "261117-00367-003-000001-03",
    ):  # fmt: skip
        assert part in said
    assert reader.metadata is not None
    assert reader.metadata.title == "Receipt 261117-00367-003-000001-03"


def test_a_gift_receipt_holds_no_price_anywhere_in_the_file():
    reader = read(make_receipt(), gift=True)
    said = words(reader)
    assert "GIFT RECEIPT" in said
    assert "CHIX: ROTISSERIE (HOT)" in said
    assert not re.search(r"\$|\d\.\d\d|Savings|saved|TOTAL|Visa|4242", said + str(reader.metadata))


def test_the_bars_are_those_of_the_number():
    receipt = make_receipt()
    content = read(receipt).pages[0].get_contents()
    assert content is not None
    drawn = [tuple(map(float, one.split()[:3:2])) for one in re.findall(r"[\d. -]+ re f", content.get_data().decode())]
    expected, modules = bars(receipt.receipt_id)
    module = 80 * MM / (modules + 4)
    assert [round((wide) / module) for _, wide in drawn] == [wide for _, wide in expected]
    assert [round((at - drawn[0][0]) / module) for at, _ in drawn] == [at - expected[0][0] for at, _ in expected]
    assert module / MM > 0.25, "narrower bars are not read by every scanner"


@pytest.mark.parametrize(
    "count", [1, 40, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 70, 130, 2_000]
)
def test_a_long_receipt_goes_on_on_the_next_page_and_loses_nothing(count: int):
    lines = [{**MILK, "line_number": n, "description": f"ARTICLE {n:04d}"} for n in range(1, count + 1)]
    reader = read(make_receipt(lines=lines))
    said = words(reader)
    assert re.findall(r"ARTICLE (\d{4})", said) == [f"{n:04d}" for n in range(1, count + 1)]
    assert all(page.mediabox.height <= 792 for page in reader.pages)
    pages = len(reader.pages)
    assert (f"page {pages} of {pages}" in said) == (pages > 1)
    last = reader.pages[-1].extract_text()
    assert "TOTAL" in words(reader)
    assert "261117-00367-003-000001-03" in last
    assert "items" in last or "item" in last, "the barcode does not stand alone on a page"


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("Żabka Łódź Příbor Gârbău Çiğköfte", "Żabka Łódź Příbor Gârbău Çiğköfte"),
        ("Кафе Їжак", "Кафе Їжак"),
        ("Cafe\u0301 re\u0301sume\u0301", "Café résumé"),
        ("½ ㎏ ①", "½ kg 1"),
        ("Phở bò", "Phở bò"),
    ],
)
def test_letters_of_europe_and_vietnam_are_printed(written: str, printed: str):
    said = words(read(make_receipt(lines=[{**MILK, "description": written}])))
    assert printed in said
    assert "stands for letters" not in said


@pytest.mark.parametrize("written", ["日本茶", "مقهى", "קפה", "कॉफ़ी", "☕️ 😀", "Ελλάδα"])
def test_letters_that_the_paper_lacks_break_nothing_and_are_owned_up_to(written: str):
    said = words(read(make_receipt(lines=[{**MILK, "description": written}]), make_store(name=written)))
    assert "? stands for letters that this paper lacks; the message itself has them." in said
    assert "TOTAL $3.49" in said


def test_a_question_mark_that_was_printed_is_no_missing_letter():
    assert "stands for" not in words(read(make_receipt(lines=[{**MILK, "description": "WHAT?"}])))


@pytest.mark.parametrize("written", ["(unbalanced", "\\) Tj ET", "<</JS (app.alert(1))>>", "%PDF-1.7", "A" * 200])
def test_what_looks_like_pdf_is_only_printed(written: str):
    reader = read(make_receipt(lines=[{**MILK, "description": written}]), make_store(name=written))
    assert written.replace(" ", "") in words(reader).replace(" ", "")
    assert not {"/JavaScript", "/JS", "/OpenAction", "/AA"} & set(reader.root_object)


def test_the_same_receipt_is_the_same_file():
    assert render_pdf(lay_out(make_receipt(), make_store(), gift=False)) == render_pdf(
        lay_out(make_receipt(), make_store(), gift=False)
    )
