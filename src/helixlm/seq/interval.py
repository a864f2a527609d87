"""Intervals on contigs and their algebra: union, intersection, difference, overlap.

In and out: `Interval`, 0-based and half-open on the forward strand. The functions treat a list
of intervals as the set of bases it covers, sort it, and work on arrays: a million intervals take
seconds, most of them spent on making the arrays. Reading BED and GFF is left to the
readers in `helixlm.data`.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from helixlm.errors import InputError

Position = TypeVar("Position", int, NDArray[np.int64])

Spans = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Starts and ends on one contig, each of shape (n,), bp."""


class IntervalError(InputError):
    """An interval that is no interval: negative, or with its end before its start."""


class Interval(NamedTuple):
    """A stretch of a contig, 0-based, half-open, on the forward strand."""

    contig: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.contig}:{self.start}-{self.end}"


def merge(intervals: Iterable[Interval], gap_bp: int = 0) -> list[Interval]:
    """Return the union: intervals that overlap or touch become one.

    Parameters
    ----------
    intervals : iterable of Interval
        In any order; empty ones vanish.
    gap_bp : int
        Intervals with at most so many bases between them are joined too.

    Returns
    -------
    list of Interval
        Contigs in the order in which they first appear, starts ascending.

    Raises
    ------
    IntervalError
        If an interval is negative or ends before it starts, or if `gap_bp` is negative.

    Examples
    --------
    >>> merge([Interval("chr1", 5, 9), Interval("chr1", 0, 5), Interval("chr1", 10, 12)])
    [Interval(contig='chr1', start=0, end=9), Interval(contig='chr1', start=10, end=12)]
    """
    if gap_bp < 0:
        raise IntervalError(f"gap_bp {gap_bp}: expected at least 0")
    return _listed((contig, merge_spans(spans, gap_bp)) for contig, spans in _by_contig(intervals))


def intersect(intervals: Iterable[Interval], others: Iterable[Interval]) -> list[Interval]:
    """Return the bases that both cover.

    Parameters
    ----------
    intervals, others : iterable of Interval
        In any order; each is merged first.

    Returns
    -------
    list of Interval
        Contigs in the order of `intervals`, starts ascending.

    Raises
    ------
    IntervalError
        If an interval is negative or ends before it starts.
    """
    theirs = dict(_by_contig(others))
    return _listed(
        (contig, _intersect(merge_spans(spans), merge_spans(theirs[contig])))
        for contig, spans in _by_contig(intervals)
        if contig in theirs
    )


def subtract(intervals: Iterable[Interval], others: Iterable[Interval]) -> list[Interval]:
    """Return the bases that the first covers and the second does not.

    Parameters
    ----------
    intervals, others : iterable of Interval
        In any order; each is merged first.

    Returns
    -------
    list of Interval
        Contigs in the order of `intervals`, starts ascending.

    Raises
    ------
    IntervalError
        If an interval is negative or ends before it starts.
    """
    theirs = dict(_by_contig(others))
    return _listed(
        (
            contig,
            _subtract(merge_spans(spans), merge_spans(theirs[contig]))
            if contig in theirs
            else merged,
        )
        for contig, spans in _by_contig(intervals)
        for merged in [merge_spans(spans)]
    )


def overlaps(intervals: Iterable[Interval], others: Iterable[Interval]) -> NDArray[np.bool_]:
    """Say for each interval whether it shares a base with any of the others.

    Parameters
    ----------
    intervals : iterable of Interval
        The intervals that are asked about; an empty one shares nothing.
    others : iterable of Interval
        In any order.

    Returns
    -------
    NDArray, bool, shape (N,)
        One answer for each of `intervals`, in their order.

    Raises
    ------
    IntervalError
        If an interval is negative or ends before it starts.
    """
    asked = list(intervals)
    theirs = dict(_by_contig(others))
    found = np.zeros(len(asked), dtype=bool)
    rows: dict[str, list[int]] = {}
    for row, interval in enumerate(asked):
        rows.setdefault(interval.contig, []).append(row)
    for contig, (starts, ends) in _by_contig(asked):
        if contig in theirs:
            other_starts, other_ends = merge_spans(theirs[contig])
            first = np.searchsorted(other_ends, starts, side="right")
            beyond = np.searchsorted(other_starts, ends, side="left")
            found[rows[contig]] = (first < beyond) & (starts < ends)
    return found


def reverse_strand(start: Position, end: Position, length: int) -> tuple[Position, Position]:
    """Return where a stretch lies when positions count from the other end of the sequence.

    Parameters
    ----------
    start, end : int or NDArray, int64
        0-based, half-open, on one strand.
    length : int
        Length of the sequence, bp.

    Returns
    -------
    tuple of int or of NDArray, int64
        Start and end on the other strand, 0-based, half-open. The same call turns them back.

    Raises
    ------
    IntervalError
        If a stretch does not lie in the sequence.

    Examples
    --------
    >>> reverse_strand(0, 3, 10)
    (7, 10)
    """
    if np.any(np.asarray(start) < 0) or np.any(np.asarray(end) > length) or np.any(start > end):
        raise IntervalError(
            f"stretch {start} to {end}: expected 0 <= start <= end <= {length}, the length of the "
            f"sequence"
        )
    return length - end, length - start


def on_circle(start: int, end: int, length: int) -> list[tuple[int, int]]:
    """Return where a stretch lies that may go past the end of a circular contig.

    Parameters
    ----------
    start, end : int
        0-based, half-open, forward strand; `end` is at most twice `length`.
    length : int
        Length of the contig, bp.

    Returns
    -------
    list of tuple of int
        The stretch itself; or its part up to the end of the contig, and what goes on at the origin.

    Examples
    --------
    >>> on_circle(5, 9, 10), on_circle(8, 12, 10)
    ([(5, 9)], [(8, 10), (0, 2)])
    """
    return [(start, end)] if end <= length else [(start, length), (0, end - length)]


def merge_spans(spans: Spans, gap_bp: int = 0) -> Spans:
    """Sort the spans of one contig, drop empty ones, join those that overlap or touch.

    Parameters
    ----------
    spans : Spans
        In any order.
    gap_bp : int
        Also join spans that are at most so many bases apart.

    Returns
    -------
    Spans
        Disjoint, ascending.
    """
    starts, ends = spans
    order = np.argsort(starts, kind="stable")
    order = order[starts[order] < ends[order]]
    if not len(order):
        return starts[:0], ends[:0]
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    first = np.flatnonzero(np.concatenate(([True], starts[1:] > reach[:-1] + gap_bp)))
    last = np.append(first[1:] - 1, len(reach) - 1)
    return starts[first], reach[last]


def bases_before(spans: Spans, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many bases of spans lie before each position.

    Parameters
    ----------
    spans : Spans
        Disjoint and ascending, as `merge_spans` gives them.
    positions : NDArray, int64, shape (p,)
        In any order, bp.

    Returns
    -------
    NDArray, int64, shape (p,)
        The difference of two is the number of bases between their positions.

    Examples
    --------
    >>> bases_before((np.array([2, 8]), np.array([5, 9])), np.array([0, 4, 8, 100])).tolist()
    [0, 2, 3, 4]
    """
    starts, ends = spans
    if not len(starts):
        return np.zeros(len(positions), np.int64)
    before = np.concatenate([[0], np.cumsum(ends - starts)])
    found = np.searchsorted(starts, positions, side="right") - 1
    last = np.maximum(found, 0)
    inside = np.minimum(positions, ends[last]) - starts[last]
    return np.where(found < 0, 0, before[last] + inside)


def _by_contig(intervals: Iterable[Interval]) -> list[tuple[str, Spans]]:
    """Return starts and ends, int64, of each contig, in the order of first appearance."""
    groups: dict[str, tuple[list[int], list[int]]] = {}
    for contig, start, end in intervals:
        if contig not in groups:
            groups[contig] = ([], [])
        group = groups[contig]
        group[0].append(start)
        group[1].append(end)
    spans = []
    for contig, group in groups.items():
        starts, ends = np.array(group[0], dtype=np.int64), np.array(group[1], dtype=np.int64)
        wrong = (starts < 0) | (ends < starts)
        if wrong.any():
            i = int(np.argmax(wrong))
            raise IntervalError(
                f"interval {contig}:{starts[i]}-{ends[i]}: expected 0 <= start <= end"
            )
        spans.append((contig, (starts, ends)))
    return spans


def _listed(parts: Iterable[tuple[str, Spans]]) -> list[Interval]:
    return [
        Interval(contig, start, end)
        for contig, (starts, ends) in parts
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def _intersect(spans: Spans, others: Spans) -> Spans:
    """Return what two merged lists of spans share."""
    starts, ends = spans
    other_starts, other_ends = others
    # Spans are disjoint and sorted, so what overlaps one of them is a range of the others.
    first = np.searchsorted(other_ends, starts, side="right")
    beyond = np.searchsorted(other_starts, ends, side="left")
    num_pairs = np.maximum(beyond - first, 0)
    mine = np.repeat(np.arange(len(starts)), num_pairs)
    offset = np.arange(len(mine)) - np.repeat(np.cumsum(num_pairs) - num_pairs, num_pairs)
    theirs = np.repeat(first, num_pairs) + offset
    return np.maximum(starts[mine], other_starts[theirs]), np.minimum(
        ends[mine], other_ends[theirs]
    )


def _subtract(spans: Spans, others: Spans) -> Spans:
    """Return what the first of two merged lists of spans covers alone."""
    if not len(spans[0]):
        return spans
    gap_starts = np.concatenate(([0], others[1]))
    gap_ends = np.concatenate((others[0], [spans[1][-1]]))
    room = gap_starts < gap_ends
    return _intersect(spans, (gap_starts[room], gap_ends[room]))
