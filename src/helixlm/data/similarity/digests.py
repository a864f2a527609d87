"""Whole sequences told apart by 128-bit digests: which came first, in a table of fixed width.

In: sequences. Out: for each the number under which an equal one was added before, if one was. The
digest is of the upper-case letters, so case does not matter; whether strands do is for the caller.
Among a thousand million sequences two different ones have the same digest with a probability of
1e-21.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from helixlm.jit import compiled
from helixlm.seq.ops import reverse_complement

NEW = -1
_FREE = 2**32 - 1
_FIRST_SLOTS = 1 << 12
_MOST_LOAD = 0.6


def digest(sequence: str) -> bytes:
    """Return 16 bytes that tell a sequence from others, whatever its case."""
    return hashlib.blake2b(sequence.upper().encode(), digest_size=16).digest()


def strandless_digest(sequence: str) -> bytes:
    """Return 16 bytes that are the same for a sequence and its reverse complement."""
    return digest(min(text := sequence.upper(), reverse_complement(text)))


class DigestTable:
    """The digests that were added, each with a number.

    Memory is 20 bytes a slot, of which at most 60 % are taken: 34 to 67 bytes for each different
    digest, and 100 while the table grows.
    """

    def __init__(self) -> None:
        self._digests = np.empty((_FIRST_SLOTS, 2), np.uint64)
        self._numbers = np.full(_FIRST_SLOTS, _FREE, np.uint32)
        self._used = 0

    @property
    def num_bytes(self) -> int:
        """Bytes of the table."""
        return self._digests.nbytes + self._numbers.nbytes

    def add(self, digests: Sequence[bytes], first_number: int) -> NDArray[np.int64]:
        """Add digests where they are new.

        Parameters
        ----------
        digests : sequence of bytes
            Digests of 16 bytes.
        first_number : int
            Number of the first; the others follow. All are below 2**32 - 1.

        Returns
        -------
        NDArray, int64, shape (len(digests),)
            The number under which each is in the table from before, perhaps from earlier in
            `digests`; -1 for one that was new.
        """
        while self._used + len(digests) > _MOST_LOAD * len(self._numbers):
            old, numbers = self._digests, self._numbers
            self._digests = np.empty((2 * len(old), 2), np.uint64)
            self._numbers = np.full(2 * len(old), _FREE, np.uint32)
            taken = numbers != _FREE
            _put(self._digests, self._numbers, old[taken], numbers[taken])
        new_numbers = np.arange(first_number, first_number + len(digests), dtype=np.uint32)
        found = _put(self._digests, self._numbers, _words(digests), new_numbers)
        self._used += int((found == NEW).sum())
        return found

    def find(self, digests: Sequence[bytes]) -> NDArray[np.int64]:
        """Return the number of each digest, or -1, int64, shape (len(digests),)."""
        return _find(self._digests, self._numbers, _words(digests))


def _words(digests: Sequence[bytes]) -> NDArray[np.uint64]:
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)


@compiled
def _slot_of(
    table: NDArray[np.uint64], numbers: NDArray[np.uint32], low: np.uint64, high: np.uint64
) -> int:
    """Return the slot that a digest has, or would get."""
    last = np.int64(len(numbers) - 1)
    slot = np.int64(low & np.uint64(last))
    while numbers[slot] != _FREE and (table[slot, 0] != low or table[slot, 1] != high):
        slot = (slot + 1) & last
    return int(slot)


@compiled
def _put(
    table: NDArray[np.uint64],
    numbers: NDArray[np.uint32],
    digests: NDArray[np.uint64],
    new_numbers: NDArray[np.uint32],
) -> NDArray[np.int64]:
    """Add digests; return the number that each had before, or -1."""
    found = np.full(len(digests), NEW, np.int64)
    for index in range(len(digests)):
        slot = _slot_of(table, numbers, digests[index, 0], digests[index, 1])
        if numbers[slot] == _FREE:
            table[slot] = digests[index]
            numbers[slot] = new_numbers[index]
        else:
            found[index] = numbers[slot]
    return found


@compiled
def _find(
    table: NDArray[np.uint64], numbers: NDArray[np.uint32], digests: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Return the number of each digest, or -1."""
    found = np.full(len(digests), NEW, np.int64)
    for index in range(len(digests)):
        slot = _slot_of(table, numbers, digests[index, 0], digests[index, 1])
        if numbers[slot] != _FREE:
            found[index] = numbers[slot]
    return found
