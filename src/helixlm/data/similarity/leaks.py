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

Validation is held, training streams. Memory for each validation window: 80 to 115 bytes for the
first three kinds, 150 while tables grow; the last two take another 17 bytes, and 14 to 27 bytes, 40
while growing, for each sampled k-mer, of which there are about ``12 / near`` in the shortest
windows and proportionally more in longer ones (`sketch.scale_for`): 1.1 kB in all at the peak for
windows of 1,000 bp. The letters of validation are in a temporary file. None of it depends on the
size of the training split.

Validation windows are looked up by k-mers, and of one in more than 256 different windows the first
256 are known. A window most of whose k-mers are like that may be overlooked where it is contained
or near: if such a one was not found, the report says "at least", and how many there are.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from helixlm.data.similarity.digests import NEW
from helixlm.data.similarity.duplicates import LetterFile
from helixlm.data.similarity.leak_index import HeldWindows
from helixlm.data.similarity.sketch import MOST_COPIES, K
from helixlm.data.windows import Window
from helixlm.seq.ops import reverse_complement

Kind = Literal["overlapping", "identical", "reverse complement", "contained", "near"]
KINDS: tuple[Kind, ...] = get_args(Kind)

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


class Leak(NamedTuple):
    """A training window and a validation window that share something."""

    kind: Kind
    train: str
    """Contig, start and end, 0-based and half-open; the name alone where places mean nothing."""
    validation: str
    share: float
    """Shared bases of the shorter one (overlapping), or shared k-mers of the smaller set."""

    def __str__(self) -> str:
        words = {
            "overlapping": f"overlaps {100 * self.share:.0f} % of",
            "identical": "has the sequence of",
            "reverse complement": "is the reverse complement of",
            "contained": "holds, or is held by,",
            "near": f"shares {100 * self.share:.0f} % of its k-mers with",
        }
        return f"training {self.train} {words[self.kind]} validation {self.validation}"


@dataclass(frozen=True)
class LeakReport:
    """What two splits share.

    Attributes
    ----------
    num_train, num_validation : int
        Windows that were looked at.
    train, validation : dict of str to int
        Windows of each split that have a leak, by kind; only the kinds that were looked for.
    num_leaking_train, num_leaking_validation : int
        Windows that have one of any kind.
    near : float or None
        Share of k-mers from which two windows are near; None: that was not looked for.
    examples : tuple of Leak
        Up to five pairs of each kind: those that share most, and the first among equals. Where a
        window is near more than 32 others, the likeliest 32 and those new to the report are looked
        at.
    num_hidden : int
        Validation windows in which contained and near ones may have been overlooked, since more
        than 256 others share their k-mers, and that have no leak so far: all counts are lower
        bounds if it is above 0.
    """

    num_train: int
    num_validation: int
    train: dict[Kind, int]
    validation: dict[Kind, int]
    num_leaking_train: int
    num_leaking_validation: int
    near: float | None
    examples: tuple[Leak, ...]
    num_hidden: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing is shared, of what was looked for."""
        return not self.num_leaking_train

    @property
    def overlapping(self) -> int:
        """Training windows that share bases of the genome with validation windows."""
        return self.train.get("overlapping", 0)

    @property
    def verdict(self) -> str:
        """One line: whether there are leaks, and how many windows they touch."""
        if self.clean:
            return (
                f"clean: no leaks among {self.num_train:,} training and {self.num_validation:,} "
                f"validation windows{self._hidden}"
            )
        return (
            f"leaks: {'at least ' if self.num_hidden else ''}"
            f"{_part(self.num_leaking_train, self.num_train)} training and "
            f"{_part(self.num_leaking_validation, self.num_validation)} validation windows"
            f"{self._hidden}"
        )

    @property
    def _hidden(self) -> str:
        if not self.num_hidden:
            return ""
        return (
            f" ({self.num_hidden:,} validation windows share their k-mers with more than "
            f"{MOST_COPIES} others, and may be contained or near too)"
        )

    def __str__(self) -> str:
        words = {
            "overlapping": "overlap validation windows",
            "identical": "have the sequence of one",
            "reverse complement": "its reverse complement",
            "contained": "hold one or are held by one",
            "near": f"share {100 * (self.near or 0):.0f} % of the k-mers of one or more",
        }
        (first, *others) = [f"{count:,} {words[kind]}" for kind, count in self.train.items()]
        counts = ", ".join([first.replace(" ", " training windows ", 1), *others])
        sizes = f"{self.num_train:,} training and {self.num_validation:,} validation windows"
        examples = [f"  {leak}" for leak in self.examples]
        return "\n".join([f"{sizes}: {counts}{self._hidden}", *examples])


def _part(count: int, total: int) -> str:
    return f"{count:,} of {total:,} ({100 * count / total:.2g} %)"


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
        a probability below 1e-3, if 99 % of the validation windows are no longer than both.
    k : int
        Length of a k-mer, bp; sequences that are shorter are neither contained nor near.
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

    def add(self, windows: Sequence[Window]) -> None:
        """Compare training windows with those that are held."""
        sequences = [window.sequence for window in windows]
        equal = self._held.equal(sequences).tolist()
        turned = self._held.equal([reverse_complement(text) for text in sequences]).tolist()
        sampled = self._held.sample(sequences) if "near" in self._kinds else None
        for index, window in enumerate(windows):
            hashes = sampled.of(index) if sampled else None
            found: set[Kind] = set()
            for kind, number, share in self._pairs(window, equal[index], turned[index], hashes):
                found.add(kind)
                self._note(kind, window, number, share)
            by_sequence = [kind for kind in KINDS[1:] if kind in found]
            for kind in [*(found & {"overlapping"}), *by_sequence[:1]]:
                self._train[kind] += 1
            self._num_leaking += bool(found)
        self._num_train += len(windows)

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
            num_hidden=int((self._held.hidden() & ~leaking).sum()),
        )
