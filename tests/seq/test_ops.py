"""Complements and composition against their definitions by sets of bases, and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.seq.alphabet import DNA, AlphabetError
from helixlm.seq.ops import complement_codes, gc_fraction, reverse_complement

# Cornish-Bowden (1985), table 1: the bases that each letter stands for.
BASES = {
    "A": "A",
    "C": "C",
    "G": "G",
    "T": "T",
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
    "N": "ACGT",
}
PARTNER = {"A": "T", "C": "G", "G": "C", "T": "A"}
sequences = st.text(alphabet="".join(BASES) + "".join(BASES).lower())


def slow_complement(letter):
    """The letter that stands for the partners of the bases that this letter stands for."""
    partners = sorted(PARTNER[base] for base in BASES[letter.upper()])
    found = next(name for name, bases in BASES.items() if sorted(bases) == partners)
    return found if letter.isupper() else found.lower()


def test_by_hand():
    assert reverse_complement("") == ""
    assert reverse_complement("GATTACA") == "TGTAATC"
    assert reverse_complement("aaCCgNn") == "nNcGGtt"
    assert reverse_complement("GAATTC") == "GAATTC"  # EcoRI cuts a palindrome


@pytest.mark.parametrize("letter", [*BASES, *"".join(BASES).lower()])
def test_each_letter_against_the_sets_of_bases(letter):
    assert reverse_complement(letter) == slow_complement(letter)
    codes = complement_codes(DNA.encode(letter))
    assert DNA.decode(codes) == slow_complement(letter).upper()


@settings(deadline=None, max_examples=50)
@given(sequences)
def test_twice_is_identity_and_codes_agree(text):
    once = reverse_complement(text)
    assert once == "".join(slow_complement(letter) for letter in reversed(text))
    assert reverse_complement(once) == text
    codes = DNA.encode(text)
    assert np.array_equal(complement_codes(complement_codes(codes)), codes)
    assert DNA.decode(complement_codes(codes)[::-1]) == once.upper()


@settings(deadline=None, max_examples=25)
@given(sequences, sequences)
def test_of_a_join_is_the_join_of_each_in_turn(left, right):
    assert reverse_complement(left + right) == reverse_complement(right) + reverse_complement(left)


def test_codes_of_any_shape():
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert complement_codes(codes).shape == (3, 4)
    assert complement_codes(codes).dtype == np.uint8
    assert complement_codes(codes)[0].tolist() == [3, 2, 1, 0]
    assert complement_codes(np.array([], dtype=np.uint8)).tolist() == []


@pytest.mark.parametrize(
    ("text", "letter", "position"),
    [("ACG-T", "'-'", 3), ("ACGU", "'U'", 3), ("A\0C", r"'\\x00'", 1), ("ACGTé", "'é'", 4)],
)
def test_letters_without_a_complement(text, letter, position):
    with pytest.raises(AlphabetError, match=f"^letter {letter} at position {position}, expected"):
        reverse_complement(text)
    with pytest.raises(AlphabetError, match=f"^letter {letter} at position {position}, expected"):
        gc_fraction(text)


def test_codes_without_a_complement():
    with pytest.raises(AlphabetError, match="code 15, expected 0 to 14, the codes of DNA"):
        complement_codes(np.array([0, 15], dtype=np.uint8))


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("ACGT", 0.5),
        ("acgtNNNNNN", 0.5),
        ("GGGC", 1.0),
        ("at", 0.0),
        ("SSSW", 0.75),
        ("GRYKMBDHVN", 1.0),
    ],
)
def test_gc_by_hand(text, fraction):
    assert gc_fraction(text) == fraction
    assert gc_fraction(reverse_complement(text)) == fraction


@pytest.mark.parametrize("text", ["", "NNN", "RYKM"])
def test_gc_of_nothing_known(text):
    assert math.isnan(gc_fraction(text))
