"""Which base of a haplotype is which base of the reference, both ways.

A map is a list of blocks that tile both sequences from left to right: stretches that lie base upon
base (a changed base keeps its place), inversions, insertions (no reference) and deletions (no
haplotype). It grows with the number of insertions and deletions, not with bases.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Block(NamedTuple):
    """A stretch of both sequences; one side is empty in an insertion or a deletion."""

    start: int
    """Where it begins on the haplotype, from 0."""
    bp: int
    """Its letters on the haplotype."""
    place: int
    """Where it begins on the contig, 0-based."""
    place_bp: int
    """Its letters on the contig."""
    mirror: int = -1
    """In an inversion, the sum of a base's place and of the place it came from; else -1."""


class HaplotypeMap:
    """Coordinates of a stretch of a haplotype and of its contig.

    Parameters
    ----------
    blocks : list of Block
        They tile both sequences; at least one.

    Attributes
    ----------
    start, end : int
        The stretch of the contig, 0-based, half-open, forward strand.
    num_bases : int
        Letters of the haplotype, bp.
    """

    def __init__(self, blocks: list[Block]) -> None:
        table = np.array(blocks, dtype=np.int64).reshape(-1, 5)
        self._start, self._bp, self._place, self._place_bp, self._mirror = table.T
        self._stop = self._start + self._bp
        self._place_stop = self._place + self._place_bp
        self.start, self.end = int(self._place[0]), int(self._place_stop[-1])
        self.num_bases = int(self._stop[-1])

    @property
    def blocks(self) -> list[Block]:
        """The blocks, from left to right."""
        columns = (self._start, self._bp, self._place, self._place_bp, self._mirror)
        return [Block(*row) for row in np.stack(columns, axis=1).tolist()]

    def to_reference(self, positions: ArrayLike) -> NDArray[np.int64]:
        """Return where bases of the haplotype lie on the contig.

        Parameters
        ----------
        positions : array-like, int, any shape
            0 to `num_bases` - 1.

        Returns
        -------
        NDArray, int64, shape of `positions`
            0-based positions; -1 for inserted bases. A base of an inversion has the place that it
            came from.

        Raises
        ------
        ValueError
            If a position is not on the haplotype.
        """
        asked = np.asarray(positions, dtype=np.int64)
        self._check(asked, 0, self.num_bases)
        block = np.searchsorted(self._stop, asked, side="right")
        place = asked - self._start[block] + self._place[block]
        mirror = self._mirror[block]
        found = np.where(mirror < 0, place, mirror - place)
        return np.where(self._place_bp[block] > 0, found, -1)

    def to_haplotype(self, positions: ArrayLike) -> NDArray[np.int64]:
        """Return where bases of the contig lie on the haplotype.

        Parameters
        ----------
        positions : array-like, int, any shape
            `start` to `end` - 1, 0-based.

        Returns
        -------
        NDArray, int64, shape of `positions`
            From 0; -1 for bases that were deleted, and for those that an inversion has taken out
            of the stretch.

        Raises
        ------
        ValueError
            If a position is not in the stretch.
        """
        asked = np.asarray(positions, dtype=np.int64)
        self._check(asked, self.start, self.end)
        block = np.searchsorted(self._place_stop, asked, side="right")
        kept = (self._bp[block] > 0) & (self._mirror[block] < 0)
        found = np.where(kept, asked - self._place[block] + self._start[block], -1)
        for i in np.flatnonzero(self._mirror >= 0):
            place = self._mirror[i] - asked
            inside = (place >= self._place[i]) & (place < self._place_stop[i])
            found = np.where(inside, place - self._place[i] + self._start[i], found)
        return found

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return which letters of the haplotype a stretch of the contig has become.

        Inserted letters belong to the base before them, those of an inversion to the place where
        they stand. So stretches that tile the contig give letters that tile the haplotype.

        Parameters
        ----------
        start, end : int
            Between `self.start` and `self.end`, 0-based, half-open.

        Returns
        -------
        tuple of int
            Start and end on the haplotype, half-open.

        Raises
        ------
        ValueError
            If the stretch does not lie in this one.
        """
        self._check(np.array([start, end]), self.start, self.end + 1)
        return self._border(start), self._border(end)

    def _border(self, place: int) -> int:
        """Return how many letters of the haplotype stand before a place."""
        done = int(np.searchsorted(self._place_stop, place, side="right"))
        if done == len(self._place):
            return self.num_bases
        within = place - int(self._place[done]) if self._bp[done] else 0
        return int(self._start[done]) + within

    def _check(self, positions: NDArray[np.int64], low: int, high: int) -> None:
        wrong = (positions < low) | (positions >= high)
        if wrong.any():
            raise ValueError(f"position {positions[wrong].flat[0]}: expected {low} to {high - 1}")
