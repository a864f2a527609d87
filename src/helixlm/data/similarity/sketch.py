"""Sketches: a sample of the k-mers of a sequence, and which sequences share some of them.

In: sequences. Out: for each the sorted hashes of its distinct k-mers, all of them or those below a
bound (FracMinHash): a k-mer is in the sample of every sequence that holds it, or of none. So two
samples tell which share of their k-mers two sequences have in common. `SketchIndex` finds the
sequences that share samples with another. What is a duplicate is said in `duplicates.py`.

A k-mer and its reverse complement are one (the lower of the two stands for both), so strands do not
matter; k-mers with a letter other than A, C, G and T are left out; case plays no part. The hash is
a bijection of 64-bit words, so different k-mers have different hashes.

Why k is 21: Ondov et al. (2016) choose k so that a random k-mer is in a genome of n bases by chance
with a probability q below 0.01, ``k = ceil(log4(n (1 - q) / q))``: 20 for 3.1 Gbp; 21 is their
default, and odd, so that no k-mer is its own reverse complement. Where single bases differ at a
rate d, about ``(1 - d)^k`` of the k-mers stay: at 21, 81 % with 1 % of differences, 50 % with
3.2 %, 11 % with 10 %. A smaller k bears more differences and finds more by chance.

References
----------
Ondov et al. (2016), Mash: fast genome and metagenome distance estimation using MinHash. Genome
Biology 17, 132. Hera, Pierce-Ward & Koslicki (2023), Deriving confidence intervals for mutation
rates across a wide range of evolutionary distances using FracMinHash. Genome Research 33, 1061-1068
(scaled samples and containment). Steele, Lea & Flood (2014), Fast splittable pseudorandom number
generators. OOPSLA'14 (the mixing function).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.jit import compiled
from helixlm.seq.alphabet import DNA

K = 21
MOST_K = 31
"""k-mers are held in 62 bits."""

MOST_COPIES = 256
"""Of a k-mer that more sequences share, the index knows this many: the first."""

WORD = 2**64 - 1
"""The highest hash."""

EXPECTED = 12
"""Sampled k-mers that two sequences share on average where they are just alike."""

_FREE = 2**32 - 1
_FIRST_SLOTS = 1 << 12
_MOST_LOAD = 0.6
_FEW = 32
_NO_ROOM = -1


class Sketches(NamedTuple):
    """The sampled k-mers of several sequences."""

    hashes: NDArray[np.uint64]
    """Of one sequence after the other; within each sorted, and different."""
    ends: NDArray[np.int64]
    """Where those of each sequence end in `hashes`, shape (number of sequences,)."""

    def of(self, index: int) -> NDArray[np.uint64]:
        """Return the hashes of one sequence."""
        start = self.ends[index - 1] if index else 0
        return self.hashes[start : self.ends[index]]


def sketch(sequences: Sequence[str | bytes], k: int = K, scale: int = 1) -> Sketches:
    """Sample the k-mers of sequences.

    Parameters
    ----------
    sequences : sequence of str or bytes
        DNA in IUPAC letters, either case.
    k : int
        Length of a k-mer, 1 to 31 bp.
    scale : int
        One k-mer of so many is sampled, on average; 1: all.

    Returns
    -------
    Sketches
        Hashes of distinct canonical k-mers.

    Raises
    ------
    AlphabetError
        If a letter is not one of IUPAC's for DNA.
    ValueError
        If `k` or `scale` is out of range.
    """
    if not 1 <= k <= MOST_K:
        raise ValueError(f"k {k}: expected 1 to {MOST_K}")
    if scale < 1:
        raise ValueError(f"scale {scale}: expected at least 1")
    ends = np.cumsum(np.fromiter(map(len, sequences), np.int64, len(sequences)))
    letters = [text.encode() if isinstance(text, str) else text for text in sequences]
    codes = DNA.encode(b"".join(letters))
    hashes = np.empty(len(codes), np.uint64)
    hash_ends = np.empty(len(ends), np.int64)
    count = _sample(
        codes, ends, k, np.uint64(4**k - 1), np.uint64(WORD // scale), hashes, hash_ends
    )
    return Sketches(hashes[:count].copy(), hash_ends)


def scale_for(length_bp: float, share: float, k: int = K, most: int = 64) -> int:
    """Choose a scale at which sequences that have a share of their k-mers in common are found.

    Of the k-mers that two sequences share, 12 are sampled on average, so that none is with a
    probability of ``exp(-12)``, 6e-6; longer sequences are found more surely.

    Parameters
    ----------
    length_bp : float
        Length of the shorter sequence, bp.
    share : float
        Share of its k-mers that are in the other, 0 to 1.
    k : int
        Length of a k-mer, bp.
    most : int
        Highest scale to choose.

    Returns
    -------
    int
        1 to `most`.

    Examples
    --------
    >>> scale_for(1000, 0.8), scale_for(256, 0.8), scale_for(70, 0.8)
    (64, 15, 3)
    """
    return max(1, min(most, int(share * (length_bp - k + 1) / EXPECTED)))


class SketchIndex:
    """Which sequences hold a sampled k-mer.

    Memory is 8 bytes a slot, of which at most 60 % are taken: 14 to 27 bytes for each sampled
    k-mer, and 40 while the table grows. k-mers are told apart by 32 bits of their hash, so a
    share that is counted here may be a little too high; it picks candidates, and decides nothing.
    """

    def __init__(self) -> None:
        self._keys = np.empty(_FIRST_SLOTS, np.uint32)
        self._numbers = np.full(_FIRST_SLOTS, _FREE, np.uint32)
        self._used = 0
        self._found = np.empty(_FIRST_SLOTS, np.uint32)
        self._counts = np.empty(_FIRST_SLOTS, np.int64)

    @property
    def num_bytes(self) -> int:
        """Bytes of the table."""
        return self._keys.nbytes + self._numbers.nbytes

    def add(self, number: int, hashes: NDArray[np.uint64]) -> float:
        """Take the sketch of a sequence under a number below 2**32 - 1.

        Returns
        -------
        float
            The share of its hashes that are known; others had `MOST_COPIES` copies before.
        """
        while self._used + len(hashes) > _MOST_LOAD * len(self._keys):
            keys, numbers = self._keys, self._numbers
            self._keys = np.empty(2 * len(keys), np.uint32)
            self._numbers = np.full(2 * len(keys), _FREE, np.uint32)
            _move(keys, numbers, self._keys, self._numbers)
        added = _insert(self._keys, self._numbers, hashes, np.uint32(number))
        self._used += added
        return added / max(1, len(hashes))

    def find(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return the sequences that share k-mers with a sketch.

        Parameters
        ----------
        hashes : NDArray, uint64, shape (n,)
            A sketch.

        Returns
        -------
        numbers : NDArray, uint32, shape (m,)
            Numbers of sequences, rising.
        counts : NDArray, int64, shape (m,)
            How many of the hashes each has; at least 1.
        """
        if not (self._used and len(hashes)):
            return self._found[:0], self._counts[:0]
        arguments = self._keys, self._numbers, hashes
        while (count := _collect(*arguments, self._found, self._counts)) == _NO_ROOM:
            self._found = np.empty(2 * len(self._found), np.uint32)
            self._counts = np.empty(len(self._found), np.int64)
        return self._found[:count].copy(), self._counts[:count].copy()


@compiled
def _mix(word: np.uint64) -> np.uint64:
    """Hash a word as SplitMix64 does; different words have different hashes."""
    word = word + np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@compiled
def _sort(hashes: NDArray[np.uint64], limit: np.uint64) -> None:
    """Sort hashes up to `limit`, in a time that grows with their number alone.

    Different ones are spread evenly, so each is put at once near where it belongs. Measured, 1,000
    of them: 190 million a second, where a comparing sort does 29.
    """
    if len(hashes) < _FEW:
        hashes.sort()
        return
    num_bins = 1
    while num_bins < len(hashes):
        num_bins *= 2
    shift = np.uint64(0)
    while (limit >> shift) >= num_bins:
        shift += np.uint64(1)
    starts = np.zeros(num_bins + 1, np.int64)
    for hashed in hashes:
        starts[np.int64(hashed >> shift) + 1] += 1
    for number in range(num_bins):
        starts[number + 1] += starts[number]
    binned = np.empty_like(hashes)
    for hashed in hashes:
        at = np.int64(hashed >> shift)
        binned[starts[at]] = hashed
        starts[at] += 1
    for number in range(len(binned)):
        place = number
        while place and hashes[place - 1] > binned[number]:
            hashes[place] = hashes[place - 1]
            place -= 1
        hashes[place] = binned[number]


@compiled
def _sample(
    codes: NDArray[np.uint8],
    ends: NDArray[np.int64],
    k: int,
    mask: np.uint64,
    limit: np.uint64,
    hashes: NDArray[np.uint64],
    hash_ends: NDArray[np.int64],
) -> int:
    """Write the hashes up to `limit` of each sequence, sorted and once each; return how many."""
    two, three, top = np.uint64(2), np.uint64(3), np.uint64(2 * (k - 1))
    start = out = 0
    for index in range(len(ends)):
        first = out
        forward = backward = np.uint64(0)
        length = 0  # letters since the last that is none of A, C, G, T
        for at in range(start, ends[index]):
            if codes[at] > 3:
                length = 0
                continue
            base = np.uint64(codes[at])
            forward = ((forward << two) | base) & mask
            backward = (backward >> two) | ((three - base) << top)
            length += 1
            if length >= k:
                hashed = _mix(min(forward, backward))
                if hashed <= limit:
                    hashes[out] = hashed
                    out += 1
        start = ends[index]
        _sort(hashes[first:out], limit)
        kept = first
        for at in range(first, out):
            if at == first or hashes[at] != hashes[kept - 1]:
                hashes[kept] = hashes[at]
                kept += 1
        out = hash_ends[index] = kept
    return out


@compiled
def count_shared(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> int:
    """Return how many hashes two sketches have in common."""
    i = j = shared = 0
    while i < len(first) and j < len(second):
        shared += first[i] == second[j]
        step = first[i] <= second[j]
        j += first[i] >= second[j]
        i += step
    return shared


@compiled
def _insert(
    keys: NDArray[np.uint32],
    numbers: NDArray[np.uint32],
    hashes: NDArray[np.uint64],
    number: np.uint32,
) -> int:
    """Put hashes into free slots; return how many, since one with many copies is left out."""
    last = np.int64(len(keys) - 1)
    added = 0
    for hashed in hashes:
        key = np.uint32(hashed & np.uint64(0xFFFFFFFF))
        slot = np.int64(key) & last
        copies = 0
        while numbers[slot] != _FREE and copies < MOST_COPIES:
            copies += keys[slot] == key
            slot = (slot + 1) & last
        if copies < MOST_COPIES:
            keys[slot] = key
            numbers[slot] = number
            added += 1
    return added


@compiled
def _move(
    keys: NDArray[np.uint32],
    numbers: NDArray[np.uint32],
    new_keys: NDArray[np.uint32],
    new_numbers: NDArray[np.uint32],
) -> None:
    """Put the entries of a table into a larger, empty one."""
    last = np.int64(len(new_keys) - 1)
    for old in range(len(keys)):
        if numbers[old] != _FREE:
            slot = np.int64(keys[old]) & last
            while new_numbers[slot] != _FREE:
                slot = (slot + 1) & last
            new_keys[slot] = keys[old]
            new_numbers[slot] = numbers[old]


@compiled
def _collect(
    keys: NDArray[np.uint32],
    numbers: NDArray[np.uint32],
    hashes: NDArray[np.uint64],
    found: NDArray[np.uint32],
    counts: NDArray[np.int64],
) -> int:
    """List the sequences that have some of the hashes, and of how many; return how many sequences.

    If there are more pairs of a hash and a sequence than `found` has room for, -1 is returned.
    """
    last = np.int64(len(keys) - 1)
    total = 0
    for hashed in hashes:
        key = np.uint32(hashed & np.uint64(0xFFFFFFFF))
        slot = np.int64(key) & last
        while numbers[slot] != _FREE:
            if keys[slot] == key:
                if total == len(found):
                    return _NO_ROOM
                found[total] = numbers[slot]
                total += 1
            slot = (slot + 1) & last
    found[:total].sort()
    out = 0
    for at in range(total):
        if out and found[at] == found[out - 1]:
            counts[out - 1] += 1
        else:
            found[out] = found[at]
            counts[out] = 1
            out += 1
    return out
