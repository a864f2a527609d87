"""Codons, matrices, free room, background and repeats, each against its slow definition."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data.simulate import LayoutError, SelectionConfig, WorldConfig, small_config
from helixlm.data.simulate import matrices as pwm
from helixlm.data.simulate.ancestor import build_ancestor
from helixlm.data.simulate.codons import (
    AMINO_ACID,
    codon_costs,
    codon_number,
    codon_weights,
    draw_codons,
    draw_families,
    draw_peptide,
    draw_protein,
)
from helixlm.data.simulate.features import cover, runs
from helixlm.data.simulate.layout import Free, background, reverse_complement_codes
from helixlm.data.simulate.repeats import diverge
from helixlm.rng import CounterRng

# The standard code as it is usually written, in T C A G order.
STANDARD = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
CODE = dict(zip(("".join(c) for c in itertools.product("TCAG", repeat=3)), STANDARD, strict=True))


def test_the_genetic_code_is_the_standard_one():
    assert {c: AMINO_ACID[codon_number(c)] for c in CODE} == CODE


def test_every_amino_acid_has_its_codons_in_use():
    weights = codon_weights()
    assert (weights > 0).all()
    for aa in set(STANDARD):
        assert sum(int(weights[codon_number(c)]) for c in CODE if CODE[c] == aa) == 100


def test_drawn_codons_give_the_protein_and_the_usage():
    protein = "M" + draw_peptide(4000, CounterRng("protein"))
    text = "".join("ACGT"[code] for code in draw_codons(protein, CounterRng("codons")))
    codons = [text[i : i + 3] for i in range(0, len(text), 3)]
    assert "".join(CODE[c] for c in codons) == protein + "*"
    lysines = [c for c in codons if CODE[c] == "K"]
    assert lysines.count("AAG") / len(lysines) == pytest.approx(0.82, abs=0.06)


def test_proteins_share_domains():
    rng = CounterRng("families")
    families = draw_families(3, rng)
    proteins = [draw_protein(150, families, rng) for _ in range(6)]
    assert all(len(protein) == 150 and protein[0] == "M" for protein in proteins)

    def words(protein):
        return {protein[i : i + 4] for i in range(len(protein) - 3)}

    shared = [len(words(a) & words(b)) for a, b in itertools.combinations(proteins, 2)]
    strange = [len(words(a) & words(draw_peptide(150, rng))) for a in proteins]
    assert np.mean(shared) > 3
    assert np.mean(strange) < 0.5


def test_codon_costs_follow_the_translation():
    selection = SelectionConfig()
    effect, cost = codon_costs(selection)
    weights = codon_weights()
    for codon, i, base in itertools.product(CODE, range(3), "ACGT"):
        other = codon[:i] + base + codon[i + 1 :]
        found = str(effect[codon_number(codon), i, "ACGT".index(base)])
        paid = int(cost[codon_number(codon), i, "ACGT".index(base)])
        if other == codon:
            assert (found, paid) == ("none", 0)
        elif CODE[other] == CODE[codon]:
            ratio = int(weights[codon_number(codon)]) / int(weights[codon_number(other)])
            assert found == "synonymous"
            assert paid == pytest.approx(max(0, 100 * math.log2(ratio)), abs=0.51)
        elif CODE[other] == "*":
            assert (found, paid) == ("stop_gained", 20_000)
        elif CODE[codon] == "*":
            assert (found, paid) == ("stop_lost", 10_000)
        else:
            assert found == "missense"
            assert paid in (500, 1500)
    # Leucine to isoleucine is a small change, glycine to arginine a large one.
    assert cost[codon_number("CTT"), 0, 0] == 500
    assert cost[codon_number("GGT"), 0, 1] == 1500


@pytest.mark.parametrize("matrix", pwm.MATRICES.values(), ids=lambda matrix: matrix.name)
def test_matrices_score_by_their_formula_and_draw_good_sites(matrix):
    assert (matrix.percent.sum(axis=1) == 100).all()
    rng = CounterRng("sites", matrix.name)
    draws = [matrix.draw(rng) for _ in range(100)]
    slow = [
        sum(1000 * math.log2((int(matrix.percent[i, c]) + 1) / 26) for i, c in enumerate(site))
        for site in draws
    ]
    assert matrix.score(np.array(draws)) == pytest.approx(slow, abs=0.5 * matrix.width)
    assert min(slow) > 0
    assert np.mean(slow) > 0.5 * matrix.best
    chance = rng.integers(0, 4, 300 * matrix.width).reshape(300, -1).astype(np.uint8)
    assert matrix.score(chance).mean() < 0
    for column in np.flatnonzero(matrix.fixed):
        assert {int(site[column]) for site in draws} == {int(matrix.percent[column].argmax())}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(0, 100))
def test_pieces_of_free_room_never_meet(sizes, seed):
    room = [(10, 110), (150, 260), (400, 405)]
    free = Free(room)
    rng = CounterRng("free", seed)
    used = np.zeros(500, dtype=int)
    for size in sizes:
        longest = free.longest()
        start = free.take(size, rng)
        assert (start is None) == (size > longest)
        if start is not None:
            assert any(low <= start and start + size <= high for low, high in room)
            assert not used[max(0, start - 1) : start + size + 1].any()
            used[start : start + size] = 1


def test_background_has_its_gc_content_and_few_cpg():
    codes = background(np.repeat([300, 600], 50_000), CounterRng("ground"))
    text = "".join("ACGT"[code] for code in codes)
    for part, gc in ((text[:50_000], 0.3), (text[50_000:], 0.6)):
        share = (part.count("G") + part.count("C")) / 50_000
        assert share == pytest.approx(gc, abs=0.06)  # the decay of CpG takes some away
        expected = part.count("C") * part.count("G") / 50_000
        assert part.count("CG") < 0.6 * expected


def test_reverse_complement_of_codes():
    assert reverse_complement_codes(np.array([0, 0, 1, 4], np.uint8)).tolist() == [4, 2, 3, 3]


def test_copies_diverge_by_their_age():
    sequence = background(np.full(20_000, 500), CounterRng("consensus"))
    copy = diverge(sequence, 0, CounterRng("copy"))
    assert (copy == sequence).all()
    copy = diverge(sequence, 100, CounterRng("copy"))
    first = slice(0, 100)  # before the first indels push the rest out of place
    assert 0.02 < (copy[first] != sequence[first]).mean() < 0.25
    assert len(copy) != len(sequence)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=10))
def test_cover_and_runs_are_inverse(intervals):
    start = np.array([s for s, _ in intervals], dtype=np.int64)
    end = np.array([s + n for s, n in intervals], dtype=np.int64)
    mask = cover(start, end, 80)
    assert mask.tolist() == [any(s <= i < s + n for s, n in intervals) for i in range(80)]
    again = cover(*runs(mask), 80)
    assert (again == mask).all()
    assert len(runs(mask)[0]) == sum(bool(mask[i]) and not (i and mask[i - 1]) for i in range(80))


def test_a_contig_that_is_too_short_is_refused():
    config = WorldConfig(
        contig_bp={"chr1": 60_000, "chr5": 8_000, "chr6": 9_000}, telomere_gap_bp=3_000
    )
    with pytest.raises(LayoutError, match="contig 'chr5' of 8000 bp: 3 genes, 2 gaps"):
        build_ancestor(config)


def test_little_room_gives_few_repeats_but_a_world():
    config = small_config().model_copy(
        update={"genes_per_100kbp": 52, "repeat_share": 0.5, "enhancers_per_100kbp": 50}
    )
    genome = build_ancestor(config)
    share = genome.features.of("repeat").mask(len(genome.codes)).mean()
    assert 0.05 < share < 0.5
