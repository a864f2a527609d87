"""The comparison against counts by hand, slow definitions, and what must not matter."""

import csv
import io
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.tokenizers import report
from helixlm.tokenizers.base import TokenizerError
from helixlm.tokenizers.bpe import bpe_tokenizer
from helixlm.tokenizers.bpe_train import train_bpe
from helixlm.tokenizers.char import char_tokenizer
from helixlm.tokenizers.compare import compare_tokenizers
from helixlm.tokenizers.kmer_overlapping import dnabert_tokenizer

FIRST = bpe_tokenizer([("A", "C"), ("AC", "G")])
SECOND = bpe_tokenizer([("C", "G"), ("A", "C"), ("T", "T")])


@pytest.fixture(scope="module")
def two():
    # First: ACG T | ACG ACG | AC T    Second: A CG T | A CG A CG | AC T
    return compare_tokenizers([FIRST, SECOND], ["acgTNNACGACG", "ACT"], names=["one", "two"])


def stretches(tokenizer, line):
    found = tokenizer.encode_with_offsets(line)
    return set(zip(found.starts.tolist(), found.ends.tolist(), strict=True))


def test_by_hand(two):
    one, other = two.reports
    assert (one.num_sequences, one.num_bases, one.num_left_out) == (2, 13, 2)
    assert (one.num_tokens, other.num_tokens) == (6, 9)
    assert (one.usable_tokens, other.usable_tokens) == (6, 7)
    assert two.shared_tokens(0, 1) == 5  # A C G T AC
    assert two.jaccard(0, 1) == two.jaccard(1, 0) == pytest.approx(5 / 8)  # ACG, CG, TT in one
    assert two.written_alike(0, 1) == pytest.approx(4 / 13)  # T, AC, T
    assert two.written_alike(1, 0) == pytest.approx(7 / 13)  # A, T, A, A, AC, T
    assert two.placed_alike(0, 1) == pytest.approx(4 / 13)
    assert two.missing(0) == [("ACG", pytest.approx(9 / 13), ("two",))]
    assert two.missing(1) == [("CG", pytest.approx(6 / 13), ("one",))]  # TT is not used


def test_coverage_by_hand(two):
    one = two.reports[0]
    assert [one.tokens[i] for i in one.by_use] == ["ACG", "T", "AC"]  # 9, 2, 2 bases
    assert one.coverage.tolist() == pytest.approx([9 / 13, 11 / 13, 1])
    assert [one.tokens_for(share) for share in (0.5, 0.7, 1)] == [1, 2, 3]
    assert one.unused_tokens == 3


def test_letters_without_a_token_are_never_covered():
    found = report.tokenizer_report(FIRST, ["ACGNN", "N"])
    assert found.coverage.tolist() == pytest.approx([3 / 6])
    assert found.tokens_for(0.9) is None


def test_held_out_cost_by_hand():
    """Even: A A A C. Odd: A G, of which G was never seen; five tokens (N too) can occur."""
    found = report.tokenizer_report(char_tokenizer(), ["AAAC", "AG"])
    can_occur = int(found.is_base.sum()) + (not found.is_base[found.unk])
    probability = {"A": 3.5 / (4 + can_occur / 2), "G": 0.5 / (4 + can_occur / 2)}
    expected = -(math.log2(probability["A"]) + math.log2(probability["G"])) / 2
    assert found.held_out_bits_per_base == pytest.approx(expected)
    assert report.tokenizer_report(char_tokenizer(), ["ACGT"]).held_out_bits_per_base is None


def test_held_out_cost_is_at_least_what_fitting_there_costs(make_lines):
    lines = make_lines(3, count=40)
    tokenizer = train_bpe(lines, vocab_size=200, min_frequency=2)
    whole = report.tokenizer_report(tokenizer, lines)
    fitted = report.tokenizer_report(tokenizer, lines[1::2]).unigram_bits_per_base
    assert whole.held_out_bits_per_base > fitted
    few = train_bpe(lines, vocab_size=20, min_frequency=2)
    gap = report.tokenizer_report(few, lines)
    assert gap.held_out_bits_per_base - gap.unigram_bits_per_base < (
        whole.held_out_bits_per_base - whole.unigram_bits_per_base
    )


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("ACGTNacgtR", max_size=30), min_size=1, max_size=8))
def test_stretches_alike_are_those_of_the_offsets(lines):
    pieces = [p for line in lines for p in line.upper().replace("R", "N").split("N") if p]
    if not pieces:
        with pytest.raises(TokenizerError, match="hold no letter A, C, G or T"):
            compare_tokenizers([FIRST, SECOND], lines, names=["a", "b"])
        return
    found = compare_tokenizers([FIRST, SECOND], lines, names=["a", "b"])
    alike = [stretches(FIRST, p) & stretches(SECOND, p) for p in pieces]
    bases = sum(end - start for own in alike for start, end in own)
    assert found.alike_bases[0, 1] == found.alike_bases[1, 0] == bases
    assert found.reports[0].num_bases == sum(map(len, pieces)) == found.alike_bases[0, 0]


def test_a_vocabulary_and_itself_share_everything(bpe, lines):
    found = compare_tokenizers([bpe, bpe], lines, names=["a", "b"])
    for _, _, shares in found.overlaps():
        assert np.allclose(shares, 1)
    assert found.missing(0) == []
    single = report.tokenizer_report(bpe, lines)
    assert np.array_equal(found.reports[0].counts, single.counts)
    assert np.array_equal(found.reports[1].odd_counts, single.odd_counts)


@pytest.mark.parametrize(("sequences", "bases"), [(7, 10**9), (10**9, 500), (1, 1)])
def test_how_the_text_is_read_does_not_matter(bpe, char, lines, monkeypatch, sequences, bases):
    whole = compare_tokenizers([bpe, char], lines, names=["a", "b"])
    monkeypatch.setattr(report, "SEQUENCES_AT_ONCE", sequences)
    monkeypatch.setattr(report, "BASES_AT_ONCE", bases)
    parts = compare_tokenizers([bpe, char], iter(lines), names=["a", "b"])
    assert np.array_equal(parts.alike_bases, whole.alike_bases)
    for part, one in zip(parts.reports, whole.reports, strict=True):
        assert np.array_equal(part.counts, one.counts)
        assert np.array_equal(part.odd_counts, one.odd_counts)


def test_what_a_tokenizer_makes_of_n_and_case_does_not_count(bpe, book):
    found = compare_tokenizers([bpe, book], ["acgtNNNNNNNNacgt", "RRR"], names=["a", "b"])
    assert [r.num_bases for r in found.reports] == [8, 8]
    assert [r.counts[r.unk] for r in found.reports] == [0, 0]
    assert found.reports[1].bases_per_token == 1


def test_text(two):
    lines = two.as_text().splitlines()
    assert lines[0] == "text: 13 bases in 2 sequences (2 other letters left out)"
    assert lines[2] == f"{'one':>43}{'two':>13}"
    assert lines[3] == f"{'entries for bases':<30}{6:>13}{7:>13}"
    assert f"{'bases per token':<30}{'2.1667':>13}{'1.4444':>13}" in lines
    at = lines.index("bases that the row writes with shared tokens")
    assert lines[at + 1] == f"{'one':<30}{'100.0%':>13}{'30.8%':>13}"
    assert lines[at + 2] == f"{'two':<30}{'53.8%':>13}{'100.0%':>13}"
    assert f"{'one':<30}  ACG 69.23%" in lines
    at = lines.index("length, share of the tokens of the text")
    assert lines[at + 1] == f"{'    1 bp':<30}{'33.3%':>13}{'55.6%':>13}"


def test_tables(two):
    tables = {name: (columns, list(rows)) for name, columns, rows in two.tables()}
    assert list(tables) == ["vocabularies", "pairs", "lengths", "tokens"]
    for columns, rows in tables.values():
        assert rows
        assert all(len(row) == len(columns) for row in rows)
        stream = io.StringIO()
        csv.writer(stream).writerows(rows)
        assert "np." not in stream.getvalue()
    assert tables["pairs"][1][0] == ["one", "two", 5, *map(pytest.approx, (5 / 8, 4 / 13, 4 / 13))]
    columns, rows = tables["tokens"]
    assert rows[0] == ["one", 1, "ACG", 10, 3, 3, 0.5, *map(pytest.approx, (9 / 13, 9 / 13))]
    for name, r in zip(two.names, two.reports, strict=True):
        own = [dict(zip(columns, row, strict=True)) for row in rows if row[0] == name]
        assert sorted(row["token"] for row in own) == sorted(np.array(r.tokens)[r.is_base])
        assert sum(row["count"] for row in own) == r.num_tokens
        assert sum(row["of_bases"] for row in own) == pytest.approx(1)
        assert all(a["of_bases"] >= b["of_bases"] for a, b in pairwise(own))
        assert own[-1]["covered"] == pytest.approx(1)
    assert sum(row[2] for row in tables["lengths"][1] if row[0] == "two") == 7


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], "1 names for 2 tokenizers .a.: expected one for each"),
        (["a", "b", "c"], "3 names for 2 tokenizers"),
        (["a", "a"], "names of tokenizers must differ and not be empty, found 'a, a'"),
        (["a", ""], "must differ and not be empty"),
    ],
)
def test_names_that_do_not_fit(names, message):
    with pytest.raises(TokenizerError, match=message):
        compare_tokenizers([FIRST, SECOND], ["ACGT"], names=names)


def test_no_text():
    with pytest.raises(TokenizerError, match="3 sequences hold no letter A, C, G or T; give a"):
        compare_tokenizers([FIRST, SECOND], ["NNN", "", "RY"], names=["a", "b"])


def test_tokens_that_overlap_are_refused_before_the_text_is_read():
    def never():
        raise AssertionError("read")
        yield

    with pytest.raises(TokenizerError, match="its tokens overlap by 2 bases, expected tokens side"):
        compare_tokenizers([FIRST, dnabert_tokenizer(3)], never(), names=["a", "b"])


def test_one_that_overlaps_has_no_cost():
    found = compare_tokenizers([dnabert_tokenizer(3)], ["ACGTACG", "ACGT"], names=["a"])
    assert "bits per base" not in found.as_text()
    _, columns, rows = next(found.tables())
    row = dict(zip(columns, next(iter(rows)), strict=True))
    assert (row["unigram_bits_per_base"], row["held_out_bits_per_base"]) == (None, None)
    assert row["bases_per_token"] == pytest.approx(11 / 7)
