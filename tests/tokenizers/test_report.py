"""The report against counts by hand and the definition of entropy."""

import math
from collections import Counter

import numpy as np
import pytest

from helixlm.tokenizers import report
from helixlm.tokenizers.base import TokenizerError
from helixlm.tokenizers.bpe import bpe_tokenizer
from helixlm.tokenizers.kmer_overlapping import dnabert_tokenizer
from helixlm.tokenizers.report import tokenizer_report


@pytest.fixture
def small():
    return bpe_tokenizer([("A", "C"), ("AC", "G"), ("T", "T")])


def test_counts_by_hand(small):
    # ACG ACG AC N | G A | nothing; TT and T are never used
    found = tokenizer_report(small, ["ACGACGacN", "GA", ""])
    assert (found.num_sequences, found.num_bases, found.num_tokens) == (3, 11, 6)
    assert found.counts.tolist() == [0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 2, 0]
    assert found.bases_per_token == pytest.approx(11 / 6)
    assert found.vocabulary_lengths == {1: 4, 2: 2, 3: 1}
    assert found.text_lengths == {1: 2, 2: 1, 3: 2}
    assert (found.usable_tokens, found.unused_tokens) == (7, 3)  # C, T and TT
    assert found.unknown_share == pytest.approx(1 / 6)
    assert found.unknown_base_share == pytest.approx(1 / 11)
    assert found.frequent(3) == [("ACG", 2, 2 / 6), ("<unk>", 1, 1 / 6), ("A", 1, 1 / 6)]
    assert len(found.frequent(100)) == 5
    assert (found.kind, found.vocab_size, found.sha256) == ("bpe", 12, small.sha256)


def test_unigram_cost_is_the_entropy(bpe, lines):
    found = tokenizer_report(bpe, lines)
    counts = Counter(id_ for line in lines for id_ in bpe.encode(line).tolist())
    total = sum(counts.values())
    bits = -sum(n * math.log2(n / total) for n in counts.values())
    assert found.unigram_bits_per_base == pytest.approx(bits / sum(map(len, lines)))
    assert sum(found.text_lengths.values()) == total
    assert sum(length * n for length, n in found.text_lengths.items()) == sum(map(len, lines))


def test_soft_masked_bases_count_as_the_book_is_given_them(book):
    found = tokenizer_report(book, ["ACGTacgt", "n"])
    assert found.counts[:5].tolist() == [2, 2, 2, 2, 1]  # A T C G N
    assert found.unknown_base_share == 0


def test_equal_bases_cost_two_bits_and_one_base_none(char):
    assert tokenizer_report(char, ["ACGT", "GCAT"]).unigram_bits_per_base == pytest.approx(2)
    alone = tokenizer_report(char, ["AAAA"]).unigram_bits_per_base
    assert math.copysign(1, alone) == 1
    assert alone == 0


def test_counts_do_not_depend_on_how_the_text_is_read(bpe, lines, monkeypatch):
    whole = tokenizer_report(bpe, lines)
    calls = []
    monkeypatch.setattr(report, "SEQUENCES_AT_ONCE", 25)
    parts = tokenizer_report(bpe, iter(lines), progress=lambda *call: calls.append(call))
    assert np.array_equal(parts.counts, whole.counts)
    assert calls == [(25, None), (50, None), (60, None)]


def test_text(small):
    text = tokenizer_report(small, ["ACGACGacN", "GA"]).as_text(frequent=2)
    assert text.splitlines() == [
        f"tokenizer          bpe, 12 tokens, tokenizer.json sha256 {small.sha256[:12]}",
        "text               11 bases in 2 sequences, 6 tokens",
        "bases per token    1.833",
        "unknown letters    1 (9.091% of the text)",
        "vocabulary in use  4 of 7 entries (57.1%)",
        "unigram cost       1.2282 bits per base (2 for single bases at random)",
        "",
        "  length  vocabulary           text  of tokens",
        "    1 bp           4              2     33.33% ##########",
        "    2 bp           2              1     16.67% #####",
        "    3 bp           1              2     33.33% ##########",
        "",
        "frequent                       text  of tokens",
        "ACG                               2     33.33%",
        "<unk>                             1     16.67%",
    ]


def test_no_text(bpe):
    with pytest.raises(TokenizerError, match="nothing to report on: 2 sequences hold no letter"):
        tokenizer_report(bpe, ["", ""])


def test_a_text_of_sequences_shorter_than_overlapping_words():
    with pytest.raises(TokenizerError, match="no sequence is as long as the words of 6 letters"):
        tokenizer_report(dnabert_tokenizer(6), ["ACGTA", "AC"])


def test_overlapping_kmers_are_not_counted_as_if_they_lay_side_by_side():
    found = tokenizer_report(dnabert_tokenizer(3), ["ACGTACGTNACG", "acgt"])
    assert (found.num_bases, found.num_tokens) == (16, 12)
    assert found.bases_per_token == pytest.approx(16 / 12)
    assert found.unknown_share == 3 / 12  # one N, three words
    assert math.isnan(found.unknown_base_share)
    assert found.unigram_bits_per_base is None
    assert found.held_out_bits_per_base is None
    text = found.as_text()
    assert "unknown letters    in 3 tokens (25.000% of them)" in text
    assert "unigram cost       not defined: overlapping k-mers spell each base several" in text
