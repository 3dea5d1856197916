"""A receipt as PDF: paper as wide as a till's roll, at its own size on Letter and A4 alike."""

from __future__ import annotations

import io
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from receipts.barcode import bars
from serve_apps.mailing.lines import Line, lines_of
from serve_apps.mailing.sheet import Sheet

COLUMNS = 42
_PAPER = 80 * mm
_TALLEST = 792.0  # points: a Letter page, and less than A4; a longer receipt goes on on the next page
_MARGIN = 6 * mm
_SIZE = 8.0  # points; a letter of Plex Mono is 0.6 of it wide, so 42 of them take 71 mm
_LEADING = 10.5
_LEFT = (_PAPER - COLUMNS * 0.6 * _SIZE) / 2
_BARCODE = 15 * mm  # tall
_CODE = _BARCODE + 3 * _LEADING  # of the barcode with the number below it
_UNKNOWN = "?"
_NOTE = "? stands for letters that this paper lacks; the message itself has them."


class _Fonts(NamedTuple):
    regular: str
    bold: str
    letters: frozenset[int]


def render_pdf(sheet: Sheet) -> bytes:
    """Return the PDF of a receipt; the same receipt gives the same bytes."""
    fonts = _fonts()
    shown = _Shown(fonts.letters)
    lines = list(lines_of(sheet, COLUMNS, shown))
    if shown.lacked:
        lines += [Line(""), *(Line(text) for text in textwrap.wrap(_NOTE, COLUMNS))]
    pages = list(_pages(lines))
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=1)
    canvas.setTitle(f"Receipt {sheet.number}")
    canvas.setAuthor(sheet.store)
    canvas.setSubject(sheet.facts[0].left)
    canvas.setCreator("Receipt lookup")
    for number, page in enumerate(pages, 1):
        is_last = number == len(pages)
        foot = [] if len(pages) == 1 else [Line(""), Line(f"{sheet.number}  page {number} of {len(pages)}")]
        height = 2 * _MARGIN + (len(page) + len(foot)) * _LEADING + (_CODE if is_last else 0)
        canvas.setPageSize((_PAPER, height if is_last else _TALLEST))
        top = (height if is_last else _TALLEST) - _MARGIN
        top = _write(canvas, fonts, page, top)
        if is_last:
            top = _draw_barcode(canvas, fonts, sheet, top)
        _write(canvas, fonts, foot, top)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _pages(lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
    """Yield the lines of each page; the last one has room for the barcode, and each for a foot of two lines."""
    most = int((_TALLEST - 2 * _MARGIN) / _LEADING) - 2
    last = int((_TALLEST - 2 * _MARGIN - _CODE) / _LEADING) - 2
    at = 0
    while len(lines) - at > last:
        taken = min(most, len(lines) - at - 1)  # the barcode does not stand alone
        yield lines[at : at + taken]
        at += taken
    yield lines[at:]


def _write(canvas: Canvas, fonts: _Fonts, lines: Sequence[Line], top: float) -> float:
    """Write lines below each other and return where the last one ends."""
    for line in lines:
        top -= _LEADING
        canvas.setFont(fonts.bold if line.is_bold else fonts.regular, _SIZE)
        canvas.drawString(_LEFT, top, line.text)
    return top


def _draw_barcode(canvas: Canvas, fonts: _Fonts, sheet: Sheet, top: float) -> float:
    found, modules = bars(sheet.receipt_id)
    module = _PAPER / (modules + 4)  # 0.44 mm: more than the 0.25 mm that till scanners read
    left = (_PAPER - modules * module) / 2
    bottom = top - _LEADING - _BARCODE
    for at, wide in found:
        canvas.rect(left + at * module, bottom, wide * module, _BARCODE, stroke=0, fill=1)
    canvas.setFont(fonts.regular, _SIZE)
    canvas.drawCentredString(_PAPER / 2, bottom - _LEADING, sheet.number)
    return bottom - 2 * _LEADING


class _Shown:
    """Writes texts in the letters of a font: one that is missing without its accents, or as a question mark."""

    def __init__(self, letters: frozenset[int]) -> None:
        self.lacked = False  # whether any became a question mark
        self._letters = letters

    def __call__(self, text: str) -> str:
        """Return a text as the font can show it."""
        return "".join(map(self._letter, unicodedata.normalize("NFC", text)))

    def _letter(self, character: str) -> str:
        if ord(character) in self._letters:
            return character
        plain = [c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c)]
        if plain and all(ord(c) in self._letters for c in plain):
            return "".join(plain)
        self.lacked = True
        return _UNKNOWN


@lru_cache(maxsize=1)  # reportlab keeps fonts for the whole process
def _fonts() -> _Fonts:
    made: list[TTFont] = []
    for style in ("Regular", "Bold"):
        file = resources.files("serve_apps.mailing").joinpath("fonts", f"IBMPlexMono-{style}.ttf")
        made.append(TTFont(f"PlexMono-{style}", io.BytesIO(file.read_bytes())))
        pdfmetrics.registerFont(made[-1])
    regular, bold = made
    return _Fonts(regular.fontName, bold.fontName, frozenset(regular.face.charToGlyph))
