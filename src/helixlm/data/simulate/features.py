"""One table for everything that the world knows about places in a genome.

Coordinates are 0-based, half-open, on the forward strand, and count through all contigs of the
genome ("genome-wide"): contig c covers [bounds[c], bounds[c + 1]). Writers turn them into contig
coordinates. Lifting a table to another genome of the family is then one array lookup.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

KINDS = (
    "gap",
    "gc_region",
    "gene",
    "promoter",
    "enhancer",
    "exon",
    "cds",
    "site",
    "repeat",
    "tandem",
)


class Features(NamedTuple):
    """Features in columns, sorted by start, then longest first.

    Attributes
    ----------
    kind : ndarray of str, shape (n,)
        One of `KINDS`. A gene is also its only transcript; "exon" and "cds" are its pieces; a
        "site" is a match of a matrix; "repeat" is an interspersed one.
    name : ndarray of str, shape (n,)
        Gene, matrix, repeat family, tandem unit as in "(CA)n", or "".
    start, end : ndarray, int64, shape (n,)
        Genome-wide, 0-based, half-open.
    strand : ndarray, int8, shape (n,)
        1, -1, or 0 where there is none.
    parent : ndarray, int64, shape (n,)
        Number of the gene that the feature belongs to, or -1.
    value : ndarray, int64, shape (n,)
        Repeats: divergence from the consensus in 1/1000. GC regions: GC in 1/1000. Else 0.
    """

    kind: NDArray[np.str_]
    name: NDArray[np.str_]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    strand: NDArray[np.int8]
    parent: NDArray[np.int64]
    value: NDArray[np.int64]

    def where(self, mask: NDArray[np.bool_]) -> Self:
        """Return the rows where `mask` (bool, shape (n,)) is true."""
        return type(self)(
            kind=self.kind[mask],
            name=self.name[mask],
            start=self.start[mask],
            end=self.end[mask],
            strand=self.strand[mask],
            parent=self.parent[mask],
            value=self.value[mask],
        )

    def of(self, *kinds: str) -> Self:
        """Return the rows of the given kinds."""
        return self.where(np.isin(self.kind, kinds))

    def sites(self, *names: str) -> Self:
        """Return the sites of the matrices of the given names."""
        return self.where((self.kind == "site") & np.isin(self.name, names))

    def lift(self, position: NDArray[np.int64]) -> Self:
        """Return the features in another genome; those that have lost all bases are dropped.

        Parameters
        ----------
        position : ndarray, int64, shape (length + 1,)
            Place in the other genome of each boundary between bases of this one.
        """
        lifted = self._replace(start=position[self.start], end=position[self.end])
        return lifted.where(lifted.end > lifted.start)

    def mask(self, length: int) -> NDArray[np.bool_]:
        """Return which bases the features cover, bool, shape (length,)."""
        return cover(self.start, self.end, length)


class FeatureList:
    """Collects features while a genome is made; `table` gives them sorted."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, int, int, int, int, int]] = []

    def add(
        self,
        kind: str,
        start: int,
        end: int,
        *,
        name: str = "",
        strand: int = 0,
        parent: int = -1,
        value: int = 0,
    ) -> None:
        """Add one feature; the arguments are the columns of `Features`."""
        assert kind in KINDS, kind
        assert 0 <= start < end, (kind, start, end)
        self._rows.append((kind, name, start, end, strand, parent, value))

    def table(self) -> Features:
        """Return all features as a sorted table."""
        rows = sorted(self._rows, key=lambda row: (row[2], -row[3], KINDS.index(row[0]), row[1]))
        kind, name, start, end, strand, parent, value = zip(*rows, strict=True)
        return Features(
            kind=np.array(kind, dtype=np.str_),
            name=np.array(name, dtype=np.str_),
            start=np.array(start, dtype=np.int64),
            end=np.array(end, dtype=np.int64),
            strand=np.array(strand, dtype=np.int8),
            parent=np.array(parent, dtype=np.int64),
            value=np.array(value, dtype=np.int64),
        )


def cover(start: NDArray[np.int64], end: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    """Return which bases lie in at least one of the intervals, bool, shape (length,)."""
    change = np.zeros(length + 1, dtype=np.int64)
    np.add.at(change, start, 1)
    np.add.at(change, end, -1)
    return np.cumsum(change[:-1]) > 0


def runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the starts and ends of the runs of true bases, each int64, shape (runs,)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return edges[::2], edges[1::2]
