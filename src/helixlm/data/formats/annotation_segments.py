"""Exons and the parts of coding regions, in columns: some 20 bytes each, however many there are.

In: rows of GFF3 and what they belong to. Out: the segments of one transcript or coding region, in
the order of transcription. Which rows belong together is decided in `annotation.py`.
"""

from array import array
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.formats.gff3 import GffRow


class Segment(NamedTuple):
    """An exon, or the part of a coding region in one exon."""

    start: int
    end: int
    strand: str
    phase: int | None
    """Bases before the first whole codon, in the direction of the strand; None if not said."""


class Owner(NamedTuple):
    """What rows of exon or CDS belong to."""

    contig: str
    parent: str
    cds_id: str


class SegmentTable:
    """Rows of exon or CDS, and what each belongs to."""

    def __init__(self) -> None:
        self.owners: dict[Owner, int] = {}
        self.owner: array[int] = array("l")
        self.start: array[int] = array("q")
        self.end: array[int] = array("q")
        self.strand: array[int] = array("b")
        self.phase: array[int] = array("b")
        self.order: NDArray[np.int64] | None = None  # of the rows, sorted by what they belong to
        self.bounds: NDArray[np.int64] | None = None  # of each owner in that order

    def add(self, owner: Owner, row: GffRow) -> None:
        """Take one row."""
        self.owner.append(self.owners.setdefault(owner, len(self.owners)))
        self.start.append(row.start)
        self.end.append(row.end)
        self.strand.append(ord(row.strand))
        self.phase.append(-1 if row.phase is None else row.phase)

    def close(self) -> None:
        """Sort the rows by what they belong to; after this, none can be added."""
        owner = np.frombuffer(self.owner, np.dtype("l")) if self.owner else np.zeros(0, np.int64)
        self.order = np.argsort(owner, kind="stable")
        self.bounds = np.searchsorted(owner[self.order], np.arange(len(self.owners) + 1))

    def of(self, owner: Owner) -> list[Segment]:
        """Return the rows of one owner in the order of the file, each once."""
        index = self.owners.get(owner)
        if index is None:
            return []
        assert self.order is not None and self.bounds is not None, "rows are still being added"
        rows = self.order[self.bounds[index] : self.bounds[index + 1]].tolist()
        segments = (
            Segment(
                self.start[row],
                self.end[row],
                chr(self.strand[row]),
                None if self.phase[row] < 0 else self.phase[row],
            )
            for row in rows
        )
        return list(dict.fromkeys(segments))


def transcribed(segments: list[Segment]) -> list[Segment]:
    """Put segments into the order of transcription."""
    ordered: list[Segment] = []
    # With one strand this is one run; with two, the order of the runs is that of the file.
    for strand, run in groupby(segments, key=lambda segment: segment.strand):
        ordered += sorted(run, reverse=strand == "-")
    return ordered


def overlap_between(groups: list[list[Segment]]) -> bool:
    """Say whether segments of different groups share a base."""
    spans = sorted((s.start, s.end, i) for i, group in enumerate(groups) for s in group)
    reach: dict[int, int] = {}
    for start, end, i in spans:
        if any(start < other for j, other in reach.items() if j != i):
            return True
        reach[i] = max(end, reach.get(i, 0))
    return False
