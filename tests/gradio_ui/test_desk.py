"""What the pages of supervisors, the fraud team, privacy officers and administrators show."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from markupsafe import Markup
from pydantic import ValidationError

from gradio_ui import plots, render
from gradio_ui.desk_answers import (
    Export,
    Flag,
    Flags,
    HeldRecord,
    KindOfMonth,
    Look,
    Pattern,
    PatternReceipts,
    Patterns,
    PlatformStatus,
    PrivacyRequest,
    PrivacyRequests,
    Problem,
    Refusal,
    Refusals,
    Step,
    Trail,
)  # fmt: skip
from gradio_ui.flag_words import FLAG_REASONS
from gradio_ui.pages.admin import Ordering
from gradio_ui.pages.fraud import Filter
from gradio_ui.pages.privacy import Looks
from gradio_ui.pages.supervisor import Exporting
from gradio_ui.rendering import rendered
from tests.gradio_ui.test_render import NOW, PAYLOADS, Page, found, words

TODAY = NOW.date()


def export(**told) -> Export:
    facts = {
        "export_id": "e", "format": "csv", "date_from": TODAY, "date_to": TODAY, "rows_total": 1_200_000,
        "rows_done": 300_000, "state": "running", "requested_at": NOW, "expires_at": NOW + timedelta(hours=1),
    }  # fmt: skip
    return Export.model_validate(facts | told)


def flag(**told) -> Flag:
    facts = {
        "flag_id": 7, "subject": "customer", "subject_id": "C1", "reason": "return_abuse", "note": "Five in a week",
        "state": "open", "raised_by": "rita", "raised_at": NOW,
    }  # fmt: skip
    return Flag.model_validate(facts | told)


def case(**told) -> PrivacyRequest:
    facts = {
        "request_id": 3, "kind": "erasure", "law": "gdpr", "customer_id": "C1", "channel": "phone", "state": "received",
        "received_on": TODAY, "due_on": TODAY + timedelta(days=30), "opened_by": "petra",
        "history": [Step(at=NOW, by="petra", step="received")],
    }  # fmt: skip
    return PrivacyRequest.model_validate(facts | told)


def flags(*shown: Flag, me: str = "sam") -> Markup:
    return rendered("desk/flags.html", told=Flags(flags=shown), state="open", reasons=FLAG_REASONS, me=me, now=NOW)


def test_an_export_under_way_shows_how_far_it_is_and_asks_again():
    html = rendered("desk/exports.html", exports=[export()], now=NOW)
    assert "300,000 of 1,200,000 rows" in words(html)
    assert 'value="25"' in html
    assert 'data-rl-again="exports"' in html
    still = rendered("desk/exports.html", exports=[export(state="done", expires_at=NOW)], now=NOW)
    assert "data-rl-again" not in still
    assert "Download" not in words(still)


def test_whoever_raised_a_flag_does_not_review_it():
    assert 'data-rl-form="review"' in flags(flag())
    own = flags(flag(), me="rita")
    assert 'data-rl-form="review"' not in own
    assert "somebody else reviews it" in words(own)


def test_a_request_says_how_many_days_are_left_or_since_when_it_is_late():
    told = PrivacyRequests(requests=(case(), case(due_on=TODAY - timedelta(days=1), overdue=True)))
    text = words(rendered("desk/requests.html", told=told, state=None, today=TODAY))
    assert "in 30 days" in text
    assert "overdue since" in text


def test_a_part_that_is_ill_is_told_apart_and_a_late_table_too():
    told = PlatformStatus.model_validate(
        {
            "looked_at": NOW, "age_s": 2, "healthy": False,
            "problems": [Problem(what="The drainer is down.", do="receipts up")],
            "parts": [{"name": "drainer", "what": "drainer", "state": "down"},
                {"name": "portal", "what": "portal", "state": "healthy"}],
            "freshness": [{"table": "gold.customer_profiles", "lag_s": 130.0, "promised_s": 120}],
        }
    )  # fmt: skip
    html = rendered("desk/status.html", told=told, now=NOW)
    assert "Something is wrong" in words(html)
    assert "rl-part-ill" in html
    assert "rl-bar-late" in html


def test_bars_begin_at_zero_and_stacks_add_up():
    counted = [("2026-10", "a", 1), ("2026-11", "a", 2), ("2026-11", "b", 2)]
    told = [KindOfMonth(kind=kind, month=month, patterns=patterns) for month, kind, patterns in counted]
    october, november = plots.months(told)
    assert [(p.low, p.high) for p in october.pieces] == [(0, 0.25)]
    assert [(p.kind, p.low, p.high) for p in november.pieces] == [("a", 0, 0.5), ("b", 0.5, 1)]
    assert [bar.share for bar in plots.bars([("x", 4), ("y", 1)])] == [1, 0.25]
    assert plots.months([]) == []


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_in_any_field_stays_text(payload: str):
    look = Look.model_validate(
        {
            "event_id": "e", "occurred_at": NOW, "principal_id": payload, "role": payload, "route": payload,
            "outcome": payload, "status": 200, "receipt_ids": [payload], "customer_ids": [payload],
            "purpose": payload, "constraints": {payload: payload}, "client_address": payload,
        }
    )  # fmt: skip
    pattern = Pattern.model_validate(
        {
            "pattern_id": payload, "kind": payload, "subject": payload, "subject_id": payload, "month": payload,
            "score": 0.5, "figures": {payload: payload}, "explanation": payload, "receipt_count": 1,
        }
    )  # fmt: skip
    refusal = {
        "quarantine_id": 1, "bronze_table": payload, "received_at": NOW, "source": payload, "state": "held",
        "kind": payload, "reason": payload,
    }  # fmt: skip
    status = {
        "looked_at": NOW, "age_s": 1, "healthy": False, "problems": [{"what": payload, "do": payload}],
        "parts": [{"name": payload, "what": payload, "state": payload}],
        "serving": [{"application": payload, "replicas": 1, "wanted": 2, "requests_per_s": None, "p95_ms": None}],
        "freshness": [{"table": payload, "lag_s": 1.0, "promised_s": 120}], "ingest": {payload: 1.0},
    }  # fmt: skip
    summary = render.summarise(found()).model_copy(update={"store_name": payload, "customer_id": payload})
    told_status = PlatformStatus.model_validate(status)
    parts = [
        rendered("desk/exports.html", exports=[export(export_id=payload, format=payload, state=payload)], now=NOW),
        flags(flag(subject_id=payload, reason=payload, note=payload, raised_by=payload, review_note=payload)),
        rendered("desk/patterns.html", told=Patterns(patterns=(pattern,), next_cursor=payload), wanted=Filter()),
        rendered(
            "desk/plots.html",
            months=plots.months([KindOfMonth(kind=payload, month="2026-11", patterns=1)]),
            stores=plots.bars([(payload, 1)]),
            kinds=[payload],
            wanted=Filter(),
        ),
        rendered("desk/drill.html", told=PatternReceipts(receipts=(summary,)), reasons=FLAG_REASONS, now=NOW),
        rendered(
            "desk/trail.html",
            told=Trail(events=(look,), next_cursor=payload),
            again={"route": payload},
            file=f"/audit.csv?{payload}",
        ),
        rendered(
            "desk/requests.html",
            told=PrivacyRequests(requests=(case(customer_id=payload, law=payload),)),
            state=None,
            today=TODAY,
        ),
        rendered(
            "desk/case.html",
            case=case(customer_id=payload, history=[Step(at=NOW, by=payload, step=payload, reason=payload)]),
            steps=["refuse"],
            today=TODAY,
        ),
        rendered("desk/status.html", told=told_status, now=NOW),
        rendered("desk/refusals.html", told=Refusals(refusals=(Refusal.model_validate(refusal),)), state="held"),
        rendered("desk/record.html", record=HeldRecord.model_validate(refusal | {"payload": payload}), payload=payload),
    ]
    for html in parts:
        page = Page(html)
        assert not {"script", "img", "b", "iframe"} & {tag for tag, _ in page.elements if tag != "svg"}
        assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
        links = [attributes.get("href") or "/" for tag, attributes in page.elements if tag == "a"]
        assert all(link.startswith("/") for link in links)


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        (Exporting, {"date_from": "2026-11-02", "date_to": "2026-11-01", "reason": "legal"}, "lies after the last"),
        (Exporting, {"date_from": "2026-11-02", "date_to": "2026-11-03", "reason": "fun"}, "Input should be"),
        (
            Exporting,
            {"date_from": "2026-11-02", "date_to": "2026-11-03", "reason": "legal", "stores": "1;2"},
            "pattern",
        ),
        (Ordering, {"quarantine_id": 1, "action": "fix", "payload": "[1"}, "is no JSON"),
        (Looks, {"receipt_id": "12"}, "pattern"),
        (Looks, {"drop": "table"}, "Extra inputs"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(model, data: dict, said: str):
    with pytest.raises(ValidationError, match=said):
        model.model_validate(data)


def test_days_of_the_trail_are_whole_days():
    asked = Looks(date_from=date(2026, 11, 1), date_to=date(2026, 11, 2)).parameters()
    first, last = (datetime.fromisoformat(str(asked[end])) for end in ("from", "to"))
    assert first == datetime(2026, 11, 1, tzinfo=UTC)
    assert timedelta(0) < datetime(2026, 11, 3, tzinfo=UTC) - last < timedelta(milliseconds=1)
