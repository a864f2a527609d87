"""Species against each other, through the published alignments; selection against its formula."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from helixlm.data.simulate import SelectionConfig, small_config
from helixlm.data.simulate.ancestor import build_ancestor
from helixlm.data.simulate.effects import EffectModel, codon_bases
from helixlm.data.simulate.evolve import (
    Lineage,
    draw_indel_bp,
    evolve,
    fixation_permillion,
    frozen,
    insert_and_delete,
)
from helixlm.data.simulate.spectrum import Carriers, count_weights, draw_counts
from helixlm.rng import CounterRng

PURINES = "AG"


def read_chains(path):
    """Aligned pieces (contig, start in target, start in query, length) of a chain file."""
    pieces, contigs = [], {}
    for line in path.read_text().splitlines():
        fields = line.split()
        if not fields:
            continue
        if fields[0] == "chain":
            _, score, contig, t_size, t_sign, t, t_end, query, q_size, q_sign, q, q_end, _ = fields
            assert (contig, t_sign, q_sign) == (query, "+", "+")
            contigs[contig] = SimpleNamespace(
                t_size=int(t_size), q_size=int(q_size), t_end=int(t_end), q_end=int(q_end)
            )
            contigs[contig].score = int(score)
            t, q = int(t), int(q)
            continue
        size, *gaps = map(int, fields)
        pieces.append((contig, t, q, size))
        t, q = t + size, q + size
        if gaps:
            t, q = t + gaps[0], q + gaps[1]
        else:
            assert (t, q) == (contigs[contig].t_end, contigs[contig].q_end)
    return pieces, contigs


@pytest.fixture(scope="module", params=["rubra", "nigra"])
def aligned(request, world, truth, readers):
    """Aligned pairs of letters of the focal and another species, with what they lie in."""
    other = readers.genome(world.fasta(request.param))
    pieces, contigs = read_chains(world.path / "alignments" / f"{request.param}.chain")
    constrained = {name: np.zeros(len(text), dtype=bool) for name, text in truth.upper.items()}
    for row in truth.bed["constrained"]:
        constrained[row.contig][row.start : row.end] = True
    pairs = []
    for contig, t, q, size in pieces:
        ours, theirs = truth.upper[contig][t : t + size], other[contig][q : q + size].upper()
        assert len(ours) == len(theirs) == size
        pairs += list(zip(ours, theirs, constrained[contig][t : t + size], strict=True))
    return SimpleNamespace(
        name=request.param, pieces=pieces, contigs=contigs, pairs=pairs, other=other
    )


def test_chains_fit_the_genomes(aligned, truth):
    for name, chain in aligned.contigs.items():
        assert chain.t_size == len(truth.genome[name])
        assert chain.q_size == len(aligned.other[name])
        assert chain.score == sum(size for contig, _, _, size in aligned.pieces if contig == name)
        assert chain.score > 0.97 * chain.t_size


def test_gaps_align_with_gaps(aligned):
    assert all((a == "N") == (b == "N") for a, b, _ in aligned.pairs)


def test_constrained_bases_diverge_much_less(aligned):
    known = [(a != b, kept) for a, b, kept in aligned.pairs if a != "N"]
    kept = np.mean([differs for differs, is_kept in known if is_kept])
    free = np.mean([differs for differs, is_kept in known if not is_kept])
    # The tree puts 0.05 substitutions per neutral site between alba and rubra, 0.09 to nigra.
    expected = {"rubra": 0.05, "nigra": 0.09}[aligned.name]
    assert 0.75 * expected < free < 1.05 * expected
    assert kept < free / 4


def test_transitions_are_more_frequent(aligned):
    changes = [(a, b) for a, b, _ in aligned.pairs if a != b]
    transitions = sum((a in PURINES) == (b in PURINES) for a, b in changes)
    assert 1.7 < transitions / (len(changes) - transitions) < 2.4  # 4 against 1 + 1


def test_there_are_small_indels_and_none_in_frames(aligned, truth):
    gaps = [
        (a[0], a[1] + a[3], b[1], b[2] - a[2] - a[3])
        for a, b in zip(aligned.pieces, aligned.pieces[1:], strict=False)
        if a[0] == b[0]
    ]
    assert len(gaps) > 50
    assert max(max(end - start, size) for _, start, end, size in gaps) < 100
    coding = {
        (gene.contig, i)
        for gene in truth.genes.values()
        for piece in gene.parts["CDS"]
        for i in range(*piece)
    }
    for contig, start, end, _ in gaps:
        assert not any((contig, i) in coding for i in range(start, end))
        assert not ((contig, start - 1) in coding and (contig, end) in coding)


def test_species_keep_their_genes(world, readers):
    names = [sorted(readers.genes(world.gff3(species))) for species in world.species]
    assert names[0] == names[1] == names[2]


def test_genes_stay_whole_even_without_selection():
    costs = dict.fromkeys(SelectionConfig.model_fields, 0.0) | {"effective_population": 10}
    selection = SelectionConfig(**costs | {"deleterious_from": 0.001, "stop_gained": 0.001})
    config = small_config().model_copy(update={"selection": selection})
    for lineage in evolve(build_ancestor(config), config).values():
        genome = lineage.genome
        model = EffectModel(genome.features, len(genome.codes), SelectionConfig())
        model.table(genome.codes)  # asserts the start codons
        bases, reverse, _ = codon_bases(genome.features)
        letters = np.where(reverse[:, None], 3 - genome.codes[bases], genome.codes[bases])
        stops = {(3, 0, 0), (3, 0, 2), (3, 2, 0)}
        found = [tuple(codon) in stops for codon in letters.tolist()]
        assert sum(found) == len(genome.features.of("gene").start)


@pytest.mark.parametrize("population", [100, 1000, 100_000])
def test_fixation_is_kimuras(population):
    cost = np.array([0, 1, 100, 500, 1500, 20_000], dtype=np.int16)
    found = fixation_permillion(-cost, population)
    for value, chance in zip(cost.tolist(), found.tolist(), strict=True):
        s = -value / 1e6
        # Kimura's probability for a new mutation, over 1 / 2N of a neutral one.
        n = population
        if s == 0:
            expected = 1.0
        elif -4 * n * s > 300:
            expected = 0.0
        else:
            first = (1 - math.exp(-2 * s)) / (1 - math.exp(-4 * n * s))
            expected = first * 2 * n
        assert chance == pytest.approx(1e6 * expected, rel=0.03, abs=1)


def test_neutral_counts_go_as_one_over_k():
    assert count_weights(0, 1000, 5) == (1_000_000, 500_000, 333_333, 250_000)


@pytest.mark.parametrize("selection", [-10, -500, -20_000])
def test_count_weights_are_the_stationary_density(selection):
    n = 8
    scaled = 4 * 1000 * selection / 1e6
    for k, weight in enumerate(count_weights(selection, 1000, n), start=1):
        x = k / n
        density = (1 - math.exp(-scaled * (1 - x))) / ((1 - math.exp(-scaled)) * x * (1 - x))
        assert weight == pytest.approx(1e6 * density / n, abs=1)


def test_drawn_counts_follow_the_weights():
    selection = np.repeat([0, -500], 20_000)
    counts = draw_counts(selection, 1000, 6, CounterRng("counts"))
    neutral = np.array(count_weights(0, 1000, 6))
    for value in (0, -500):
        found = np.bincount(counts[selection == value], minlength=6)
        expected = 20_000 * np.array(count_weights(value, 1000, 6)) / neutral.sum()
        np.testing.assert_allclose(found[1:], expected, atol=5 * 20_000**0.5 / 2)
    assert (counts[selection == 0] > 0).all()
    assert (counts[selection != 0] == 0).any()


def test_carriers_are_linked_within_a_block():
    carriers = Carriers(10, seed=1)
    rng = CounterRng("carriers")
    sets = [frozenset(np.flatnonzero(carriers.choose(5000, 3, rng)).tolist()) for _ in range(300)]
    assert {len(s) for s in sets} == {3}
    assert len(set(sets)) == 10  # of the 120 possible ones
    far = [frozenset(np.flatnonzero(carriers.choose(15_000, 3, rng)).tolist()) for _ in range(300)]
    assert set(far) != set(sets)


def test_indels_are_mostly_short():
    sizes = draw_indel_bp(5000, CounterRng("sizes"))
    assert 0.55 < (sizes == 1).mean() < 0.7
    assert sizes.min() == 1
    assert 10 < sizes.max() <= 30


def test_indels_leave_all_other_bases_alone():
    config = small_config()
    before = build_ancestor(config)
    length = len(before.codes)
    parent = Lineage(before, np.arange(length))
    child, following = insert_and_delete(parent, 1, 0.05, length, config)
    after, identity = child.genome, child.identity
    old = identity < length
    assert (after.codes[old] == before.codes[identity[old]]).all()
    assert (np.diff(identity[old]) > 0).all()  # in their old order
    fresh = np.sort(identity[~old])
    assert (fresh == np.arange(length, following)).all()
    assert len(fresh) > 100
    lost = np.setdiff1d(np.arange(length), identity)
    assert len(lost) > 100
    assert not frozen(before.features, length)[lost].any()
    # Features begin and end at the same bases, unless these are lost.
    for kind in ("gene", "exon", "cds", "site", "gap"):
        one, other = before.features.of(kind), after.features.of(kind)
        assert (one.name == other.name).all()
        kept = ~np.isin(one.start, lost) & ~np.isin(one.end - 1, lost)
        assert (identity[other.start[kept]] == one.start[kept]).all()
    cds = after.features.of("cds")
    assert (identity[cds.end - 1] == before.features.of("cds").end - 1).all()
