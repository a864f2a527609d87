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


@pytest.fixture(autouse=True)
def short_regions(monkeypatch):
    """Short texts too are cut into regions."""
    monkeypatch.setattr(bpe_text, "LEAST_REGION_BASES", 1)


def learn(lines, *, threads=1, memory_bytes=1 << 25, **settings):
    text = read_text(lines, max_regions=threads)
    merges = learn_merges(text, memory_bytes=memory_bytes, **settings)
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


WAYS = [
    {},
    {"FEW_PAIRS": 0},  # no merge by a pass through the text
    {"FEW_PAIRS": 0, "MOST_TO_LEAST": 1},
    {"LEAST_BYTES": 0, "COUNTERS_SHARE": 10**9},  # pairs share counters
    {"LEAST_BYTES": 0, "COUNTERS_SHARE": 10**9, "SHARED_COUNTERS_SHARE": 10**9,
     "FEWEST_COUNTERS": 8},
]  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(
    lines=texts,
    num_merges=st.sampled_from([1, 7, 60, 500]),
    min_frequency=st.integers(1, 6),
    max_token_bp=st.sampled_from([None, None, 2, 3, 5, 10]),
    threads=st.integers(1, 4),
    way=st.sampled_from(WAYS),
)
def test_merges_are_those_of_the_library(
    lines, num_merges, min_frequency, max_token_bp, threads, way
):
    wanted = {
        "num_merges": num_merges,
        "min_frequency": min_frequency,
        "max_token_bp": max_token_bp,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in way.items():
            patch.setattr(bpe_merges, name, value)
        found = learn(lines, threads=threads, **wanted)
    assert found == of_library(lines, **wanted)


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """A simulated genome, with repeats and gaps."""
    world = simulate(tmp_path_factory.mktemp("world") / "world", small_config(seed=4))
    with pysam.FastaFile(str(world.fasta())) as fasta:
        return [fasta.fetch(name) for name in fasta.references]


@pytest.mark.parametrize("line_bp", [100, 1000, 10**9])
@pytest.mark.parametrize(
    ("num_merges", "min_frequency"), [(55, 2), (500, 30), (4087, 1), (4087, 2), (4087, 4)]
)
def test_a_genome_in_lines_of_any_length(genome, line_bp, num_merges, min_frequency):
    lines = [text[i : i + line_bp] for text in genome for i in range(0, len(text), line_bp)]
    wanted = {
        "num_merges": num_merges, "min_frequency": min_frequency, "max_token_bp": None
    }  # fmt: skip
    expected = of_library(lines, **wanted)
    for threads in (1, 2, 5):
        assert learn(lines, threads=threads, **wanted) == expected


@pytest.mark.parametrize(
    ("changes", "memory_bytes"),
    [
        ({"FEW_PAIRS": 10**9}, 1 << 25),  # every merge by a pass
        ({"FEW_PAIRS": 0}, 1 << 25),  # none
        ({"FEW_PAIRS": 0, "MOST_TO_LEAST": 2}, 1 << 25),
        ({"LEAST_BYTES": 0, "FEW_PAIRS": 0}, 700_000),
        ({"LEAST_BYTES": 0, "COUNTERS_SHARE": 10**9}, 700_000),  # pairs share counters
        ({"LEAST_BYTES": 0, "COUNTERS_SHARE": 10**9, "FEWEST_COUNTERS": 16}, 900_000),
        ({"CANDIDATE_BYTES": 10**4}, 1 << 20),
        ({"CANDIDATE_BYTES": 10**6, "FEW_PAIRS": 0}, 1 << 20),  # some candidates at a time
        (
            {"CANDIDATE_BYTES": 10**5, "LEAST_BYTES": 0, "COUNTERS_SHARE": 10**9},
            1 << 21,
        ),
    ],
)
@pytest.mark.parametrize("threads", [1, 3])
def test_every_way_through_gives_the_same_merges(
    genome, monkeypatch, changes, memory_bytes, threads
):
    """Passes, lists, lists without room, counters of several pairs: all as the library has it."""
    wanted = {"num_merges": 700, "min_frequency": 2, "max_token_bp": None}
    expected = of_library(genome, **wanted)
    for name, value in changes.items():
        monkeypatch.setattr(bpe_merges, name, value)
    assert learn(genome, threads=threads, memory_bytes=memory_bytes, **wanted) == expected
    wanted["max_token_bp"] = 6
    assert learn(genome, threads=threads, memory_bytes=memory_bytes, **wanted) == of_library(
        genome, **wanted
    )


def test_sums_of_more_than_32_bits(genome, monkeypatch):
    wanted = {"num_merges": 300, "min_frequency": 2, "max_token_bp": None}
    monkeypatch.setattr(bpe_merges._Learner, "_is_short", lambda _: False)
    assert learn(genome, threads=2, **wanted) == of_library(genome, **wanted)


def test_counts_are_those_of_pairs_side_by_side():
    [first, *_] = learn_merges(read_text(["AAAA", "AAC"]), memory_bytes=1 << 20, **SETTINGS)
    assert first == (0, 0, 4)  # overlapping ones count each


def test_memory_too_small_says_what_is_needed(genome, monkeypatch):
    monkeypatch.setattr(bpe_merges, "LEAST_BYTES", 0)
    monkeypatch.setattr(bpe_merges, "COUNTERS_SHARE", 10**9)
    with pytest.raises(
        TokenizerError, match=r"220,000 .* too small .* at least ([\d,]+) are"
    ) as caught:
        learn(genome, memory_bytes=220_000, **SETTINGS)
    needed = int(re.search(r"at least ([\d,]+) are", str(caught.value))[1].replace(",", ""))
    assert needed < 10 * 80_000
    assert learn(genome, memory_bytes=needed, **SETTINGS) == of_library(genome, **SETTINGS)


@settings(max_examples=200, deadline=None)
@given(
    lines=st.lists(st.text("ACGTNacgtn-", max_size=50), max_size=20),
    regions=st.integers(1, 9),
    first=st.integers(2, 40),
)
def test_regions_hold_the_runs_in_their_order(lines, regions, first):
    expected = [run for line in lines for run in re.findall("[ACGT]+", line.upper())]
    if not expected:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpe_text, "LEAST_CELLS", first)
        patch.setattr(bpe_text, "PIECE", first)
        text = read_text(lines, max_regions=regions)
    assert 1 <= len(text.regions) <= regions
    assert (text.num_lines, text.num_bases, text.num_runs) == (
        len(lines), sum(map(len, expected)), len(expected),
    )  # fmt: skip
    found = []
    for region in text.regions:
        assert region[0] == region[-1] == bpe_text.STOP
        letters = "".join("ACGT"[code] if code < 4 else " " for code in region)
        found += letters.split()
    assert found == expected


@pytest.mark.parametrize("lines", [[], [""], ["NNN", "nnn"]])
def test_no_base_is_refused(lines):
    with pytest.raises(TokenizerError, match=rf"{len(lines)} lines hold no letter A, C, G or T"):
        read_text(lines)


def test_memory_too_small_for_the_text_says_what_is_needed(monkeypatch):
    monkeypatch.setattr(bpe_text, "LEAST_CELLS", 2)
    monkeypatch.setattr(bpe_text, "LINES_AT_ONCE", 3)
    lines = ["ACGTNA" * 1000] * 50
    # 5 bases and 2 runs in each 6 letters, but no break between two of them.
    needed = 50 * (5000 + 1001) * 3 // 2 + bpe_text.LEAST_WORKING_BYTES
    with pytest.raises(TokenizerError) as caught:
        read_text(lines, memory_bytes=needed - 1)
    assert f"too small for 250,000 bases: at least {needed:,} are needed" in str(caught.value)
    assert read_text(lines, memory_bytes=needed).num_bases == 250_000


def test_one_long_line_is_not_held_if_it_is_too_long(monkeypatch):
    held = []
    take = bpe_text._take
    monkeypatch.setattr(bpe_text, "_take", lambda text, cells, *rest: (
        held.append(len(cells)) or take(text, cells, *rest)
    ))  # fmt: skip
    monkeypatch.setattr(bpe_text, "LEAST_CELLS", 2)
    monkeypatch.setattr(bpe_text, "PIECE", 1000)
    memory = bpe_text.LEAST_WORKING_BYTES + 15_000  # for 10,000 cells
    with pytest.raises(TokenizerError, match="too small for 400,000 bases"):
        read_text(["ACGT" * 100_000], memory_bytes=memory)
    assert max(held) < 15_000
