"""The exact trainer against the trainer of the `tokenizers` library, on texts of every shape."""

import json
import re

import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, trainers

from helixlm.data.simulate import simulate, small_config
from helixlm.tokenizers import bpe_merges, bpe_text
from helixlm.tokenizers.base import TokenizerError
from helixlm.tokenizers.bpe_kernels import list_slots
from helixlm.tokenizers.bpe_merges import learn_merges
from helixlm.tokenizers.bpe_text import read_text

SETTINGS = {"num_merges": 60, "min_frequency": 1, "max_token_bp": None}


def of_library(lines, *, num_merges, min_frequency, max_token_bp):
    """What the library learns, as pairs of tokens. It takes lengths below its limit, not equal."""
    library = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=4 + num_merges,
        min_frequency=min_frequency,
        initial_alphabet=list("ACGT"),
        max_token_length=None if max_token_bp is None else max_token_bp + 1,
        show_progress=False,
    )
    runs = [run for line in lines for run in re.findall("[ACGT]+", line.upper())]
    library.train_from_iterator(runs, trainer)
    model = json.loads(library.to_str())["model"]
    return [tuple(merge) for merge in model["merges"]], model["vocab"]


def learn(lines, *, threads=1, index_bytes=1 << 24, **settings):
    merges = learn_merges(read_text(lines), threads=threads, index_bytes=index_bytes, **settings)
    tokens = list("ACGT")
    for left, right, _ in merges:
        tokens.append(tokens[left] + tokens[right])
    vocab = {token: id_ for id_, token in enumerate(tokens)}
    assert len(vocab) == len(tokens)  # no token is spelled by two pairs
    return [(tokens[left], tokens[right]) for left, right, _ in merges], vocab


def alphabets(letters):
    return st.lists(st.text(letters, min_size=1, max_size=80), min_size=1, max_size=30)


runs = st.lists(
    st.lists(st.tuples(st.sampled_from("ACGT"), st.integers(1, 40)), min_size=1, max_size=8).map(
        lambda parts: "".join(letter * length for letter, length in parts)
    ),
    min_size=1,
    max_size=20,
)
tandem = st.lists(
    st.tuples(st.text("ACG", min_size=1, max_size=5), st.integers(1, 30)).map(
        lambda parts: parts[0] * parts[1]
    ),
    min_size=1,
    max_size=10,
)
texts = st.one_of(alphabets("ACGT"), alphabets("ACGTN"), alphabets("AAAC"), runs, tandem).filter(
    lambda lines: set("".join(lines)) & set("ACGT")
)


@settings(max_examples=400, deadline=None)
@given(
    lines=texts,
    num_merges=st.sampled_from([1, 7, 60, 500]),
    min_frequency=st.integers(1, 6),
    max_token_bp=st.sampled_from([None, None, 2, 3, 5, 10]),
    threads=st.integers(1, 4),
)
def test_merges_are_those_of_the_library(lines, num_merges, min_frequency, max_token_bp, threads):
    wanted = {
        "num_merges": num_merges,
        "min_frequency": min_frequency,
        "max_token_bp": max_token_bp,
    }
    assert learn(lines, threads=threads, **wanted) == of_library(lines, **wanted)


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """A simulated genome, with repeats and gaps."""
    world = simulate(tmp_path_factory.mktemp("world") / "world", small_config(seed=4))
    with pysam.FastaFile(str(world.fasta())) as fasta:
        return [fasta.fetch(name) for name in fasta.references]


@pytest.mark.parametrize("line_bp", [100, 1000, 10**9])
@pytest.mark.parametrize("num_merges", [60, 4087])
def test_a_genome_in_lines_of_any_length(genome, line_bp, num_merges):
    lines = [text[i : i + line_bp] for text in genome for i in range(0, len(text), line_bp)]
    wanted = {"num_merges": num_merges, "min_frequency": 2, "max_token_bp": None}
    expected = of_library(lines, **wanted)
    for threads in (1, 2, 5):
        assert learn(lines, threads=threads, **wanted) == expected


def test_a_small_index_is_filled_again_and_again(genome, monkeypatch):
    """Shared counters, slots of several pairs, lists without room: always the same merges."""
    rounds = []
    monkeypatch.setattr(
        bpe_merges, "list_slots", lambda *call: rounds.append(1) or list_slots(*call)
    )
    wanted = {"num_merges": 2000, "min_frequency": 2, "max_token_bp": None}
    expected = of_library(genome, **wanted)
    assert learn(genome, **wanted) == expected
    few = len(rounds)
    rounds.clear()
    assert learn(genome, index_bytes=150_000, **wanted) == expected
    assert len(rounds) > 10 * few


def test_counts_are_those_of_pairs_side_by_side():
    [first, *_] = learn_merges(read_text(["AAAA", "AAC"]), index_bytes=1 << 20, **SETTINGS)
    assert first == (0, 0, 4)  # overlapping ones count each


def test_an_index_too_small_says_what_it_needs():
    lines = ["ACGT" * 50_000]
    with pytest.raises(
        TokenizerError, match=r"131,072 bytes for lists .* at least ([\d,]+) are needed"
    ) as caught:
        learn(lines, index_bytes=1 << 17, **SETTINGS)
    needed = int(re.search(r"at least ([\d,]+) are", str(caught.value))[1].replace(",", ""))
    assert needed < 10 * 200_000
    assert learn(lines, index_bytes=needed, **SETTINGS) == of_library(lines, **SETTINGS)


def test_text_longer_than_a_chunk_is_one_text(monkeypatch):
    monkeypatch.setattr(bpe_text, "CHUNK_BASES", 64)
    lines = ["ACGTTGCA" * 30, "NNACGTN", "A" * 63, "C" * 64, "G" * 65]
    assert learn(lines, **SETTINGS) == of_library(lines, **SETTINGS)


@pytest.mark.parametrize("lines", [[], [""], ["NNN", "nnn"]])
def test_no_base_is_refused(lines):
    with pytest.raises(TokenizerError, match=rf"{len(lines)} lines hold no letter A, C, G or T"):
        read_text(lines)


def test_more_text_than_allowed_is_refused_while_it_comes():
    def endless():
        while True:
            yield "ACGT" * 100

    with pytest.raises(TokenizerError, match="more than 1,000 bases"):
        read_text(endless(), max_bases=1000)
