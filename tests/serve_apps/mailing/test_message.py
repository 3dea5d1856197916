"""The message as mail programs take it apart."""

import email
import email.policy
import io
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import pytest
from PIL import Image
from pypdf import PdfReader

from configs.mail import MailSettings
from receipts.barcode import QUIET, bars
from receipts.models import Receipt, Store
from serve_apps.mailing.message import Letter, compose
from tests.fixtures.retail import MILK, make_receipt, make_store

DELIVERY = UUID("0193a5b0-1111-7222-8333-944455566677")
MAIL = MailSettings(sender='"Shop, Żabka" <shop@mail.example.com>', reply_to="help@example.com")
PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "</td></table><b>bold</b>",
    "{{ 7 * 7 }}",
    "${7*7}",
    "javascript:alert(1)",
    "&lt;b&gt;",
]


def letter(*, gift: bool = False, receipt: Receipt | None = None, store: Store | None = None) -> Letter:
    at = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
    return Letter(DELIVERY, "ann@example.com", gift, at, receipt or make_receipt(), store or make_store())


def sent(**what: Any) -> EmailMessage:
    """Return a message after its journey as bytes."""
    made = email.message_from_bytes(compose(MAIL, letter(**what)).as_bytes(), policy=email.policy.default)
    assert isinstance(made, EmailMessage)
    return made


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return part.get_content()


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.text += " "

    def handle_data(self, data):
        self.text += data


def test_it_is_text_and_page_and_pdf():
    message = sent()
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
        "application/pdf",
    ]  # fmt: skip
    (pdf,) = message.iter_attachments()
    assert pdf.get_filename() == "receipt-261117-00367-003-000001-03.pdf"
    assert "TOTAL" in PdfReader(io.BytesIO(pdf.get_content())).pages[0].extract_text()
    for kind in ("plain", "html"):
        shown = " ".join(Page(body(message, kind)).text.split()) if kind == "html" else body(message, kind)
        for part in ("East Liberty", "Pittsburgh, PA 15206", "FLUID MILK WHITE ONLY", "$10.48", "•••• 4242",
                     "You saved $1.00", "261117-00367-003-000001-03"):  # fmt: skip
            assert part in shown, (kind, part)


def test_its_headers_say_who_and_what_and_that_no_person_wrote_it():
    message = sent()
    (sender,) = message["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Shop, Żabka", "shop@mail.example.com")
    assert message["To"].addresses[0].addr_spec == "ann@example.com"
    assert message["Reply-To"] == "help@example.com"
    assert message["Subject"] == "Your receipt from East Liberty, Tue 11/17/2026"
    assert message["Message-ID"] == f"<{DELIVERY}@mail.example.com>"
    assert message["Date"].datetime == datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
    assert message["Auto-Submitted"] == "auto-generated"


def test_a_gift_receipt_tells_no_price_in_any_part():
    message = sent(gift=True)
    assert message["Subject"] == "Your gift receipt from East Liberty, Tue 11/17/2026"
    (pdf,) = message.iter_attachments()
    parts = [body(message, "plain"), Page(body(message, "html")).text, body(message, "html")]
    parts.append(PdfReader(io.BytesIO(pdf.get_content())).pages[0].extract_text())
    for part in parts:
        assert "CHIX: ROTISSERIE (HOT)" in part
        assert not re.search(
            r"\$|\d\.\d\d\b|Savings|You saved|TOTAL|Subtotal|Visa|4242", re.sub(r'style="[^"]*"', "", part)
        )
    assert pdf.get_filename() == "gift-receipt-261117-00367-003-000001-03.pdf"


def test_the_page_fetches_nothing_and_runs_nothing():
    page = Page(body(sent(), "html"))
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "iframe", "object", "form", "a", "video", "svg"}
    sources = [
        value for _, attributes in page.elements for name, value in attributes.items() if name in {"src", "href"}
    ]
    assert sources == [f"cid:barcode.{DELIVERY}@mail.example.com"]
    assert not re.search(r"url\(|@import|https?://", body(sent(), "html"))


def test_the_barcode_on_the_page_is_the_one_a_scanner_reads():
    message = sent()
    related = [part for part in message.walk() if part.get_content_type() == "image/png"]
    (picture,) = related
    assert picture["Content-ID"] == f"<barcode.{DELIVERY}@mail.example.com>"
    image = Image.open(io.BytesIO(picture.get_content()))
    expected, width = bars(make_receipt().receipt_id)
    black = {m for at, wide in expected for m in range(at, at + wide)}
    assert image.size[0] == 2 * width
    assert min(black) == QUIET
    for module in range(width):
        pixels = {image.getpixel((2 * module + half, y)) for half in (0, 1) for y in (0, image.size[1] - 1)}
        assert pixels == ({0} if module in black else {255})


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_stands_on_a_receipt_never_becomes_part_of_the_page(payload: str):
    plain = Page(body(sent(), "html"))
    lines = [MILK, {**MILK, "line_number": 2, "description": payload}]
    message = sent(
        receipt=make_receipt(lines=lines, operator_id=payload[:40]),
        store=make_store(name=payload, street=payload, city=payload),
    )
    page = Page(body(message, "html"))
    assert payload in page.text
    assert {name for name, _ in page.elements} == {name for name, _ in plain.elements}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


@pytest.mark.parametrize(
    "breaker",
    ["\r\nBcc: all@example.com\r\n\r\nHello", "\nSubject: x", "\u2028Bcc: y@z.org", "\x85X: y", "\x00", "\x1c"],
)
def test_a_name_that_breaks_lines_adds_no_header(breaker: str):
    store = make_store().model_copy(update={"name": f"East{breaker}", "street": breaker})  # no till could send it
    message = sent(store=store)
    assert message.keys() == sent().keys()
    assert message["Bcc"] is None
    assert message["Subject"].startswith("Your receipt from East")


def test_a_very_long_name_gives_headers_that_servers_take():
    message = sent(store=make_store(name="Ω" * 200))
    raw = message.as_bytes(policy=email.policy.SMTP)
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert str(message["Subject"]).count("Ω") == 80


def test_lines_are_as_short_as_servers_want_them_also_of_two_thousand_articles():
    lines = [{**MILK, "line_number": n, "description": f"{n} " + "x" * 190} for n in range(1, 2_001)]
    raw = compose(MAIL, letter(receipt=make_receipt(lines=lines))).as_bytes()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert len(raw) < 3_000_000
