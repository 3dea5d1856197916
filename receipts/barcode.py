"""Code 128 set C (ISO/IEC 15417), which prints two digits per symbol: where its bars are."""

from __future__ import annotations

QUIET = 10  # modules of white that a scanner needs on either side
_START_C, _STOP = 105, 106
# Widths of bar, space, bar, space, bar, space in modules; the value of a symbol is its place. The stop has a 7th bar.
_PRINTED = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 "
    "123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 "
    "232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 "
    "313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 "
    "111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 "
    "111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 "
    "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112"
)
_WIDTHS = _PRINTED.split()


def symbols(digits: str) -> list[int]:
    """Return the symbol values of an even number of digits: start, pairs, check symbol, stop."""
    if len(digits) % 2 or not (digits.isascii() and digits.isdigit()):
        raise ValueError("Code 128 set C needs an even number of digits")
    values = [_START_C, *(int(digits[i : i + 2]) for i in range(0, len(digits), 2))]
    check = (values[0] + sum(place * value for place, value in enumerate(values))) % 103
    return [*values, check, _STOP]


def bars(digits: str) -> tuple[list[tuple[int, int]], int]:
    """Return the (offset, width) of every bar in modules, and the width of all with both quiet zones."""
    found: list[tuple[int, int]] = []
    at = QUIET
    for value in symbols(digits):
        for place, width in enumerate(map(int, _WIDTHS[value])):
            if place % 2 == 0:
                found.append((at, width))
            at += width
    return found, at + QUIET
