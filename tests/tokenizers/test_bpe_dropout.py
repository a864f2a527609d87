"""BPE dropout against its definition written slowly, SentencePiece, and the `tokenizers` library.

The library draws for every merge anew at each step (Provilkov et al., algorithm 1), which is
another distribution wherever two merges are possible at once; the last tests show what that does.
"""

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tokenizers import Tokenizer

from helixlm.rng import CounterRng
from helixlm.tokenizers.base import TokenizerError
from helixlm.tokenizers.bpe import BpeTokenizer, bpe_tokenizer, row_dropout
from helixlm.tokenizers.bpe_dropout import merge_some, num_draws, redraw_row
from helixlm.tokenizers.bpe_train import train_bpe

from .conftest import random_lines

LETTERS = "ACGTNRacgtn"
texts = st.one_of(
    st.text(LETTERS, max_size=150),
    st.text("AC", max_size=60),
    st.tuples(st.text("ACG", min_size=1, max_size=4), st.integers(1, 60)).map(
        lambda parts: parts[0] * parts[1]
    ),
)
corpora = st.lists(
    st.one_of(st.text("ACGT", min_size=2, max_size=80), st.text("AAAC", min_size=2, max_size=80)),
    min_size=1,
    max_size=10,
)
probabilities = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.01, 0.99))


def pair_at(tokens, at, ranks):
    """The rank of the merge of two neighbours, or None."""
    return ranks.get((tokens[at], tokens[at + 1])) if 0 <= at < len(tokens) - 1 else None


def slow_dropout(merges, text, p, uniform):
    """The definition: a draw for each pair of neighbours that can merge, when it comes to be one.

    Drawn from the left for the letters, then for each merge for the pair on its left and on its
    right. The lowest rank that was not left out is applied, at equal rank the leftmost.
    """
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    draws = iter(uniform)
    tokens = [letter if letter in "ACGT" else "N" for letter in text.upper()]

    def drawn(at):
        return None if pair_at(tokens, at, ranks) is None else next(draws) >= p

    allowed = [drawn(at) for at in range(len(tokens) - 1)]
    while True:
        possible = [(pair_at(tokens, at, ranks), at) for at, may in enumerate(allowed) if may]
        if not possible:
            return tokens
        _, at = min(possible)
        tokens[at : at + 2] = [tokens[at] + tokens[at + 1]]
        del allowed[at]
        if at > 0:
            allowed[at - 1] = drawn(at - 1)
        if at < len(tokens) - 1:
            allowed[at] = drawn(at)


def exact_distribution(merges, text, p):
    """Probability of each outcome, by following both outcomes of every draw."""
    found = Counter()

    def follow(bits):
        def uniform():
            yield from map(float, bits)
            raise LookupError

        try:
            tokens = slow_dropout(merges, text, 0.5, uniform())
        except LookupError:  # one more draw is needed
            follow([*bits, True])
            follow([*bits, False])
            return
        weight = math.prod((1 - p) if bit else p for bit in bits)
        found[" ".join(tokens)] += weight

    follow([])
    return found


def observed(tokenizer, text, p, count, key="observed"):
    rng = CounterRng(key, text)
    return Counter(
        " ".join(tokenizer.tokens[i] for i in tokenizer.encode_with_dropout(text, p, rng))
        for _ in range(count)
    )


def chi_square(counts, expected):
    """p value of counts for probabilities; outcomes that are hardly expected are put together."""
    assert set(counts) <= set(expected)
    total = sum(counts.values())
    common = [outcome for outcome in expected if expected[outcome] * total >= 5]
    seen = [counts[outcome] for outcome in common]
    wanted = [expected[outcome] * total for outcome in common]
    rest = total - sum(wanted)
    if rest > 1e-6 * total:
        seen, wanted = [*seen, total - sum(seen)], [*wanted, rest]
    return stats.chisquare(seen, np.array(wanted) * (sum(seen) / sum(wanted))).pvalue


@settings(max_examples=200, deadline=None)
@given(corpora, st.sampled_from([10, 25, 80, 300]), texts, probabilities, st.integers(0, 1000))
def test_ids_are_those_of_the_definition(corpus, vocab_size, text, p, seed):
    made = train_bpe(corpus, vocab_size=vocab_size, min_frequency=1)
    uniform = CounterRng("draws", seed).uniform(3 * len(text))
    found = made.encode_with_dropout(text, p, CounterRng("draws", seed))
    expected = slow_dropout(made.merges, text, p, uniform)
    names = [made.tokens[i].replace("<unk>", "N") for i in found]
    assert names == expected
    assert made.decode(found) == "".join(x if x in "ACGT" else "N" for x in text.upper())
    library = Tokenizer.from_str(made._text)
    if p == 0:
        assert found.tolist() == library.encode(text, add_special_tokens=False).ids
    if p == 1:
        assert len(found) == len(text)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.7])
def test_long_lines_with_deep_merges_are_those_of_the_definition(bpe, lines, p):
    for number, line in enumerate(lines[:20]):
        uniform = CounterRng("deep", number).uniform(3 * len(line))
        found = bpe.encode_with_dropout(line, p, CounterRng("deep", number))
        assert [bpe.tokens[i] for i in found] == slow_dropout(bpe.merges, line, p, uniform)


# Counts of 20,000 draws of SentencePiece 0.2.3, `encode(enable_sampling=True, alpha=p)`, with a
# BPE model of these merges. SentencePiece merges any two tokens that spell a third, so the merges
# are such that each token has one pair of tokens that spells it.
MERGES = [("A", "C"), ("C", "G"), ("A", "A"), ("AC", "AC"), ("CG", "T"), ("AA", "AA")]
SENTENCEPIECE = {
    ("ACACG", 0.1): "A C A C G 18, A C A CG 192, A C AC G 1798, AC A C G 198, AC A CG 1682, "
    "AC AC G 1625, ACAC G 14487",
    ("ACACG", 0.5): "A C A C G 2530, A C A CG 2489, A C AC G 5093, AC A C G 2467, AC A CG 2451, "
    "AC AC G 2470, ACAC G 2500",
    ("AAAAC", 0.1): "A A A A C 2, A A A AC 177, A A AA C 25, A AA A C 183, A AA AC 1639, "
    "AA A A C 181, AA A AC 16214, AA AA C 158, AAAA C 1421",
    ("AAAAC", 0.5): "A A A A C 1327, A A A AC 2596, A A AA C 1234, A AA A C 2387, A AA AC 2503, "
    "AA A A C 2473, AA A AC 4932, AA AA C 1259, AAAA C 1289",
    ("ACGTACG", 0.1): "A C G T A C G 1, A C G T A CG 14, A C G T AC G 184, A CG T A C G 3, "
    "A CG T A CG 16, A CG T AC G 156, A CGT A C G 19, A CGT A CG 138, A CGT AC G 1409, "
    "AC G T A C G 174, AC G T A CG 1594, AC G T AC G 16292",
    ("ACGTACG", 0.5): "A C G T A C G 1325, A C G T A CG 1235, A C G T AC G 2454, "
    "A CG T A C G 640, A CG T A CG 596, A CG T AC G 1289, A CGT A C G 599, A CGT A CG 609, "
    "A CGT AC G 1321, AC G T A C G 2424, AC G T A CG 2543, AC G T AC G 4965",
}


@pytest.mark.parametrize(("text", "p"), SENTENCEPIECE)
def test_the_distribution_is_that_of_sentencepiece(text, p):
    theirs = Counter(
        {
            outcome.rpartition(" ")[0]: int(outcome.rpartition(" ")[2])
            for outcome in SENTENCEPIECE[text, p].split(", ")
        }
    )
    exact = exact_distribution(MERGES, text, p)
    ours = observed(bpe_tokenizer(MERGES), text, p, 20_000)
    assert sum(exact.values()) == pytest.approx(1)
    assert sum(theirs.values()) == 20_000
    assert chi_square(theirs, exact) > 1e-3
    assert chi_square(ours, exact) > 1e-3
    outcomes = [x for x in exact if theirs[x] + ours[x] >= 10]
    table = [[counts[x] for x in outcomes] for counts in (theirs, ours)]
    assert stats.chi2_contingency(table).pvalue > 1e-3


def of_library(tokenizer, p):
    content = json.loads(tokenizer._text)
    content["model"]["dropout"] = p
    return Tokenizer.from_str(json.dumps(content))


@pytest.mark.parametrize("p", [0.2, 0.6])
def test_the_distribution_is_that_of_the_library_where_one_merge_is_possible_at_a_time(p):
    merges = [("G", "T"), ("GT", "T"), ("A", "GTT"), ("AGTT", "C")]
    made = bpe_tokenizer(merges)
    library = of_library(made, p)
    theirs = Counter(
        " ".join(library.encode("AGTTC", add_special_tokens=False).tokens) for _ in range(10_000)
    )
    ours = observed(made, "AGTTC", p, 10_000)
    expected = {  # by hand: each merge waits for the one before it
        "A G T T C": p,
        "A GT T C": (1 - p) * p,
        "A GTT C": (1 - p) ** 2 * p,
        "AGTT C": (1 - p) ** 3 * p,
        "AGTTC": (1 - p) ** 4,
    }
    assert chi_square(theirs, expected) > 1e-9  # the library has no seed
    assert chi_square(ours, expected) > 1e-3


def test_the_effect_does_not_vanish_with_length_as_in_the_library(bpe):
    """Why each merge is drawn once: drawn at every step, p = 0.5 leaves a long line as it is."""
    library, rng = of_library(bpe, 0.5), CounterRng("length")
    ratios = {}
    for length in (6, 1000):
        lines = random_lines("length", count=12_000 // length, length=length)
        lines = [line[:length] for line in lines]
        plain = sum(len(ids) for ids in bpe.encode_batch(lines))
        theirs = sum(len(library.encode(line, add_special_tokens=False).ids) for line in lines)
        ours = sum(len(bpe.encode_with_dropout(line, 0.5, rng)) for line in lines)
        ratios[length] = (ours / plain, theirs / plain)
    assert ratios[1000][0] > ratios[6][0] > 1.4
    assert ratios[6][1] > 1.3
    assert ratios[1000][1] < 1.1


def test_an_upper_case_vocabulary_reads_lower_case_as_unknown(bpe):
    content = json.loads(bpe._text)
    content["normalizer"] = None
    made = BpeTokenizer(json.dumps(content))
    rng = CounterRng("case")
    assert made.decode(made.encode_with_dropout("ACgtACGT", 0.5, rng)) == "ACNNACGT"


def test_the_same_key_gives_the_same_ids_and_another_key_others(bpe, lines):
    ids = [bpe.encode_with_dropout(lines[0], 0.3, CounterRng("k", k)).tolist() for k in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]


def test_an_empty_sequence_has_no_tokens(bpe):
    assert bpe.encode_with_dropout("", 0.5, CounterRng("empty")).tolist() == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("ACGTN", min_size=1, max_size=60), min_size=1, max_size=6),
    st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    st.integers(0, 1000),
    st.booleans(),
)
def test_a_row_keeps_its_shape_and_shows_stretches_of_its_documents(bpe, texts, p, seed, marked):
    pieces = bpe.encode_batch(texts)
    wrapped = [[0, *piece, 2] if marked else list(piece) for piece in pieces]
    ids_L = np.array([i for piece in wrapped for i in piece] + [1, 1, 1])
    document_L = np.repeat(np.arange(len(wrapped) + 1), [*map(len, wrapped), 3]).astype(np.int32)
    table, _ = row_dropout(bpe, p)
    uniform = CounterRng("row", seed).uniform(num_draws(table, ids_L))
    row = redraw_row(table, ids_L, document_L, p, uniform)
    special = bpe.special_ids[bpe.special_ids != bpe.special.unk]
    at_special = np.isin(ids_L, special)
    assert (row[at_special] == ids_L[at_special]).all()
    assert not np.isin(row[~at_special], special).any()
    for number, (text, piece) in enumerate(zip(texts, pieces, strict=True)):
        found = row[(document_L == number) & ~at_special]
        assert len(found) == len(piece)
        assert bpe.decode(found) in text
        if p == 0:
            assert (found == piece).all()
        if p == 1:
            assert len(bpe.decode(found)) == len(piece)


@settings(max_examples=100, deadline=None)
@given(st.text("ACGTN", min_size=1, max_size=60), probabilities, st.integers(0, 1000))
def test_a_piece_is_a_stretch_of_its_encoding_with_dropout(bpe, text, p, seed):
    """Or stays as it is, if dropout gives fewer tokens than there were."""
    ids_L = bpe.encode(text).astype(np.int64)
    table, _ = row_dropout(bpe, p)
    uniform = CounterRng("piece", seed).uniform(num_draws(table, ids_L))
    row = redraw_row(table, ids_L, np.zeros(len(ids_L), np.int32), p, uniform).tolist()
    names = [name.replace("N", "<unk>") for name in slow_dropout(bpe.merges, text, p, uniform[1:])]
    whole = [bpe.tokens.index(name) for name in names]
    stretches = [whole[at : at + len(ids_L)] for at in range(len(whole) - len(ids_L) + 1)]
    assert row in stretches if stretches else row == ids_L.tolist()


def test_another_encoding_of_as_many_tokens_is_taken():
    made = bpe_tokenizer([("A", "C"), ("C", "G")])
    ids_L = made.encode("ACG").astype(np.int64)
    table, _ = row_dropout(made, 0.5)
    rows = set()
    for number in range(50):
        uniform = CounterRng("as many", number).uniform(num_draws(table, ids_L))
        row = redraw_row(table, ids_L, np.zeros(2, np.int32), 0.5, uniform)
        rows.add(" ".join(made.tokens[i] for i in row))
    assert rows == {"AC G", "A CG", "A C", "C G"}


def test_copies_of_a_document_in_one_row_are_drawn_apart(bpe, lines):
    piece = [0, *bpe.encode(lines[0]), 2]
    ids_L, document_L = np.array(piece * 2), np.repeat(np.int32([1, 2]), len(piece))
    table, _ = row_dropout(bpe, 0.1)
    uniform = CounterRng("copies").uniform(num_draws(table, ids_L))
    row = redraw_row(table, ids_L, document_L, 0.1, uniform)
    assert (row[: len(piece)] != row[len(piece) :]).any()


@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
def test_every_base_of_a_piece_is_shown_at_times(bpe, p):
    text = random_lines("shown", count=1, length=400)[0]
    ids_L = bpe.encode(text).astype(np.int64)
    table, _ = row_dropout(bpe, p)
    shown = np.zeros(len(text))
    draws = 400
    for number in range(draws):
        uniform = CounterRng("shown", number).uniform(num_draws(table, ids_L))
        row = bpe.decode(redraw_row(table, ids_L, np.zeros(len(ids_L), np.int32), p, uniform))
        at = text.find(row)
        assert text.count(row) == 1
        shown[at : at + len(row)] += 1
    assert shown.min() > 0.15 * draws


def test_what_cannot_leave_merges_out_is_refused(bpe, char):
    rng = CounterRng("refused")
    with pytest.raises(TokenizerError, match="a tokenizer of kind 'char' has none: expected"):
        row_dropout(char, 0.1)
    assert not hasattr(char, "encode_with_dropout")
    odd = bpe_tokenizer([("A", "C"), ("AC", "G"), ("C", "G"), ("A", "CG")])
    with pytest.raises(TokenizerError, match="dropout needs a vocabulary as training writes it"):
        odd.encode_with_dropout("ACGT", 0.1, rng)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_probability_that_is_none_is_refused(bpe, p):
    with pytest.raises(TokenizerError, match=r"dropout p .*: expected a probability from 0 to 1"):
        bpe.encode_with_dropout("ACGT", p, CounterRng("p"))


@pytest.mark.parametrize(("text", "found"), [("AC GT", "' ' at position 2"), ("Aé", "'é' at")])
def test_what_is_no_letter_is_refused(bpe, text, found):
    with pytest.raises(TokenizerError, match=f"found {found}.*, expected letters"):
        bpe.encode_with_dropout(text, 0.1, CounterRng("letters"))


def test_the_draws_that_are_said_to_be_enough_are(bpe):
    """A run of one letter has the most merges; p = 0 leaves none out, so all are drawn."""
    codes = np.zeros(500, dtype=np.uint8)
    uniform = np.full(3 * 500, 0.5)
    ids = merge_some(bpe.dropout_table, codes, 0.0, uniform)
    assert ids.tolist() == bpe.encode("A" * 500).tolist()
