"""The model as arithmetic, held against the library it came from."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receipts.embedding import DIMENSION, Embedder
from receipts.sentence_model import SentenceModel, english_words, model_folder, query_text

TEXTS = [
    "milk",
    "fancy cheese",
    "something for a headache",
    "Crème brûlée & naïve jalapeño",
    "漢字 and кириллица",
    "supercalifragilisticexpialidocious",
    "word " * 300,  # more tokens than the model reads
    "",
]


@pytest.fixture(scope="module")
def model():
    return SentenceModel(model_folder())


@pytest.fixture(scope="module")
def library():
    return Embedder(threads=1)


def test_vectors_equal_the_librarys(model, library):
    assert np.abs(model.encode(TEXTS) - library.encode(TEXTS)).max() < 1e-5


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_any_text_has_the_librarys_vector_whatever_it_is_encoded_with(model, library, texts):
    assert np.abs(model.encode(texts) - library.encode(texts)).max() < 1e-4


def test_nothing_is_no_vectors(model):
    assert model.encode([]).shape == (0, DIMENSION)


def test_a_question_is_spelt_as_products_are():
    assert query_text("CHIX BRST") == "chicken breast"
    assert query_text("?!") == "?!"


def test_common_words_are_english_and_misspelt_ones_are_not():
    assert {"expensive", "cheese", "chicken"} <= english_words()
    assert not {"chiken", "roquefrot"} & english_words()


def test_a_query_needs_neither_torch_nor_the_library():
    code = (
        "import sys; from receipts.sentence_model import SentenceModel, model_folder; "
        "SentenceModel(model_folder()).encode(['milk']); "
        "sys.exit(bool({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
