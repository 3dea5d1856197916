"""The judge of a drill finds each way in which a promise can be broken, and nothing else."""

from dataclasses import replace
from datetime import date

import pytest

from loadtest.drill.answers import Answer, Asker, End, Kind, Subject
from loadtest.drill.judge import judge, read_events
from receipts.identity import NaturalKey, receipt_id
from tests.data_jobs.trail.writing import TODAY, tamper, write_chain

EAST, ALL = Asker("rep.east", frozenset({1})), Asker("rep.all", None)
STORES = {101: 1, 201: 2}
IN_EAST, IN_WEST, NEVER = (
    receipt_id(NaturalKey(store, 1, date(2026, 11, 17), number)) for store, number in ((101, 1), (201, 2), (101, 3))
)
SHOPPER = Subject(Kind.HISTORY, "C0000001", frozenset({1, 2}))


def receipt(name: str) -> Subject:
    return Subject(Kind.RECEIPT, name, {IN_EAST: frozenset({1}), IN_WEST: frozenset({2})}.get(name, frozenset()))


def found(number: int, asker: Asker = EAST, subject: Subject | None = None, **changes: object) -> Answer:
    """Return a good answer, unless it is changed."""
    asked = subject or receipt(IN_EAST)
    shown = (asked.name,) if asked.kind is Kind.RECEIPT else (IN_EAST,)
    return replace(Answer(asker, asked, 0, 0.1, End.ANSWERED, 200, f"{number:032x}", shown), **changes)


def missing(number: int, asker: Asker = EAST, name: str = NEVER) -> Answer:
    return found(number, asker, receipt(name), status=404, shown=())


def event(one: Answer, **changes: object) -> dict[str, object]:
    """Return what a replica writes of an answer."""
    is_receipt = one.subject.kind is Kind.RECEIPT
    return {
        "request_id": one.request_id,
        "principal_id": one.asker.principal_id,
        "status": one.status,
        "receipt_ids": [one.subject.name] if is_receipt else list(one.shown),
        "customer_ids": [] if is_receipt else [one.subject.name],
        **changes,
    }


GOOD = [
    found(1),
    found(2, ALL, receipt(IN_WEST)),
    missing(3),
    missing(4, EAST, IN_WEST),
    found(5, EAST, SHOPPER),
    found(6, EAST, Subject(Kind.CONTEXT, "C0000001", frozenset({1})), shown=()),
]


def breaches(answers, events) -> list[str]:
    return [breach.what for breach in judge(answers, events, STORES).breaches]


def test_answers_that_are_on_record_once_and_within_scope_are_no_breach():
    verdict = judge(GOOD, map(event, GOOD), STORES)
    assert verdict.breaches == ()
    assert verdict.counts["answered"] == len(GOOD)


def test_a_look_whose_answer_was_lost_is_counted_and_no_breach():
    ends = [End.CUT, End.LATE, End.HUNG_UP, End.REFUSED]
    lost = [found(0, end=end, status=0, request_id="", shown=()) for end in ends]
    proxy = found(0, status=503, request_id="", shown=())
    nobody_heard = event(found(99))
    counts = judge([*GOOD, *lost, proxy], [*map(event, GOOD), nobody_heard], STORES).counts
    assert counts == {
        "asked": len(GOOD) + 5,
        "answered": len(GOOD),
        "of a proxy": 1,
        "unknown": 3,
        "unheard": 1,
        "on record without an answer": 1,
    }


def test_a_database_that_is_away_may_be_on_record_and_need_not():
    away = found(7, status=503, shown=())
    assert breaches([away], []) == []
    assert breaches([away], [event(found(7)), event(away)]) == []


@pytest.mark.parametrize("one", [found(1), missing(9), GOOD[4], GOOD[5]])
def test_an_answer_without_an_event_is_found(one):
    assert breaches([*GOOD[1:2], one], map(event, GOOD[1:2])) == ["were answered and are not on record"]


def test_an_answer_with_two_events_is_found():
    assert breaches(GOOD, map(event, [*GOOD, GOOD[2]])) == ["are on record more than once"]


@pytest.mark.parametrize(
    "changes",
    [{"principal_id": "rep.west"}, {"status": 404}, {"receipt_ids": [NEVER]}],
)
def test_an_event_that_tells_of_another_look_is_found(changes):
    assert breaches(GOOD[:1], [event(GOOD[0], **changes)]) == ["are on record as another look than they were"]


def test_a_history_that_shows_more_than_is_on_record_is_found():
    one = GOOD[4]
    assert breaches([one], [event(one, receipt_ids=[])]) == ["are on record as another look than they were"]


def test_two_answers_of_one_number_are_found():
    twins = [GOOD[0], GOOD[0]]
    assert breaches(twins, [event(GOOD[0])]) == ["answers share a number with another one"]


def test_a_receipt_of_another_region_is_found():
    one = found(1, EAST, receipt(IN_WEST))
    assert breaches([one], [event(one)]) == ["showed what lies outside of the caller's regions"]


@pytest.mark.parametrize("shown", [(IN_EAST, IN_WEST), ("no receipt at all",)])
def test_a_history_that_shows_a_receipt_of_another_region_is_found(shown):
    one = found(1, EAST, SHOPPER, shown=shown)
    assert breaches([one], [event(one)]) == ["showed what lies outside of the caller's regions"]


def test_a_customer_who_cannot_be_seen_from_there_is_found():
    one = found(1, EAST, Subject(Kind.CONTEXT, "C0000002", frozenset({2})), shown=())
    assert breaches([one], [event(one)]) == ["showed what lies outside of the caller's regions"]


def test_another_receipt_than_was_asked_for_is_found():
    one = found(1, ALL, receipt(IN_EAST), shown=(IN_WEST,))
    told = event(one, receipt_ids=[IN_EAST, IN_WEST])
    assert breaches([one], [told]) == ["showed another receipt than was asked for"]


def test_what_is_there_and_was_not_found_is_found():
    one = missing(1, EAST, IN_EAST)
    assert breaches([one], [event(one)]) == ["were not found though the caller may see them"]


def test_a_receipt_that_a_proxy_tells_of_is_found():
    assert breaches([found(0, request_id="")], []) == ["came from nobody known"]


def test_the_events_are_read_from_the_evidence_also_where_some_cannot_be_read(settings, owner):
    write_chain(owner, TODAY, 1, 3)
    tamper(owner, "UPDATE audit.spool SET payload = '[{' WHERE seq = 1")
    events = read_events(settings, TODAY)
    assert len(events) == 5
    assert {told["principal_id"] for told in events} == {"rep.east"}
