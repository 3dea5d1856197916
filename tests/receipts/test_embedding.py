"""The embedding, with the real model: shapes, the sum of two vectors, and whether it finds what is meant."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from receipts.embedding import DIMENSION, Embedder, product_digest, usable_device

SHELF = [
    ("Roquefort Societe Wedge", "DELI", "CHEESES"),
    ("Brie President 8oz", "DELI", "CHEESES"),
    ("CHIX: ROTISSERIE (HOT)", "DELI", "CHICKEN/POULTRY"),
    ("TYLENOL X-STR", "DRUG GM", "ANALGESICS"),
    ("BANANAS", "PRODUCE", "TROPICAL FRUIT"),
    ("BATTERY AA 4PK", "DRUG GM", "BATTERIES"),
]


@pytest.fixture(scope="module")
def embedder():
    return Embedder(threads=1)


@pytest.fixture(scope="module")
def shelf(embedder):
    return embedder.embed_products(SHELF)


def test_vectors_are_float32_of_length_one(embedder, shelf):
    assert shelf.shape == (len(SHELF), DIMENSION)
    assert shelf.dtype == np.float32
    assert np.allclose(np.linalg.norm(shelf, axis=1), 1, atol=1e-5)
    assert embedder.embed_query("milk").shape == (DIMENSION,)


@pytest.mark.parametrize(
    ("asked", "best"),
    [("roast chicken", 2), ("something for a headache", 3), ("fruit for a smoothie", 4), ("power for a flashlight", 5)],
)
def test_a_concept_finds_its_product(embedder, shelf, asked, best):
    assert int(np.argmax(shelf @ embedder.embed_query(asked))) == best


def test_fancy_cheese_finds_both_fine_cheeses_first(embedder, shelf):
    order = np.argsort(-(shelf @ embedder.embed_query("fancy cheese")))
    assert set(order[:2].tolist()) == {0, 1}


def test_a_till_abbreviation_embeds_as_the_word_it_stands_for(embedder):
    assert np.allclose(embedder.embed_query("CHIX"), embedder.embed_query("chicken"), atol=1e-5)


def test_a_text_has_the_same_vector_whatever_it_is_encoded_with(embedder):
    texts = [" ".join(["milk", "bread", "cheese"][: n % 3 + 1] * (n % 7 + 1)) + f" {n}" for n in range(150)]
    together = embedder.encode(texts)
    for place in (0, 20, 64, 149):
        assert np.allclose(together[place], embedder.encode([texts[place]])[0], atol=1e-5)


def test_half_precision_as_on_a_gpu_gives_the_same_vectors_as_far_as_they_are_stored(embedder, shelf):
    half = Embedder(threads=1, half=True).embed_products(SHELF)
    assert half.dtype == np.float32
    assert np.allclose(np.linalg.norm(half, axis=1), 1, atol=1e-6)
    assert np.abs(half - shelf).max() < 1e-3  # Postgres keeps half precision too
    asked = embedder.embed_query("fancy cheese")
    assert np.argsort(half @ asked).tolist() == np.argsort(shelf @ asked).tolist()


def test_a_process_without_a_gpu_embeds_on_the_cpu_even_if_it_was_promised_one(caplog):
    assert usable_device(gpu=False) == "cpu"
    if not torch.cuda.is_available():
        assert usable_device(gpu=True) == "cpu"
        assert "embeds on the CPU" in caplog.text


def test_nothing_embeds_to_nothing(embedder):
    assert embedder.encode([]).shape == (0, DIMENSION)
    assert embedder.embed_products([]).shape == (0, DIMENSION)
    assert not embedder.embed_products([("", "", "")]).any()


def test_the_digest_follows_the_embedded_text():
    one = product_digest("CHIX BRST", "MEAT", "CHICKEN")
    assert one == product_digest("CHICKEN BREAST", "meat", "Chicken")
    assert one != product_digest("CHIX BRST", "MEAT", "TURKEY")


def test_importing_the_module_does_not_load_the_model_library():
    code = "import sys, receipts.embedding; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
