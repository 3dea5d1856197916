"""What the reasons of flags are called."""

from __future__ import annotations

FLAG_REASONS = {
    "return_abuse": "return abuse",
    "card_misuse": "card misuse",
    "identity": "identity",
    "employee": "employee",
    "other": "other",
}
