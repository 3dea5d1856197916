"""Embeddings beside the rounds begin when they are wanted and end no round when they fail."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic

import pytest

from data_jobs.continuous_embedding import MANY, Embedding, EmbeddingFailed


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


def _end(embedding: Embedding, thread: ThreadPoolExecutor) -> None:
    """Let what runs end, and have it noticed."""
    thread.submit(lambda: None).result(timeout=60)
    embedding.turn()


def _noting(runs: list[int], vectors: int = 1) -> Callable[[int], int]:
    """Return work that notes the least number of texts it was told to begin for."""

    def embed(least: int) -> int:
        runs.append(least)
        return vectors

    return embed


def test_what_a_process_before_left_undone_is_embedded_first_and_then_what_is_wanted(
    thread: ThreadPoolExecutor,
) -> None:
    runs: list[int] = []
    embedding = Embedding(_noting(runs), thread, interval_s=0, look_s=0)
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

    def embed(least: int) -> int:
        runs.append(least)
        assert go_on.wait(60)
        return 1

    embedding = Embedding(embed, thread, interval_s=0, look_s=0)
    embedding.turn()
    embedding.want()
    embedding.turn()
    go_on.set()
    _end(embedding, thread)
    _end(embedding, thread)
    assert len(runs) == 2


def test_few_products_wait_for_the_interval_and_many_do_not(thread: ThreadPoolExecutor) -> None:
    runs = list[int]()
    embedding = Embedding(_noting(runs), thread, interval_s=3_600, look_s=0)
    embedding.turn()
    _end(embedding, thread)
    embedding.want()
    _end(embedding, thread)
    _end(embedding, thread)
    assert runs == [1, MANY]
    steps = embedding.run_once()  # a night does not wait
    assert next(steps) is None
    embedding.turn()
    _end(embedding, thread)
    assert (runs, list(steps)) == ([1, MANY, 1], [])


def test_what_were_too_few_are_looked_at_again_without_being_asked_for(thread: ThreadPoolExecutor) -> None:
    runs, embedded = list[int](), [1, 0, 0, 0]

    def embed(least: int) -> int:
        runs.append(least)
        return embedded.pop(0)

    embedding = Embedding(embed, thread, interval_s=0.4, look_s=0)
    embedding.turn()
    _end(embedding, thread)
    embedding.want()
    deadline = monotonic() + 30
    while not (runs[1:] and runs[-1] == 1):
        assert monotonic() < deadline
        _end(embedding, thread)
        embedded.append(0)
    assert set(runs[1:-1]) == {MANY}
    _end(embedding, thread)
    assert not embedding.is_running  # and when there was none, nothing is


def test_after_nothing_the_next_is_begun_for_few(thread: ThreadPoolExecutor) -> None:
    runs = list[int]()
    embedding = Embedding(_noting(runs, vectors=0), thread, interval_s=3_600, look_s=0)
    embedding.turn()
    _end(embedding, thread)
    embedding.want()
    _end(embedding, thread)
    assert embedding.is_running
    _end(embedding, thread)
    assert runs == [1, 1]


def _failing(_: int) -> int:
    raise OSError("no model")


@pytest.mark.parametrize(("embed", "fails"), [(_failing, True), (lambda _: 1, False)])
def test_a_night_waits_for_the_embedding_and_hears_how_it_ended(
    thread: ThreadPoolExecutor, embed: Callable[[int], int], fails: bool
) -> None:
    embedding = Embedding(embed, thread, interval_s=3_600)
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
