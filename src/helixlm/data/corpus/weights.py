"""How often windows come in training: by species, by the size of genomes, by contig, by region.

In: settings, genomes and what belongs to them. Out: the weight of a window, and how many copies of
it that means. Four factors are multiplied:

1. by species: `Source.weight`;
2. by the size of the genome, so that small ones are not drowned by large ones: a genome that has
   the share p of the bases of all gets a share proportional to ``p ** species_exponent``, and all
   together have as many bases as before (Lample & Conneau 2019, section 3.1, for languages);
3. by contig: `WeightConfig.contigs`;
4. by region: the mean over the bases of the window of the values in `Source.weights`, a bedGraph
   file; 1 where it says nothing.

A weight of 2.25 means two copies of each window, and of a quarter of them a third one; which these
are is drawn from the place of the window. Windows of validation come once, whatever their weight.

Contigs have no exponent: they are pieces of one genome, long or short as its assembly went, and
what is wanted of pieces (fewer unplaced ones, no mitochondrion) their names say.

References
----------
Lample & Conneau (2019), Cross-lingual language model pretraining, arXiv 1901.07291. Exponents in
use: 0.7, multilingual BERT, https://github.com/google-research/bert/blob/master/multilingual.md;
0.3, XLM-R, Conneau et al. (2020), arXiv 1911.02116.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from helixlm.data.formats.bedgraph import iter_bedgraph
from helixlm.data.genome import Genome
from helixlm.data.records import Records
from helixlm.data.sources import Source, prefix_of
from helixlm.data.unfinished import SCRATCH
from helixlm.data.windows import Window
from helixlm.errors import InputError
from helixlm.files import replace_file
from helixlm.rng import CounterRng
from helixlm.seq.contigs import missing_contig

REGIONS = "regions"
_ROW = np.dtype([("start", "<i8"), ("end", "<i8"), ("value", "<f8")])
_WRITTEN_AT_ONCE = 1 << 16  # rows

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class WeightError(InputError):
    """Weights that do not fit the genomes."""


class WeightConfig(BaseModel):
    """What makes windows come more or less often in training, besides the files of a genome."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contigs: dict[str, Weight] = {}
    """Weight by the name of a contig, or by a shell pattern such as "chrUn_*"; in a corpus of
    several genomes names are ``species:contig``. Of several that match a contig, the last counts;
    contigs that none matches have the weight 1."""
    species_exponent: float = Field(default=1.0, ge=0, le=1)
    """1: genomes have as many bases as they come with; 0: all have as many as each other; between:
    their shares of the bases are raised to this power."""


class GenomeWeights(BaseModel):
    """The factors of one genome."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    species: float
    """As asked for, `Source.weight`."""
    balance: float
    """By the size of the genome."""
    contigs: dict[str, float]
    """Of contigs that the settings name."""
    regions: dict[str, tuple[int, int]]
    """Of contigs in the bedGraph file: first row and end in the file of `regions_file`."""


def plan_weights(
    work: Path,
    sources: Sequence[Source],
    genomes: Sequence[Genome | Records],
    config: WeightConfig,
) -> tuple[GenomeWeights, ...]:
    """Work out the factors of all genomes, and write the values of their bedGraph files.

    Parameters
    ----------
    work : Path
        The unfinished folder of a corpus; 24 bytes are written there for each line of bedGraph.
    sources : sequence of Source
        What belongs to the genomes.
    genomes : sequence of Genome or Records
        As many. The contigs of records are the chromosomes that their headers name.
    config : WeightConfig
        The settings.

    Returns
    -------
    tuple of GenomeWeights
        One for each genome.

    Raises
    ------
    WeightError
        If a name or a pattern matches no contig.
    BedGraphError
        If a file of weights cannot be read.
    """
    names = list(map(_contigs_of, genomes))
    contigs = contig_weights(
        config,
        [
            prefix_of(sources, number) + contig
            for number, found_here in enumerate(names)
            for contig in found_here
        ],
    )
    balance = balance_factors(list(map(num_bases, genomes)), config.species_exponent)
    found = []
    for number, (source, genome) in enumerate(zip(sources, genomes, strict=True)):
        prefix = prefix_of(sources, number)
        regions = {}
        if source.weights is not None:
            assert isinstance(genome, Genome), "regions are those of a genome"
            file = regions_file(work, number)
            regions = _write_regions(source.weights, genome.contigs, file)
        found.append(
            GenomeWeights(
                species=source.weight,
                balance=balance[number],
                contigs={
                    contig: contigs[prefix + contig]
                    for contig in names[number]
                    if prefix + contig in contigs
                },
                regions=regions,
            )
        )
    return tuple(found)


def _contigs_of(genome: Genome | Records) -> list[str]:
    if isinstance(genome, Genome):
        return list(genome.contigs)
    return [contig for contig in dict.fromkeys(genome.contigs) if contig]


def num_bases(genome: Genome | Records) -> int:
    """Return the letters of a genome other than N, in either case: what balance counts."""
    letters = genome.genome if isinstance(genome, Records) else genome
    return sum(
        count
        for source in letters.manifest.sources
        for letter, count in source.letters.items()
        if letter not in "Nn"
    )


def balance_factors(num_bases: Sequence[int], exponent: float) -> list[float]:
    """Return by what the bases of genomes are multiplied so that shares p become as p**exponent.

    Parameters
    ----------
    num_bases : sequence of int
        Bases of each genome.
    exponent : float
        0 to 1.

    Returns
    -------
    list of float
        ``p**(exponent - 1) / sum(p**exponent)``: the sum of all bases stays what it is. 1 for a
        genome without bases.

    Examples
    --------
    >>> balance_factors([300, 100], 0)
    [0.6666666666666666, 2.0]
    """
    if exponent == 1:
        return [1.0] * len(num_bases)
    total = max(1, sum(num_bases))
    shares = [bases / total for bases in num_bases]
    scale = math.fsum(share**exponent for share in shares if share)
    return [share ** (exponent - 1) / scale if share else 1.0 for share in shares]


def contig_weights(config: WeightConfig, contigs: Sequence[str]) -> dict[str, float]:
    """Return the weights of the contigs that a name or a pattern of the settings matches.

    Parameters
    ----------
    config : WeightConfig
        The settings.
    contigs : sequence of str
        Names of all contigs.

    Returns
    -------
    dict of str to float
        By contig; of several matches the last counts.

    Raises
    ------
    WeightError
        If a name or a pattern matches none.
    """
    found: dict[str, float] = {}
    names = set(contigs)
    for pattern, weight in config.contigs.items():
        # Names come first: those of HLA alleles hold a star.
        matching = [pattern] if pattern in names else _matching(pattern, contigs)
        if not matching:
            raise WeightError(f"weights.contigs: {missing_contig(pattern, contigs)}")
        found |= dict.fromkeys(matching, weight)
    return found


def _matching(pattern: str, contigs: Sequence[str]) -> list[str]:
    return [contig for contig in contigs if fnmatchcase(contig, pattern)]


def regions_file(work: Path, source: int) -> Path:
    """Return where the values of a bedGraph file are while a corpus is made."""
    return work / SCRATCH / REGIONS / f"{source:05d}.bin"


def _write_regions(
    path: Path, contigs: Mapping[str, int], output: Path
) -> dict[str, tuple[int, int]]:
    """Write the rows of a bedGraph file for mapping; return those of each contig."""
    found: dict[str, tuple[int, int]] = {}
    end = 0
    with replace_file(output) as temporary, temporary.open("wb") as stream:
        for contig, rows in groupby(iter_bedgraph(path, contigs), key=attrgetter("contig")):
            first = end
            while batch := [row[1:] for row in islice(rows, _WRITTEN_AT_ONCE)]:
                stream.write(np.array(batch, _ROW).tobytes())
                end += len(batch)
            found[contig] = first, end
    return found


class WindowWeights:
    """Weights and copies of the windows of one genome.

    Parameters
    ----------
    factors : GenomeWeights
        What `plan_weights` returned for it.
    regions : Path
        Its `regions_file`, which need not be there if no contig has regions.
    prefix : str
        Tells its contigs from those of other genomes, in what is drawn.
    seed : int
        Seed of what is drawn.
    contig_of : callable
        Gives the contig whose weight a window has, from the name that its row bears; another one
        where that is the name of a record.
    """

    def __init__(
        self,
        factors: GenomeWeights,
        regions: Path,
        prefix: str,
        seed: int,
        contig_of: Callable[[str], str] = str,
    ) -> None:
        self.factors = factors
        self.prefix = prefix
        self.seed = seed
        self.contig_of = contig_of
        if factors.regions:
            self._rows = np.asarray(np.memmap(regions, _ROW, "r"))

    def weight(self, contig: str, start: int, end: int) -> float:
        """Return the mean number of copies of a window.

        Parameters
        ----------
        contig : str
            A contig of the genome.
        start, end : int
            0-based, half-open, forward strand; at least one base.

        Returns
        -------
        float
            0 or more.
        """
        weight = self.factors.species * self.factors.balance
        weight *= self.factors.contigs.get(self.contig_of(contig), 1.0)
        if contig in self.factors.regions:
            weight *= self._mean_value(contig, start, end)
        return weight

    def copies(self, split: str, window: Window) -> int:
        """Return how often a window comes: once in validation, and as often as drawn in training.

        The same window gets the same answer whenever and wherever it is asked for.
        """
        if split != "train":
            return 1
        weight = self.weight(window.contig, window.start, window.end)
        whole = int(weight)
        if weight == whole:
            return whole
        key = ("copies", self.seed, self.prefix + window.contig, window.start, window.end)
        return int(weight + CounterRng(*key).uniform(1)[0])

    def _mean_value(self, contig: str, start: int, end: int) -> float:
        """Return the mean over bases, 1 for those in no row."""
        rows = self._rows[slice(*self.factors.regions[contig])]
        first = np.searchsorted(rows["end"], start, side="right")
        rows = rows[first : np.searchsorted(rows["start"], end, side="left")]
        overlap = np.minimum(rows["end"], end) - np.maximum(rows["start"], start)
        rest = end - start - int(overlap.sum())
        # Rounded once: the sum is the same on every machine.
        return math.fsum([*(overlap * rows["value"]).tolist(), rest]) / (end - start)
