"""dnaGrinder's method against its published rules worked by hand, and against exact training."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.tokenizers.base import TokenizerError
from helixlm.tokenizers.bpe_iterative import iterative_merges, parts_of, replace_rarer, spell
from helixlm.tokenizers.bpe_text import EmptyTextError
from helixlm.tokenizers.bpe_train import train_bpe, train_bpe_by_parts

ROOM = 9  # special tokens and bases

lines_of_dna = st.lists(st.text("ACGTN", max_size=40), min_size=1, max_size=12)


def repeated(**counts):
    """Lines that hold each word by itself, so that its count is its frequency."""
    return [word for word, count in counts.items() for _ in range(count)]


def test_a_known_token_adds_its_new_occurrences():
    assert replace_rarer({"AC": 10, "GT": 8}, {"GT": 5}, 2) == {"GT": 13, "AC": 10}


def test_a_more_frequent_token_replaces_the_rarest_one():
    found = replace_rarer({"AC": 10, "GT": 8, "TT": 6}, {"CA": 7, "AA": 5}, 3)
    assert found == {"AC": 10, "GT": 8, "CA": 7}


def test_an_equally_frequent_token_replaces_none():
    assert replace_rarer({"AC": 5, "GT": 4}, {"CA": 4}, 2) == {"AC": 5, "GT": 4}


def test_a_token_that_was_lost_begins_anew():
    parts = {
        "first": {"AC": 10, "GT": 8, "TT": 6, "GG": 5},
        "second": {"TT": 5, "CA": 7},  # TT has 11; CA drives GG out
        "third": {"GG": 6},  # 5 + 6 would be enough, 6 is not
    }
    merges, lost = iterative_merges([[name] for name in parts], size=4, learn=lambda p: parts[p[0]])
    assert merges == [("T", "T"), ("A", "C"), ("G", "T"), ("C", "A")]
    assert lost == []


def test_files_worked_by_hand():
    # First file: AC 5, GT 4. Second: CA 6, GT 3, so GT has 7 and AC is the rarest.
    files = [repeated(AC=5, GT=4), repeated(CA=6, GT=3)]
    made = train_bpe_by_parts(files, vocab_size=ROOM + 2, min_frequency=2)
    assert made.merges == [("G", "T"), ("C", "A")]
    # All at once GT has 7, CA 6 and AC 5 as well: here nothing is lost.
    both = train_bpe([*files[0], *files[1]], vocab_size=ROOM + 2, min_frequency=2)
    assert both.merges == made.merges


def test_what_the_method_loses():
    # TT is the most frequent pair of the whole text, and in no file one of the two first.
    files = [repeated(AC=5, GT=4, TT=3), repeated(CA=5, GA=4, TT=3), repeated(CC=5, GG=4, TT=3)]
    options = {"vocab_size": ROOM + 2, "min_frequency": 2}
    assert ("T", "T") not in train_bpe_by_parts(files, **options).merges
    assert train_bpe([*files[0], *files[1], *files[2]], **options).merges[0] == ("T", "T")


def test_a_token_that_is_made_otherwise_in_two_files():
    # ACG is AC + G in the first file and A + CG in the second; AC is the rarest in the end.
    files = [repeated(ACG=5), repeated(CG=3, ACG=4)]
    made = train_bpe_by_parts(files, vocab_size=ROOM + 2, min_frequency=2)
    assert made.merges == [("C", "G"), ("A", "CG")]


def test_a_token_without_its_parts_is_left_out_and_told(caplog):
    # ACG 8, TT 7, CG 6: without CG and AC nothing makes ACG.
    files = [repeated(ACG=5), repeated(CG=3, ACG=3), repeated(TT=7)]
    made = train_bpe_by_parts(files, vocab_size=ROOM + 2, min_frequency=2)
    assert made.merges == [("T", "T")]
    assert "has 10 entries, 11 were asked: 1 tokens, such as ACG, were frequent" in caplog.text


def test_tokens_are_spelled_in_the_order_of_their_frequency():
    # By rank, ACGT is AC + GT although ACG comes before GT.
    merges, lost = spell(["AC", "ACG", "GT", "ACGT"])
    assert merges == [("A", "C"), ("AC", "G"), ("G", "T"), ("ACG", "T")]
    merges, lost = spell(["ACGT", "GT", "AC"])
    assert (merges, lost) == ([("G", "T"), ("A", "C"), ("AC", "GT")], [])
    assert spell(["ACGT", "TTT"]) == ([], ["ACGT", "TTT"])


@settings(deadline=None, max_examples=60)
@given(lines_of_dna, st.integers(0, 30), st.integers(1, 3))
def test_one_part_gives_the_merges_of_exact_training(lines, size, min_frequency):
    options = {"vocab_size": ROOM + size, "min_frequency": min_frequency}
    try:
        exact = train_bpe(lines, **options)
    except TokenizerError as error:
        with pytest.raises(TokenizerError, match=str(error)[:30]):
            train_bpe_by_parts([lines], **options)
    else:
        assert train_bpe_by_parts([lines], **options).merges == exact.merges


@settings(deadline=None, max_examples=40)  # each part starts a pool of threads
@given(lines_of_dna, st.integers(20, 60))
def test_every_token_of_the_vocabulary_is_made_by_encoding_it(lines, part_bp):
    parts = parts_of(["ACACGTGT", *lines], part_bp)
    made = train_bpe_by_parts(parts, vocab_size=ROOM + 12, min_frequency=1)
    for id_, token in enumerate(made.tokens):
        if id_ >= 5:
            assert made.encode(token).tolist() == [id_]


@given(lines_of_dna, st.integers(1, 60))
def test_parts_hold_the_text_and_no_line_too_many(lines, part_bp):
    parts = [list(part) for part in parts_of(lines, part_bp)]
    assert [line for part in parts for line in part] == lines
    for part in parts[:-1]:
        assert sum(map(len, part)) >= part_bp
    for part in parts:
        assert sum(map(len, part[:-1])) < part_bp


def test_parts_are_streamed():
    asked = []

    def lines():
        for i in range(9):
            asked.append(i)
            yield "ACGT"

    parts = parts_of(lines(), 8)
    next(next(parts))
    assert asked == [0]


def test_a_part_without_bases_is_passed_over(caplog):
    caplog.set_level(logging.INFO)
    files = [repeated(AC=5), ["NNNN", "A"], repeated(GT=4)]
    made = train_bpe_by_parts(files, vocab_size=ROOM + 2, min_frequency=2)
    assert made.merges == [("A", "C"), ("G", "T")]
    assert "a part of the text was passed over: nothing to merge: the training text of 2" in (
        caplog.text
    )
    assert "part 1: 1 tokens are new in the vocabulary" in caplog.text


def test_a_single_part_is_told(caplog):
    train_bpe_by_parts([repeated(AC=5)], vocab_size=ROOM + 1, min_frequency=2)
    assert "the text is a single part, so the method 'iterative' gives what 'exact'" in caplog.text


def test_too_few_pairs_are_told(caplog):
    train_bpe_by_parts([repeated(AC=5), ["GT"]], vocab_size=ROOM + 3, min_frequency=2)
    assert "has 10 entries, 12 were asked: no more pairs occur 2 times in a part" in caplog.text


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no part was given"),
        ([["NN"]], "nothing to train on: 1 lines hold no letter"),
        ([["NN"], ["ANC"]], "nothing to merge: the training text of 1 lines"),
    ],
)
def test_nothing_to_learn(files, message):
    with pytest.raises(EmptyTextError, match=message):
        train_bpe_by_parts(files, vocab_size=20, min_frequency=2)
