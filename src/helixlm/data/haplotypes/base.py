"""Haplotypes: the sequence that one chromosome of a person has in place of the reference.

In: the letters of a region and the alleles that one haplotype carries there, in the order of the
file. Out: a `Haplotype`: its letters, a map of coordinates, and what was applied and what was not.
Alleles are made from records in `alleles.py`; whole cohorts are in `cohort.py`.

Alleles that overlap are resolved as `bcftools consensus -H` does: in the order of the file, and
what came first stays. An allele is skipped if it begins before the end of the last one that was
applied; only one that leaves its first base alone (an anchored insertion or deletion, a symbolic
allele) may begin at the last base of the one before, and only if that one inserted nothing. So a
SNV and an insertion behind it at one position are both applied, two insertions are not.

Where the outcome differs from that of bcftools 1.24, on purpose:

* An allele keeps letters that it shares with the reference in their case; bcftools compares
  letters with their case there, and in soft-masked sequence it undoes a SNV or a deletion that an
  insertion follows at the same base.
* ``*`` never becomes a letter of the sequence, which bcftools writes where the deletion that it
  refers to was not applied.
* Symbolic alleles other than ``<DEL>`` stop bcftools; here they are applied or counted.
* A REF that runs past the end of the contig does not fit the reference; bcftools shortens it.
* REF may be the base that VCF reduces an ambiguity code of the reference to; bcftools stops.
* An allele that spells the reference changes nothing, and nothing overlaps it.

FILTER plays no part, in bcftools as here, unless `HaplotypeConfig.filters` asks for it.

A window clips: its haplotype is that part of the haplotype of the whole contig which
`HaplotypeMap.span` gives. Every base keeps its place, inserted letters belong to the base before
them, and those of an inversion to the place where they stand. So windows that tile a contig give
sequences that tile its haplotype, and a deletion that crosses a border shortens both windows.

References
----------
bcftools 1.24, consensus.c, `apply_variant`, https://github.com/samtools/bcftools.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from helixlm.data.haplotypes.alleles import Allele, Letters
from helixlm.data.haplotypes.mapping import Block, HaplotypeMap
from helixlm.seq.interval import reverse_strand


class HaplotypeConfig(BaseModel):
    """What is done where a file does not say which sequence a person has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    missing: Literal["reference", "n"] = "reference"
    """A missing allele is taken for the reference, as bcftools does, or N is written over REF."""
    half_called: Literal["allele", "missing"] = "allele"
    """Of a genotype such as ``1|.`` the allele that is known is used, or none."""
    unphased: Literal["error", "skip", "as_written"] = "error"
    """A heterozygous genotype without phase stops, is counted and taken for the reference, or is
    read as if it were phased, as bcftools does. In homozygous ones phase plays no part."""
    haploid: Literal["one", "both"] = "one"
    """Where a sample has one allele (X, Y, MT), its first haplotype carries it and the second the
    reference, as in bcftools; a window in which a sample has no other genotypes has one haplotype
    only. Or both carry it."""
    filters: Literal["all", "pass"] = "all"
    """Records are used whatever their FILTER, as bcftools does, or only those with PASS, or with
    ``.``, which says that none was applied; of others the alleles that are carried are counted."""
    reference_mismatch: Literal["error", "skip"] = "error"
    """A record that does not fit the reference, in its REF or because it reaches past the end of
    the contig, stops with the record, or is skipped and counted."""


class Reference(Protocol):
    """A genome whose contigs can be looked at as arrays."""

    @property
    def contigs(self) -> Mapping[str, int]:
        """Lengths in bp."""

    def letters(self, contig: str) -> NDArray[np.uint8]:
        """Return a contig as ASCII letters in the case of the file, read-only, shape (L,)."""


@dataclass(frozen=True, eq=False)
class Haplotype:
    """The sequence of one chromosome in a stretch of a contig."""

    letters: Letters
    """ASCII letters, uint8, shape (L,); lower case is soft-masked."""
    map: HaplotypeMap
    """Where the letters lie on the contig."""
    applied: Mapping[str, int]
    """How many alleles were applied, by kind (`haplotype_alleles.KINDS`). An allele is counted
    in the stretch that holds its POS."""
    skipped: Mapping[str, int]
    """How many were not, by reason (`haplotype_alleles.SKIP_REASONS`)."""
    brought: tuple[tuple[int, int], ...] = ()
    """Where on the contig, 0-based and half-open, the letters come from that inversions and
    duplications put here: often from outside the stretch."""

    @property
    def sequence(self) -> str:
        """The letters as text."""
        return self.letters.tobytes().decode("ascii")


class Overlaps:
    """Which alleles haplotypes may still take, as alleles come in the order of the file.

    Parameters
    ----------
    num_haplotypes : int
        How many haplotypes there are.
    """

    def __init__(self, num_haplotypes: int) -> None:
        self._end = np.zeros(num_haplotypes, dtype=np.int64)
        self._inserted = np.zeros(num_haplotypes, dtype=bool)

    def admit(self, allele: Allele, haplotypes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which haplotypes take an allele, and note that they did.

        Parameters
        ----------
        allele : Allele
            It begins where or behind where the last one began.
        haplotypes : NDArray, int64, shape (N,)
            The different haplotypes that carry it.

        Returns
        -------
        NDArray, bool, shape (N,)
            False where it overlaps an allele that was admitted before.
        """
        end = self._end[haplotypes]
        admitted = end <= allele.position
        if allele.anchored:
            admitted |= (end == allele.position + 1) & ~self._inserted[haplotypes]
        taken = haplotypes[admitted]
        self._end[taken] = allele.end
        self._inserted[taken] = allele.lengthens
        return admitted


def apply_alleles(reference: Letters, start: int, alleles: Iterable[Allele]) -> Haplotype:
    """Return the haplotype of a region.

    Parameters
    ----------
    reference : NDArray, uint8, shape (L,)
        ASCII letters of the region; at least one.
    start : int
        Where it begins on the contig, 0-based.
    alleles : iterable of Allele
        What the haplotype carries, in the order of the file. Alleles outside the region are
        clipped; one that begins before it belongs here if it, or one that it overlaps, reaches in.

    Returns
    -------
    Haplotype
        With alleles that were skipped for overlap.
    """
    overlaps = Overlaps(1)
    alone = np.zeros(1, dtype=np.int64)
    taken: list[Allele] = []
    applied: Counter[str] = Counter()
    num_overlapping = 0
    for allele in alleles:
        inside = start <= allele.position < start + len(reference)
        if overlaps.admit(allele, alone)[0]:
            taken.append(allele)
            applied[allele.kind] += inside
        else:
            num_overlapping += inside
    skipped = {"overlap": num_overlapping} if num_overlapping else {}
    return make_haplotype(reference, start, taken, +applied, skipped)


def make_haplotype(
    reference: Letters,
    start: int,
    alleles: Sequence[Allele],
    applied: Mapping[str, int],
    skipped: Mapping[str, int],
) -> Haplotype:
    """Return the haplotype of a region from alleles that do not overlap, with counts as given."""
    end = start + len(reference)
    letters = np.array(reference)  # a copy, on which what keeps its place is written
    shifting = []
    for allele in alleles:
        size = allele.stop - allele.start
        low = max(allele.start, start)
        high = min(allele.start + min(size, len(allele.letters)), end)
        if low < high:
            new = allele.letters[low - allele.start : high - allele.start]
            letters[low - start : high - start] = new
        if size != len(allele.letters) or allele.inverted:
            shifting.append(allele)
    if not shifting:
        whole = HaplotypeMap([Block(0, len(letters), start, len(letters))])
        return Haplotype(letters, whole, applied, skipped)
    tiling = _Tiling(letters, start)
    for allele in shifting:
        tiling.add(allele)
    return Haplotype(*tiling.finish(), applied, skipped, tuple(_brought(shifting, start, end)))


def _brought(alleles: Iterable[Allele], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the letters come from that alleles put into a region."""
    for allele in alleles:
        low, high = max(allele.start, start), min(allele.stop, end)
        if allele.inverted and low < high:
            first = allele.start
            turned = reverse_strand(low - first, high - first, allele.stop - first)
            yield first + turned[0], first + turned[1]
        elif allele.copied is not None and start < allele.stop <= end:
            yield allele.copied


class _Tiling:
    """The pieces of a haplotype and the blocks of its map, from left to right."""

    def __init__(self, letters: Letters, start: int) -> None:
        self.letters = letters
        self.start, self.end = start, start + len(letters)
        self.place = start  # up to here the reference is done with
        self.num_bases = 0
        self.pieces: list[Letters] = []
        self.blocks: list[Block] = []

    def add(self, allele: Allele) -> None:
        """Take an allele that inserts, deletes or inverts; it may reach over both ends."""
        num_letters = len(allele.letters)
        if allele.inverted:
            self._keep(allele.start)
            self._keep(allele.stop, mirror=allele.start + allele.stop - 1)
        elif allele.lengthens:
            self._keep(allele.stop)
            if self.start < allele.stop <= self.end:
                rest = allele.letters[allele.stop - allele.start :]
                self._append(rest, Block(self.num_bases, len(rest), self.place, 0))
        else:
            self._keep(allele.start + num_letters)
            self._drop(allele.stop)

    def finish(self) -> tuple[Letters, HaplotypeMap]:
        self._keep(self.end)
        letters = np.concatenate([self.letters[:0], *self.pieces])
        return letters, HaplotypeMap(self.blocks)

    def _keep(self, until: int, mirror: int = -1) -> None:
        """Let the letters up to a place stand where they are."""
        until = min(until, self.end)
        if until > self.place:
            piece = self.letters[self.place - self.start : until - self.start]
            block = Block(self.num_bases, len(piece), self.place, len(piece), mirror)
            self.place = until
            self._append(piece, block)

    def _drop(self, until: int) -> None:
        """Leave the letters up to a place out."""
        until = min(until, self.end)
        if until > self.place:
            self.blocks.append(Block(self.num_bases, 0, self.place, until - self.place))
            self.place = until

    def _append(self, piece: Letters, block: Block) -> None:
        self.pieces.append(piece)
        self.blocks.append(block)
        self.num_bases += len(piece)
