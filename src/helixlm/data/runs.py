"""Runs: where the letters of a contig change from one class to another.

In: a contig as ASCII codes, perhaps a memory map of hundreds of Mbp, and a table with the class of
each code. Out: the maximal stretches of one class, as arrays. What the classes mean, gaps for
`windows` and the soft mask for `repeats.py`, is theirs to say.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Letters = NDArray[np.uint8]
Classes = NDArray[np.uint8]

BLOCK_BP = 1 << 20
"""Letters that are looked at together, bp; the classes of so many are in memory."""


class Runs(NamedTuple):
    """Stretches that touch each other and together are the contig; R of them.

    Coordinates are 0-based and half-open.
    """

    starts: NDArray[np.int64]
    """Shape (R,), bp."""
    ends: NDArray[np.int64]
    """Shape (R,), bp."""
    kinds: NDArray[np.uint8]
    """Shape (R,): classes; neighbours differ."""


def class_table(*groups: str, other: int = 0) -> Classes:
    """Return the class of each of the 256 codes: the letters of group i have class i + 1.

    Parameters
    ----------
    *groups : str
        ASCII letters; upper and lower case are different ones.
    other : int
        The class of all letters in no group.

    Returns
    -------
    NDArray, uint8, shape (256,)
        To be given to `find_runs`.
    """
    table = np.full(256, other, np.uint8)
    for kind, letters in enumerate(groups, start=1):
        table[np.frombuffer(letters.encode("ascii"), np.uint8)] = kind
    return table


def find_runs(letters: Letters, classes: Classes) -> Runs:
    """Find the maximal stretches of letters of one class.

    Parameters
    ----------
    letters : NDArray, uint8, shape (L,)
        A contig in ASCII codes; it is read in blocks and never copied as a whole.
    classes : NDArray, uint8, shape (256,)
        The class of each code, see `class_table`.

    Returns
    -------
    Runs
        In the order of the contig; none if it is empty.
    """
    starts: list[NDArray[np.int64]] = []
    kinds: list[NDArray[np.uint8]] = []
    previous = -1
    for low in range(0, len(letters), BLOCK_BP):
        kind_L = classes[np.asarray(letters[low : low + BLOCK_BP])]
        first = np.flatnonzero(kind_L[1:] != kind_L[:-1]) + 1
        if kind_L[0] != previous:
            first = np.concatenate([[0], first])
        starts.append(first + low)
        kinds.append(kind_L[first])
        previous = int(kind_L[-1])
    if not starts:
        return Runs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8))
    start_R = np.concatenate(starts).astype(np.int64)
    return Runs(start_R, np.append(start_R[1:], len(letters)), np.concatenate(kinds))
