"""A lane outlives whatever goes wrong with one question."""

import asyncio
from functools import partial

import pytest

from receipts.database import DatabaseRole, open_connection
from receipts.sql import load_sql
from serve_apps.audit_chain import Answer, ChainLane
from serve_apps.coalescer import Coalescer


class Question:
    """Appends whole events, and cannot read as many answers as it is told."""

    statement = load_sql("serve_apps", "audit")["extend"]

    def __init__(self, unreadable: int) -> None:
        self.unreadable = unreadable

    def parameters(self, group, batch):
        return [b"[" + b",".join(asked.event for asked in batch) + b"]"]

    def read(self, result):
        if self.unreadable:
            self.unreadable -= 1
            raise UnicodeDecodeError("utf-8", b"", 0, 1, "unreadable")
        return Answer(result.get_value(0, 0), {"": "durable"})


def asking(settings, question: Question) -> Coalescer[str]:
    lane = ChainLane(partial(open_connection, settings, DatabaseRole.API), question)
    return Coalescer([lane], 10, "Too many wait.")


async def test_an_answer_that_cannot_be_read_is_asked_for_again_and_stands_once(settings, owner):
    question = Question(unreadable=0)
    one = asking(settings, question)
    assert await one.find("", "", b'{"n": 1}') == "durable"
    question.unreadable = 1
    assert await one.find("", "", b'{"n": 2}') == "durable"
    await one.aclose()
    assert owner.execute("SELECT payload FROM audit.spool ORDER BY seq").fetchall() == [
        ('[{"n": 1}]',), ('[{"n": 2}]',)
    ]  # fmt: skip


async def test_one_that_can_never_be_read_fails_its_own_requests_and_the_lane_goes_on(settings):
    question = Question(unreadable=10)
    one = asking(settings, question)
    async with asyncio.timeout(30):
        with pytest.raises(UnicodeDecodeError):
            await one.find("", "", b'{"n": 1}')
        question.unreadable = 0
        assert await one.find("", "", b'{"n": 2}') == "durable"
    await one.aclose()
