"""Leaks: what training and validation share, by place and by sequence.

In: the windows of two splits, from a corpus or from files of sequences. Out: a `LeakReport` with
the windows of both that are concerned, the worst examples and a verdict. Five kinds are told apart:

- overlapping: windows that share bases of the genome. Coordinates are those of the reference, so
  two haplotypes of one place overlap, whoever they are from, and a coding sequence across the
  origin of a circular contig overlaps what lies on either side;
- identical: the whole sequence, in whatever case, is that of a window of the other split;
- reverse complement: it is the reverse complement of one;
- contained: it stands in a longer one, or a shorter one in it, on either strand;
- near: of the distinct k-mers of one of the two, a stated share is in the other (containment of the
  smaller set in the larger one).

Of the last four a window counts as one, the first that holds. The last two are looked for only
where a share is given, since they cost time and memory.

Validation is held, training streams, and is looked up in validation by sampled k-mers, which are
dense enough for validation windows. Training windows that are too short for them wait, and when
there are many, and at the end, validation is read again and looked up in these (`likeness.py`).

Memory for each validation window: 80 to 115 bytes for the first three kinds, 150 while tables grow;
the last two take another 21 bytes, and 14 to 27 bytes, 40 while growing, for each sampled k-mer, of
which there are about ``12 / near`` in the shortest windows and proportionally more in longer ones
(`sketch.scale_for`): 1.1 kB in all at the peak for windows of 1,000 bp. The letters of validation
are in a temporary file. The training windows that wait take less than 0.5 GB, however many there
are: 0.45 GB was measured. Nothing else depends on the size of the training split.

Windows that cannot be compared by k-mers, or are like so many others that they may be overlooked,
are counted if no leak of theirs was found; then the verdict is not "clean", and counts are "at
least".
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from helixlm.data.similarity.digests import NEW
from helixlm.data.similarity.duplicates import LetterFile
from helixlm.data.similarity.leak_index import HeldWindows, SparseWindows
from helixlm.data.similarity.leak_report import KINDS, Kind, Leak, LeakReport, Unchecked
from helixlm.data.similarity.sketch import K
from helixlm.data.windows import Window
from helixlm.seq.ops import reverse_complement

Progress = Callable[[int, int | None], None]

_BATCH = 1024
_EXAMPLES = 5


class WindowSource(Protocol):
    """What `check_leaks` reads: an open corpus, for one."""

    @property
    def contigs(self) -> Mapping[str, int]:
        """Lengths in bp, as far as known: what goes past the end of one goes on at its origin."""

    def iter_windows(self, split: str) -> Iterator[Window]:
        """Yield the windows of one split."""


def check_leaks(
    windows: WindowSource,
    *,
    near: float | None = None,
    k: int = K,
    places: bool = True,
    scratch: str | Path | None = None,
    progress: Progress | None = None,
) -> LeakReport:
    """Report where training and validation share bases or sequences.

    Repeats give a genome windows that are alike of their own accord, so the kinds by sequence need
    not be zero; `overlapping` must be.

    Parameters
    ----------
    windows : WindowSource
        An open corpus, `sequence_files.SequenceFiles`, or anything with their `iter_windows` and
        `contigs`.
    near : float, optional
        Look for windows that are contained or near too: the share of k-mers from which two
        windows are near, above 0 and at most 1. Two windows that share so much are overlooked with
        a probability below 1e-3 if it is 0.05 or more.
    k : int
        Length of a k-mer, bp; shorter sequences are compared as wholes alone.
    places : bool
        Whether coordinates mean something: False for sequences that have only names.
    scratch : path, optional
        Folder for the temporary file; the system's if not given.
    progress : callable, optional
        Called as ``progress(windows_done, None)``.

    Returns
    -------
    LeakReport
        The counts, the worst examples, and a verdict.

    Raises
    ------
    AlphabetError
        If a letter is not one of IUPAC's for DNA.
    StateError
        If there is no room for the temporary file.
    ValueError
        If `near` is not a share.
    """
    if near is not None and not 0 < near <= 1:
        raise ValueError(f"near {near}: expected a share above 0 and at most 1")
    kinds = KINDS[0 if places else 1 : len(KINDS) if near else 3]
    done = 0
    with LetterFile(scratch) as letters:
        held = HeldWindows(letters, near, k, places, windows.contigs)
        for batch in _batches(windows.iter_windows("validation")):
            held.add(batch)
            done += len(batch)
            if progress:
                progress(done, None)
        held.finish()
        tally = _Tally(held, kinds)
        for batch in _batches(windows.iter_windows("train")):
            tally.add(batch)
            done += len(batch)
            if progress:
                progress(done, None)
        tally.compare_waiting()
        return tally.report(near)


def _batches(windows: Iterator[Window]) -> Iterator[list[Window]]:
    while batch := list(islice(windows, _BATCH)):
        yield batch


class _Tally:
    """Counts what training windows share with those that are held."""

    def __init__(self, held: HeldWindows, kinds: tuple[Kind, ...]) -> None:
        self._held = held
        self._kinds = kinds
        self._train = dict.fromkeys(kinds, 0)
        self._flags = {kind: np.zeros(len(held), np.bool_) for kind in kinds}
        self._worst: dict[Kind, list[tuple[float, int, Leak]]] = {kind: [] for kind in kinds}
        self._num_pairs = 0
        self._num_train = self._num_leaking = 0
        self._by_kmers = "near" in kinds
        self._unchecked = Unchecked(0, 0)
        if self._by_kmers:
            self._sparse = SparseWindows(held)

    def add(self, windows: Sequence[Window]) -> None:
        """Compare training windows with those that are held."""
        sequences = [window.sequence for window in windows]
        equal = self._held.equal(sequences).tolist()
        turned = self._held.equal([reverse_complement(text) for text in sequences]).tolist()
        sampled = self._held.likeness.sample(sequences) if self._by_kmers else None
        sparse: list[tuple[Window, set[Kind]]] = []
        for index, window in enumerate(windows):
            hashes = sampled.of(index) if sampled else None
            found: set[Kind] = set()
            for kind, number, share in self._pairs(window, equal[index], turned[index], hashes):
                found.add(kind)
                self._note(kind, window, number, share)
            if hashes is not None and self._held.likeness.is_sparse(hashes):
                sparse.append((window, found))
            else:
                self._count(found)
        if sparse:
            self._sparse.add(sparse)
            if self._sparse.full:
                self.compare_waiting()

    def compare_waiting(self) -> None:
        """Compare the held windows with the training windows that wait."""
        if not self._by_kmers:
            return
        found: dict[int, set[Kind]] = {}
        for number, (other, share, contained) in self._held.find_in(self._sparse.likeness):
            kind: Kind = "contained" if contained else "near"
            found.setdefault(other, set()).add(kind)
            self._note(kind, self._sparse.different[other], number, share)
        without_kmers, hidden = self._unchecked
        no_kmers, many = self._sparse.likeness.without_kmers(), self._sparse.likeness.hidden()
        for number, before in self._sparse.waiting:
            kinds = before.union(found.get(number, ()))
            self._count(kinds)
            if not kinds:
                without_kmers += int(no_kmers[number])
                hidden += int(many[number])
        self._unchecked = Unchecked(without_kmers, hidden)
        self._sparse = SparseWindows(self._held)

    def _count(self, found: Set[Kind]) -> None:
        """Count a training window of which all is known."""
        by_sequence = [kind for kind in KINDS[1:] if kind in found]
        for kind in [*(found & {"overlapping"}), *by_sequence[:1]]:
            self._train[kind] += 1
        self._num_leaking += bool(found)
        self._num_train += 1

    def _pairs(
        self, window: Window, same: int, turned: int, hashes: NDArray[np.uint64] | None
    ) -> Iterator[tuple[Kind, int, float]]:
        """Yield what is shared, the number of the window that it is shared with, and how much."""
        if "overlapping" in self._kinds:
            for number, share in self._held.overlapping(window):
                yield "overlapping", number, share
        if same != NEW:
            yield "identical", same, 1.0
        if turned not in (NEW, same):
            yield "reverse complement", turned, 1.0
        if hashes is not None:
            for number, share, contained in self._held.alike(window.sequence, hashes):
                yield "contained" if contained else "near", number, share

    def _note(self, kind: Kind, window: Window, number: int, share: float) -> None:
        self._flags[kind][number] = True
        self._num_pairs += 1
        worst = self._worst[kind]
        if len(worst) < _EXAMPLES or share > worst[0][0]:
            leak = Leak(kind, self._held.name_of(window), self._held.name(number), share)
            if any(leak == other for _, _, other in worst):  # found both ways
                return
            if len(worst) == _EXAMPLES:
                heapq.heappop(worst)
            heapq.heappush(worst, (share, -self._num_pairs, leak))

    def report(self, near: float | None) -> LeakReport:
        """Say what was found."""
        for kind in set(self._kinds) - {"overlapping"}:
            self._flags[kind] = self._held.spread(self._flags[kind])
        validation: dict[Kind, int] = {}
        by_sequence = np.zeros(len(self._held), np.bool_)
        for kind in self._kinds:
            flags = self._flags[kind]
            if kind != "overlapping":
                flags = flags & ~by_sequence
                by_sequence |= flags
            validation[kind] = int(flags.sum())
        leaking = np.logical_or.reduce(list(self._flags.values()))
        without_kmers, hidden = (int((flags & ~leaking).sum()) for flags in self._held.unchecked())
        worst = {kind: sorted(pairs, reverse=True) for kind, pairs in self._worst.items()}
        return LeakReport(
            num_train=self._num_train,
            num_validation=len(self._held),
            train=self._train,
            validation=validation,
            num_leaking_train=self._num_leaking,
            num_leaking_validation=int(leaking.sum()),
            near=near,
            examples=tuple(leak for kind in self._kinds for _, _, leak in worst[kind]),
            unchecked_train=self._unchecked,
            unchecked_validation=Unchecked(without_kmers, hidden),
        )
