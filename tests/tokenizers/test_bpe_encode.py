"""The fast encoder against the `tokenizers` library: same ids for any text and any vocabulary."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer

from helixlm.tokenizers import bpe_encode
from helixlm.tokenizers.bpe import BpeTokenizer, bpe_tokenizer
from helixlm.tokenizers.bpe_encode import follows, may_follow
from helixlm.tokenizers.bpe_train import train_bpe
from helixlm.tokenizers.library import LibraryTokenizer

LETTERS = "ACGTNRacgtn"
lines = st.lists(
    st.one_of(
        st.text(LETTERS, max_size=120),
        st.tuples(st.text("ACG", min_size=1, max_size=4), st.integers(1, 80)).map(
            lambda parts: parts[0] * parts[1]
        ),
    ),
    max_size=12,
)
training = st.lists(
    st.one_of(
        st.text("ACGT", min_size=2, max_size=80),
        st.text("AAAC", min_size=2, max_size=80),
        st.tuples(st.text("ACG", min_size=1, max_size=4), st.integers(2, 60)).map(
            lambda parts: parts[0] * parts[1]
        ),
    ),
    min_size=1,
    max_size=15,
).filter(lambda texts: any(len(text) > 1 for text in texts))


@settings(max_examples=300, deadline=None)
@given(corpus=training, vocab_size=st.sampled_from([10, 25, 80, 300]), text=lines)
def test_ids_are_those_of_the_library(corpus, vocab_size, text):
    made = train_bpe(corpus, vocab_size=vocab_size, min_frequency=1)
    library = Tokenizer.from_str(made._text)
    assert made._table is not None
    expected = [encoding.ids for encoding in library.encode_batch(text, add_special_tokens=False)]
    assert [ids.tolist() for ids in made.encode_batch(text)] == expected


def test_any_two_tokens_may_follow_as_the_library_says(bpe):
    """The criterion itself, for all pairs: encode the two as one text."""
    tokens = [token for token in bpe.tokens if set(token) <= set("ACGT")]
    table = bpe._table
    place = {int(id_): rank for rank, id_ in enumerate(table.ids)}
    library = Tokenizer.from_str(bpe._text)
    for first in tokens:
        for second in tokens:
            ids = library.encode(first + second, add_special_tokens=False).ids
            stay = [bpe.tokens[id_] for id_ in ids] == [first, second]
            ranks = [place[bpe.tokens.index(token)] for token in (first, second)]
            assert may_follow(table, *ranks) == stay, (first, second)
            assert follows(table, *ranks) == stay, (first, second)


@settings(max_examples=100, deadline=None)
@given(corpus=training, vocab_size=st.sampled_from([10, 25, 80, 300]))
def test_what_is_written_down_is_what_undoing_merges_finds(corpus, vocab_size):
    table = train_bpe(corpus, vocab_size=vocab_size, min_frequency=1)._table
    for first in range(len(table.bp)):
        for second in range(len(table.bp)):
            assert follows(table, first, second) == may_follow(table, first, second)


def test_a_vocabulary_too_large_to_write_it_down_has_the_same_ids(bpe, lines, monkeypatch):
    monkeypatch.setattr(bpe_encode, "MOST_BITS", 10)
    other = BpeTokenizer(bpe._text)
    assert other._table.follows.shape == (0, 0)
    assert [ids.tolist() for ids in other.encode_batch(lines)] == [
        ids.tolist() for ids in bpe.encode_batch(lines)
    ]


@st.composite
def any_merges(draw):
    """Merges of tokens that there are by then, whether or not merging can ever come to them."""
    tokens = list("ACGT")
    merges = []
    for _ in range(draw(st.integers(1, 12))):
        left, right = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        if left + right not in tokens and len(left + right) < 9:
            tokens.append(left + right)
            merges.append((left, right))
    return merges


@settings(max_examples=400, deadline=None)
@given(merges=any_merges(), text=st.lists(st.text("ACGTN", max_size=40), max_size=6))
def test_a_vocabulary_of_any_merges_has_the_ids_of_the_library(merges, text):
    made = bpe_tokenizer(merges)
    library = Tokenizer.from_str(made._text)
    reachable = all(
        len(library.encode(left + right, add_special_tokens=False).ids) == 1
        for left, right in merges
    )
    assert (made._table is not None) == reachable
    expected = [encoding.ids for encoding in library.encode_batch(text, add_special_tokens=False)]
    assert [ids.tolist() for ids in made.encode_batch(text)] == expected


def test_an_added_token_goes_to_the_library(bpe):
    library = Tokenizer.from_str(bpe._text)
    known = next(token for token in bpe.tokens if len(token) == 3 and token.isalpha())
    library.add_tokens([AddedToken(known)])
    made = BpeTokenizer(library.to_str())
    assert made._table is None
    for line in ("ACGT" + known * 3, known[1:] + known, "TATAAACACGTGGATTACA"):
        assert made.encode(line).tolist() == library.encode(line, add_special_tokens=False).ids


def test_one_odd_sequence_does_not_send_the_others_to_the_library(bpe, monkeypatch):
    seen = []
    monkeypatch.setattr(
        LibraryTokenizer,
        "_encode_slice",
        lambda self, batch: seen.extend(batch) or [np.zeros(0, dtype=np.int32)] * len(batch),
    )
    ids = bpe.encode_batch(["ACGT", "AC*GT", "ACG\u00c5", "TATAAA"])
    assert seen == ["AC*GT", "ACG\u00c5"]
    assert [len(own) > 0 for own in ids] == [True, False, False, True]


@pytest.fixture(scope="module")
def gapped(lines):
    return train_bpe(lines, vocab_size=80, min_frequency=2, special_order="gena-lm")


@settings(max_examples=200, deadline=None)
@given(
    text=st.lists(
        st.lists(
            st.one_of(st.text("ACGTN", max_size=20), st.integers(8, 30).map("N".__mul__),
                      st.sampled_from([" ", "-", "acgt", "RY"])),
            max_size=8,
        ).map("".join),
        max_size=6,
    )
)  # fmt: skip
def test_gaps_have_the_ids_of_the_library(gapped, text):
    assert gapped._table is not None
    library = Tokenizer.from_str(gapped._text)
    expected = [encoding.ids for encoding in library.encode_batch(text, add_special_tokens=False)]
    assert [ids.tolist() for ids in gapped.encode_batch(text)] == expected


@pytest.mark.parametrize(
    "merges",
    [
        [("A", "C"), ("C", "G"), ("A", "CG")],  # ACG becomes AC G, so no text holds the last
        [
            ("A", "T"),
            ("G", "AT"),
            ("T", "C"),
            ("T", "A"),
            ("TA", "T"),
            ("TAT", "GAT"),
            ("GAT", "TA"),
        ],
        [("A", "C"), ("AC", "G"), ("C", "G"), ("A", "CG")],  # two ways to one token
        [("AC", "G"), ("A", "C")],  # made before its part
    ],
)
def test_a_vocabulary_that_is_not_of_training_goes_to_the_library(merges):
    made = bpe_tokenizer(merges)
    assert made._table is None
    library = Tokenizer.from_str(made._text)
    for text in ("ACG", "ACACG", "CGACGA", "TATC"):
        assert made.encode(text).tolist() == library.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize(
    ("change", "fast"),
    [
        ({}, True),
        ({"normalizer": None}, True),
        ({"normalizer": {"type": "Lowercase"}}, False),
        ({"pre_tokenizer": {"type": "Whitespace"}}, True),
        ({"model": {"ignore_merges": True}}, False),
    ],
)
def test_what_the_fast_encoder_does_not_know_goes_to_the_library(bpe, change, fast):
    content = json.loads(bpe._text)
    for key, value in change.items():
        content[key] = {**content[key], **value} if key == "model" else value
    text = json.dumps(content)
    made = BpeTokenizer(text)
    assert (made._table is not None) == fast
    library = Tokenizer.from_str(text)
    for line in ("ACGTACGT", "acgt", "ACNGT", "AC GT", "AC-GT"):
        assert made.encode(line).tolist() == library.encode(line, add_special_tokens=False).ids
