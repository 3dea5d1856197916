"""How names are spelt otherwise, and how alike they are."""

from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.text import normalise
from serve_apps.people_names import likeness, nicknames, spellings, typed_words

WORDS = st.lists(st.text("abcdeklmnorst", min_size=1, max_size=9), min_size=1, max_size=4)


def test_a_name_is_like_itself_in_any_order():
    assert likeness(["maria", "kowalski"], ["kowalski", "maria"]) == 1.0


def test_a_surname_alone_is_enough():
    assert likeness(["kowalski"], ["maria", "kowalski"]) > 0.98


@pytest.mark.parametrize("typed", [["marya", "kowalsky"], ["maria", "kowaslki"], ["mari", "kowalski"]])
def test_a_slip_is_nearer_than_another_name(typed):
    assert likeness(typed, ["maria", "kowalski"]) > 0.8 > likeness(typed, ["maria", "petrov"])


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("bill smith", "william smith"),
        ("william smith", "bill smith"),
        ("stas nowak", "stanley nowak"),
        ("pepe garcia", "jose garcia"),
        ("j smith", "james smith"),
        ("maryann smith", "mary ann smith"),
        ("mary ann smith", "maryann smith"),
        ("marysmith", "mary smith"),
        ("kowal ski", "kowalski"),
        ("maria lopez", "maria garcia lopez"),
        ("mary quinn smith", "mary smith"),
        ("maria de la cruz", "maria delacruz"),
    ],
)
def test_another_form_of_a_name_is_nearly_the_name(typed, name):
    assert 0.8 < likeness(typed.split(), name.split()) < 1.0


def test_the_name_itself_goes_before_a_nickname_and_that_before_another_name():
    typed = ["bill", "smith"]
    order = [["bill", "smith"], ["william", "smith"], ["jill", "smith"], ["walter", "smith"]]
    scores = [likeness(typed, name) for name in order]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4


def test_nothing_is_like_nothing():
    assert likeness([], ["maria"]) == likeness(["maria"], []) == 0.0


@given(WORDS, WORDS)
def test_likeness_lies_between_nothing_and_the_same(typed, name):
    assert 0.0 <= likeness(typed, name) <= 1.0
    assert likeness(name, name) == 1.0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Mrs. Maria Kowalski", ["maria", "kowalski"]),
        ("Kowalski, Maria", ["kowalski", "maria"]),
        ("Maria Kowalski's", ["maria", "kowalski"]),
        ("O'Brien", ["obrien"]),
        ("Dr. J. García-López, MD", ["j", "garcia", "lopez"]),
        ("Miss", ["miss"]),
        ("a b c d e f", ["a", "b", "c", "d"]),
        ("!!!", []),
    ],
)
def test_titles_and_marks_are_no_part_of_a_name(name, words):
    assert typed_words(name) == words


def test_every_word_and_run_of_words_is_a_spelling_and_nicknames_cost_something():
    found = spellings(["bob", "de", "la", "cruz"])
    costs = {(s.text, s.starts, s.ends): s.cost for s in found}
    assert {text for (text, *_), cost in costs.items() if cost == 0} == {"bob", "de", "la", "cruz"}
    assert 0 < costs["delacruz", 2, 4] < costs["robert", 1, 1]
    assert ("dela", 2, 3) in costs


def test_nicknames_hold_both_ways_and_a_surname_has_none():
    assert {"robert", "rob", "bobby"} <= nicknames("bob")
    assert all(word in nicknames(other) for word in ("bob", "peggy", "staszek") for other in nicknames(word))
    assert nicknames("kowalski") == frozenset()


def test_the_file_of_nicknames_is_normalised_and_has_no_word_twice_in_a_line():
    text = resources.files("serve_apps").joinpath("nicknames.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(normalise(line) == line for line in lines)
    assert [line for line in lines if len(set(line.split())) != len(line.split()) or len(line.split()) < 2] == []
