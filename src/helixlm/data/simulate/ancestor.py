"""The genome of the common ancestor: every part of the world, put in its place.

Comes in: the settings. Goes out: bases and features of the ancestor, which `evolve.py` takes
along the branches of the tree.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.simulate import matrices as pwm
from helixlm.data.simulate.codons import draw_families
from helixlm.data.simulate.config import WorldConfig
from helixlm.data.simulate.features import FeatureList, Features
from helixlm.data.simulate.genes import GenePlan, Stretch, place_sites, plan_gene, write_gene
from helixlm.data.simulate.layout import (
    Free,
    N,
    background,
    genes_on_contig,
    lay_out,
)
from helixlm.data.simulate.repeats import write_interspersed, write_tandem
from helixlm.rng import CounterRng

_ENHANCER_BP = (180, 300)
_ENHANCER_SITES = (4, 8)


class Genome(NamedTuple):
    """A genome and what is known about it.

    Attributes
    ----------
    codes : ndarray, uint8, shape (length,)
        A C G T as 0 1 2 3, N as 4; all contigs, one after the other.
    bounds : ndarray, int64, shape (contigs + 1,)
        Starts of the contigs in `codes`, and the length.
    features : Features
        Everything that was put into it.
    """

    codes: NDArray[np.uint8]
    bounds: NDArray[np.int64]
    features: Features


def build_ancestor(config: WorldConfig) -> Genome:
    """Return the genome of the common ancestor of all species.

    Raises
    ------
    LayoutError
        If genes and gaps need more than a contig has.
    """
    seed = config.seed
    features = FeatureList()
    plans = [_plan_contig(name, length, config) for name, length in config.contig_bp.items()]
    ground = lay_out([[plan.total_bp for plan in row] for row in plans], features, config)
    codes = background(ground.gc_permille, CounterRng("simulate", seed, "background"))
    families = draw_families(
        config.protein_families, CounterRng("simulate", seed, "protein families")
    )
    room = [(start + 10, end - 10) for start, end in ground.spacers]
    every_plan = [plan for row in plans for plan in row]
    for gene, (start, plan) in enumerate(zip(ground.gene_starts, every_plan, strict=True)):
        room += write_gene(
            codes,
            start,
            plan,
            gene,
            gc_permille=int(ground.gc_permille[start]),
            families=families,
            features=features,
            rng=CounterRng("simulate", seed, "gene", gene),
        )
    free = Free(room)
    length = len(codes)
    _write_enhancers(codes, free, config.enhancers_per_100kbp * length // 100_000, features, seed)
    write_interspersed(codes, free, int(config.repeat_share * length), features, seed)
    write_tandem(codes, free, int(config.tandem_share * length), features, seed)
    table = features.table()
    codes[table.of("gap").mask(length)] = N
    return Genome(codes, ground.bounds, table)


def _plan_contig(name: str, length_bp: int, config: WorldConfig) -> list[GenePlan]:
    rng = CounterRng("simulate", config.seed, "plan", name)
    return [plan_gene(config, rng) for _ in range(genes_on_contig(length_bp, config))]


def _write_enhancers(
    codes: NDArray[np.uint8], free: Free, count: int, features: FeatureList, seed: int
) -> None:
    """Write clusters of factor sites into free intervals, as far as there is room."""
    for number in range(count):
        rng = CounterRng("simulate", seed, "enhancer", number)
        length = rng.integer(_ENHANCER_BP[0], _ENHANCER_BP[1] + 1)
        start = free.take(length, rng)
        if start is None:
            return
        features.add("enhancer", start, start + length, name=f"e{number + 1:04d}")
        stretch = Stretch(codes[start : start + length], start, 1, -1, features)
        sites = rng.integer(_ENHANCER_SITES[0], _ENHANCER_SITES[1] + 1)
        place_sites(stretch, pwm.ENHANCER_FACTORS, 0, length, sites, rng)
