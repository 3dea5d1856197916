"""Choices that look random and never change: hashes of numbers, so any record can be made alone."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]  # any integer dtype
Words = npt.NDArray[np.uint64]
Fractions = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_STEP = np.uint64(0x9E3779B97F4A7C15)  # the golden ratio in 64 bits, as in splitmix64
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(*parts: Numbers | int | str) -> Words:
    """Return 64 well-mixed bits for each row of its parts (arrays of one length, numbers or labels).

    Steele, Lea and Flood's splitmix64 finaliser, folded over the parts. Unlike a library's hash, its values are
    promised for ever: receipts made today and in a year must be the same bytes.
    """
    word = np.zeros(1, np.uint64)
    for part in parts:
        word = _finalise(word * _STEP + _as_words(part) + _STEP)
    return word


def fraction(*parts: Numbers | int | str) -> Fractions:
    """Return a number in [0, 1) for each row of the parts."""
    return (mix(*parts) >> np.uint64(11)).astype(np.float64) * np.float64(2.0**-53)


def pick(count: int, *parts: Numbers | int | str) -> Indices:
    """Return an index in 0..count-1 for each row of the parts."""
    return (mix(*parts) % np.uint64(count)).astype(np.int64)


def pick_weighted(cumulative: Fractions, *parts: Numbers | int | str) -> Indices:
    """Return an index for each row of the parts, by weights given as a rising sum that ends at 1."""
    found = np.searchsorted(cumulative, fraction(*parts), side="right")
    return np.minimum(found, len(cumulative) - 1).astype(np.int64)


def rising_sum(weights: npt.ArrayLike) -> Fractions:
    """Return the weights as a rising sum that ends at 1."""
    total: Fractions = np.cumsum(np.asarray(weights, np.float64))
    return np.divide(total, total[-1])


def _as_words(part: Numbers | int | str) -> Words:
    if isinstance(part, str):
        part = int.from_bytes(hashlib.blake2b(part.encode(), digest_size=8).digest(), "little")
    if isinstance(part, int):
        return np.array([part % 2**64], np.uint64)
    return part.astype(np.uint64)


def _finalise(word: Words) -> Words:
    word = (word ^ (word >> np.uint64(30))) * _FIRST
    word = (word ^ (word >> np.uint64(27))) * _SECOND
    return word ^ (word >> np.uint64(31))
