"""Single letters against tables written out here, and round trips."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.tokenizers.base import in_its_case
from helixlm.tokenizers.char import char_tokenizer

# The vocabulary of the book's chapter 2, in its order.
BOOK = {
    "A": 0, "T": 1, "C": 2, "G": 3, "N": 4, "U": 5, "i": 6, "R": 7, "Y": 8, "K": 9, "M": 10,
    "S": 11, "W": 12, "B": 13, "D": 14, "H": 15, "V": 16, "-": 17, "[UNK]": 18, "[PAD]": 19,
    "[CLS]": 20, "[SEP]": 21, "[MASK]": 22,
}  # fmt: skip
DEFAULT = {"A": 5, "C": 6, "G": 7, "T": 8, "N": 9, "a": 5, "c": 6, "g": 7, "t": 8, "n": 9}

# Without the brackets that begin the text of a special token, which has a test of its own.
ANY = st.text(st.sampled_from("ACGTacgtNnRYSWKMBDHVUiI-*]> \n\té中\x00"), max_size=60)


@settings(deadline=None, max_examples=200)
@given(sequence=ANY)
def test_default_ids_follow_the_table(char, sequence):
    ids = char.encode(sequence)
    assert ids.tolist() == [DEFAULT.get(letter, 3) for letter in sequence]
    assert ids.dtype == np.int32
    assert char.decode(ids) == "".join(c if c in "ACGT" else "N" for c in upper(sequence))


@settings(deadline=None, max_examples=200)
@given(sequence=ANY)
def test_book_ids_follow_the_table(book, sequence):
    ids = book.encode(sequence)
    assert ids.tolist() == [BOOK.get(letter, 18) for letter in sequence]
    assert book.decode(ids) == "".join(c if c in BOOK else "N" for c in sequence)


def upper(sequence):
    return sequence.translate(str.maketrans("acgt", "ACGT"))


@settings(deadline=None, max_examples=100)
@given(sequence=ANY)
def test_each_letter_is_one_token(char, book, sequence):
    for tokenizer in (char, book):
        ids, starts, ends = tokenizer.encode_with_offsets(sequence)
        assert ids.tolist() == tokenizer.encode(sequence).tolist()
        assert starts.tolist() == list(range(len(sequence)))
        assert ends.tolist() == list(range(1, len(sequence) + 1))
        assert [ids.dtype, starts.dtype, ends.dtype] == [np.int32, np.int64, np.int64]


def test_the_book_has_its_23_symbols_and_adds_none(book):
    assert dict(zip(book.tokens, range(23), strict=True)) == BOOK
    assert book.special == (None, None, 18, 19, 22)  # bos, eos, unk, pad, mask
    assert book.special_ids.tolist() == [18, 19, 20, 21, 22]
    assert book.add_special([0, 1]).tolist() == [0, 1]
    assert book.token_bp.tolist() == [1] * 19 + [0] * 4  # unk is one letter
    assert book.encode("acgt").tolist() == [18] * 4
    assert book.keeps_case
    assert book.kind == "char"


def test_the_default_surrounds_a_sequence(char):
    assert char.tokens == ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "A", "C", "G", "T", "N"]
    assert char.special == (0, 2, 3, 1, 4)
    assert char.add_special(char.encode("aN-")).tolist() == [0, 5, 9, 3, 2]
    assert char.token_bp.tolist() == [0, 0, 0, 1, 0, 1, 1, 1, 1, 1]
    assert not char.keeps_case


def test_soft_masked_sequences_in_the_case_that_a_tokenizer_reads(char, bpe, book):
    masked = ["ACGTnnacgtRykm", "", "iI-<i>"]
    assert in_its_case(book, masked) == ["ACGTNNACGTRYKM", "", "iI-<i>"]
    assert book.encode(in_its_case(book, masked)[0]).tolist() == [
        BOOK[letter] for letter in masked[0].upper()
    ]
    for tokenizer in (char, bpe):
        assert in_its_case(tokenizer, masked) == masked


def test_published_order():
    published = char_tokenizer(special_order="published")
    assert published.special == (0, 1, 2, 3, 4)
    assert published.encode("AN*").tolist() == [5, 9, 2]


@pytest.mark.parametrize(("name", "mask"), [("char", "<mask>"), ("book", "[MASK]")])
def test_the_text_of_a_special_token_is_that_token(request, name, mask):
    tokenizer = request.getfixturevalue(name)
    ids, starts, ends = tokenizer.encode_with_offsets(f"A{mask}C")
    assert tokenizer.encode_batch(["A", f"A{mask}C"])[1].tolist() == ids.tolist()
    a, c = tokenizer.encode("AC")
    assert ids.tolist() == [a, tokenizer.special.mask, c]
    assert starts.tolist() == [0, 1, 1 + len(mask)]
    assert ends.tolist() == [1, 1 + len(mask), 2 + len(mask)]
    assert tokenizer.decode(ids) == "AC"
