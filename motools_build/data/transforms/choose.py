"""Choosing rows at random by a seed, and computing exact numbers of rows.

A row's rank is xxh3_64 of `WORD:SEED:INDEX`, with the index counted from 0. A choice
takes the rows of the lowest ranks, and a shuffle sorts by rank. So a seed gives the
same rows on every machine and with every version of Python, and a larger choice
contains a smaller one.
"""

from __future__ import annotations

from array import array
from fractions import Fraction
from typing import Any

import xxhash


def shuffled(word: str, seed: int, rows: int) -> Any:
    """The indexes of all rows in a random order: a NumPy array of integers."""
    import numpy as np

    head = f"{word}:{seed}:".encode()
    rank = xxhash.xxh3_64_intdigest
    ranks = array("Q", (rank(b"%b%d" % (head, index)) for index in range(rows)))
    # stable: of equal ranks the lower index comes first
    return np.argsort(np.frombuffer(ranks, dtype=np.uint64), kind="stable")


def chosen(word: str, seed: int, rows: int, n: int) -> Any:
    """The indexes of n rows chosen at random, ascending: a NumPy array of integers."""
    import numpy as np

    return np.sort(shuffled(word, seed, rows)[:n])


def share(fraction: float, rows: int) -> int:
    """The number of rows that makes a fraction of `rows`; half a row counts as one.

    The fraction is the decimal number as written: 0.1 is one tenth.
    """
    return _rounded(Fraction(str(fraction)) * rows)


def added(fraction: float, rows: int) -> int:
    """The number of rows to add to `rows` so that the added ones make a fraction of the
    result; half a row counts as one.

    >>> added(0.25, 300)
    100
    """
    part = Fraction(str(fraction))
    return _rounded(rows * part / (1 - part))


def _rounded(number: Fraction) -> int:
    return int(number + Fraction(1, 2))
