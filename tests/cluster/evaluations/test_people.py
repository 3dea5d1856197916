"""People are found by perturbed names among the chain's own customers."""

from collections import Counter

import pytest

from cluster.evaluations.people import NICKNAME, PeopleReport, Score, evaluate_people, perturbed, score
from cluster.evaluations.perturbing import EXACT, PEOPLE, edited, seeded
from cluster.evaluations.search import report_people

NAMES = ["maria kowalski", "james smith", "mary ann obrien", "jose garcia lopez", "catherine phillips"]


def test_people_are_found_as_well_as_on_record(settings, sign_ins):
    report = evaluate_people(settings)
    assert {score.kind for score in report.scores} == {*PEOPLE, NICKNAME}
    exact = next(score for score in report.scores if score.kind == EXACT)
    assert exact.first == exact.asked
    bars = report_people(report).bars
    assert len(bars) == 3
    assert [bar for bar in bars if not bar.holds] == []


def test_a_seed_gives_the_same_queries_and_every_kind_as_often():
    first, second = (list(perturbed(NAMES, 220, 9)) for _ in range(2))
    assert first == second
    assert set(Counter(kind for kind, *_ in first).values()) == {20}
    assert first != list(perturbed(NAMES, 220, 10))
    assert all((typed == name) == (kind == EXACT) for kind, typed, name in first)


@pytest.mark.parametrize("word", ["ab", "smith", "xx", "kowalski"])
def test_an_edit_changes_one_letter_or_swaps_two(word):
    random = seeded(word)
    for _ in range(50):
        other = edited(word, random)
        assert other != word
        assert abs(len(other) - len(word)) <= 1


def test_scores_count_places():
    asked = [("k", "a", "x"), ("k", "b", "y"), ("k", "c", "z")]
    found = [["x"], ["n", "y"], []]
    assert list(score(asked, found)) == [Score("k", 3, 1, 2)]
    report = PeopleReport(5, (Score("k", 4, 1, 2), Score(NICKNAME, 4, 4, 4)))
    assert report.recall(10) == 0.75
    assert report.recall(10, nicknames=False) == 0.5
    assert report.recall(1) == 0.625
