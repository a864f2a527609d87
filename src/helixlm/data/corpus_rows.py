"""The rows of a part of a corpus: windows of a stretch, with their split, copies and haplotypes.

In: a stretch of a genome and what belongs to that genome. Out: windows, and stretches that are in
none. Each step takes what the one before gives, in a stream:

1. the stretch is cut into windows (`windows`), within the intervals of a BED file if there is one,
   or its coding sequences are spliced (`coding.py`);
2. each window gets its split, and those that would lie in both are dropped;
3. windows whose weight leaves them out of training are dropped (`weights.py`);
4. where there are genotypes, one individual is drawn for a window, whose two haplotypes take its
   place (dnaGrinder, arXiv 2409.15697, section 3.3.2).

Each window comes once; who writes them writes the copies.
"""

import logging
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from helixlm.data.annotation import Annotation, CodingRegion, feature_points, read_annotation
from helixlm.data.bed import iter_bed
from helixlm.data.coding import coding_windows, splice
from helixlm.data.genome import Genome
from helixlm.data.haplotype_cohort import random_haplotypes
from helixlm.data.haplotypes import HaplotypeConfig
from helixlm.data.repeats import RepeatReport
from helixlm.data.sources import Source, SourceError
from helixlm.data.splits import Assignment
from helixlm.data.tally import Counting
from helixlm.data.vcf import VcfFile, find_contig
from helixlm.data.weights import WindowWeights
from helixlm.data.windows import (
    CodingWindows,
    Dropped,
    Feature,
    FeatureWindows,
    Window,
    WindowConfig,
    cut,
)
from helixlm.seq.contigs import missing_contig
from helixlm.seq.interval import Interval, merge

logger = logging.getLogger(__name__)

DRAWN_AT_ONCE = 1024
"""windows whose haplotypes are made in one pass over the variants"""

_OR_CDS = "; if the FASTA files hold coding sequences, not a genome, give them with --cds"

Part = tuple[str, Window | Dropped]


class VariantConfig(BaseModel):
    """Which haplotypes a corpus holds, where there are genotypes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    individuals: Literal["random", "none"] = "random"
    """One individual out of all for each window, as dnaGrinder does, or the reference alone."""
    samples: tuple[str, ...] = ()
    """Whose genotypes are used; empty: those of all individuals in the file."""
    genotypes: HaplotypeConfig = HaplotypeConfig()


class Stretch(NamedTuple):
    """A part of a contig that is cut on its own; windows belong to where they begin."""

    contig: str
    start: int
    stop: int


class _File(NamedTuple):
    """A file as it is now: what was read of it before it changed is not what it holds."""

    path: Path
    inode: int
    size: int
    time: int


class RowMaker:
    """Makes the rows of one genome.

    Parameters
    ----------
    genome : Genome
        Its letters.
    source : Source
        What belongs to it.
    prefix : str
        Tells its contigs from those of other genomes in `assignment`.
    windows, variants, seed
        Settings.
    assignment : Assignment
        The split of every base.
    weights : WindowWeights
        Which windows are left out.
    variant_files : dict of str to Path
        Where the genotypes of a contig are.
    counts : dict of str to Counting
        By split; variants are counted there.

    Attributes
    ----------
    repeats : list of RepeatReport
        What windows of the kind ``repeatfree`` keep, filled as rows are made: of each contig, or
        of each interval of a BED file, named ``contig:start-end``.
    """

    def __init__(
        self,
        genome: Genome,
        source: Source,
        prefix: str,
        windows: WindowConfig,
        variants: VariantConfig,
        seed: int,
        assignment: Assignment,
        weights: WindowWeights,
        variant_files: dict[str, Path],
        counts: dict[str, Counting],
    ) -> None:
        self.genome = genome
        self.source = source
        self.prefix = prefix
        self.windows = windows
        self.variants = variants
        self.seed = seed
        self.assignment = assignment
        self.weights = weights
        self.variant_files = variant_files
        self.counts = counts
        self.repeats: list[RepeatReport] = []

    def rows(self, stretch: Stretch) -> Iterator[Part]:
        """Yield the windows of a stretch and what is dropped, each with its split."""
        parts = self._weighed(self._with_splits(stretch))
        if stretch.contig in self.variant_files and self.variants.individuals == "random":
            parts = self._with_haplotypes(parts, self.variant_files[stretch.contig])
        yield from parts

    def counted_contig(self, window: Window) -> str:
        """Return what a window is counted under."""
        return window.contig

    def _cut(self, stretch: Stretch) -> Iterator[Window | Dropped]:
        """Cut a stretch into windows."""
        contig, start, stop = stretch
        letters = self.genome.letters(contig)
        if isinstance(self.windows, CodingWindows):
            yield from self._coding(stretch)
        elif isinstance(self.windows, FeatureWindows):
            features = _features(_feature_file(self.source, self.windows), self.windows)
            yield from cut(letters, contig, self.windows, self.seed, start, stop, features=features)
        elif self.source.bed is not None:
            # Intervals lie in the part where they begin.
            yield from self._within(stretch, _intervals(self.source, self.genome).get(contig, ()))
        else:
            report = self._report_as(contig)
            yield from cut(letters, contig, self.windows, self.seed, start, stop, report=report)

    def _report_as(self, name: str) -> Callable[[RepeatReport], None]:
        """Return what keeps a report under a name."""
        name = self.prefix + name
        return lambda found: self.repeats.append(found.model_copy(update={"contig": name}))

    def _coding(self, stretch: Stretch) -> Iterator[Window | Dropped]:
        """Yield the coding sequences that begin in a stretch."""
        contig, start, stop = stretch
        covered = start
        file = _file(self.source.gff)
        annotation, regions = _annotation(file), _coding_regions(file).get(contig, ())
        spliced = coding_windows(splice(region, self.genome, annotation) for region in regions)
        for window in sorted(spliced, key=lambda window: (window.start, window.end)):
            if start <= window.start < stop:
                if covered < window.start:
                    yield Dropped(contig, covered, window.start, "no_feature")
                yield Window(*window)
                covered = max(covered, window.end)
        if covered < stop:
            yield Dropped(contig, covered, stop, "no_feature")

    def _within(
        self, stretch: Stretch, intervals: tuple[Interval, ...]
    ) -> Iterator[Window | Dropped]:
        """Cut each interval that begins in a stretch as if it were a contig."""
        contig, start, stop = stretch
        letters = self.genome.letters(contig)
        covered = start
        for _, low, high in intervals:
            if not start <= low < stop:
                continue
            if covered < low:
                yield Dropped(contig, covered, low, "outside")
            name = f"{contig}:{low}"  # for the draws: each interval has its own
            report = self._report_as(f"{contig}:{low}-{high}")
            for part in cut(letters[low:high], name, self.windows, self.seed, report=report):
                yield part._replace(contig=contig, start=part.start + low, end=part.end + low)
            covered = high
        if covered < stop:
            yield Dropped(contig, covered, stop, "outside")

    def _with_splits(self, stretch: Stretch) -> Iterator[Part]:
        for part in self._cut(stretch):
            if isinstance(part, Dropped):
                yield "train", part
                continue
            split = self.assignment.split_of(self.prefix + part.contig, part.start, part.end)
            if split is None:
                yield "train", self._lost(part, "split_border")
            else:
                yield split, part

    def _weighed(self, parts: Iterator[Part]) -> Iterator[Part]:
        """Drop the windows that come not even once."""
        for split, part in parts:
            if isinstance(part, Dropped) or self.weights.copies(split, part):
                yield split, part
            else:
                yield split, self._lost(part, "weight")

    def _lost(self, window: Window, reason: str) -> Dropped:
        """Return what a window that is left out counts as: the bases that it spans."""
        return Dropped(window.contig, window.start, window.end, reason)

    def _with_haplotypes(self, parts: Iterator[Part], path: Path) -> Iterator[Part]:
        """Put the haplotypes of one individual in the place of each window."""
        while batch := list(islice(parts, DRAWN_AT_ONCE)):
            yield from ((split, part) for split, part in batch if isinstance(part, Dropped))
            windows = sorted(
                (part.start, part.end, split) for split, part in batch if isinstance(part, Window)
            )
            contig = batch[0][1].contig
            individuals = random_haplotypes(
                path,
                self.genome,
                [Interval(contig, start, end) for start, end, _ in windows],
                seed=self.seed,
                samples=self.variants.samples or None,
                config=self.variants.genotypes,
            )
            for (start, end, split), person in zip(windows, individuals, strict=True):
                for number, haplotype in enumerate(person.haplotypes, start=1):
                    self.counts[split].variants.update(haplotype.applied)
                    self.counts[split].skipped_variants.update(haplotype.skipped)
                    if len(haplotype.letters):
                        yield (
                            split,
                            Window(
                                contig, start, end, haplotype.sequence, "+", person.sample, number
                            ),
                        )


def find_variant_files(source: Source, genome: Genome) -> dict[str, Path]:
    """Find the file with the genotypes of each contig.

    Raises
    ------
    SourceError
        If a file has no record on any contig of the genome, or two have some on the same.
    VcfError
        If a file cannot be read.
    """
    found: dict[str, Path] = {}
    for path in source.vcf:
        here = _contigs_with_records(path, genome)
        if not here:
            raise SourceError(
                f"{path}: no record lies on a contig of the genome ({_shown(genome)}), expected "
                "variants of this assembly: see the contigs of the file with `bcftools index "
                "--stats`, and give the FASTA file that they belong to"
            )
        for contig in here:
            if contig in found:
                raise SourceError(
                    f"{path}: {contig} has records in {found[contig]} too: merge them into one "
                    "file, with `bcftools merge` if their samples differ, else `bcftools concat`"
                )
            found[contig] = path
    return found


def _contigs_with_records(path: Path, genome: Genome) -> list[str]:
    """Return the contigs of a genome on which a file has records."""
    with VcfFile(path) as file:
        declared = file.contigs
        if not file.is_indexed:
            logger.warning(
                "%s: has no index, so it is read anew for every %s windows: if it is large, pack "
                "it with bgzip and index it with 'bcftools index'",
                path,
                f"{DRAWN_AT_ONCE:,}",
            )
            spelled = dict.fromkeys(record.contig for record in file.records())
            names = dict.fromkeys([*declared, *spelled])
            return [name for name in genome.contigs if find_contig(path, name, names) in spelled]
    here = []
    for contig in genome.contigs:
        with VcfFile(path) as file:
            name = find_contig(path, contig, declared) if declared else contig
            record = None if name is None else next(file.records_from(name, 0), None)
        if record is not None and record.contig == name:
            here.append(contig)
    return here


def check_windows(source: Source, windows: WindowConfig) -> None:
    """Refuse windows for which a genome lacks a file.

    Raises
    ------
    SourceError
        If coding sequences or features are asked for and there is no annotation, or features of
        sequences that are no genome.
    """
    name = source.species or "the genome"
    if source.kind != "fasta":
        if isinstance(windows, FeatureWindows):
            raise SourceError(
                f"{name}: windows around features need a genome (fasta), found {source.kind}: "
                "choose another kind of windows"
            )
        return
    by_bed = isinstance(windows, FeatureWindows) and windows.of == "bed"
    if by_bed and source.bed is None:
        raise SourceError(f"{name}: windows around the lines of a BED file need one (--bed)")
    needs_genes = isinstance(windows, CodingWindows | FeatureWindows) and not by_bed
    if needs_genes and source.gff is None:
        raise SourceError(
            f"{name}: windows of the kind {windows.kind!r} need an annotation: give GFF3 (--gff)"
            + ("" if isinstance(windows, FeatureWindows) else _OR_CDS)
        )


def check_features(source: Source, windows: WindowConfig, genome: Genome) -> None:
    """Compare an annotation with the genome that it should belong to; say what is left out.

    Raises
    ------
    SourceError
        If windows are made from it, and nothing in it lies on the genome, or something goes past
        the end of a contig.
    InputError
        If it cannot be read.
    """
    if isinstance(windows, CodingWindows):
        file = _file(source.gff)
        contigs = list(_coding_regions(file))
    elif isinstance(windows, FeatureWindows):
        file = _feature_file(source, windows)
        if windows.of == "bed":
            for _ in iter_bed(file.path, genome.contigs):  # it raises, with the line
                pass
            return
        features = _features(file, windows)
        contigs = list(dict.fromkeys(feature.contig for feature in features))
        for contig, start, end, _ in features:
            if end > genome.contigs.get(contig, end):
                raise SourceError(
                    f"{file.path}: {contig}:{start}-{end} goes past the end of the contig "
                    f"({genome.contigs[contig]} bp), expected the annotation of this assembly: "
                    "give the FASTA file that belongs to it"
                )
    else:
        return
    if not contigs:
        raise SourceError(
            f"{file.path}: no CDS in the file, expected some: windows of the kind 'coding' are "
            "spliced from them: give another file"
        )
    missing = [contig for contig in contigs if contig not in genome.contigs]
    if len(missing) == len(contigs):
        raise SourceError(
            f"{file.path}: nothing in it lies on the genome: "
            f"{missing_contig(missing[0], genome.contigs)}"
        )
    if missing:
        logger.warning(
            "%s: what lies on %d of %d contigs is left out, as the genome lacks them: %s",
            file.path,
            len(missing),
            len(contigs),
            missing_contig(missing[0], genome.contigs),
        )


def _feature_file(source: Source, windows: FeatureWindows) -> _File:
    return _file(source.bed if windows.of == "bed" else source.gff)


def _shown(genome: Genome) -> str:
    names = list(genome.contigs)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _file(path: Path | None) -> _File:
    assert path is not None, "check_windows passed a genome without the file"
    status = path.stat()
    return _File(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)
def _annotation(file: _File) -> Annotation:
    return read_annotation(file.path)


@lru_cache(maxsize=4)
def _coding_regions(file: _File) -> dict[str, list[CodingRegion]]:
    found: dict[str, list[CodingRegion]] = {}
    for region in _annotation(file).coding_regions():
        found.setdefault(region.contig, []).append(region)
    return found


@lru_cache(maxsize=4)
def _features(file: _File, windows: FeatureWindows) -> tuple[Feature, ...]:
    if windows.of == "bed":
        return tuple(
            Feature(row.contig, row.start, row.end, "-" if row.strand == "-" else "+")
            for row in iter_bed(file.path)
        )
    return tuple(
        Feature(point.contig, point.position, point.position + 1, point.strand)
        for point in feature_points(_annotation(file), windows.of)
    )


@lru_cache(maxsize=4)
def _intervals(source: Source, genome: Genome) -> dict[str, tuple[Interval, ...]]:
    assert source.bed is not None
    rows = iter_bed(source.bed, genome.contigs)
    merged = merge(Interval(row.contig, row.start, row.end) for row in rows)
    return {contig: tuple(group) for contig, group in groupby(merged, key=lambda i: i.contig)}
