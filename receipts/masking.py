"""Masked contact data: the one definition of what someone without the right to the clear values sees."""

from __future__ import annotations

from receipts.text import normalise_phone


def mask_email(email: str) -> str:
    """Return an address with its first letter and its domain: a***@example.com; empty for none."""
    local, at, domain = email.strip().rpartition("@")
    return f"{local[:1]}***@{domain}" if at and local else ""


def mask_phone(phone: str) -> str:
    """Return a phone number's last two digits: ***-***-**67; empty for none."""
    digits = normalise_phone(phone)
    return f"***-***-**{digits[-2:]}" if len(digits) > 4 else ""  # of four digits or fewer, two would tell too much
