"""The validation windows of a leak check, held so that training windows can be compared with them.

In: windows in batches. Out: for another window, the held ones that share its place, its sequence
or much of it. What is done with them is said in `leaks.py`, with the memory that it takes.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.digests import NEW, DigestTable, digest
from helixlm.data.duplicates import LetterFile, likely
from helixlm.data.sketch import Sketches, SketchIndex, count_shared, scale_for, sketch
from helixlm.data.windows import Window
from helixlm.seq.ops import reverse_complement

_BATCH = 1024
_SHORT_QUANTILE = 0.01


class Alike(NamedTuple):
    """A held window that has k-mers of another."""

    number: int
    share: float
    """Of the distinct k-mers of that one of the two which has fewer."""
    contained: bool
    """Whether the shorter sequence stands in the longer one, on either strand."""


class HeldWindows:
    """Windows that are compared with others.

    Parameters
    ----------
    letters : LetterFile
        Where their sequences go, if `near` is given.
    near : float or None
        Share of k-mers from which windows are alike; None: this will not be asked.
    k : int
        Length of a k-mer, bp.
    places : bool
        Whether coordinates mean something.
    """

    def __init__(self, letters: LetterFile, near: float | None, k: int, places: bool) -> None:
        self.near = near
        self.k = k
        self._places = places
        self._letters = letters
        self._digests = DigestTable()
        self._first_equal = array("I")
        self._contigs: dict[str, int] = {}
        self._contig, self._start, self._end = array("I"), array("q"), array("q")
        self._spans: dict[str, _Spans] = {}
        self._index = SketchIndex()
        self._num_hashes = array("I")
        self._scale = 1

    def __len__(self) -> int:
        return len(self._start)

    def add(self, windows: Sequence[Window]) -> None:
        """Take windows; they are numbered from 0."""
        first = len(self)
        found = self._digests.add([digest(window.sequence) for window in windows], first)
        own = np.arange(first, first + len(windows))
        self._first_equal.extend(np.where(found == NEW, own, found).tolist())
        for number, window in enumerate(windows, first):
            self._contig.append(self._contigs.setdefault(window.contig, len(self._contigs)))
            self._start.append(window.start)
            self._end.append(window.end)
            self._spans.setdefault(window.contig, _Spans()).add(window.start, window.end, number)
            if self.near is not None:
                self._letters.append(window.sequence)

    def finish(self) -> None:
        """Get ready for questions; nothing is added afterwards."""
        for spans in self._spans.values():
            spans.finish()
        self._names = list(self._contigs)
        if self.near is None or not len(self):
            return
        lengths = np.frombuffer(self._end, np.int64) - np.frombuffer(self._start, np.int64)
        self._scale = scale_for(np.quantile(lengths, _SHORT_QUANTILE), self.near, self.k)
        for first in range(0, len(self), _BATCH):
            numbers = range(first, min(first + _BATCH, len(self)))
            sampled = self.sample([self._letters.read(number) for number in numbers])
            for index, number in enumerate(numbers):
                self._index.add(number, sampled.of(index))
                self._num_hashes.append(len(sampled.of(index)))

    def name(self, number: int) -> str:
        """Return what a held window is called in messages."""
        contig = self._names[self._contig[number]]
        return self._name(contig, self._start[number], self._end[number])

    def name_of(self, window: Window) -> str:
        """Return what another window is called in messages."""
        return self._name(window.contig, window.start, window.end)

    def _name(self, contig: str, start: int, end: int) -> str:
        return f"{contig}:{start}-{end}" if self._places else contig

    def overlapping(self, window: Window) -> Iterator[tuple[int, float]]:
        """Yield each window that overlaps one: number, and shared bases of the shorter one."""
        spans = self._spans.get(window.contig)
        if spans is not None:
            for number, shared in spans.overlapping(window.start, window.end):
                length = self._end[number] - self._start[number]
                yield number, shared / min(length, window.end - window.start)

    def equal(self, sequences: Sequence[str]) -> NDArray[np.int64]:
        """Return the number of the first window with each sequence, or -1, in whatever case."""
        return self._digests.find([digest(sequence) for sequence in sequences])

    def spread(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Give windows of equal sequence the flag of the first of them, bool, shape (windows,)."""
        return flags[np.frombuffer(self._first_equal, np.uint32)]

    def sample(self, sequences: Sequence[str | bytes]) -> Sketches:
        """Return the sketches of sequences at the scale of this index."""
        return sketch(sequences, self.k, self._scale)

    def alike(self, sequence: str, hashes: NDArray[np.uint64]) -> Iterator[Alike]:
        """Yield windows with enough k-mers of a sequence, the likeliest first; not equal ones.

        `hashes` is the sketch of the sequence.
        """
        numbers, counts = self._index.find(hashes)
        sizes = np.frombuffer(self._num_hashes, np.uint32)[numbers]
        assert self.near is not None
        chosen = likely(numbers, counts, self.near * np.minimum(sizes, len(hashes)))
        if not chosen:
            return
        text = sequence.upper()
        own = sketch([text], self.k).of(0)
        for number in chosen:
            letters = self._letters.read(number)
            other = sketch([letters], self.k).of(0)
            share = count_shared(own, other) / min(len(own), len(other))
            contained = share == 1 and _contained(text, letters.decode())
            if share >= self.near and not (contained and len(text) == len(letters)):
                yield Alike(number, share, contained)


def _contained(first: str, second: str) -> bool:
    """Whether the shorter of two sequences stands in the longer one, on either strand."""
    short, long = sorted((first, second), key=len)
    return short in long or reverse_complement(short) in long


class _Spans:
    """Intervals of one contig."""

    def __init__(self) -> None:
        self._starts, self._ends, self._numbers = array("q"), array("q"), array("I")
        self._longest = 0

    def add(self, start: int, end: int, number: int) -> None:
        self._starts.append(start)
        self._ends.append(end)
        self._numbers.append(number)
        self._longest = max(self._longest, end - start)

    def finish(self) -> None:
        """Sort by start."""
        order = np.argsort(np.frombuffer(self._starts, np.int64), kind="stable")
        for column in (self._starts, self._ends, self._numbers):
            values = np.frombuffer(column, column.typecode)
            values[:] = values[order]

    def overlapping(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the number of each interval that overlaps, and the bases that it shares."""
        # One that begins earlier by the longest length ends before `start`.
        first = bisect_left(self._starts, start - self._longest)
        for index in range(first, bisect_left(self._starts, end)):
            shared = min(end, self._ends[index]) - max(start, self._starts[index])
            if shared > 0:
                yield self._numbers[index], shared
