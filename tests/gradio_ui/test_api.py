"""What the API refuses, in words for a person, against the real applications."""

from datetime import UTC, datetime

import pytest

from configs.limits import LimitSettings, Rate
from gradio_ui.answers import FullReceipt
from gradio_ui.api import Api, ApiProblem
from gradio_ui.sessions import Session
from receipts.access import Role
from serve_apps import lookup
from tests.fixtures.retail import make_receipt
from tests.fixtures.serving import running


async def test_a_person_at_a_limit_is_told_which_and_for_how_long(settings, sign_ins):
    limits = LimitSettings(person=Rate(count=1, seconds=60, burst=1))
    small = settings.model_copy(update={"limits": limits})
    session = Session("rep.east", Role.CS_REP, "Renee", sign_ins.token("rep.east"), datetime.now(UTC))
    async with running(lookup.build_app(small), "/receipt") as client:
        told = []
        for _ in range(3):
            with pytest.raises(ApiProblem) as caught:
                await Api(client).of(session).get(FullReceipt, "/receipt/{receipt_id}", make_receipt().receipt_id)
            told.append(caught.value)
    assert [problem.status for problem in told] == [404, 404, 429]
    assert "1 in 60 seconds are allowed" in told[-1].detail
    assert told[-1].request_id
