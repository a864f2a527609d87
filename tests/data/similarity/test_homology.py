"""Homology groups against a comparison of every pair, and a genome with planted duplications."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.similarity.homology import MOST_SEQUENCES, HomologyGrouper, homology_groups
from helixlm.data.similarity.leaks import check_leaks
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import TinyDnabertWindows
from helixlm.rng import CounterRng
from helixlm.seq.ops import reverse_complement

COMPLEMENT = str.maketrans("ACGT", "TGCA")

# Sequences that are joined from few pieces share k-mers; free texts hardly do.
pieces = st.sampled_from(["ACGTTGCA", "ggatCCTTA", "TTTTTTTT", "CAGTCAGG", "NACCATAC", "TGCAACGT"])
sequence_lists = st.lists(
    st.one_of(st.lists(pieces, max_size=4).map("".join), st.text("ACGTacN", max_size=30)),
    max_size=15,
)


def random_dna(name, length):
    return "".join("ACGT"[code] for code in CounterRng("test", name).integers(0, 4, length))


def kmers(text, k):
    words = (text.upper()[i : i + k] for i in range(len(text) - k + 1))
    return {min(w, w.translate(COMPLEMENT)[::-1]) for w in words if "N" not in w}


def slow_groups(sequences, share, k):
    """Links by sets of strings, followed until nothing changes."""
    sets = [kmers(text, k) for text in sequences]
    groups = list(range(len(sets)))
    changed = True
    while changed:
        changed = False
        for i, first in enumerate(sets):
            for j, second in enumerate(sets):
                shared = len(first & second)
                if shared and shared >= share * min(len(first), len(second)):
                    lowest = min(groups[i], groups[j])
                    changed |= groups[i] != groups[j]
                    groups[i] = groups[j] = lowest
    return groups


@settings(deadline=None, max_examples=300)
@given(sequence_lists, st.sampled_from([0.1, 0.3, 0.6, 1.0]))
def test_groups_are_those_of_a_comparison_of_every_pair(sequences, share):
    found = homology_groups(sequences, share, length_bp=30, k=5)
    assert found.tolist() == slow_groups(sequences, share, 5)


@settings(deadline=None, max_examples=100)
@given(sequence_lists, st.randoms())
def test_the_order_plays_no_part(sequences, random):
    order = list(range(len(sequences)))
    random.shuffle(order)
    found = homology_groups(sequences, 0.3, length_bp=30, k=5)
    shuffled = homology_groups([sequences[i] for i in order], 0.3, length_bp=30, k=5)
    together = {(i, j) for i in order for j in order if found[i] == found[j]}
    again = np.empty(len(order), int)
    again[order] = shuffled
    assert together == {(i, j) for i in order for j in order if again[i] == again[j]}


def test_sampled_shares_are_near_the_true_ones():
    """Blocks of 100 kbp of which 4 % are common are linked at 2 %, and not at 8 %."""
    common = random_dna("common", 4000)
    blocks = [random_dna(i, 48_000) + common + random_dna(-i, 48_000) for i in range(1, 6)]
    blocks.append(random_dna("other", 100_000))
    assert HomologyGrouper(0.02, length_bp=100_000).scale == 20
    assert homology_groups(blocks, 0.02, length_bp=100_000).tolist() == [0, 0, 0, 0, 0, 5]
    assert homology_groups(blocks, 0.08, length_bp=100_000).tolist() == list(range(6))


def test_kmers_of_very_many_sequences_link_nothing():
    """60 bp of 250 are common: 40 k-mers of 230, above the share and below that of near copies."""
    repeat = random_dna("repeat", 60)
    sequences = [random_dna(i, 190) + repeat for i in range(MOST_SEQUENCES + 1)]
    expected = list(range(len(sequences)))
    assert homology_groups(sequences, 0.15, length_bp=250).tolist() == expected
    assert set(homology_groups(sequences[1:], 0.15, length_bp=250).tolist()) == {0}
    # Of what else there is in two of them, 30 k-mers of 190 are common.
    sequences[200] = sequences[3][:50] + random_dna("other", 140) + repeat
    expected[200] = 3
    assert homology_groups(sequences, 0.15, length_bp=250).tolist() == expected


def mutated(name, text, share):
    """Change a share of the bases, at random, each to the next letter."""
    changed = CounterRng("mutated", name).uniform(len(text)) < share
    after = str.maketrans("ACGT", "CGTA")
    return "".join(b.translate(after) if c else b for b, c in zip(text, changed, strict=True))


@pytest.mark.parametrize(
    ("number", "difference"), [(300, 0.0), (300, 0.003), (300, 0.02), (900, 0.02)]
)
def test_copies_beyond_the_limit_are_one_group(number, difference):
    """A family on both strands, its members apart, among others that share a repeat with it."""
    repeat = random_dna("repeat", 150)
    ancestor = random_dna("ancestor", 850) + repeat
    sequences, family = [], []
    for i in range(number):
        copy = mutated(i, ancestor, difference)
        family.append(len(sequences))
        sequences.append(reverse_complement(copy) if i % 2 else copy)
        sequences.append(random_dna(f"other {i}", 850) + repeat)
    found = homology_groups(sequences, 0.05, length_bp=1000)
    expected = np.arange(len(sequences))
    expected[family] = 0
    assert found.tolist() == expected.tolist()
    backwards = homology_groups(sequences[::-1], 0.05, length_bp=1000)[::-1]
    assert len(set(backwards[family].tolist())) == 1
    assert len(set(backwards.tolist())) == number + 1


def test_copies_without_kmers_are_not_linked():
    assert homology_groups(["ACGT", "ACGT", "N" * 50, "N" * 50], 0.5, length_bp=50).tolist() == [
        0, 1, 2, 3,
    ]  # fmt: skip


@pytest.mark.parametrize("share", [0, 1.1])
def test_shares_out_of_range(share):
    with pytest.raises(ValueError, match=f"share {share}: expected a share above 0"):
        homology_groups([], share, length_bp=100)


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """Three contigs of 20 blocks of 10 kbp, in which segments of 4 kbp come two or three times."""
    contigs = {name: list(random_dna(name, 200_000)) for name in "abc"}
    rng = CounterRng("segments")
    for i in range(12):
        segment = random_dna(f"segment {i}", 4000)
        for copy in range(2 + i % 2):
            name = "abc"[rng.integer(0, 3)]
            start = 10_000 * rng.integer(0, 20) + 500 + 4500 * rng.integer(0, 2)
            text = reverse_complement(segment) if copy == 1 else segment
            contigs[name][start : start + 4000] = text
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text("".join(f">{name}\n{''.join(text)}\n" for name, text in contigs.items()))
    return path


@pytest.mark.parametrize("seed", range(4))
def test_a_split_by_group_has_no_leak_where_one_by_block_has(genome, tmp_path, seed):
    reports = {}
    for by in ("block", "group"):
        split = SplitConfig(by=by, block_bp=10_000, validation_fraction=0.2, group_share=0.05)
        windows = TinyDnabertWindows(block_bp=10_000, min_bp=200, max_bp=400)
        manifest = prepare_corpus(
            [Source(fasta=genome)], tmp_path / by, split=split, windows=windows, seed=seed
        )
        held_out = manifest.splits["validation"].num_bases
        assert 0.15 <= held_out / sum(s.num_bases for s in manifest.splits.values()) <= 0.4
        reports[by] = check_leaks(open_corpus(tmp_path / by), near=0.5)
    assert reports["group"].clean, str(reports["group"])
    assert not reports["block"].clean
    assert reports["block"].overlapping == 0


def test_sequences_that_are_linked_are_in_one_group():
    grouper = HomologyGrouper(0.5, length_bp=200)
    grouper.link(0, 3)  # before they are added
    for number in range(5):
        grouper.add("".join("ACGT"[i] for i in CounterRng("link", number).integers(0, 4, 200)))
    grouper.link(3, 4)
    assert grouper.num_sequences == 5
    assert grouper.groups().tolist() == [0, 1, 2, 0, 0]


def test_copies_too_short_for_the_sample_are_in_one_group():
    """One k-mer of 50 is sampled, so that of 50 k-mers often none is."""
    texts = [random_dna(f"short {i}", 70) for i in range(40)]
    grouper = HomologyGrouper(0.05, length_bp=100_000)
    assert grouper.scale == 50
    for text in [*texts, *map(reverse_complement, texts), "ACGT", "ACGT"]:
        grouper.add(text)
    assert grouper.groups().tolist() == [*range(40), *range(40), 80, 81]
