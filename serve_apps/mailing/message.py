"""A delivery as a message: plain text, the same as a page, and the PDF."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from PIL import Image, ImageDraw

from configs.mail import MailSettings
from receipts.barcode import bars
from receipts.models import Receipt, Store
from serve_apps.mailing.lines import lines_of
from serve_apps.mailing.pdf import render_pdf
from serve_apps.mailing.sheet import Sheet, lay_out

_COLUMNS = 48  # of the plain text: what a telephone shows without breaking lines
_STORE = 80  # letters of a store's name in a subject
_MODULE, _BARS = 2, 72  # pixels: the width of the barcode's narrowest bar, and its height
_CLOSING = (
    "Our customer service sent this receipt at a customer's request. "
    "If you did not expect it, somebody mistyped an address: please delete it."
)


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent, and where to."""

    delivery_id: UUID
    address: str
    gift: bool
    send_at: datetime
    receipt: Receipt
    store: Store


def compose(mail: MailSettings, letter: Letter) -> EmailMessage:
    """Return the message of a delivery, whose Message-ID is the same whenever it is made."""
    sheet = lay_out(letter.receipt, letter.store, gift=letter.gift)
    what = "gift receipt" if letter.gift else "receipt"
    opening = f"Here is your {what} from {sheet.store}. It is attached as a PDF as well."
    domain = parseaddr(mail.sender)[1].rpartition("@")[2]
    barcode = f"barcode.{letter.delivery_id}@{domain}"
    message = EmailMessage(policy=SMTP)
    message["From"] = mail.sender
    local, _, host = letter.address.rpartition("@")
    message["To"] = Address(username=local, domain=host)
    if mail.reply_to:
        message["Reply-To"] = mail.reply_to
    message["Subject"] = f"Your {what} from {sheet.store[:_STORE]}, {sheet.facts[0].left}"
    message["Date"] = format_datetime(letter.send_at)
    message["Message-ID"] = f"<{letter.delivery_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers it
    message.set_content(_as_text(sheet, opening))
    page = _template().render(sheet=sheet, title=message["Subject"], opening=opening, closing=_CLOSING, barcode=barcode)
    message.add_alternative(page, subtype="html")
    message.get_body(("html",)).add_related(  # pyright: ignore[reportOptionalMemberAccess] - added a line above
        _barcode_png(sheet.receipt_id), "image", "png", cid=f"<{barcode}>", disposition="inline", filename="barcode.png"
    )
    name = f"{what.replace(' ', '-')}-{sheet.number}.pdf"
    message.add_attachment(render_pdf(sheet), maintype="application", subtype="pdf", filename=name)
    return message


def _as_text(sheet: Sheet, opening: str) -> str:
    paper = "\n".join(line.text for line in lines_of(sheet, _COLUMNS))
    return f"{opening}\n\n{paper}\n\n{sheet.number}\n\n-- \n{_CLOSING}\n"


def _barcode_png(digits: str) -> bytes:
    found, width = bars(digits)
    image = Image.new("1", (width * _MODULE, _BARS), 1)
    pen = ImageDraw.Draw(image)
    for at, wide in found:
        pen.rectangle((at * _MODULE, 0, (at + wide) * _MODULE - 1, _BARS - 1), fill=0)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


@lru_cache(maxsize=1)  # compiled once per process
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("serve_apps.mailing", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    return environment.get_template("receipt.html")
