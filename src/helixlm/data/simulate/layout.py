"""The ground on which the ancestor is built: contigs, gaps, GC regions, and where there is room.

Comes in: the settings, and the lengths of the genes. Goes out: where each gene goes, a
background sequence that has the GC content of its region and few CpG, and the free intervals
in which `repeats.py` and `enhancers.py` may build.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.simulate.config import WorldConfig
from helixlm.data.simulate.features import FeatureList
from helixlm.errors import InputError
from helixlm.rng import CounterRng
from helixlm.seq.ops import complement_codes

N = 4  # code of an unknown base; A C G T are 0 1 2 3
_SPACER_BP = 40  # least distance between two genes, or a gene and a gap
_CPG_LOST = 60  # percent of the CpG that have decayed to TpG or CpA


class LayoutError(InputError):
    """The settings ask for more than a contig can hold."""


class Free:
    """Intervals that hold nothing yet; `take` cuts a piece out of one at random.

    Parameters
    ----------
    intervals : list of (int, int)
        Starts and ends, genome-wide.
    """

    def __init__(self, intervals: list[tuple[int, int]]) -> None:
        self._start = np.array([start for start, _ in intervals], dtype=np.int64)
        self._end = np.array([end for _, end in intervals], dtype=np.int64)

    def longest(self) -> int:
        """Return the length of the longest free interval, bp."""
        return int((self._end - self._start).max(initial=0))

    def take(self, length: int, rng: CounterRng) -> int | None:
        """Return the start of a piece of `length` bp that is free no longer, or None if none is.

        Every place where the piece fits is equally likely.
        """
        room = np.maximum(self._end - self._start - length + 1, 0)
        if not room.any():
            return None
        index = int(rng.choice(room, 1)[0])
        start = int(self._start[index]) + rng.integer(0, int(room[index]))
        # What is left of the piece stays in place, what is right of it is a new interval. One
        # base stays between pieces, so that two features never touch.
        right = (start + length + 1, int(self._end[index]))
        self._end[index] = start - 1
        if right[1] > right[0]:
            self._start = np.append(self._start, right[0])
            self._end = np.append(self._end, right[1])
        return start


class Ground(NamedTuple):
    """Where things go, before any base is drawn.

    Attributes
    ----------
    bounds : ndarray, int64, shape (contigs + 1,)
        Genome-wide starts of the contigs, and the genome's length.
    gc_permille : ndarray, int64, shape (length,)
        GC content of the background at each base, 1/1000.
    gene_starts : list of int
        Genome-wide start of the stretch of each gene, in genome order.
    spacers : list of (int, int)
        The intervals between genes and gaps.
    """

    bounds: NDArray[np.int64]
    gc_permille: NDArray[np.int64]
    gene_starts: list[int]
    spacers: list[tuple[int, int]]


def genes_on_contig(length_bp: int, config: WorldConfig) -> int:
    """Return the number of genes on a contig of a given length, at least one."""
    return max(1, (length_bp * config.genes_per_100kbp + 50_000) // 100_000)


def lay_out(gene_bp: list[list[int]], features: FeatureList, config: WorldConfig) -> Ground:
    """Place genes, gaps and GC regions on the contigs.

    Parameters
    ----------
    gene_bp : list of list of int
        For each contig the lengths of the stretches that its genes need, bp, in their order.
    features : FeatureList
        Gets the gaps and the GC regions.
    config : WorldConfig
        The settings.

    Returns
    -------
    Ground
        Where everything goes.

    Raises
    ------
    LayoutError
        If genes and gaps need more than a contig has.
    """
    lengths = np.array(list(config.contig_bp.values()), dtype=np.int64)
    bounds = np.concatenate(([0], np.cumsum(lengths)))
    gc_permille = np.zeros(int(bounds[-1]), dtype=np.int64)
    gene_starts: list[int] = []
    spacers: list[tuple[int, int]] = []
    for index, (name, genes) in enumerate(zip(config.contig_bp, gene_bp, strict=True)):
        start, end = int(bounds[index]), int(bounds[index + 1])
        rng = CounterRng("simulate", config.seed, "layout", name)
        low, high = config.gap_bp
        gaps = [-int(gap) for gap in rng.integers(low, high + 1, config.gaps_per_contig)]
        # Gaps are marked by negative lengths; genes keep their order, gaps go anywhere.
        items = list(genes)
        for gap in gaps:
            items.insert(rng.integer(0, len(items) + 1), gap)
        telomere = config.telomere_gap_bp
        free = end - start - 2 * telomere - sum(abs(item) for item in items)
        slack = free - (len(items) + 1) * _SPACER_BP
        if slack < 0:
            raise LayoutError(
                f"contig {name!r} of {end - start} bp: {len(genes)} genes, {len(gaps)} gaps and "
                f"two telomeres need {end - start - slack} bp; set fewer genes_per_100kbp, "
                "shorter gaps, or a longer contig"
            )
        features.add("gap", start, start + telomere)
        features.add("gap", end - telomere, end)
        # Squares make some spacers long and most of them short, as in real genomes.
        weights = np.cumsum(rng.integers(1, 1000, len(items) + 1) ** 2)
        shares = np.diff(slack * weights // weights[-1], prepend=0) + _SPACER_BP
        place = start + telomere
        for item, share in zip([*items, 0], shares.tolist(), strict=True):
            spacers.append((place, place + share))
            place += share
            if item < 0:
                features.add("gap", place, place - item)
            elif item > 0:
                gene_starts.append(place)
            place += abs(item)
        assert place == end - telomere, (place, end)
        _add_gc_regions(start, end, gc_permille, features, config, rng)
    return Ground(bounds, gc_permille, gene_starts, spacers)


def _add_gc_regions(
    start: int,
    end: int,
    gc_permille: NDArray[np.int64],
    features: FeatureList,
    config: WorldConfig,
    rng: CounterRng,
) -> None:
    low, high = config.gc_region_bp
    while start < end:
        stop = start + rng.integer(low, high + 1)
        stop = end if end - stop < low else stop
        level = config.gc_permille[rng.integer(0, len(config.gc_permille))]
        gc_permille[start:stop] = level
        features.add("gc_region", start, stop, name=f"gc{level}", value=level)
        start = stop


def background(
    gc_permille: NDArray[np.int64], rng: CounterRng, *, t_permille: int = 500
) -> NDArray[np.uint8]:
    """Return a sequence without features: independent bases, then most CpG decayed.

    Parameters
    ----------
    gc_permille : ndarray, int64, shape (length,)
        Probability of G or C at each base before the decay, 1/1000.
    rng : CounterRng
        Where the bases are drawn from.
    t_permille : int
        Share of T among the A and T, 1/1000.

    Returns
    -------
    ndarray, uint8, shape (length,)
        Codes 0 to 3.
    """
    length = len(gc_permille)
    strong = rng.integers(0, 1000, length) < gc_permille
    word = rng.integers(0, 1000, length)
    codes = np.where(strong, 1 + (word < 500), 3 * (word < t_permille)).astype(np.uint8)
    cpg = np.flatnonzero((codes[:-1] == 1) & (codes[1:] == 2))
    fate = rng.integers(0, 100, len(cpg))
    codes[cpg[fate < _CPG_LOST // 2]] = 3
    codes[cpg[(fate >= _CPG_LOST // 2) & (fate < _CPG_LOST)] + 1] = 0
    return codes


def reverse_complement_codes(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the codes of the other strand, in its own direction."""
    return complement_codes(codes)[::-1]
