r"""Personal data taken out of a text before it is logged: the second line of defence.

The first is that no code logs any. This finds what has a form of its own, e-mail addresses, telephone and card numbers,
tokens and passwords, and what databases and validators quote; it cannot know a name. It reads whole lines of logs, so
every pattern is linear in their length.
"""

from __future__ import annotations

import re

from receipts.card_numbers import destroy_card_numbers

_REMOVED = "[removed]"
_MOST_CHARACTERS = 8_000  # of one line; what is longer is no message
# A statement's error quotes rows, values and the statement itself behind these words, on lines of its own or escaped.
_DATABASE = re.compile(r"(?:DETAIL|CONTEXT|STATEMENT|QUERY|PARAMETERS):\s.*", re.DOTALL)
_ROW = re.compile(r"(?:Failing row contains|Key) \(.*", re.DOTALL)
_INPUT = re.compile(r"input_value=.*?(?=, input_type=|\Z)", re.DOTALL)  # pydantic's
_TOKEN = re.compile(r"(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}|\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,4}")
_LOGIN = re.compile(r"://[^\s/@]{1,200}@|(?i:\b(?:password|secret|token|api_key)=)[^\s&,;)'\"]{1,200}")
_EMAIL = re.compile(r"[\w.+%-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_TELEPHONE = re.compile(
    r"(?<![\w.-])(?:\+\d{1,3}(?:[ .()-]{0,2}\d){6,14}|(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}"
    r"|1?[2-9]\d{2}[2-9]\d{6})(?![\w-])"
)
_OUR_ID = re.compile(r"(?<![0-9A-Za-z])([0-9a-f]{32})(?![0-9A-Za-z])")


def redacted(text: str) -> str:
    """Return a text without what has the form of personal data or of a secret."""
    text = text[:_MOST_CHARACTERS]
    for pattern in (_DATABASE, _ROW, _INPUT, _TOKEN, _LOGIN, _EMAIL, _TELEPHONE):
        text = pattern.sub(_REMOVED, text)
    # Ids of ours are hex and may hold as many digits as a card: cards are sought between them.
    parts = _OUR_ID.split(text)
    return "".join(part if place % 2 else destroy_card_numbers(part) for place, part in enumerate(parts))
