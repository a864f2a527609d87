"""Interspersed and tandem repeats of the ancestor.

A few families, each with a consensus; copies lie on either strand, are cut at an end where the
family does so, and have diverged from the consensus by substitutions and small indels according
to their age. Everything written here is what the files show in lower case.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.simulate.features import FeatureList
from helixlm.data.simulate.layout import Free, background, reverse_complement_codes
from helixlm.rng import CounterRng

_LEAST_BP = 60
_INDEL_PERCENT = 10  # indels for each 100 substitutions of a copy
_MINISATELLITE_PERCENT = 25


class Family(NamedTuple):
    """A family of interspersed repeats.

    Attributes
    ----------
    name : str
        Its name in the BED file.
    consensus_bp : int
        Length of the consensus, bp.
    gc_permille : int
        GC content of the consensus, 1/1000.
    weight : int
        Relative share of the copies.
    divergence_permille : int
        Mean divergence of the copies from the consensus in the ancestor, 1/1000.
    cut_percent : int
        Percent of the copies that lack a part of their 5' end.
    """

    name: str
    consensus_bp: int
    gc_permille: int
    weight: int
    divergence_permille: int
    cut_percent: int


# Most copies are old, as in real genomes. With young ones (4 %) counting the two neighbours of a
# token (BPE, 1,024 tokens) takes 1.9 nats off the loss in repeats, long before a model that sees
# the whole window has learned them; with these the gain of counting is 0.5 nats.
FAMILIES = (
    Family("SINE1", 290, 560, 40, 160, 15),
    Family("SINE2", 190, 460, 15, 100, 10),
    Family("LINE1", 900, 400, 20, 220, 90),
    Family("LTR1", 430, 480, 15, 140, 30),
    Family("DNA1", 160, 380, 10, 270, 10),
)
YOUNGEST = "SINE2"  # its copies are what structural insertions bring


def draw_consensus(seed: int) -> dict[str, NDArray[np.uint8]]:
    """Return the consensus of each family of the world with this seed, uint8 codes."""
    sequences = {}
    for family in FAMILIES:
        rng = CounterRng("simulate", seed, "family", family.name)
        sequence = background(np.full(family.consensus_bp, family.gc_permille), rng)
        if family.name.startswith(("SINE", "LINE")):
            sequence[-18:] = 0  # a poly-A tail
        sequences[family.name] = sequence
    return sequences


def diverge(sequence: NDArray[np.uint8], permille: int, rng: CounterRng) -> NDArray[np.uint8]:
    """Return a copy with substitutions at `permille` of the bases, and some small indels."""
    copy = sequence.copy()
    length = len(copy)
    hit = np.flatnonzero(rng.integers(0, 1000, length) < permille)
    copy[hit] = (copy[hit] + rng.integers(1, 4, len(hit))) % 4
    indels = (length * permille * _INDEL_PERCENT + 50_000) // 100_000
    for _ in range(indels):
        place = rng.integer(0, len(copy) - 10)
        size = rng.integer(1, 6)
        if rng.integer(0, 2):
            copy = np.delete(copy, slice(place, place + size))
        else:
            fresh = rng.integers(0, 4, size).astype(np.uint8)
            copy = np.insert(copy, place, fresh)
    return copy


def write_interspersed(
    codes: NDArray[np.uint8], free: Free, target_bp: int, features: FeatureList, seed: int
) -> None:
    """Write copies into free intervals until they cover `target_bp`, or nothing fits.

    Parameters
    ----------
    codes : ndarray, uint8, shape (length,)
        The genome; changed in place.
    free : Free
        Where there is room; gets smaller.
    target_bp : int
        Bases to cover.
    features : FeatureList
        Gets the copies, with the family as name and the divergence as value.
    seed : int
        The world's seed.
    """
    consensus = draw_consensus(seed)
    rng = CounterRng("simulate", seed, "interspersed")
    weights = [family.weight for family in FAMILIES]
    covered = 0
    while covered < target_bp:
        family = FAMILIES[int(rng.choice(weights, 1)[0])]
        sequence = consensus[family.name]
        if rng.integer(0, 100) < family.cut_percent:
            sequence = sequence[rng.integer(0, len(sequence) - 2 * _LEAST_BP) :]
        mean = family.divergence_permille
        permille = rng.integer(mean * 7 // 10, mean * 13 // 10 + 1)
        copy = diverge(sequence, permille, rng)
        room = free.longest()
        if room < _LEAST_BP:
            return
        copy = copy[-room:]
        strand = 1 - 2 * rng.integer(0, 2)
        start = free.take(len(copy), rng)
        assert start is not None
        end = start + len(copy)
        codes[start:end] = copy if strand > 0 else reverse_complement_codes(copy)
        features.add("repeat", start, end, name=family.name, strand=strand, value=permille)
        covered += len(copy)


def write_tandem(
    codes: NDArray[np.uint8], free: Free, target_bp: int, features: FeatureList, seed: int
) -> None:
    """Write micro- and minisatellites into free intervals until they cover `target_bp`.

    The parameters are those of `write_interspersed`; the name of a feature is its unit, as in
    "(CA)n".
    """
    rng = CounterRng("simulate", seed, "tandem")
    covered = 0
    while covered < target_bp and free.longest() >= _LEAST_BP:
        small = rng.integer(0, 100) >= _MINISATELLITE_PERCENT
        unit = _draw_unit(rng.integer(1, 7) if small else rng.integer(9, 31), rng)
        length = rng.integer(24, 81) if small else len(unit) * rng.integer(3, 9)
        permille = rng.integer(0, 80)
        tract = np.tile(unit, length // len(unit) + 1)[: min(length, free.longest())]
        hit = np.flatnonzero(rng.integers(0, 1000, len(tract)) < permille)
        tract[hit] = (tract[hit] + rng.integers(1, 4, len(hit))) % 4
        start = free.take(len(tract), rng)
        assert start is not None
        codes[start : start + len(tract)] = tract
        name = "(" + "".join("ACGT"[code] for code in unit) + ")n"
        features.add("tandem", start, start + len(tract), name=name, value=permille)
        covered += len(tract)


def _draw_unit(length: int, rng: CounterRng) -> NDArray[np.uint8]:
    """Return a unit that is no run of one base, unless it is one base long."""
    unit = rng.integers(0, 4, length).astype(np.uint8)
    if length > 1 and (unit == unit[0]).all():
        unit[-1] = (unit[-1] + 1) % 4
    return unit
