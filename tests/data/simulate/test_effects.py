"""The effect of every possible SNV, recomputed slowly from the files: mutate, translate, score."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from helixlm.data.simulate import EFFECTS, SelectionConfig, simulate, small_config
from helixlm.data.simulate.codons import codon_number, codon_weights
from helixlm.errors import InputError
from helixlm.rng import CounterRng

STANDARD = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
CODE = dict(zip(("".join(c) for c in itertools.product("TCAG", repeat=3)), STANDARD, strict=True))
GROUPS = ["AVLIM", "FYW", "STNQ", "KRH", "DE", "G", "P", "C"]
COST = SelectionConfig()
PER_BIT = {"DONOR": 0.0003, "ACCEPTOR": 0.0003, "BRANCH": 0.0003}  # the others: 0.0005
NAME = {"DONOR": "splice_region", "ACCEPTOR": "splice_region", "BRANCH": "branch_point"}
NAME |= {"KOZAK": "kozak", "POLYA": "polya", "TATA": "tata", "INR": "initiator"}
USAGE = codon_weights()


class SlowEffects:
    """Answers from FASTA, GFF3, BED and MEME alone."""

    def __init__(self, truth, turn):
        self.truth, self.turn = truth, turn
        self.coding, self.place = {}, {}
        for gene in truth.genes.values():
            bases = [i for piece in sorted(gene.parts["CDS"]) for i in range(*piece)]
            bases = bases if gene.strand == "+" else bases[::-1]
            for number, base in enumerate(bases):
                self.coding[gene.contig, base] = gene, bases, number
            (start, end), *_ = gene.parts["gene"]
            for base in range(start, end):
                self.place[gene.contig, base] = "intron"
            for kind in ("five_prime_UTR", "three_prime_UTR"):
                for piece in gene.parts[kind]:
                    for base in range(*piece):
                        self.place[gene.contig, base] = kind.lower()
        self.sites = {}
        for file in ("motifs", "tata", "initiators", "signals"):
            for row in truth.bed[file]:
                for base in range(row.start, row.end):
                    self.sites.setdefault((row.contig, base), []).append(row)

    def coding_effect(self, contig, base, alt):
        gene, bases, number = self.coding[contig, base]
        sequence = self.truth.upper[contig]
        if number < 3:
            return "start_lost", COST.start_lost
        codon = bases[number // 3 * 3 : number // 3 * 3 + 3]
        old = [sequence[i] for i in codon]
        new = [alt if i == base else sequence[i] for i in codon]
        if gene.strand == "-":
            old, new = [self.turn(x) for x in old], [self.turn(x) for x in new]
        old, new = "".join(old), "".join(new)
        before, after = CODE[old], CODE[new]
        if before == after:
            ratio = int(USAGE[codon_number(old)]) / int(USAGE[codon_number(new)])
            return "synonymous", COST.synonymous_per_bit * max(0.0, math.log2(ratio))
        if after == "*":
            return "stop_gained", COST.stop_gained
        if before == "*":
            return "stop_lost", COST.stop_lost
        alike = any(before in group and after in group for group in GROUPS)
        return "missense", COST.missense_conservative if alike else COST.missense_radical

    def site_effect(self, row, base, alt):
        matrix = self.truth.matrices[row.name]
        letter = self.truth.upper[row.contig][base]
        column = base - row.start
        if row.strand == "-":
            column, letter, alt = row.end - 1 - base, self.turn(letter), self.turn(alt)
        before, after = (100 * matrix[column]["ACGT".index(x)] + 1 for x in (letter, alt))
        if matrix[column].max() == 1:
            return {"DONOR": "splice_donor", "ACCEPTOR": "splice_acceptor"}[row.name], 0.02
        bits = max(0.0, math.log2(before / after))
        return NAME.get(row.name, "motif"), bits * PER_BIT.get(row.name, 0.0005)

    def __call__(self, contig, base, alt):
        """All names that the worst effect may have, and its cost."""
        letter = self.truth.upper[contig][base]
        if letter == "N" or letter == alt:
            return {"none"}, 0.0
        found = [self.site_effect(row, base, alt) for row in self.sites.get((contig, base), [])]
        if (contig, base) in self.coding:
            found.append(self.coding_effect(contig, base, alt))
        if not found:
            return {self.place.get((contig, base), "intergenic")}, 0.0
        worst = max(cost for _, cost in found)
        return {name for name, cost in found if cost > worst - 2e-6}, worst


@pytest.fixture(scope="module")
def slow(truth, readers):
    return SlowEffects(truth, readers.turn)


def test_every_effect_agrees_with_the_slow_one(world, truth, slow):
    """A sample of each effect, and of all places."""
    rng = CounterRng("sample")
    seen = Counter()
    for contig, sequence in truth.upper.items():
        table = world.effects(contig)
        assert table.shape == (len(sequence),)
        picks = set(rng.integers(0, 4 * len(sequence), 1000).tolist())
        for effect in range(len(EFFECTS)):
            here = np.flatnonzero(table["effect"].ravel() == effect)
            picks |= set(here[rng.integers(0, len(here), 40)].tolist())
        for pick in sorted(picks):
            base, letter = divmod(pick, 4)
            names, cost = slow(contig, base, "ACGT"[letter])
            effect = EFFECTS[table["effect"][base, letter]]
            assert effect in names, (contig, base, letter)
            assert table["selection"][base, letter] == pytest.approx(-1e6 * cost, abs=1.1)
            seen[effect] += 1
    assert set(seen) == set(EFFECTS)
    assert min(seen.values()) >= 20


def test_one_effect_is_a_row_of_the_table(world):
    table = world.effects("chr2")
    for base in range(4000, 6000, 40):
        for letter, alt in enumerate("ACGT"):
            found = world.variant_effect("chr2", base, alt)
            assert found.effect == EFFECTS[table["effect"][base, letter]]
            assert found.selection == table["selection"][base, letter] / 1e6


def test_selection_is_never_positive_and_zero_is_zero(world, truth):
    for contig in truth.upper:
        table = world.effects(contig)
        assert table["selection"].max() == 0
        places = table["effect"] <= EFFECTS.index("three_prime_utr")
        assert (table["selection"][places] == 0).all()


def test_constrained_bases_cost_half_a_permille_on_average(world, truth):
    for contig, sequence in truth.upper.items():
        listed = np.zeros(len(sequence), dtype=bool)
        for row in truth.bed["constrained"]:
            if row.contig == contig:
                listed[row.start : row.end] = True
        cost = -world.effects(contig)["selection"].astype(int).sum(axis=1)
        assert (listed == (cost >= 1500)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("chr9", 0, "A"), "contig 'chr9': alba has chr1, chr2, chr3"),
        (("chr1", -1, "A"), "chr1:-1: expected a 0-based position below"),
        (("chr1", 10**6, "A"), "chr1:1000000: expected a 0-based position below"),
        (("chr1", 5000, "N"), "chr1:5000: found alt 'N', expected A, C, G or T"),
        (("chr1", 5000, "AC"), "chr1:5000: found alt 'AC', expected A, C, G or T"),
        (("chr1", 5000, ""), "chr1:5000: found alt '', expected A, C, G or T"),
    ],
)
def test_changes_that_cannot_be_are_refused(world, arguments, message):
    with pytest.raises(InputError, match=message):
        world.variant_effect(*arguments)


def read_labels(world):
    header, *lines = world.labels.read_text().splitlines()
    assert header == "contig\tposition_1based\tref\talt\teffect\tselection\tlabel"
    return [line.split("\t") for line in lines]


def test_labels_are_balanced_sorted_and_true(world, truth, slow):
    rows = read_labels(world)
    assert Counter(row[-1] for row in rows) == {"deleterious": 200, "neutral": 200}
    order = list(truth.genome)
    keys = [(order.index(row[0]), int(row[1]), row[3]) for row in rows]
    assert keys == sorted(set(keys))
    for contig, position, ref, alt, effect, selection, label in rows:
        base = int(position) - 1
        assert truth.upper[contig][base] == ref
        names, cost = slow(contig, base, alt)
        assert effect in names
        assert float(selection) == pytest.approx(-cost, abs=1.1e-6)
        assert (label == "deleterious") == (float(selection) <= -0.001)
        assert (label == "neutral") == (selection == "0")


def test_labels_are_spread_over_effects_and_places(world):
    rows = read_labels(world)
    bad = Counter(row[4] for row in rows if row[-1] == "deleterious")
    assert len(bad) >= 10
    assert max(bad.values()) < 40
    good = Counter(row[4] for row in rows if row[-1] == "neutral")
    assert 90 <= sum(n for name, n in good.items() if name != "intergenic") <= 130


def test_a_world_without_costs_has_no_labels(tmp_path):
    costs = dict.fromkeys(SelectionConfig.model_fields, 0.0)
    costs |= {"effective_population": 1000, "deleterious_from": 0.001}
    config = small_config().model_copy(update={"selection": SelectionConfig(**costs)})
    world = simulate(tmp_path / "world", config)
    assert read_labels(world) == []
    assert world.bed("constrained").read_text() == ""
    assert all((world.effects(c)["selection"] == 0).all() for c in config.contig_bp)
