"""Vectors of questions: batches, what is remembered, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from receipts.sentence_model import SentenceModel, model_folder
from serve_apps.query_vectors import QueryVectors


class Counting(SentenceModel):
    """The model, which notes what it was given in each batch, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__(model_folder())
        self.batches: list[list[str]] = []
        self.fails = False

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.batches.append(list(texts))
        if self.fails:
            raise MemoryError
        return super().encode(texts)


@pytest.fixture
def model():
    return Counting()


@pytest.fixture
def vectors(model):
    made = QueryVectors(model, remembered=2)
    yield made
    made.close()


async def test_the_loop_goes_on_while_a_phrase_is_embedded(vectors):
    turns = 0
    embedding = asyncio.create_task(vectors.of([f"phrase {i}" for i in range(40)]))
    while not embedding.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10


async def test_a_phrase_is_remembered_until_newer_ones_push_it_out(vectors, model):
    (first,) = await vectors.of(["milk"])
    assert await vectors.of(["milk", "bread"]) == [first, (await vectors.of(["bread"]))[0]]
    assert model.batches == [["milk"], ["bread"]]
    await vectors.of(["tea", "jam"])
    await vectors.of(["milk"])
    assert model.batches[2:] == [["tea", "jam"], ["milk"]]


async def test_what_is_asked_while_a_batch_is_computed_goes_together_in_the_next(vectors, model):
    first = asyncio.create_task(vectors.of(["milk"]))
    await asyncio.sleep(0)  # its task begins
    await asyncio.sleep(0)  # and hands the batch to the thread
    await asyncio.gather(first, *(vectors.of([word]) for word in ("tea", "jam", "tea", "ham")))
    assert model.batches == [["milk"], ["tea", "jam", "ham"]]


async def test_a_vector_does_not_depend_on_what_it_was_computed_with(vectors):
    together = await vectors.of(["fancy cheese", "something for a headache at night", "milk"])
    for phrase, vector in zip(["fancy cheese", "milk"], (together[0], together[2]), strict=True):
        (alone,) = await QueryVectors(SentenceModel(model_folder())).of([phrase])
        assert np.allclose(np.array(alone[1:-1].split(","), float), np.array(vector[1:-1].split(","), float), atol=2e-5)


async def test_who_hangs_up_takes_nothing_away_from_others(vectors):
    leaving = asyncio.create_task(vectors.of(["milk"]))
    staying = asyncio.create_task(vectors.of(["milk"]))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying)[0].startswith("[")


async def test_a_failure_reaches_all_who_wait_and_nobody_after(vectors, model):
    model.fails = True
    answers = await asyncio.gather(vectors.of(["milk"]), vectors.of(["tea"]), return_exceptions=True)
    assert [type(answer) for answer in answers] == [MemoryError, MemoryError]
    model.fails = False
    assert (await vectors.of(["milk"]))[0].startswith("[")
