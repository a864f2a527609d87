"""Training against its slow definition, and what happens to odd texts and settings."""

import itertools
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from helixlm.rng import CounterRng
from helixlm.tokenizers import bpe_text
from helixlm.tokenizers.base import SPECIAL_ORDERS, TokenizerError
from helixlm.tokenizers.bpe_train import every_nth, train_bpe, train_bpe_by_parts


def slow_train(lines, vocab_size, min_frequency):
    """The definition: count all pairs of neighbours, merge the most frequent one, repeat.

    Among pairs of equal count the one with the lower ids comes first.
    """
    tokens = [*SPECIAL_ORDERS["roberta"], *"ACGT"]
    words = [list(line) for line in lines]
    merges = []
    while len(tokens) < vocab_size:
        counts = Counter(pair for word in words for pair in itertools.pairwise(word))
        if not counts or max(counts.values()) < min_frequency:
            break
        left, right = min(
            counts, key=lambda p: (-counts[p], tokens.index(p[0]), tokens.index(p[1]))
        )
        merges.append((left, right))
        if left + right not in tokens:
            tokens.append(left + right)
        for word in words:
            i = 0
            while i + 1 < len(word):
                if (word[i], word[i + 1]) == (left, right):
                    word[i : i + 2] = [left + right]
                i += 1
    return tokens, merges


@pytest.mark.parametrize("seed", range(12))
def test_merges_follow_the_definition(make_lines, seed):
    rng = CounterRng("settings", seed)
    lines = make_lines(seed, count=rng.integer(2, 12), length=rng.integer(1, 80))
    vocab_size, min_frequency = rng.integer(9, 70), rng.integer(1, 5)
    trained = train_bpe(lines, vocab_size=vocab_size, min_frequency=min_frequency)
    tokens, merges = slow_train(lines, vocab_size, min_frequency)
    assert trained.merges == merges
    assert trained.tokens == tokens


def test_a_worked_example():
    # AC 4, CG 2, GA 1, then ACG 2. T is in the alphabet although no line holds it.
    trained = train_bpe(["ACG", "ACG", "AC", "AC"], vocab_size=20, min_frequency=2)
    assert trained.tokens[5:] == ["A", "C", "G", "T", "AC", "ACG"]


@pytest.mark.parametrize("order", ["roberta", "published"])
def test_special_order_changes_nothing_but_the_first_ids(lines, order):
    trained = train_bpe(lines, vocab_size=60, special_order=order)
    assert tuple(trained.tokens[:5]) == SPECIAL_ORDERS[order]
    assert trained.tokens[5:] == train_bpe(lines, vocab_size=60).tokens[5:]
    assert not any("</w>" in token for token in trained.tokens)


def test_case_and_unknown_letters_are_not_learned():
    clean = ["TATAAACACGTG", "TATAAA", "GATTACA"] * 5
    odd = ["tataaacacgtgNNtataaa", "GATTACA-", "RYRYRYRYRY", ""] * 5
    # Apart from where lines end, which no merge crosses either way, the two are the same text.
    assert train_bpe(odd, vocab_size=40, min_frequency=2).tokens == (
        train_bpe(clean, vocab_size=40, min_frequency=2).tokens
    )
    crossing = train_bpe(["TNA", "AC"] * 50, vocab_size=40, min_frequency=2)
    assert crossing.merges == [("A", "C")]


def test_every_line_counts_as_often_as_it_comes():
    lines = ["AC"] * 3 + ["GT"] * 4
    assert train_bpe(lines, vocab_size=11, min_frequency=4).merges == [("G", "T")]


@pytest.mark.parametrize("limit", [2, 3, 5])
def test_longest_token(lines, limit):
    trained = train_bpe(lines, vocab_size=200, min_frequency=2, max_token_bp=limit)
    assert trained.token_bp.max() == limit


def test_the_same_lines_give_the_same_file_in_any_process(lines):
    script = (
        "import sys\n"
        "from helixlm.tokenizers.bpe_train import train_bpe\n"
        "print(train_bpe(sys.stdin.read().split(), vocab_size=300, min_frequency=2).sha256)\n"
    )
    here = train_bpe(lines, vocab_size=300, min_frequency=2).sha256
    for environment in (
        {"PYTHONHASHSEED": "1"},
        {"PYTHONHASHSEED": "2"},
    ):
        there = subprocess.run(
            [sys.executable, "-c", script],
            input="\n".join(lines),
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert there.stdout.strip() == here


def test_every_nth_takes_the_first_and_reads_lazily():
    assert list(every_nth(map(str, range(25)), 10)) == ["0", "10", "20"]
    assert list(every_nth("abc", 1)) == ["a", "b", "c"]
    endless = iter(lambda: "A", "B")
    assert next(every_nth(endless, 10)) == "A"


def test_progress_counts_lines_and_then_merges(lines, monkeypatch):
    calls = []
    monkeypatch.setattr(bpe_text, "LINES_AT_ONCE", 25)
    train_bpe(lines, vocab_size=11, progress=lambda *call: calls.append(call))
    assert calls == [(25, None), (50, None), (60, None), (1, 2), (2, 2)]


def test_too_few_pairs_are_a_warning_with_numbers(caplog):
    trained = train_bpe(["ACGT" * 3] * 3, vocab_size=1024, min_frequency=4)
    assert trained.vocab_size < 20
    warned = [record for record in caplog.records if record.levelname != "INFO"]
    assert [record.levelname for record in warned] == ["WARNING"]
    assert f"the vocabulary has {trained.vocab_size} entries, 1024 were asked" in caplog.text
    assert "no pair occurs 4 times in the 36 bases" in caplog.text


def test_the_warning_names_a_limit_of_length(caplog):
    train_bpe(["ACGT" * 3] * 3, vocab_size=1024, min_frequency=4)
    assert "bases or fewer" not in caplog.text
    train_bpe(["ACGT" * 30] * 3, vocab_size=1024, min_frequency=4, max_token_bp=2)
    assert "no pair of 2 bases or fewer occurs 4 times" in caplog.text
    assert "or longer tokens (now 2 bases at most)" in caplog.text
    caplog.clear()
    parts = [["ACGT" * 30] * 3] * 2
    train_bpe_by_parts(parts, vocab_size=1024, min_frequency=4, max_token_bp=2)
    assert "no more pairs of 2 bases or fewer occur 4 times" in caplog.text
    assert "or longer tokens (now 2 bases at most)" in caplog.text


def test_pairs_that_occur_nowhere_are_not_merged():
    for train in (train_bpe, train_bpe_by_parts):
        with pytest.raises(TokenizerError, match=r"frequency of 0 would .*, expected 1 or more"):
            train(["ACGT"], min_frequency=0)


@pytest.mark.parametrize(
    ("lines", "found"), [([], "0 lines hold"), (["", "NNN", "ry"], "3 lines hold")]
)
def test_nothing_to_train_on(lines, found):
    with pytest.raises(TokenizerError, match=f"nothing to train on: {found} no letter A, C, G"):
        train_bpe(lines)


def test_no_room_for_the_alphabet():
    assert train_bpe(["ACGT"] * 9, vocab_size=9).merges == []
    with pytest.raises(TokenizerError, match=r"vocabulary of 8 has no room: 5 special .* need 9"):
        train_bpe(["ACGT"], vocab_size=8)


def test_nothing_to_merge():
    with pytest.raises(TokenizerError, match="longest token of 1 bases leaves nothing to merge"):
        train_bpe(["ACGT"], max_token_bp=1)


def test_lines_of_single_bases():
    with pytest.raises(
        TokenizerError, match=r"nothing to merge: .* 3 lines .* two bases side by side"
    ):
        train_bpe(["TNA", "C", "-G"], vocab_size=40, min_frequency=2)


def test_more_entries_than_16_bits_number():
    with pytest.raises(TokenizerError, match=r"vocabulary of 65,536 is too large.* at most 65,535"):
        train_bpe(["ACGT"], vocab_size=65536)


def test_an_error_while_reading_comes_through():
    def broken():
        yield "ACGT"
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="the disk went away"):
        train_bpe(broken())


def test_token_bp_is_the_length_of_each_token(bpe):
    lengths = [len(token) for token in bpe.tokens[5:]]
    assert bpe.token_bp.tolist() == [0, 0, 0, 1, 0, *lengths]
    assert bpe.token_bp.dtype == np.int32
