"""What is wrong with an answer, in words that say whose fault it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # importing Locust patches the standard library: only its own processes may
    from locust.contrib.fasthttp import ResponseContextManager

LIMITED = "refused by a limit"


def what_went_wrong(answer: ResponseContextManager, expect: Sequence[int], holds: str = "") -> str | None:
    """Return None for an answer with an expected status that contains `holds`, else a sentence without ids.

    Sentences are counted, so nothing in them may differ from request to request.
    """
    status = answer.status_code
    broken = answer.request_meta["exception"]
    if not status:
        return f"no answer: {type(broken).__name__}"
    if broken is not None and status < 400:
        return f"the answer broke off: {type(broken).__name__}"
    if status == 429 and status not in expect:
        return f"{LIMITED}: {', '.join(_problem(answer).get('violated-policies') or ['unnamed'])}"
    if status not in expect:
        title = _problem(answer).get("title")
        return f"expected {' or '.join(map(str, expect))}, got {status}{f': {title}' if title else ''}"
    return "the answer is not about what was asked for" if holds and holds.encode() not in answer.content else None


def _problem(answer: ResponseContextManager) -> dict[str, Any]:
    """Return the problem document (RFC 9457), empty when the answer is none."""
    try:
        told = json.loads(answer.text or "")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
