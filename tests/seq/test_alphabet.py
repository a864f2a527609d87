"""Letters and codes: worked values, inverses, and every letter that is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.seq.alphabet import DNA, Alphabet, AlphabetError, softmask

IUPAC = "ACGTNRYSWKMBDHV"
letters = st.text(alphabet=IUPAC + IUPAC.lower())


def test_codes_by_hand():
    assert DNA.symbols == IUPAC
    assert len(DNA) == 15
    assert DNA.encode("ACGTNRYSWKMBDHV").tolist() == list(range(15))
    assert DNA.encode("acgtn").tolist() == [0, 1, 2, 3, 4]
    assert DNA.encode(b"GATTACA").tolist() == [2, 0, 3, 3, 0, 1, 0]
    assert DNA.decode([2, 0, 3, 3, 0, 1, 0]) == "GATTACA"


def test_codes_are_bytes_that_may_be_written_to():
    codes = DNA.encode("ACGT")
    assert codes.dtype == np.uint8
    codes[0] = 3
    assert DNA.decode(codes) == "TCGT"
    assert DNA.encode("ACGT").tolist() == [0, 1, 2, 3]


def test_nothing_is_something():
    assert DNA.encode("").tolist() == []
    assert DNA.encode("").dtype == np.uint8
    assert DNA.decode([]) == ""
    assert softmask("").tolist() == []


@settings(deadline=None, max_examples=50)
@given(letters)
def test_decode_undoes_encode(text):
    assert DNA.decode(DNA.encode(text)) == text.upper()
    assert [IUPAC[code] for code in DNA.encode(text.encode())] == list(text.upper())


@settings(deadline=None, max_examples=50)
@given(letters)
def test_softmask_is_what_lower_case_means(text):
    assert softmask(text).tolist() == [letter.islower() for letter in text]


def test_softmask_of_what_is_not_a_letter():
    assert softmask("a`{z-@[A").tolist() == [True, False, False, True, False, False, False, False]


def test_every_other_byte_is_refused():
    others = [chr(byte) for byte in range(256) if chr(byte).upper() not in IUPAC]
    assert len(others) == 256 - 2 * len(IUPAC)
    for letter in others:
        with pytest.raises(AlphabetError, match="at position 2, expected the letters of DNA, ACG"):
            DNA.encode("AC" + letter + "G")
        with pytest.raises(AlphabetError, match="at position 2"):
            DNA.encode(b"AC" + letter.encode("latin-1") + b"G*")


def test_the_first_bad_letter_is_named():
    with pytest.raises(AlphabetError, match=r"^letter '-' at position 1, .* in either case$"):
        DNA.encode("A-CG*")
    with pytest.raises(AlphabetError, match="letter '-' at position 1"):
        DNA.encode("A-CGä")
    with pytest.raises(AlphabetError, match="letter 'ä' at position 1"):
        DNA.encode("Aä-")


@pytest.mark.parametrize("letter", "Uu")
def test_rna_is_not_turned_into_dna_silently(letter):
    with pytest.raises(AlphabetError, match="write RNA with T in place of U"):
        DNA.encode("ACG" + letter)
    assert Alphabet("ACGU").encode(letter).tolist() == [3]


def test_letters_outside_ascii_have_no_case_here():
    with pytest.raises(AlphabetError, match="letter 'ß' at position 3"):
        softmask("ACGß")


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([0, 15, 200], "code 15 at position 1, expected 0 to 14, the codes of DNA"),
        (np.array([3, 0, 255], dtype=np.uint8), "code 255 at position 2"),
        (np.array([2, -1]), "code -1 at position 1"),
        ([0.0, 1.0], r"codes of dtype float64 and shape \(2,\): expected a row of integers"),
        ([[0, 1]], r"shape \(1, 2\): expected a row of integers"),
        (["A"], "expected a row of integers"),
    ],
)
def test_codes_that_are_none(codes, message):
    with pytest.raises(AlphabetError, match=message):
        DNA.decode(codes)


def test_decode_takes_any_integer_type():
    for dtype in (np.int8, np.uint16, np.int64, np.uint64):
        assert DNA.decode(np.array([0, 14, 4], dtype=dtype)) == "AVN"


def test_other_alphabets():
    protein = Alphabet("ACDEFGHIKLMNPQRSTVWY*", name="protein")
    assert protein.encode("mk*").tolist() == [10, 8, 20]
    assert repr(protein) == "Alphabet('ACDEFGHIKLMNPQRSTVWY*', name='protein')"
    with pytest.raises(AlphabetError, match="expected the letters of protein, ACDEF"):
        protein.encode("B")


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ("", "expected at least one upper-case ASCII letter"),
        ("ACGt", "symbols 'ACGt': expected at least one upper-case ASCII letter"),
        ("ACGÄ", "upper-case ASCII"),
        ("ACGTA", "symbols 'ACGTA': expected each letter once"),
    ],
)
def test_alphabets_that_are_none(symbols, message):
    with pytest.raises(ValueError, match=message):
        Alphabet(symbols)
