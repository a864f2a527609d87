"""What went into a corpus, counted: letters, lengths, what was dropped and why.

In: windows and dropped stretches, one after the other, in any number of parts. Out: counts that
add up: the sum of the tallies of the parts is the tally of the whole, in whatever order; of the
shortest and longest window, the least and the most.
"""

import sys
from collections import Counter
from collections.abc import Iterable

import numpy as np
from pydantic import BaseModel, ConfigDict

from helixlm.data.windows import Dropped, Window

LENGTH_BINS_PER_OCTAVE = 8
"""each bin of lengths is 9 % wide"""


class Tally(BaseModel):
    """Counts of windows and of what is in none."""

    model_config = ConfigDict(extra="forbid")

    windows: int = 0
    bases: int = 0
    softmasked_bases: int = 0
    letters: dict[str, int] = {}
    """Upper case; A, C, G, T, N and whatever else occurs."""
    lengths: dict[int, int] = {}
    """Windows by ``floor(8 * log2(length))``."""
    shortest_bp: int
    """Letters of the shortest window; 0: there is none."""
    longest_bp: int
    contigs: dict[str, int] = {}
    """Bases in windows, by contig; those of records by chromosome, see `records.py`."""
    dropped: dict[str, int] = {}
    """Bases in no window, or of windows that are left out, by reason (`windows.DROP_REASONS`)."""
    lost_features: dict[str, int] = {}
    """Features, coding sequences among them, without a window of their own, by reason
    (`windows.FEATURE_REASONS`). All others have one, which may be dropped then."""
    variants: dict[str, int] = {}
    """Alleles applied to haplotypes, by kind; once for each haplotype that was made, be it a
    duplicate that is left out then, or one that weights copy."""
    skipped_variants: dict[str, int] = {}
    """Alleles not applied, by reason; counted as `variants` are."""


class Counting:
    """A tally in the making."""

    def __init__(self) -> None:
        self._letters = np.zeros(256, dtype=np.int64)
        self._lengths: Counter[int] = Counter()
        self._contigs: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._windows = 0
        self.lost_features: Counter[str] = Counter()
        self._shortest, self._longest = sys.maxsize, 0
        self.variants: Counter[str] = Counter()
        self.skipped_variants: Counter[str] = Counter()

    def add(self, window: Window, contig: str) -> None:
        """Count a window under the name of a contig."""
        text = window.sequence.encode()
        self._windows += 1
        self._letters += np.bincount(np.frombuffer(text, np.uint8), minlength=256)
        self._lengths[length_bin(len(text))] += 1
        self._shortest = min(self._shortest, len(text))
        self._longest = max(self._longest, len(text))
        self._contigs[contig] += len(text)

    def drop(self, part: Dropped) -> None:
        """Count a stretch that is in no window."""
        self._dropped[part.reason] += part.end - part.start

    def tally(self) -> Tally:
        """Return the counts."""
        upper: Counter[str] = Counter()
        for byte in np.flatnonzero(self._letters).tolist():
            upper[chr(byte).upper()] += int(self._letters[byte])
        lower = self._letters[ord("a") : ord("z") + 1].sum()
        return Tally(
            windows=self._windows,
            bases=int(self._letters.sum()),
            softmasked_bases=int(lower),
            letters=dict(sorted(upper.items())),
            lengths=dict(sorted(self._lengths.items())),
            shortest_bp=self._shortest if self._windows else 0,
            longest_bp=self._longest,
            contigs=dict(self._contigs),
            dropped=dict(self._dropped),
            lost_features=dict(self.lost_features),
            variants=dict(self.variants),
            skipped_variants=dict(self.skipped_variants),
        )


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    numbers: Counter[str] = Counter()
    tables: dict[str, Counter[str | int]] = {}
    shortest, longest = [], [0]
    for tally in tallies:
        if tally.windows:
            shortest.append(tally.shortest_bp)
        longest.append(tally.longest_bp)
        for name, value in tally:
            if isinstance(value, dict):
                tables.setdefault(name, Counter()).update(value)
            else:
                numbers[name] += value
    numbers["shortest_bp"], numbers["longest_bp"] = min(shortest, default=0), max(longest)
    return Tally.model_validate({**numbers, **tables})


def length_bin(length: int) -> int:
    """Return the bin of a length of 1 or more.

    Examples
    --------
    >>> length_bin(1), length_bin(2), length_bin(1000), length_bin(1024)
    (0, 8, 79, 80)
    """
    return int(np.floor(LENGTH_BINS_PER_OCTAVE * np.log2(length) + 1e-9))
