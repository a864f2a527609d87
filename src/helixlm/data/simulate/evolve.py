"""Evolution of the ancestor along the tree: substitutions and small indels under selection.

A branch is walked in short steps. In each, mutations fall at random; one that changes a
functional base survives with Kimura's probability of fixation, relative to a neutral one. At
the end of the branch small indels fall where nothing functional is. Every base carries the number
that it got when it arose, so that any two species can be aligned without error.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.simulate import matrices as pwm
from helixlm.data.simulate.ancestor import Genome
from helixlm.data.simulate.config import WorldConfig
from helixlm.data.simulate.effects import EffectModel
from helixlm.data.simulate.features import Features, cover
from helixlm.rng import CounterRng

_STEP = 0.01  # longest step, substitutions per neutral site
_INDEL_BP = 30  # longest indel


class Lineage(NamedTuple):
    """A genome of the tree and the history of its bases.

    Attributes
    ----------
    genome : Genome
        Bases, contigs and features in this genome's own coordinates.
    identity : ndarray, int64, shape (length,)
        Number of each base: two bases of two genomes are homologous if they have the same one.
    """

    genome: Genome
    identity: NDArray[np.int64]


def fixation_permillion(selection: NDArray[np.int16], population: int) -> NDArray[np.int64]:
    """Return the probability of fixation relative to a neutral mutation.

    Parameters
    ----------
    selection : ndarray, int16, shape (n,)
        Selection coefficients in 1/1,000,000, zero or negative.
    population : int
        Effective population size, diploid individuals.

    Returns
    -------
    ndarray, int64, shape (n,)
        ``S / (1 - exp(-S))`` with ``S = 4 N s``, in 1/1,000,000, rounded: a last digit that
        differs between machines does not reach the result.

    References
    ----------
    Kimura (1962), On the probability of fixation of mutant genes. Genetics 47:713-719.
    """
    values, inverse = np.unique(selection, return_inverse=True)
    table = []
    for value in values.tolist():
        scaled = 4 * population * value / 1e6
        table.append(1.0 if scaled == 0 else scaled / -math.expm1(min(-scaled, 700.0)))
    return np.array([round(1e6 * p) for p in table], dtype=np.int64)[inverse.ravel()]


def evolve(ancestor: Genome, config: WorldConfig) -> dict[str, Lineage]:
    """Return the genome of each species, the focal one first.

    Parameters
    ----------
    ancestor : Genome
        The root of the tree.
    config : WorldConfig
        Tree, mutation and selection.

    Returns
    -------
    dict of str to Lineage
        One entry a species, in the order of `config.species`.
    """
    nodes = {0: Lineage(ancestor, np.arange(len(ancestor.codes), dtype=np.int64))}
    next_identity = len(ancestor.codes)
    leaves = {}
    for branch in config.branches:
        lineage = _substitute(nodes[branch.parent], branch.child, branch.length, config)
        lineage, next_identity = insert_and_delete(
            lineage, branch.child, branch.length, next_identity, config
        )
        nodes[branch.child] = lineage
        if branch.species:
            leaves[branch.species] = lineage
    return {name: leaves[name] for name in config.species}


def _substitute(lineage: Lineage, node: int, length: float, config: WorldConfig) -> Lineage:
    genome = lineage.genome
    codes = genome.codes.copy()
    model = EffectModel(genome.features, len(codes), config.selection)
    codon = np.full(len(codes), -1, dtype=np.int64)
    codon[model.codon_base] = np.arange(len(model.codon_base))[:, None]
    # round() first, because 0.03 / 0.01 may come out a little over 3
    steps = math.ceil(round(length / _STEP, 6))
    for step in range(steps):
        rng = CounterRng("simulate", config.seed, "substitutions", node, step)
        count = round(length / steps * len(codes))
        place = np.unique(rng.integers(0, len(codes), count))
        place = place[codes[place] < 4]
        # In A C G T order, 2 steps away is the transition: A-G and C-T.
        kind = rng.choice([config.transition_weight, 1, 1], len(place))
        new = (codes[place] ^ np.array([2, 1, 3], dtype=np.uint8)[kind]).astype(np.uint8)
        effects = model.table(codes)
        chance = fixation_permillion(
            effects.selection[place, new], config.selection.effective_population
        )
        # Where drift is strong even these would be fixed, but all species keep all genes.
        chance[effects.breaking()[place, new]] = 0
        kept = rng.integers(0, 1_000_000, len(place)) < chance
        place, new = place[kept], new[kept]
        # Two changes of one codon were judged apart and could make a stop codon together.
        group = np.where(codon[place] < 0, -1 - np.arange(len(place)), codon[place])
        _, first = np.unique(group, return_index=True)
        codes[place[first]] = new[first]
    return Lineage(genome._replace(codes=codes), lineage.identity)


def frozen(features: Features, length: int) -> NDArray[np.bool_]:
    """Return the bases that no indel may touch, bool, shape (length,).

    These are codons, sites of matrices, gaps, and the core promoter, whose spacing counts.
    """
    rows = features.of("cds", "site", "gap")
    genes = features.of("gene")
    start = np.where(
        genes.strand > 0,
        genes.start - pwm.TATA_OFFSET,
        genes.end - pwm.INITIATOR.width + pwm.INITIATOR_OFFSET,
    )
    core = pwm.TATA_OFFSET + pwm.INITIATOR.width - pwm.INITIATOR_OFFSET
    return rows.mask(length) | cover(start, start + core, length)


def insert_and_delete(
    lineage: Lineage, node: int, length: float, next_identity: int, config: WorldConfig
) -> tuple[Lineage, int]:
    """Return a lineage after the small indels of a branch.

    Parameters
    ----------
    lineage : Lineage
        The genome at the end of the branch, before its indels.
    node : int
        Number of the branch's lower node, which names its random numbers.
    length : float
        Length of the branch, substitutions per neutral site.
    next_identity : int
        The first number that no base has yet.
    config : WorldConfig
        Rate of indels, and the seed.

    Returns
    -------
    lineage : Lineage
        With coordinates of its own; what is left of the old bases is unchanged.
    next_identity : int
        The first number that is free now.
    """
    genome = lineage.genome
    codes = genome.codes
    rng = CounterRng("simulate", config.seed, "indels", node)
    count = round(length * config.indels_per_substitution * len(codes))
    place = np.unique(rng.integers(1, len(codes) - _INDEL_BP - 1, count))
    size = draw_indel_bp(len(place), rng)
    is_deletion = rng.integers(0, 2, len(place)) == 0
    # A deletion takes [place, place + size); an insertion comes before `place`. Neither may
    # touch a frozen base or be right beside one.
    blocked = np.concatenate(([0], np.cumsum(frozen(genome.features, len(codes)))))
    reach = np.where(is_deletion, size, 0)
    free = blocked[place + reach + 1] == blocked[place - 1]
    place, size, is_deletion = place[free], size[free], is_deletion[free]
    chosen = _spaced(place, np.where(is_deletion, size, 0))
    place, size, is_deletion = place[chosen], size[chosen], is_deletion[chosen]

    copies = np.ones(len(codes), dtype=np.int64)
    for start, bp in zip(place[is_deletion].tolist(), size[is_deletion].tolist(), strict=True):
        copies[start : start + bp] = 0
    # The new bases stand after the base before `place`.
    copies[place[~is_deletion] - 1] += size[~is_deletion]
    position = np.concatenate(([0], np.cumsum(copies)))
    child = np.repeat(codes, copies)
    identity = np.repeat(lineage.identity, copies)
    for before, bp in zip(place[~is_deletion] - 1, size[~is_deletion].tolist(), strict=True):
        start = int(position[before]) + 1
        # Half of the insertions repeat what stands before them, as slipping polymerases do.
        if rng.integer(0, 2):
            fresh = rng.integers(0, 4, bp).astype(np.uint8)
        else:
            fresh = child[start - bp : start].copy()
            fresh[fresh > 3] = 0
        child[start : start + bp] = fresh
        identity[start : start + bp] = np.arange(next_identity, next_identity + bp)
        next_identity += bp
    evolved = Genome(child, position[genome.bounds], genome.features.lift(position))
    return Lineage(evolved, identity), next_identity


def draw_indel_bp(count: int, rng: CounterRng) -> NDArray[np.int64]:
    """Return lengths of small indels, int64, shape (count,): 1 to 30 bp, mostly short."""
    weights = [1_000_000 // (bp * bp) for bp in range(1, _INDEL_BP + 1)]
    return rng.choice(weights, count) + 1


def _spaced(start: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of the sorted events to keep so that at least two bases lie between them."""
    keep = np.zeros(len(start), dtype=np.bool_)
    free_from = 0
    for index, (left, bp) in enumerate(zip(start.tolist(), size.tolist(), strict=True)):
        if left >= free_from:
            keep[index] = True
            free_from = left + bp + 2
    return keep


def align(one: Lineage, other: Lineage) -> NDArray[np.int64]:
    """Return the place in `other` of each base of `one`, or -1 where it has none.

    Returns
    -------
    ndarray, int64, shape (length of one,)
        Genome-wide, rising where it is not -1.
    """
    size = int(max(one.identity.max(), other.identity.max())) + 1
    place = np.full(size, -1, dtype=np.int64)
    place[other.identity] = np.arange(len(other.identity))
    return place[one.identity]
