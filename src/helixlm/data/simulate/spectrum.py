"""How often a variant is seen among the haplotypes, and on which of them.

Comes in: selection coefficients and places. Goes out: allele counts and carriers. Deleterious
variants are rarer; neighbours in one block of the genome share carriers, as linked variants do.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from helixlm.rng import CounterRng

_BLOCK_BP = 10_000  # variants in one block are linked


@cache
def count_weights(selection: int, population: int, haplotypes: int) -> tuple[int, ...]:
    """Return the expected number of variants seen 1, 2, ... times among the haplotypes.

    Parameters
    ----------
    selection : int
        Selection coefficient in 1/1,000,000, zero or negative.
    population : int
        Effective population size, diploid individuals.
    haplotypes : int
        Sample size n, two or more.

    Returns
    -------
    tuple of int, length n - 1
        For x = 1/n, 2/n, ...: ``(1 - exp(-S (1 - x))) / ((1 - exp(-S)) n x (1 - x))`` with
        ``S = 4 N s``, in 1/1,000,000, rounded; 1/k for a neutral variant seen k times. The
        stationary density is taken at the frequencies of the sample, not integrated around them.

    References
    ----------
    Sawyer and Hartl (1992), Population genetics of polymorphism and divergence. Genetics
    132:1161-1176.
    """
    scaled = max(4 * population * selection / 1e6, -700.0)
    weights = []
    for k in range(1, haplotypes):
        x = k / haplotypes
        value = 1 / k
        if scaled < 0:
            value *= math.expm1(-scaled * (1 - x)) / (math.expm1(-scaled) * (1 - x))
        weights.append(round(1e6 * value))
    return tuple(weights)


def draw_counts(
    selection: NDArray[np.int64], population: int, haplotypes: int, rng: CounterRng
) -> NDArray[np.int64]:
    """Return how many haplotypes carry each variant; 0 if selection or chance has removed it.

    Parameters
    ----------
    selection : ndarray, int64, shape (n,)
        Selection coefficients in 1/1,000,000.
    population, haplotypes : int
        As in `count_weights`.
    rng : CounterRng
        Where the counts are drawn from.

    Returns
    -------
    ndarray, int64, shape (n,)
        Counts. A neutral variant always has one; a deleterious one is seen as often, in relation
        to it, as `count_weights` says.
    """
    neutral = np.cumsum(count_weights(0, population, haplotypes))
    draw = rng.integers(0, int(neutral[-1]), len(selection))
    counts = np.zeros(len(selection), dtype=np.int64)
    for value in np.unique(selection).tolist():
        here = selection == value
        bounds = np.cumsum(count_weights(value, population, haplotypes))
        found = np.searchsorted(bounds, draw[here], side="right") + 1
        counts[here] = np.where(found < haplotypes, found, 0)
    return counts


class Carriers:
    """Chooses the haplotypes that carry a variant.

    The haplotypes of each block of the genome have an order of their own, and the carriers of a
    variant follow one another in it: so variants in a block are in linkage disequilibrium.

    Parameters
    ----------
    haplotypes : int
        How many there are.
    seed : int
        The world's seed.
    """

    def __init__(self, haplotypes: int, seed: int) -> None:
        self._haplotypes = haplotypes
        self._seed = seed
        self._order: dict[int, NDArray[np.int64]] = {}

    def choose(self, place: int, count: int, rng: CounterRng) -> NDArray[np.bool_]:
        """Return which haplotypes carry a variant, bool, shape (haplotypes,), `count` true."""
        block = place // _BLOCK_BP
        if block not in self._order:
            key = CounterRng("simulate", self._seed, "block", block)
            self._order[block] = key.permutation(self._haplotypes)
        start = rng.integer(0, self._haplotypes)
        carriers = np.zeros(self._haplotypes, dtype=np.bool_)
        carriers[np.roll(self._order[block], -start)[:count]] = True
        return carriers
