"""The validation windows of a leak check, held so that training windows can be compared with them.

In: windows in batches. Out: for another window, the held ones that share its place, its sequence
or much of it. What is done with them is said in `leaks.py`, with the memory that it takes.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.similarity.digests import NEW, DigestTable, digest
from helixlm.data.similarity.duplicates import MOST_COMPARED, LetterFile, likely
from helixlm.data.similarity.sketch import Sketches, SketchIndex, count_shared, scale_for, sketch
from helixlm.data.windows import Window
from helixlm.seq.interval import on_circle
from helixlm.seq.ops import reverse_complement

_BATCH = 1024
_SHORT_QUANTILE = 0.01
_NEAR, _CONTAINED = 1, 2  # what a held window was found to be


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
    contigs : mapping of str to int
        Lengths in bp, as far as known; windows may go past the end of a contig, on at its origin.
    """

    def __init__(
        self,
        letters: LetterFile,
        near: float | None,
        k: int,
        places: bool,
        contigs: Mapping[str, int],
    ) -> None:
        self.near = near
        self.k = k
        self._lengths = contigs
        self._places = places
        self._letters = letters
        self._digests = DigestTable()
        self._first_equal = array("I")
        self._contigs: dict[str, int] = {}
        self._contig, self._start, self._end = array("I"), array("q"), array("q")
        self._spans: dict[str, _Spans] = {}
        self._index = SketchIndex()
        self._num_hashes = array("I")
        self._known = array("f")  # share of the sketch that is in the index
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
            spans = self._spans.setdefault(window.contig, _Spans())
            for start, end in self._places_of(window):
                spans.add(start, end, number)
            if self.near is not None:
                self._letters.append(window.sequence)

    def finish(self) -> None:
        """Get ready for questions; nothing is added afterwards.

        Of windows of equal sequence the first is indexed.
        """
        for spans in self._spans.values():
            spans.finish()
        self._names = list(self._contigs)
        if self.near is None or not len(self):
            return
        lengths = np.frombuffer(self._end, np.int64) - np.frombuffer(self._start, np.int64)
        self._scale = scale_for(np.quantile(lengths, _SHORT_QUANTILE), self.near, self.k)
        self._was = np.zeros(len(self), np.uint8)
        for first in range(0, len(self), _BATCH):
            numbers = range(first, min(first + _BATCH, len(self)))
            sampled = self.sample([self._letters.read(number) for number in numbers])
            for index, number in enumerate(numbers):
                hashes = sampled.of(index)
                new = self._first_equal[number] == number
                self._num_hashes.append(len(hashes))
                self._known.append(self._index.add(number, hashes) if new else 1.0)

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
        if spans is None:
            return
        shared: Counter[int] = Counter()
        for start, end in self._places_of(window):
            for number, bases in spans.overlapping(start, end):
                shared[number] += bases
        for number, bases in shared.items():
            length = self._end[number] - self._start[number]
            yield number, bases / min(length, window.end - window.start)

    def _places_of(self, window: Window) -> list[tuple[int, int]]:
        return on_circle(window.start, window.end, self._lengths.get(window.contig, window.end))

    def equal(self, sequences: Sequence[str]) -> NDArray[np.int64]:
        """Return the number of the first window with each sequence, or -1, in whatever case."""
        return self._digests.find([digest(sequence) for sequence in sequences])

    def spread(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Give windows of equal sequence the flag of the first of them, bool, shape (windows,)."""
        return flags[np.frombuffer(self._first_equal, np.uint32)]

    def hidden(self) -> NDArray[np.bool_]:
        """Return which windows `alike` may overlook, bool, shape (windows,).

        They are like so many others that three quarters or more of the k-mers which one at the
        threshold shares may be unknown.
        """
        if self.near is None:
            return np.zeros(len(self), np.bool_)
        return self.spread(1 - np.frombuffer(self._known, np.float32) > 0.75 * self.near)

    def sample(self, sequences: Sequence[str | bytes]) -> Sketches:
        """Return the sketches of sequences at the scale of this index."""
        return sketch(sequences, self.k, self._scale)

    def alike(self, sequence: str, hashes: NDArray[np.uint64]) -> Iterator[Alike]:
        """Yield windows with enough k-mers of a sequence, the likeliest first; not equal ones.

        `hashes` is the sketch of the sequence. The likeliest 32 are compared, and then those of
        which less is known from sequences before, until 32 of these told nothing new. So each
        window that is alike to some sequence is yielded, while of many pairs some are left out.
        """
        numbers, counts = self._index.find(hashes)
        smaller = np.minimum(np.frombuffer(self._num_hashes, np.uint32)[numbers], len(hashes))
        known = smaller * np.frombuffer(self._known, np.float32)[numbers]
        assert self.near is not None
        order = likely(counts, self.near * known)
        if not len(order):
            return
        text = sequence.upper()
        own = sketch([text], self.k).of(0)
        in_vain = 0
        for rank, (number, whole) in enumerate(
            zip(numbers[order].tolist(), (counts >= np.floor(known))[order].tolist(), strict=True)
        ):
            was = self._was[number]
            if rank >= MOST_COMPARED and (was == _CONTAINED or (was == _NEAR and not whole)):
                continue
            found = self._compare(text, own, number)
            now = 0
            if found is not None:
                now = _CONTAINED if found.contained else _NEAR
                yield found
            if now > was:
                self._was[number] = now
            elif rank >= MOST_COMPARED:
                in_vain += 1
                if in_vain == MOST_COMPARED:
                    return

    def _compare(self, text: str, own: NDArray[np.uint64], number: int) -> Alike | None:
        """Compare a sequence in upper case, with all its hashes, with a held window."""
        letters = self._letters.read(number)
        other = sketch([letters], self.k).of(0)
        share = count_shared(own, other) / min(len(own), len(other))
        contained = share == 1 and _contained(text, letters.decode())
        assert self.near is not None
        if share < self.near or (contained and len(text) == len(letters)):
            return None
        return Alike(number, share, contained)


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
