"""Random numbers as a pure function of a key, the same on every machine and numpy version.

`CounterRng("mask", seed, step)` is a stream that depends on its key alone: no global state, no
worker state, so a run that is killed and resumed draws what it would have drawn. The raw
64-bit words come from numpy's Philox, whose output is fixed by its definition; the mapping from
words to numbers is written here, because numpy promises no stable stream for the
distributions of `Generator`.

References
----------
Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3. SC'11.
"""

import hashlib
from operator import index

import numpy as np
from numpy.typing import ArrayLike, NDArray

_SEPARATOR = "\x1f"


class CounterRng:
    """A stream of random numbers keyed by strings and integers.

    Parameters
    ----------
    *key : str or int
        What names the stream, such as ``("mask", seed, step)``. Different keys give independent
        streams; the order of the parts matters, and 7 is another part than "7". numpy's integers
        are integers.

    Raises
    ------
    TypeError
        If a part is neither a string nor an integer.
    ValueError
        If a string holds the control character U+001F, which separates the parts.

    Examples
    --------
    >>> CounterRng("dice", 7).integers(1, 7, 5).tolist()
    [4, 6, 3, 6, 6]
    """

    def __init__(self, *key: str | int) -> None:
        text = _SEPARATOR.join(
            f"str:{part}" if isinstance(part, str) else f"int:{index(part)}" for part in key
        )
        if text.count(_SEPARATOR) > max(0, len(key) - 1):
            raise ValueError(f"key {key!r}: expected strings without the character U+001F")
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        self._bits = np.random.Philox(key=np.frombuffer(digest, dtype="<u8").astype(np.uint64))

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return `count` uniformly random 64-bit words, uint64, shape (count,)."""
        return np.asarray(self._bits.random_raw(count), dtype=np.uint64)

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Return `count` numbers in [0, 1) with 53 random bits, float64, shape (count,)."""
        return (self.words(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def integers(self, low: int, high: int, count: int) -> NDArray[np.int64]:
        """Return `count` integers in [low, high), int64, shape (count,).

        The bias of the multiplication method with 32-bit words is below (high - low) / 2**32;
        ranges over 2**31 are refused.

        Raises
        ------
        ValueError
            If the range is empty or wider than 2**31.
        """
        span = high - low
        if not 0 < span <= 2**31:
            raise ValueError(f"integers({low}, {high}): expected a range of 1 to 2**31 values")
        word = self.words(count) >> np.uint64(32)
        return ((word * np.uint64(span)) >> np.uint64(32)).astype(np.int64) + low

    def integer(self, low: int, high: int) -> int:
        """Return one integer in [low, high)."""
        return int(self.integers(low, high, 1)[0])

    def permutation(self, count: int) -> NDArray[np.int64]:
        """Return the numbers 0 to count-1 in random order, int64, shape (count,)."""
        return np.argsort(self.words(count), kind="stable").astype(np.int64)

    def choice(self, weights: ArrayLike, count: int) -> NDArray[np.int64]:
        """Return `count` indices drawn with the given weights, int64, shape (count,).

        Parameters
        ----------
        weights : array-like, shape (n,)
            Weights, not negative, of any positive sum. Whole numbers give the same draws on every
            machine; fractions are summed in float64.
        count : int
            How many indices to draw, with replacement.

        Raises
        ------
        ValueError
            If a weight is negative or not a finite number, or all are zero.
        """
        bounds = np.cumsum(np.asarray(weights, dtype=np.float64))
        if not (len(bounds) and 0 < bounds[-1] < np.inf and np.min(weights) >= 0):
            raise ValueError(
                "choice: expected finite weights that are not negative, one of them positive"
            )
        picks = np.searchsorted(bounds, self.uniform(count) * bounds[-1], side="right")
        return np.minimum(picks, len(bounds) - 1).astype(np.int64)
