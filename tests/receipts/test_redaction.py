"""What a line of a log loses before it is written, and what it keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.redaction import redacted
from tests.ingest.card_hunt import CARDS


@pytest.mark.parametrize(
    "personal",
    [
        "maria.kowalski@example.com", "m+shop@mail.example.co.uk", "maria%40example.com",
        "+1 412 555 0142", "(412) 555-0142", "412-555-0142", "412.555.0142", "4125550142", "+49 30 1234567",
        "Bearer c2VjcmV0c2VjcmV0", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJyZXAifQ.MEUCIQD", "Basic cmVjZWlwdHM6c2VjcmV0",
        *CARDS, "4111 1111 1111 1111",
    ],
)  # fmt: skip
def test_what_has_a_form_of_its_own_goes(personal):
    said = redacted(f"before {personal} after")
    assert personal not in said
    assert (said.startswith("before "), said.endswith(" after")) == (True, True)


@pytest.mark.parametrize(
    "quoted",
    [
        "duplicate key value\nDETAIL:  Key (email_norm)=(Maria) already exists.",
        'new row violates\nDETAIL:  Failing row contains (C1, Maria, "Kowalski").',
        "invalid input\nCONTEXT:  COPY customers, line 1, column first_name: Maria",
        r"<Task exception=UniqueViolation('duplicate key\nDETAIL:  Key (name)=(Maria) exists.')>",
        "Failing row contains (Maria)",
        "1 validation error\n  Input should be a date [type=date, input_value='Maria', input_type=str]",
        "postgresql://maria:Maria@db.internal/receipts",
        "password=Maria host=db",
    ],
)
def test_what_a_database_or_a_validator_quotes_goes(quoted):
    assert "Maria" not in redacted(quoted)


@pytest.mark.parametrize(
    "kept",
    [
        "silver.receipts read bronze.receipts up to version 1234567: 20000 rows in, 19998 out, 2 quarantined, 412 ms",
        "Gateway 0 takes records on 127.0.0.1:50061.",
        "request 4f1a9c2b7d3e5a600000000000000007 failed: UndefinedFunction sqlstate=42883 at find:12 < ask:3",
        "261117-00367-012-000001-50 and 2611170036701200000150",
        "Postgres is not there: connection to server at 10.1.2.3, port 5432 failed: Connection refused",
        "2026-11-17T23:05:00.123Z, sequence 1795000000000000, 1764426000 s",
    ],
)
def test_what_belongs_to_nobody_stays(kept):
    assert redacted(kept) == kept


@given(st.text(max_size=300))
def test_it_never_fails_and_finds_nothing_more_the_second_time(text):
    assert redacted(redacted(text)) == redacted(text)
