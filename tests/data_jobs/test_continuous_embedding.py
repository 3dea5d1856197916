"""Embeddings beside the rounds begin when they are wanted and end no round when they fail."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from data_jobs.continuous_embedding import Embedding, EmbeddingFailed


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


def _end(embedding: Embedding, thread: ThreadPoolExecutor) -> None:
    """Let what runs end, and have it noticed."""
    thread.submit(lambda: None).result(timeout=60)
    embedding.turn()


def _noting(runs: list[int], vectors: int = 1) -> Callable[[], int]:
    def embed() -> int:
        runs.append(1)
        return vectors

    return embed


def test_what_a_process_before_left_undone_is_embedded_first_and_then_what_is_wanted(
    thread: ThreadPoolExecutor,
) -> None:
    runs: list[int] = []
    embedding = Embedding(_noting(runs), thread, rest_s=0)
    embedding.turn()
    _end(embedding, thread)
    assert (len(runs), embedding.is_running) == (1, False)
    embedding.turn()
    assert not embedding.is_running
    embedding.want()
    embedding.turn()
    assert embedding.is_running
    _end(embedding, thread)
    assert len(runs) == 2


def test_products_that_change_meanwhile_are_looked_at_afterwards(thread: ThreadPoolExecutor) -> None:
    runs, go_on = list[int](), Event()

    def embed() -> int:
        runs.append(1)
        assert go_on.wait(60)
        return 1

    embedding = Embedding(embed, thread, rest_s=0)
    embedding.turn()
    embedding.want()
    embedding.turn()
    go_on.set()
    _end(embedding, thread)
    _end(embedding, thread)
    assert len(runs) == 2


def test_what_is_wanted_right_after_a_run_waits_for_more_to_come(thread: ThreadPoolExecutor) -> None:
    runs = list[int]()
    embedding = Embedding(_noting(runs), thread, rest_s=3_600)
    embedding.turn()
    _end(embedding, thread)
    embedding.want()
    _end(embedding, thread)
    assert (len(runs), embedding.is_running) == (1, False)
    steps = embedding.run_once()  # a night does not wait
    assert next(steps) is None
    embedding.turn()
    _end(embedding, thread)
    assert (len(runs), list(steps)) == (2, [])


def test_a_run_that_found_nothing_is_not_rested_from(thread: ThreadPoolExecutor) -> None:
    runs = list[int]()
    embedding = Embedding(_noting(runs, vectors=0), thread, rest_s=3_600, look_rest_s=0)
    embedding.turn()
    _end(embedding, thread)
    embedding.want()
    _end(embedding, thread)
    assert embedding.is_running
    _end(embedding, thread)
    assert len(runs) == 2


def _failing() -> int:
    raise OSError("no model")


@pytest.mark.parametrize(("embed", "fails"), [(_failing, True), (lambda: 1, False)])
def test_a_night_waits_for_the_embedding_and_hears_how_it_ended(
    thread: ThreadPoolExecutor, embed: Callable[[], int], fails: bool
) -> None:
    embedding = Embedding(embed, thread)
    steps = embedding.run_once()
    assert next(steps) is None
    embedding.turn()
    _end(embedding, thread)
    if fails:
        with pytest.raises(EmbeddingFailed, match="could not be embedded"):
            next(steps)
        embedding.turn()
        assert not embedding.is_running  # not at once
    else:
        assert list(steps) == []
