"""What alleles do: cases worked by hand on one contig, and every reason to skip one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helixlm.data.formats.vcf import VcfError, VcfRecord
from helixlm.data.haplotypes.alleles import (
    KINDS,
    SKIP_REASONS,
    Allele,
    check_reference,
    read_allele,
    unknown_bases,
)
from helixlm.data.haplotypes.base import apply_alleles

#          0123456789
CONTIG = b"ACGTTGCAac"
LETTERS = np.frombuffer(CONTIG, dtype=np.uint8)


def record(position, ref, *alts, **info):
    return VcfRecord("a.vcf", "c", position, "rs1", ref, alts, info)


def applied(*records, letters=LETTERS, start=0):
    """What a haplotype becomes that carries the first allele of each record."""
    alleles = [read_allele(r, 1, LETTERS) for r in records]
    return apply_alleles(letters, start, alleles)


# Each case: record, the haplotype, the kind. Segments are ACG [TTG] CAac where END is 6.
HAND_WORKED = [
    (record(3, "T", "A"), "ACGATGCAac", "SNV"),
    (record(1, "CG", "CT"), "ACTTTGCAac", "SNV"),
    (record(1, "CG", "AT"), "AATTTGCAac", "MNV"),
    (record(1, "C", "CAA"), "ACAAGTTGCAac", "INS"),
    (record(0, "A", "TTA"), "TTACGTTGCAac", "DELINS"),
    (record(1, "CGT", "C"), "ACTGCAac", "DEL"),
    (record(0, "ACG", "G"), "GTTGCAac", "DEL"),
    (record(1, "CGT", "AA"), "AAATGCAac", "DELINS"),
    (record(8, "A", "G"), "ACGTTGCAgc", "SNV"),
    (record(2, "G", "<DEL>", END=6), "ACGCAac", "DEL"),
    (record(2, "G", "<DEL:ME:ALU>", END=6), "ACGCAac", "DEL"),
    (record(2, "G", "<DEL>", END="6"), "ACGCAac", "DEL"),  # where the header does not declare it
    (record(2, "G", "<DEL>", END=6, SVLEN=-99), "ACGCAac", "DEL"),
    (record(2, "G", "<DUP>", END=6), "ACGTTGTTGCAac", "DUP"),
    (record(2, "G", "<DUP:TANDEM>", END=6), "ACGTTGTTGCAac", "DUP"),
    (record(5, "G", "<DUP>", END=10), "ACGTTGCAacCAac", "DUP"),
    (record(2, "G", "<INV>", END=6), "ACGCAACAac", "INV"),
    (record(5, "G", "<INV>", END=10), "ACGTTGgtTG", "INV"),
    (record(2, "G", "<CN0>", END=6), "ACGCAac", "CNV"),
    (record(2, "G", "<CN2>", END=6), "ACGTTGTTGCAac", "CNV"),
    (record(2, "G", "<CN4>", END=6), "ACGTTGTTGTTGTTGCAac", "CNV"),
    (record(2, "G", "<INS>", SEQ="AAT"), "ACGAATTTGCAac", "INS"),
    (record(2, "G", "<INS:ME:ALU>", SVINSSEQ="aat"), "ACGAATTTGCAac", "INS"),
    (record(8, "A", "<INS>", SVINSSEQ="TT"), "ACGTTGCAattc", "INS"),
]


@pytest.mark.parametrize(("record", "expected", "kind"), HAND_WORKED)
def test_hand_worked(record, expected, kind):
    haplotype = applied(record)
    assert haplotype.sequence == expected
    assert haplotype.applied == {kind: 1}
    assert haplotype.skipped == {}


SKIPPED = [
    (record(2, "G", "*"), "spanning_deletion"),
    (record(2, "G", "G"), "no_change"),
    (record(2, "G", "<CN1>", END=6), "no_change"),
    (record(2, "G", "<INS:ME:ALU>", SVLEN=280), "no_sequence"),
    (record(2, "G", "<INS>", SEQ="."), "no_sequence"),
    (record(2, "G", "<INS>", LEFT_SVINSSEQ="AA"), "no_sequence"),
    (record(2, "G", "<DEL>"), "no_end"),
    (record(2, "G", "<DEL>", END=3), "no_end"),
    (record(2, "G", "<DEL>", END=(4, 6)), "no_end"),
    (record(2, "G", "<DEL>", SVLEN=-3), "no_end"),
    (record(2, "G", "<DUP:TANDEM>", SVLEN=(3,)), "no_end"),
    (record(2, "G", "<INV>", END=".", SVLEN=3), "no_end"),
    (record(2, "G", "<DEL>", END=11), "past_end"),
    (record(2, "G", "<DUP>", END=11), "past_end"),
    (record(2, "G", "G]17:198982]"), "breakend"),
    (record(2, "G", "[17:198983[G"), "breakend"),
    (record(2, "G", "G."), "breakend"),
    (record(2, "G", ".G"), "breakend"),
    (record(2, "G", "<BND>", END=6), "breakend"),
    (record(2, "G", "<CPX>", END=6), "complex"),
    (record(2, "G", "<CTX>", END=6), "complex"),
    (record(2, "G", "<CNV>", END=6), "unsupported"),
    (record(2, "G", "<DUP:DISPERSED>", END=6), "unsupported"),
    (record(2, "G", "<NON_REF>", END=6), "unsupported"),
    (record(2, "G", "<*>", END=6), "unsupported"),
]


@pytest.mark.parametrize(("record", "reason"), SKIPPED)
def test_what_cannot_be_applied_has_a_reason(record, reason):
    assert read_allele(record, 1, LETTERS) == reason
    assert reason in SKIP_REASONS


def test_each_allele_of_a_record_has_its_own_sequence():
    insertions = record(2, "G", "<INS>", "<INS>", SEQ="A,CC")
    found = apply_alleles(LETTERS, 0, [read_allele(insertions, 2, LETTERS)])
    assert found.sequence == "ACGCCTTGCAac"


def test_records_in_a_duplication_alter_the_copy_behind():
    haplotype = applied(record(2, "G", "<DUP>", END=6), record(4, "T", "C"))
    assert haplotype.sequence == "ACGTTGTCGCAac"
    assert haplotype.applied == {"DUP": 1, "SNV": 1}


def test_records_in_a_deletion_or_an_inversion_overlap_it():
    for symbol in ("<DEL>", "<CN0>", "<INV>"):
        alone = applied(record(2, "G", symbol, END=6))
        haplotype = applied(record(2, "G", symbol, END=6), record(4, "T", "C"))
        assert haplotype.sequence == alone.sequence
        assert haplotype.skipped == {"overlap": 1}


def test_a_symbolic_allele_may_follow_a_snv_at_its_anchor():
    haplotype = applied(record(2, "G", "C"), record(2, "G", "<INV>", END=6))
    assert haplotype.sequence == "ACCCAACAac"


def test_unknown_bases_are_n():
    assert apply_alleles(LETTERS, 0, [unknown_bases(record(2, "GT", "G"))]).sequence == "ACNNTGCAac"


bases = st.text("ACGT", min_size=1, max_size=6)


@given(bases, bases, st.integers(0, 5))
def test_any_spelled_allele_takes_the_place_of_ref(ref, alt, position):
    contig = np.frombuffer(b"TTTTT"[:position] + ref.encode() + b"GG", dtype=np.uint8)
    allele = read_allele(record(position, ref, alt), 1, contig)
    if ref == alt:
        assert allele == "no_change"
        return
    assert isinstance(allele, Allele)
    assert allele.kind in KINDS
    assert position <= allele.start <= allele.stop <= allele.end == position + len(ref)
    haplotype = apply_alleles(contig, 0, [allele])
    assert haplotype.sequence == "T" * position + alt + "GG"


@pytest.mark.parametrize("alt", ["A-", "AC?", "", "A C", "<DEL"])
def test_alleles_that_are_no_dna(alt):
    with pytest.raises(VcfError, match=r"a.vcf: record c:3 rs1 .*expected letters of DNA"):
        read_allele(record(2, "G", alt), 1, LETTERS)


def test_long_text_is_cut_short_in_messages():
    with pytest.raises(VcfError, match=r"allele '(A{20})\.\.\.'"):
        read_allele(record(2, "G", "A" * 30 + "!"), 1, LETTERS)


@pytest.mark.parametrize("number", [0, 2])
def test_a_number_without_an_allele(number):
    with pytest.raises(VcfError, match=f"names allele {number}, but there are 1 in ALT"):
        read_allele(record(2, "G", "A"), number, LETTERS)


@pytest.mark.parametrize(
    ("position", "ref", "expected"),
    [
        (2, "gT", None),
        (8, "AC", None),
        (2, "GA", "reference_mismatch"),
        (9, "CA", "past_end"),
        (10, "C", "past_end"),
        (-1, "N", "past_end"),
    ],
)
def test_the_reference_is_compared(position, ref, expected):
    assert check_reference(record(position, ref, "A"), LETTERS) == expected


def test_codes_are_reduced_to_their_first_base():
    """Cornish-Bowden (1985): the bases of each code; VCF takes the first in the alphabet."""
    codes = {"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC"}
    codes |= {"B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG"}
    for code, of in codes.items():
        letters = np.frombuffer(code.lower().encode(), dtype=np.uint8)
        fits = [x for x in "ACGTN" + code if check_reference(record(0, x, "*"), letters) is None]
        assert fits == [min(of), code]
