"""A variant of the individuals, what it makes of a sequence, and its left-aligned place.

Nothing here is random; `individuals.py` draws variants and `vcf.py` writes them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.simulate.layout import reverse_complement_codes
from helixlm.seq.alphabet import DNA

STRUCTURAL = ("DEL", "INS", "DUP", "INV")


class Variant(NamedTuple):
    """One record of the VCF file.

    Attributes
    ----------
    kind : str
        "SNV", "INDEL", or one of `STRUCTURAL`.
    start, end : int
        The reference bases that the record replaces, genome-wide, 0-based, half-open; for a
        symbolic allele, from the base before the event to the event's end.
    ref : str
        Bases of the reference; for a symbolic allele only the first.
    alts : tuple of str
        Other alleles; more than one only for SNVs, symbolic as in ``<DEL>``.
    effects : tuple of str
        What each alternate allele does.
    selection : tuple of int
        Selection coefficient of each alternate allele in 1/1,000,000.
    alleles : ndarray, int8, shape (haplotypes,)
        0 for the reference, 1 for the first alternate, and so on.
    change_bp : int
        Length of the event, negative for a deletion, 0 for an SNV.
    """

    kind: str
    start: int
    end: int
    ref: str
    alts: tuple[str, ...]
    effects: tuple[str, ...]
    selection: tuple[int, ...]
    alleles: NDArray[np.int8]
    change_bp: int

    def sequence(self, allele: int, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what an allele puts in place of ``codes[start:end]``, uint8 codes.

        Parameters
        ----------
        allele : int
            1 or more.
        codes : ndarray, uint8
            The reference genome.
        """
        alt = self.alts[allele - 1]
        first, event = codes[self.start : self.start + 1], codes[self.start + 1 : self.end]
        if alt == "<DEL>":
            return first
        if alt == "<DUP>":
            return np.concatenate([first, event, event])
        if alt == "<INV>":
            return np.concatenate([first, reverse_complement_codes(event)])
        return DNA.encode(alt)


def haplotype(
    variants: list[Variant], number: int, start: int, end: int, codes: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the bases of a haplotype over reference bases [start, end), uint8 codes.

    Parameters
    ----------
    variants : list of Variant
        All variants, sorted by start; those of one haplotype must not overlap.
    number : int
        Which haplotype.
    start, end : int
        A contig, genome-wide: no variant reaches over its ends.
    codes : ndarray, uint8
        The reference genome.
    """
    pieces = []
    place = start
    for variant in variants:
        allele = int(variant.alleles[number])
        if not allele or not start <= variant.start < end:
            continue
        assert variant.start >= place, (variant, place)
        pieces += [codes[place : variant.start], variant.sequence(allele, codes)]
        place = variant.end
    return np.concatenate([*pieces, codes[place:end]])


def left_align_span(start: int, end: int, codes: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the leftmost interval whose deletion (or duplication) gives the same sequence."""
    while codes[start - 1] == codes[end - 1]:
        start, end = start - 1, end - 1
    return start, end


def left_align_insertion(
    place: int, inserted: NDArray[np.uint8], codes: NDArray[np.uint8]
) -> tuple[int, NDArray[np.uint8]]:
    """Return the leftmost place and bases whose insertion before it gives the same sequence."""
    shift = 0
    while codes[place - shift - 1] == inserted[-1 - shift % len(inserted)]:
        shift += 1
    return place - shift, np.roll(inserted, shift % len(inserted))
