"""Words that may have been meant, beside the distance worked out for every word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import DamerauLevenshtein

from serve_apps.understanding.near_words import NearWords

WORDS = st.text("abc", min_size=5, max_size=8)


@given(st.sets(WORDS, max_size=20), WORDS)
def test_the_words_one_mistake_away_are_found_and_no_others(words, asked):
    near = NearWords(words).near(asked)
    assert sorted(near) == sorted(word for word in words if DamerauLevenshtein.distance(word, asked) <= 1)


def test_a_short_word_has_too_many_neighbours_to_have_been_meant():
    spelling = NearWords(["milk", "cheese"])
    assert spelling.near("milc") == []
    assert spelling.near("chese") == spelling.near("cheeze") == spelling.near("chesee") == ["cheese"]
