"""What an alternate allele of a VCF record does to the reference, or why it can do nothing.

In: a record, the number of one of its alternate alleles, and the letters of the contig. Out: an
`Allele`, one stretch of the reference and the letters that take its place, or the reason for which
it is skipped. Who carries it, and what happens where alleles overlap, is in `base.py`.

Symbolic alleles, with the bases from the one after POS to INFO/END; SVLEN does not stand in for it,
because indexes of VCF files (htslib 1.24) know such a record by its first base only, so that it
would be missed in windows behind that:

* ``<DEL>`` and ``<DEL:...>``: they are deleted.
* ``<DUP>`` and ``<DUP:TANDEM>``: one more copy, in tandem. It is written as VCF spells such an
  insertion out, after the base at POS; records further on alter the copy that was there before.
* ``<CN0>``, ``<CN1>``, ``<CN2>``, ...: how many copies this haplotype has. So CN0 deletes, CN1 is
  the reference, CN2 is one more copy: in 1000 Genomes' phase 3 the alleles are declared "Copy
  number allele: 2 copies", CN0 comes with SVTYPE=DEL and CN2 with SVTYPE=DUP.
* ``<INV>``: they are replaced by their reverse complement.
* ``<INS>`` and ``<INS:...>``: INFO/SEQ or INFO/SVINSSEQ is inserted after the base at POS; without
  it the bases are unknown.

Letters that an allele brings take the case of the reference base at POS, as in `bcftools
consensus`; letters that it shares with the reference are not touched.

References
----------
VCF 4.5 specification, sections 1.6.1 and 3, https://samtools.github.io/hts-specs/VCFv4.5.pdf.
Sudmant et al. (2015), An integrated map of structural variation in 2,504 human genomes. Nature
526, 75-81, and the header of its VCF, for the copy-number alleles.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helixlm.data.formats.vcf import VcfError, VcfRecord
from helixlm.seq.ops import reverse_complement

Letters = NDArray[np.uint8]
"""ASCII letters of DNA, uint8, shape (L,)."""

KINDS = ("SNV", "MNV", "INS", "DEL", "DELINS", "DUP", "INV", "CNV")
"""What an allele is: by its letters, or by its symbol (``<CN0>`` and the like are CNV)."""

SKIP_REASONS = {
    "missing": "genotypes that are missing",
    "unphased": "heterozygous genotypes that are not phased",
    "haploid": "records that have one allele for this sample, which its first haplotype carries",
    "overlap": "alleles that overlap one that was applied before",
    "filtered": "records whose FILTER is not PASS",
    "reference_mismatch": "records whose REF is not what the reference has there",
    "past_end": "records that reach past the end of the contig",
    "no_change": "alleles that spell the reference, among them <CN1>",
    "spanning_deletion": "* alleles: the base is deleted by another record",
    "no_sequence": "insertions whose bases the file does not tell",
    "no_end": "symbolic alleles without END; SVLEN is not enough",
    "breakend": "breakends",
    "complex": "complex rearrangements and translocations",
    "unsupported": "other symbolic alleles, which do not say what the sequence is",
}
"""Why an allele that a haplotype carries is not applied."""

_DNA = re.compile(r"[ACGTRYSWKMBDHVN]+")
_COPIES = re.compile(r"CN(\d+)")
_COMPLEX = frozenset({"CPX", "CTX", "TRA"})
_TANDEM = frozenset({"DUP", "DUP:TANDEM"})
# VCF 4.3, 1.6.1.4: a code of the reference that REF must not hold is reduced to the first base of
# the alphabet that it stands for.
_REDUCED = bytes.maketrans(b"RYSWKMBDHV", b"ACCAGACAAA")
_NOTHING = np.empty(0, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Allele:
    """An allele, as letters in place of a stretch of the reference.

    Coordinates are 0-based, half-open, forward strand.
    """

    position: int
    """POS."""
    end: int
    """Where what the record speaks of ends: alleles of records before this one must not alter
    what lies between `position` and `end`."""
    kind: str
    """One of `KINDS`."""
    start: int
    stop: int
    """The stretch that is replaced, which begins at `position` or behind it; empty, and behind
    the base at `position`, for an insertion."""
    letters: Letters
    """What takes its place."""
    anchored: bool = False
    """Whether the base at `position` stays, so that a record before may have altered it."""
    inverted: bool = False
    """Whether `letters` are the reverse complement of the stretch."""
    copied: tuple[int, int] | None = None
    """Start and end of the reference that `letters` repeat, in a duplication."""

    @property
    def lengthens(self) -> bool:
        """Whether more letters come than go."""
        return len(self.letters) > self.stop - self.start


def check_reference(record: VcfRecord, letters: Letters) -> str | None:
    """Return why a record does not fit the reference, as a key of `SKIP_REASONS`, or None.

    Parameters
    ----------
    record : VcfRecord
        The record.
    letters : NDArray, uint8, shape (L,)
        The contig. Case plays no part; an ambiguity code agrees with itself and with the base
        that VCF reduces it to.
    """
    end = record.position + len(record.ref)
    if record.position < 0 or end > len(letters):
        return "past_end"
    wanted = record.ref.upper().encode()
    found = letters[record.position : end].tobytes().upper()
    if found != wanted and found.translate(_REDUCED) != wanted:
        return "reference_mismatch"
    return None


def read_allele(record: VcfRecord, number: int, letters: Letters) -> Allele | str:
    """Return what an allele does, or why it is skipped.

    Parameters
    ----------
    record : VcfRecord
        A record that `check_reference` has passed.
    number : int
        Which allele, as genotypes count: 1 is the first of ALT.
    letters : NDArray, uint8, shape (L,)
        The contig, in the case of its file.

    Returns
    -------
    Allele or str
        The allele, or a key of `SKIP_REASONS`.

    Raises
    ------
    VcfError
        If the record has no such allele, or the allele is neither DNA nor anything that VCF knows.
    """
    if not 0 < number <= len(record.alts):
        raise VcfError(
            f"{record}: a genotype names allele {number}, but there are {len(record.alts)} in ALT: "
            "correct the record, or leave it out"
        )
    alt = record.alts[number - 1]
    if alt == "*":
        return "spanning_deletion"
    if alt.startswith("<") and alt.endswith(">"):
        return _symbolic(record, number, alt[1:-1], letters)
    if "[" in alt or "]" in alt or alt.startswith(".") or alt.endswith("."):
        return "breakend"
    return _spelled(record.position, record.ref.upper(), _dna(record, alt), letters)


def unknown_bases(record: VcfRecord) -> Allele:
    """Return the allele that writes N over all of REF."""
    start, stop = record.position, record.position + len(record.ref)
    return Allele(start, stop, "MNV", start, stop, np.full(stop - start, ord("N"), np.uint8))


def _spelled(position: int, ref: str, alt: str, letters: Letters) -> Allele | str:
    """Return an allele that is written out, less what it shares with REF."""
    end = position + len(ref)
    skip, stop, rest = _trim(ref, alt)
    if skip == stop and not rest:
        return "no_change"
    change = stop - skip
    if len(rest) == change:
        kind = "SNV" if change == 1 else "MNV"
    else:
        kind = "INS" if not change else "DELINS" if rest else "DEL"
    new = _in_case_of(letters[position], rest)
    anchored = skip > 0 and kind in ("INS", "DEL")
    return Allele(position, end, kind, position + skip, position + stop, new, anchored)


def _trim(ref: str, alt: str) -> tuple[int, int, str]:
    """Return which stretch of REF differs, and the letters of ALT that take its place.

    What both end with goes first, but for one letter, then what both begin with: the order of
    Tan, Abecasis & Kang (2015), Bioinformatics 31, 2202-2204.
    """
    stop, beyond = len(ref), len(alt)
    while stop > 1 and beyond > 1 and ref[stop - 1] == alt[beyond - 1]:
        stop, beyond = stop - 1, beyond - 1
    skip = 0
    while skip < stop and skip < beyond and ref[skip] == alt[skip]:
        skip += 1
    if stop - skip > 1 == beyond - skip and ref[stop - 1] == alt[beyond - 1]:
        stop, beyond = stop - 1, beyond - 1  # a deletion without an anchor before it
    return skip, stop, alt[skip:beyond]


def _symbolic(record: VcfRecord, number: int, symbol: str, letters: Letters) -> Allele | str:
    """Return an allele that is named by a symbol; the rules are at the top of this file."""
    family = symbol.partition(":")[0]
    if family == "INS":
        return _inserted(record, number, letters)
    if family == "BND":
        return "breakend"
    if family in _COMPLEX:
        return "complex"
    match = _COPIES.fullmatch(symbol)
    if not (match or family in ("DEL", "INV") or symbol in _TANDEM):
        return "unsupported"
    end = _end_of(record)
    if end is None:
        return "no_end"
    if end > len(letters):
        return "past_end"
    after = record.position + 1
    copies = int(match.group(1)) if match else {"DEL": 0, "INV": 1}.get(family, 2)
    kind = "CNV" if match else family
    if kind == "INV":
        new = _ascii(reverse_complement(letters[after:end].tobytes().decode("ascii")))
        return Allele(record.position, end, kind, after, end, new, True, inverted=True)
    if copies == 0:
        return Allele(record.position, end, kind, after, end, _NOTHING, True)
    if copies == 1:
        return "no_change"
    new = np.tile(letters[after:end], copies - 1)
    return Allele(record.position, after, kind, after, after, new, True, copied=(after, end))


def _inserted(record: VcfRecord, number: int, letters: Letters) -> Allele | str:
    """Return an insertion whose bases are in INFO."""
    for key in ("SEQ", "SVINSSEQ"):
        value = record.info.get(key)
        bases = value.split(",") if isinstance(value, str) else []
        if len(bases) not in (1, len(record.alts)):
            continue
        text = bases[number - 1] if len(bases) > 1 else bases[0]
        if text not in ("", "."):
            after = record.position + 1
            new = _in_case_of(letters[record.position], _dna(record, text))
            return Allele(record.position, after, "INS", after, after, new, True)
    return "no_sequence"


def _end_of(record: VcfRecord) -> int | None:
    """Return where a symbolic allele ends, exclusive, or None if END is missing or before it."""
    try:
        end = int(record.info.get("END"))
    except (TypeError, ValueError):
        return None
    return end if end > record.position + 1 else None


def _dna(record: VcfRecord, text: str) -> str:
    upper = text.upper()
    if not _DNA.fullmatch(upper):
        shown = text if len(text) <= 20 else text[:20] + "..."
        raise VcfError(
            f"{record}: allele {shown!r}: expected letters of DNA, a symbol in < >, or *: correct "
            "the record, or leave it out"
        )
    return upper


def _in_case_of(letter: np.uint8, text: str) -> Letters:
    return _ascii(text.lower() if letter >= ord("a") else text)


def _ascii(text: str) -> Letters:
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
