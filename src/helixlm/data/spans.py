"""Intervals of one contig as two arrays: their union, and how many of their bases lie where.

In and out: starts and ends, bp, 0-based and half-open, by the million. Intervals with names and
strands, one object each, are `helixlm.seq.interval`.
"""

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


def union(starts: Positions, ends: Positions) -> tuple[Positions, Positions]:
    """Join intervals that overlap or touch.

    Parameters
    ----------
    starts, ends : NDArray, int64, shape (n,)
        In any order, bp; none is empty.

    Returns
    -------
    tuple of two NDArray, int64, shape (m,)
        Starts and ends of disjoint intervals in order, with a gap between neighbours.
    """
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    opens = np.ones(len(starts), bool)
    opens[1:] = starts[1:] > reach[:-1]
    closes = np.ones(len(starts), bool)
    closes[:-1] = opens[1:]
    return starts[opens], reach[closes]


def bases_before(starts: Positions, ends: Positions, positions: Positions) -> Positions:
    """Return how many bases of disjoint intervals lie before each position.

    Parameters
    ----------
    starts, ends : NDArray, int64, shape (n,)
        In order, bp.
    positions : NDArray, int64, shape (p,)
        In any order, bp.

    Returns
    -------
    NDArray, int64, shape (p,)
        The difference of two is the number of bases between their positions.

    Examples
    --------
    >>> bases_before(np.array([2, 8]), np.array([5, 9]), np.array([0, 4, 8, 100])).tolist()
    [0, 2, 3, 4]
    """
    if not len(starts):
        return np.zeros(len(positions), np.int64)
    before = np.concatenate([[0], np.cumsum(ends - starts)])
    found = np.searchsorted(starts, positions, side="right") - 1
    last = np.maximum(found, 0)
    inside = np.minimum(positions, ends[last]) - starts[last]
    return np.where(found < 0, 0, before[last] + inside)
