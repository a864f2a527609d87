"""The windows of a leak check, held so that those of the other split can be compared with them.

In: windows in batches. Out: for another window, the held ones that share its place, its sequence
or much of it. What is done with them is said in `leaks.py`, with the memory that it takes.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set

import numpy as np
from numpy.typing import NDArray

from helixlm.data.similarity.digests import NEW, DigestTable, digest
from helixlm.data.similarity.duplicates import LetterFile
from helixlm.data.similarity.leak_report import Kind
from helixlm.data.similarity.likeness import Alike, LikeIndex
from helixlm.data.similarity.sketch import scale_for
from helixlm.data.windows import Window
from helixlm.seq.interval import on_circle

_BATCH = 1024
_SHORT_QUANTILE = 0.01
_MOST_WAITING_KMERS = 5_000_000
_MOST_WAITING_LETTERS = 100_000_000


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
        own = np.arange(len(self), dtype=np.uint32)
        self._different = own[np.frombuffer(self._first_equal, np.uint32) == own]
        if self.near is None:
            return
        # Of letters: a window may span more of the genome, such as introns.
        usual_bp = np.quantile(self._letters.lengths(), _SHORT_QUANTILE) if len(self) else 0
        scale = scale_for(usual_bp, self.near, self.k)
        self.likeness = LikeIndex(self.near, self.k, scale, self._read)
        for texts in self._batches():
            self.likeness.add(texts)

    def _read(self, index: int) -> bytes:
        """Return the letters of a window, by its number among those of different sequence."""
        return self._letters.read(int(self._different[index]))

    def _batches(self) -> Iterator[list[bytes]]:
        """Yield the letters of the windows of different sequence."""
        for first in range(0, len(self._different), _BATCH):
            yield [self._letters.read(int(n)) for n in self._different[first : first + _BATCH]]

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

    def unchecked(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which windows have no k-mer, and which are hidden, bool, shape (windows,)."""
        flags = np.zeros((2, len(self)), np.bool_)
        if self.near is not None:
            flags[0, self._different] = self.likeness.without_kmers()
            flags[1, self._different] = self.likeness.hidden()
        return self.spread(flags[0]), self.spread(flags[1])

    def alike(self, sequence: str, hashes: NDArray[np.uint64]) -> Iterator[Alike]:
        """Yield the windows that are alike to a sequence; see `LikeIndex.alike`."""
        for found in self.likeness.alike(sequence, hashes):
            yield found._replace(number=int(self._different[found.number]))

    def find_in(self, others: LikeIndex) -> Iterator[tuple[int, Alike]]:
        """Yield for each window what is alike to it in an index, with the number of the window."""
        if others.without_kmers().all():
            return
        numbers = iter(self._different.tolist())
        for texts in self._batches():
            sampled = others.sample(texts)
            for index, text in enumerate(texts):
                number = next(numbers)
                for found in others.alike(text, sampled.of(index)):
                    yield number, found


class SparseWindows:
    """Windows of the other split that are too sparse to be looked up in the held ones.

    They wait until the held ones are looked up in them: with at most 5 million k-mers, which take
    100 MB at the peak, and about 100 million letters.

    Parameters
    ----------
    held : HeldWindows
        The held ones, finished.
    """

    def __init__(self, held: HeldWindows) -> None:
        like = held.likeness
        self.different: list[Window] = []
        """The first window of each sequence, by its number in `likeness`."""
        self.waiting: list[tuple[int, frozenset[Kind]]] = []
        """For each window the number of its sequence, and the kinds of leaks found before."""
        self.likeness = LikeIndex(like.near, like.k, like.scale, self._read)
        self._number_of: dict[bytes, int] = {}
        self._num_letters = 0

    def _read(self, number: int) -> bytes:
        return self.different[number].sequence.upper().encode()

    @property
    def full(self) -> bool:
        """Whether no more should be added."""
        num_kmers = len(self.waiting) * self.likeness.num_lowest
        return num_kmers >= _MOST_WAITING_KMERS or self._num_letters >= _MOST_WAITING_LETTERS

    def add(self, windows: Sequence[tuple[Window, Set[Kind]]]) -> None:
        """Take windows, each with the kinds of leaks that were found."""
        first = len(self.different)
        for window, found in windows:
            number = self._number_of.setdefault(digest(window.sequence), len(self.different))
            self.waiting.append((number, frozenset(found)))
            if number == len(self.different):
                self.different.append(window)
                self._num_letters += len(window.sequence)
        self.likeness.add([window.sequence for window in self.different[first:]])


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
