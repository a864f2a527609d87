"""Individuals of the focal species: phased SNVs, short indels and structural variants.

Comes in: the genome and the effects of its changes. Goes out: sorted variants with the allele of
each haplotype. Short variants never overlap each other; structural variants neither; where a
haplotype carries a structural variant it carries no short one, so that what a haplotype reads
is never in doubt. No variant touches a gap.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.simulate.ancestor import Genome
from helixlm.data.simulate.config import WorldConfig
from helixlm.data.simulate.effects import CONSTRAINED_COST, EFFECTS, Effects
from helixlm.data.simulate.evolve import draw_indel_bp
from helixlm.data.simulate.layout import N, reverse_complement_codes
from helixlm.data.simulate.repeats import YOUNGEST, diverge, draw_consensus
from helixlm.data.simulate.spectrum import Carriers, count_weights, draw_counts
from helixlm.data.simulate.variants import (
    STRUCTURAL,
    Variant,
    left_align_insertion,
    left_align_span,
)
from helixlm.rng import CounterRng
from helixlm.seq.alphabet import DNA

# What a gene has at few places, and an indel removes whatever it does to the frame.
_ONCE_A_GENE = [
    EFFECTS.index(name) for name in ("start_lost", "stop_lost", "splice_donor", "splice_acceptor")
]
_TANDEM_PERCENT = 30  # of the indels add or remove one unit of a tandem repeat
_TRIES = 400  # places tried for each structural variant before giving up


class _Truth(NamedTuple):
    """What a change is judged by, for all kinds of variants."""

    cost: NDArray[np.int64]  # (length,) largest cost of a change of each base, 1/1,000,000
    effect: NDArray[np.uint8]  # (length,) effect of that change
    coding: NDArray[np.bool_]  # (length,)
    config: WorldConfig

    def indel(self, start: int, end: int, change_bp: int) -> tuple[str, int]:
        """Return effect and cost of an indel that touches the bases [start, end).

        In a coding sequence, the number of coding bases that come or go decides the frame; but a
        start or stop codon or a splice site that goes with them may weigh more.
        """
        selection = self.config.selection
        costs, effects = self.cost[start:end], self.effect[start:end]
        touched = self.coding[start:end]
        frame = None
        if touched.any() and (change_bp < 0 or touched.all()):
            if (touched.sum() if change_bp < 0 else change_bp) % 3:
                frame = "frameshift", round(1e6 * selection.frameshift)
            else:
                frame = "inframe_indel", round(1e6 * selection.inframe_indel)
            costs = np.where(np.isin(effects, _ONCE_A_GENE), costs, -1)
        # An insertion lies between two bases: only if both are in use does it break something.
        place = int(costs.argmax() if change_bp < 0 else costs.argmin())
        if frame is not None and frame[1] >= costs[place]:
            return frame
        return EFFECTS[effects[place]], int(costs[place])

    def structural(self, start: int, end: int) -> tuple[str, int]:
        """Return effect and cost of a structural variant of the bases [start, end)."""
        if self.coding[start:end].any():
            return "structural_coding", round(1e6 * self.config.selection.frameshift)
        cost = int(self.cost[start:end].max())
        if cost >= CONSTRAINED_COST:
            return "structural_regulatory", cost
        return "structural_neutral", cost


def draw_variants(genome: Genome, effects: Effects, config: WorldConfig) -> list[Variant]:
    """Return the variants of the individuals, sorted by start.

    Parameters
    ----------
    genome : Genome
        Of the focal species.
    effects : Effects
        Of all its single-base changes.
    config : WorldConfig
        The settings.

    Returns
    -------
    list of Variant
        Each is carried by at least one haplotype, and not by all of them.
    """
    length = len(genome.codes)
    worst = effects.selection.argmin(axis=1)
    # At a base without costs, argmin is the first letter, which may be the base itself.
    worst[effects.effect[np.arange(length), worst] == 0] = 3
    every = np.arange(length)
    truth = _Truth(
        cost=-effects.selection[every, worst].astype(np.int64),
        effect=effects.effect[every, worst],
        coding=genome.features.of("cds").mask(length),
        config=config,
    )
    carriers = Carriers(2 * config.individuals, config.seed)
    structural = _draw_structural(genome, truth, carriers)
    short = _draw_snvs(genome, effects, carriers, config)
    short += _draw_indels(genome, truth, carriers, len(short))
    short = _without_overlaps(short)
    kept = _outside_structural(short, structural)
    return sorted(structural + kept, key=lambda variant: (variant.start, variant.end))


def _alleles(carriers: NDArray[np.bool_]) -> NDArray[np.int8]:
    return carriers.astype(np.int8)


def _draw_snvs(
    genome: Genome, effects: Effects, carriers: Carriers, config: WorldConfig
) -> list[Variant]:
    rng = CounterRng("simulate", config.seed, "snvs")
    haplotypes = 2 * config.individuals
    population = config.selection.effective_population
    expected = sum(count_weights(0, population, haplotypes)) / 1e6
    codes = genome.codes
    place = np.sort(rng.integers(0, len(codes), round(config.diversity * expected * len(codes))))
    place = place[codes[place] != N]
    kind = rng.choice([config.transition_weight, 1, 1], len(place))
    new = (codes[place] ^ np.array([2, 1, 3], dtype=np.uint8)[kind]).astype(np.uint8)
    selection = effects.selection[place, new].astype(np.int64)
    counts = draw_counts(selection, population, haplotypes, rng)
    variants: list[Variant] = []
    for index in np.flatnonzero(counts).tolist():
        start, base = int(place[index]), int(new[index])
        has = carriers.choose(start, int(counts[index]), rng)
        variant = Variant(
            kind="SNV",
            start=start,
            end=start + 1,
            ref="ACGT"[codes[start]],
            alts=("ACGT"[base],),
            effects=(EFFECTS[effects.effect[start, base]],),
            selection=(int(selection[index]),),
            alleles=_alleles(has),
            change_bp=0,
        )
        if variants and variants[-1].start == start:
            merged = _merge(variants[-1], variant)
            variants[-1] = merged if merged is not None else variants[-1]
        else:
            variants.append(variant)
    return variants


def _merge(first: Variant, second: Variant) -> Variant | None:
    """Return one record of two SNVs at one base, or None where they cannot be one."""
    free = (second.alleles > 0) & (first.alleles == 0)
    alleles = first.alleles.copy()
    alleles[free] = len(first.alts) + 1
    if second.alts[0] in first.alts or not free.any() or alleles.all():
        return None
    return first._replace(
        alts=first.alts + second.alts,
        effects=first.effects + second.effects,
        selection=first.selection + second.selection,
        alleles=alleles,
    )


def _draw_indels(genome: Genome, truth: _Truth, carriers: Carriers, num_snvs: int) -> list[Variant]:
    config = truth.config
    rng = CounterRng("simulate", config.seed, "short indels")
    codes = genome.codes
    tandem = genome.features.of("tandem")
    unit_bp = np.array([len(name) - 3 for name in tandem.name.tolist()], dtype=np.int64)
    count = round(config.indel_share * num_snvs)
    anywhere = rng.integers(2, len(codes) - 100, count)
    sizes = draw_indel_bp(count, rng)
    variants = []
    for start, size in zip(anywhere.tolist(), sizes.tolist(), strict=True):
        slips = len(unit_bp) > 0 and rng.integer(0, 100) < _TANDEM_PERCENT
        if slips:
            which = rng.integer(0, len(unit_bp))
            start, size = int(tandem.start[which]) + 1, int(unit_bp[which])
        deleted = rng.integer(0, 2) == 0
        fresh = codes[start : start + size] if slips else rng.integers(0, 4, size).astype(np.uint8)
        if (codes[start - 2 : start + size + 2] == N).any():
            continue
        if deleted:
            start, end = left_align_span(start, start + size, codes)
            ref, alt = codes[start - 1 : end], codes[start - 1 : start]
            effect, cost = truth.indel(start, end, -size)
        else:
            start, fresh = left_align_insertion(start, fresh, codes)
            ref, alt = codes[start - 1 : start], np.append(codes[start - 1], fresh)
            effect, cost = truth.indel(start - 1, start + 1, size)
        if codes[start - 1] == N:
            continue  # aligned up to a gap
        seen = draw_counts(
            np.array([-cost]), config.selection.effective_population, 2 * config.individuals, rng
        )
        if seen[0]:
            variants.append(
                Variant(
                    kind="INDEL",
                    start=start - 1,
                    end=start - 1 + len(ref),
                    ref=DNA.decode(ref),
                    alts=(DNA.decode(alt),),
                    effects=(effect,),
                    selection=(-cost,),
                    alleles=_alleles(carriers.choose(start, int(seen[0]), rng)),
                    change_bp=-size if deleted else size,
                )
            )
    return variants


def _draw_structural(genome: Genome, truth: _Truth, carriers: Carriers) -> list[Variant]:
    """Return structural variants that do not touch each other, as many as find a place."""
    config = truth.config
    codes = genome.codes
    young = draw_consensus(config.seed)[YOUNGEST]
    taken = codes == N
    variants = []
    for kind in STRUCTURAL:
        rng = CounterRng("simulate", config.seed, "structural", kind)
        found = 0
        for _ in range(_TRIES * config.structural_variants):
            if found == config.structural_variants:
                break
            low, high = config.structural_bp
            root = rng.integer(0, 1001)
            size = low + (high - low) * root * root // 1_000_000
            if len(codes) < size + 8:
                continue
            start = rng.integer(4, len(codes) - size - 3)
            variant = _make_structural(kind, start, size, codes, young, truth, rng)
            # Two bases are kept free on either side, so that no two records ever meet.
            if variant is None or taken[variant.start - 2 : variant.end + 2].any():
                continue
            seen = draw_counts(
                np.array(variant.selection),
                config.selection.effective_population,
                2 * config.individuals,
                rng,
            )
            if not seen[0]:
                continue
            has = carriers.choose(variant.start, int(seen[0]), rng)
            variants.append(variant._replace(alleles=_alleles(has)))
            taken[variant.start : variant.end] = True
            found += 1
    return variants


def _make_structural(
    kind: str,
    start: int,
    size: int,
    codes: NDArray[np.uint8],
    young: NDArray[np.uint8],
    truth: _Truth,
    rng: CounterRng,
) -> Variant | None:
    """Return a structural variant at [start, start + size), or None if none can be there."""
    end = start + size
    if (codes[start - 4 : end + 4] == N).any():
        return None
    symbolic = rng.integer(0, 2) == 0
    change_bp = {"DEL": -size, "INV": size}.get(kind, size)
    if kind == "INS":
        inserted = diverge(young, 10, rng)[-size:]
        if rng.integer(0, 2):
            inserted = reverse_complement_codes(inserted)
        start, inserted = left_align_insertion(start, inserted, codes)
        end, change_bp, symbolic = start, len(inserted), False
        alt = np.append(codes[start - 1], inserted)
        effect, cost = truth.structural(start - 1, start + 1)
    elif kind == "INV":
        if codes[start] == 3 - codes[end - 1]:
            return None  # the end bases would not change, and the event would be a shorter one
        alt = np.concatenate([codes[start - 1 : start], reverse_complement_codes(codes[start:end])])
        effect, cost = truth.structural(start, end)
    else:
        start, end = left_align_span(start, end, codes)
        alt = codes[start - 1 : start] if kind == "DEL" else codes[start - 1 : end]
        effect, cost = truth.structural(start, end)
    ref = codes[start - 1 : end]
    record = start - 1
    record_end = end
    if not symbolic and kind == "INV":
        ref, alt, record = ref[1:], alt[1:], start  # equal lengths need no base before them
    elif not symbolic and kind == "DUP":
        # Written out, a duplication is an insertion of the copy before the segment.
        ref, record_end = ref[:1], start
    return Variant(
        kind=kind,
        start=record,
        end=record_end,
        ref=DNA.decode(ref[:1] if symbolic else ref),
        alts=(f"<{kind}>" if symbolic else DNA.decode(alt),),
        effects=(effect,),
        selection=(-cost,),
        alleles=np.zeros(0, dtype=np.int8),
        change_bp=change_bp,
    )


def _without_overlaps(variants: list[Variant]) -> list[Variant]:
    """Return the variants in order, without those that meet the one before."""
    kept: list[Variant] = []
    for variant in sorted(variants, key=lambda v: (v.start, v.end, v.alts)):
        if not kept or variant.start > kept[-1].end:
            kept.append(variant)
    return kept


def _outside_structural(short: list[Variant], structural: list[Variant]) -> list[Variant]:
    """Return the short variants, taken from the haplotypes that have a structural one there.

    A short variant that loses all its carriers, or one of its alleles, is dropped; so is one that
    reaches over the border of a structural variant.
    """
    spans = sorted((v.start, v.end, index) for index, v in enumerate(structural))
    starts = np.array([start for start, _, _ in spans], dtype=np.int64)
    kept = []
    for variant in short:
        # One base more on either side: records of one haplotype do not even touch.
        near = int(np.searchsorted(starts, variant.end + 1, side="right")) - 1
        if near >= 0 and spans[near][1] >= variant.start - 1:
            start, end, index = spans[near]
            inside = start < variant.start and variant.end < end
            alleles = np.where(structural[index].alleles > 0, 0, variant.alleles).astype(np.int8)
            left = set(alleles.tolist()) - {0}
            if not inside or left != set(range(1, len(variant.alts) + 1)):
                continue
            variant = variant._replace(alleles=alleles)
        kept.append(variant)
    return kept
