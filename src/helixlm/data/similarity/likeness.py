"""Which of many sequences are alike to another one, by their k-mers.

In: sequences, numbered from 0 as they come. Out: for another sequence, those of them with which it
has a stated share of its k-mers in common: of the distinct k-mers of that one of the two which has
fewer. Candidates share sampled k-mers; each is then compared by all k-mers, so what is found is
right. What may be overlooked:

- Sequences with few k-mers in the sample. Of all sequences the same k-mers are sampled, one of
  `scale` (`sketch.py`), and one that is short or repeats itself may have none of them. A sequence
  with fewer than ``m - 1.75 sqrt(m)``, where m is ``12 / near``, is sparse: the m of its k-mers
  with the lowest hashes stand for it, or all if there are no more, and other sequences are looked
  up with all their k-mers up to these hashes. That is of use if the sparse one is in the index. So
  compare two sets both ways: all of one with an index of the other, and the other with an index of
  the sparse ones of the first. Then, whatever the lengths, a sequence that stands in another one is
  always a candidate, and a pair at a threshold of 0.05 or more is none with a probability below
  1e-3.
- Members of large families: of a k-mer in more than 256 sequences the first 256 are known. `hidden`
  says for which of the sequences that matters.
- Sequences without a k-mer, since they are shorter than one or hold too much N: `without_kmers`.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.similarity.duplicates import MOST_COMPARED, likely
from helixlm.data.similarity.sketch import (
    EXPECTED,
    WORD,
    Sketches,
    SketchIndex,
    count_shared,
    sketch,
)
from helixlm.seq.ops import reverse_complement

_NEAR, _CONTAINED = 1, 2  # what a sequence was found to be


class Alike(NamedTuple):
    """A sequence that has k-mers of another."""

    number: int
    share: float
    """Of the distinct k-mers of that one of the two which has fewer."""
    contained: bool
    """Whether the shorter sequence stands in the longer one, on either strand."""


class LikeIndex:
    """Sequences that others are compared with.

    Memory for each: 9 bytes, and 14 to 27 bytes, 40 while growing, for each of its k-mers that
    stand for it: one of `scale`, or ``12 / near`` at most if it is sparse.

    Parameters
    ----------
    near : float
        Share of k-mers from which two sequences are alike, above 0 and at most 1.
    k : int
        Length of a k-mer, bp.
    scale : int
        One k-mer of so many is sampled.
    read : callable
        Returns the letters of the sequence of a number, in upper case.
    """

    def __init__(self, near: float, k: int, scale: int, read: Callable[[int], bytes]) -> None:
        self.near = near
        self.k = k
        self.scale = scale
        self.num_lowest = int(EXPECTED / near)
        # At a scale of 1 a sequence has all its k-mers, however few.
        self._least = least_sampled(near) if scale > 1 else 1
        self._read = read
        self._sampled, self._lowest = SketchIndex(), SketchIndex()
        self._bound = self._highest = np.uint64(WORD // scale)
        self._num_hashes = array("I")
        self._known = array("f")  # share of the hashes that is in the index
        self._was = array("B")

    def __len__(self) -> int:
        return len(self._num_hashes)

    def add(self, sequences: Sequence[str | bytes]) -> None:
        """Take sequences.

        Raises
        ------
        AlphabetError
            If a letter is not one of IUPAC's for DNA.
        """
        sampled = sketch(sequences, self.k, self.scale)
        each = [sampled.of(index) for index in range(len(sequences))]
        sparse = [index for index, hashes in enumerate(each) if self.is_sparse(hashes)]
        every = sketch([sequences[index] for index in sparse], self.k)
        lowest = {index: every.of(at)[: self.num_lowest] for at, index in enumerate(sparse)}
        for index, hashes in enumerate(each):
            into = self._lowest if index in lowest else self._sampled
            hashes = lowest.get(index, hashes)
            self._known.append(into.add(len(self), hashes) if len(hashes) else 1.0)
            self._num_hashes.append(len(hashes))
            self._was.append(0)
            if len(hashes):
                self._highest = max(self._highest, hashes[-1])

    def sample(self, sequences: Sequence[str | bytes]) -> Sketches:
        """Return the k-mers of sequences with which `alike` looks them up."""
        return sketch(sequences, self.k, WORD // int(self._highest))

    def is_sparse(self, hashes: NDArray[np.uint64]) -> bool:
        """Whether a sequence with these k-mers, from `sample`, has too few in the sample."""
        return len(hashes) < self._least or hashes[self._least - 1] > self._bound

    def without_kmers(self) -> NDArray[np.bool_]:
        """Return which sequences have no k-mer, bool, shape (sequences,)."""
        return np.frombuffer(self._num_hashes, np.uint32) == 0

    def hidden(self) -> NDArray[np.bool_]:
        """Return which sequences `alike` may overlook, bool, shape (sequences,).

        They are like so many others that three quarters or more of the k-mers which one at the
        threshold shares may be unknown.
        """
        return 1 - np.frombuffer(self._known, np.float32) > 0.75 * self.near

    def alike(self, sequence: str | bytes, hashes: NDArray[np.uint64]) -> Iterator[Alike]:
        """Yield what is alike to a sequence, the likeliest first; not what is equal.

        `hashes` are its k-mers from `sample`. The likeliest 32 are compared, and then those of
        which less is known from sequences before, until 32 of these told nothing new. So each that
        is alike to some sequence is yielded, while of many pairs some are left out.
        """
        in_sample = hashes[: np.searchsorted(hashes, self._bound, "right")]
        regular, counts = self._sampled.find(in_sample)
        sparse, sparse_counts = self._lowest.find(hashes)
        if not len(regular) and not len(sparse):
            return
        numbers, counts = np.append(regular, sparse), np.append(counts, sparse_counts)
        # How many would be shared at most, of those that the index knows.
        smaller = np.frombuffer(self._num_hashes, np.uint32)[numbers]
        smaller[: len(regular)] = np.minimum(smaller[: len(regular)], len(in_sample))
        known = smaller * np.frombuffer(self._known, np.float32)[numbers]
        order = likely(counts, self.near * known)
        if not len(order):
            return
        text = sequence.upper() if isinstance(sequence, str) else sequence.decode().upper()
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
        """Compare a sequence in upper case, with all its hashes, with one of the index."""
        letters = self._read(number)
        other = sketch([letters], self.k).of(0)
        share = count_shared(own, other) / min(len(own), len(other))
        contained = share == 1 and _contained(text, letters.decode())
        if share < self.near or (contained and len(text) == len(letters)):
            return None
        return Alike(number, share, contained)


def least_sampled(near: float) -> int:
    """Return how many sampled k-mers a sequence has at least that is not sparse.

    Where 12 shared ones are expected at the threshold, ``m = 12 / near`` are in the sample. The
    bound is 1.75 standard deviations below, as are 3 % of such sequences: at 2 the probability that
    a pair is overlooked would be above 1e-3 for some shares.

    Parameters
    ----------
    near : float
        Share of k-mers from which two sequences are alike, above 0 and at most 1.

    Returns
    -------
    int
        At least 1.
    """
    usual = EXPECTED / near
    return ceil(usual - 1.75 * sqrt(usual))


def _contained(first: str, second: str) -> bool:
    """Whether the shorter of two sequences stands in the longer one, on either strand."""
    short, long = sorted((first, second), key=len)
    return short in long or reverse_complement(short) in long
