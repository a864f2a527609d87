"""What belongs to a genome, and whether it does: annotation, intervals, genotypes.

In: a `Source`. Out: its features, coding regions and intervals, read once in each process for a
file as it is now; which file has the genotypes of a contig; errors where files do not fit the
genome or the windows that are asked for.
"""

import logging
from bisect import bisect_right
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from helixlm.data.coding import check_region
from helixlm.data.formats.annotation import (
    Annotation,
    CodingRegion,
    FeaturePoint,
    all_points,
    feature_points,
    read_annotation,
)
from helixlm.data.formats.bed import iter_bed
from helixlm.data.formats.vcf import VcfFile, check_samples, find_contig
from helixlm.data.genome import Genome
from helixlm.data.sources import Source, SourceError
from helixlm.data.windows import (
    CodingWindows,
    Feature,
    FeatureWindows,
    FixedWindows,
    WindowConfig,
    span_of,
)
from helixlm.seq.contigs import missing_contig
from helixlm.seq.interval import Interval, merge

logger = logging.getLogger(__name__)

DRAWN_AT_ONCE = 1024
"""windows whose haplotypes are made in one pass over the variants"""

_OR_CDS = "; if the FASTA files hold coding sequences, not a genome, give them with --cds"


class _File(NamedTuple):
    """A file as it is now: what was read of it before it changed is not what it holds."""

    path: Path
    inode: int
    size: int
    time: int


class PlacedRegion(NamedTuple):
    """A coding region, from its first base to its last on the forward strand."""

    start: int
    end: int
    region: CodingRegion


def needs_annotation(windows: WindowConfig) -> bool:
    """Whether windows are made from an annotation."""
    return isinstance(windows, CodingWindows) or (
        isinstance(windows, FeatureWindows) and windows.of != "bed"
    )


def used_of(source: Source, windows: WindowConfig) -> Source:
    """Return a genome with what is used of it: without an annotation that nothing is made from."""
    return source if needs_annotation(windows) else source.model_copy(update={"gff": None})


def annotation_of(source: Source) -> Annotation:
    """Return the annotation of a genome.

    Raises
    ------
    AnnotationError
        If it cannot be read.
    """
    return _annotation(_file(source.gff))


def coding_regions_of(source: Source) -> dict[str, tuple[PlacedRegion, ...]]:
    """Return the coding regions of a genome by contig, in their order.

    Of a genome with a BED file, those that lie whole in an interval, introns too.

    Raises
    ------
    AnnotationError, BedError
        If a file cannot be read.
    """
    return _coding_regions(_file(source.gff), _bed(source))


def features_of(source: Source, windows: FeatureWindows) -> dict[str, tuple[Feature, ...]]:
    """Return what windows are to be put around by contig, of the annotation or of the BED file.

    Of a genome with an annotation and a BED file, those whose windows lie whole in an interval.

    Raises
    ------
    AnnotationError, BedError
        If a file cannot be read.
    """
    if windows.of == "bed":
        return _features(_file(source.bed), windows, None)
    return _features(_file(source.gff), windows, _bed(source))


def all_features(source: Source, windows: FeatureWindows) -> Iterator[Feature]:
    """Yield what windows are to be put around, be it without a strand or there twice.

    Raises
    ------
    AnnotationError, BedError
        If a file cannot be read.
    """
    if windows.of == "bed":
        return _bed_features(_file(source.bed).path)
    return map(_feature, all_points(annotation_of(source), windows.of))


def intervals_of(source: Source) -> dict[str, tuple[Interval, ...]]:
    """Return the intervals of the BED file, merged and by contig.

    Raises
    ------
    BedError
        If it cannot be read.
    """
    return _intervals(_file(source.bed))


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
        if file.index is None:
            logger.warning(
                "%s: has no index, so it is read anew for every %s windows: if it is large, pack "
                "it with bgzip and index it with 'bcftools index'",
                path,
                f"{DRAWN_AT_ONCE:,}",
            )
            spelled = dict.fromkeys(record.contig for record in file.records())
            names = dict.fromkeys([*file.contigs, *spelled])
            return [name for name in genome.contigs if find_contig(path, name, names) in spelled]
        if file.index.stat().st_mtime_ns < path.stat().st_mtime_ns:
            logger.warning(
                "%s: is older than the file that it belongs to: if that was changed since, index "
                "it anew with 'bcftools index -f'",
                file.index,
            )
        here = []
        for contig in genome.contigs:
            name = find_contig(path, contig, file.contigs) if file.contigs else contig
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
    if needs_annotation(windows) and source.gff is None:
        raise SourceError(
            f"{name}: windows of the kind {windows.kind!r} need an annotation: give GFF3 (--gff)"
            + ("" if isinstance(windows, FeatureWindows) else _OR_CDS)
        )


def check_genotypes(
    source: Source, windows: WindowConfig, *, samples: Collection[str], draws: int
) -> None:
    """Refuse genotypes that windows cannot have, and files that lack people.

    Parameters
    ----------
    source : Source
        The genome.
    windows : WindowConfig
        Its windows.
    samples : collection of str
        Whose genotypes are asked for; empty: those of all.
    draws : int
        How many individuals are drawn for each window.

    Raises
    ------
    SourceError
        If windows are not one stretch of the contig: coding sequences, and those whose N are
        shortened.
    VcfError
        If a file cannot be read, has no samples, fewer than are drawn, or lacks one.
    """
    is_capped = isinstance(windows, FixedWindows) and windows.n == "cap"
    if source.vcf and (is_capped or isinstance(windows, CodingWindows)):
        found = "shortened runs of N (n 'cap')" if is_capped else f"the kind {windows.kind!r}"
        raise SourceError(
            f"{source.vcf[0]}: windows with {found} cannot have haplotypes, expected windows that "
            "are one stretch of a contig: choose others, leave the file out, or take the reference "
            "alone (--set variants.individuals=none)"
        )
    for path in source.vcf:
        with VcfFile(path, samples=samples or None) as file:
            check_samples(file, draws)


def check_features(source: Source, windows: WindowConfig, genome: Genome) -> None:
    """Compare annotation and intervals with the genome that they should belong to.

    What is left out, as the genome lacks its contig, is logged.

    Raises
    ------
    SourceError
        If windows are made from an annotation, and nothing in it lies on the genome, or something
        goes past the end of a contig.
    InputError
        If a file cannot be read, an interval does not lie in the genome, or one that a window is
        to be put around is empty.
    """
    if source.bed is not None:
        around = isinstance(windows, FeatureWindows) and windows.of == "bed"
        for _ in iter_bed(source.bed, genome.contigs, allow_empty=not around):
            pass
    if isinstance(windows, CodingWindows):
        contigs = _check_coding(_file(source.gff), genome)
    elif isinstance(windows, FeatureWindows) and windows.of != "bed":
        contigs = _check_points(_file(source.gff), windows, genome)
    else:
        return
    path = source.gff
    if not contigs:
        raise SourceError(
            f"{path}: no CDS in the file, expected some: windows of the kind 'coding' are "
            "spliced from them: give another file"
        )
    missing = [contig for contig in contigs if contig not in genome.contigs]
    if len(missing) == len(contigs):
        raise SourceError(
            f"{path}: nothing in it lies on the genome: "
            f"{missing_contig(missing[0], genome.contigs)}"
        )
    if missing:
        logger.warning(
            "%s: what lies on %d of %d contigs is left out, as the genome lacks them: %s",
            path,
            len(missing),
            len(contigs),
            missing_contig(missing[0], genome.contigs),
        )


def _check_coding(file: _File, genome: Genome) -> list[str]:
    """Return the contigs of coding regions; refuse regions that cannot be spliced."""
    found = _coding_regions(file, None)
    for contig in found.keys() & genome.contigs.keys():
        for placed in found[contig]:
            check_region(placed.region, genome, _annotation(file))
    return list(found)


def _check_points(file: _File, windows: FeatureWindows, genome: Genome) -> list[str]:
    """Return the contigs of features; refuse those that go past the end of one."""
    found = _features(file, windows, None)
    for contig, features in found.items():
        for _, start, end, _ in features:
            if end > genome.contigs.get(contig, end):
                raise SourceError(
                    f"{file.path}: {contig}:{start}-{end} goes past the end of the contig "
                    f"({genome.contigs[contig]} bp), expected the annotation of this assembly: "
                    "give the FASTA file that belongs to it"
                )
    return list(found)


def _shown(genome: Genome) -> str:
    names = list(genome.contigs)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _file(path: Path | None) -> _File:
    assert path is not None, "check_windows passed a genome without the file"
    status = path.stat()
    return _File(path, status.st_ino, status.st_size, status.st_mtime_ns)


def _bed(source: Source) -> _File | None:
    return None if source.bed is None else _file(source.bed)


@lru_cache(maxsize=4)
def _annotation(file: _File) -> Annotation:
    return read_annotation(file.path)


@lru_cache(maxsize=4)
def _coding_regions(file: _File, bed: _File | None) -> dict[str, tuple[PlacedRegion, ...]]:
    found: dict[str, list[PlacedRegion]] = {}
    for region in _annotation(file).coding_regions():
        start = min(segment.start for segment in region.segments)
        end = max(segment.end for segment in region.segments)
        if _lies_in(bed, region.contig, start, end):
            found.setdefault(region.contig, []).append(PlacedRegion(start, end, region))
    return {contig: tuple(sorted(here, key=lambda x: x[:2])) for contig, here in found.items()}


@lru_cache(maxsize=4)
def _features(
    file: _File, windows: FeatureWindows, bed: _File | None
) -> dict[str, tuple[Feature, ...]]:
    if windows.of == "bed":
        features = _bed_features(file.path)
    else:
        features = map(_feature, feature_points(_annotation(file), windows.of))
    found: dict[str, list[Feature]] = {}
    for feature in features:
        start, end, _ = span_of(feature, windows)
        if _lies_in(bed, feature.contig, start, end):
            found.setdefault(feature.contig, []).append(feature)
    return {contig: tuple(here) for contig, here in found.items()}


def _bed_features(path: Path) -> Iterator[Feature]:
    for row in iter_bed(path):
        yield Feature(row.contig, row.start, row.end, "-" if row.strand == "-" else "+")


def _feature(point: FeaturePoint) -> Feature:
    return Feature(point.contig, point.position, point.position + 1, point.strand)


@lru_cache(maxsize=4)
def _intervals(file: _File) -> dict[str, tuple[Interval, ...]]:
    merged = merge(row.interval for row in iter_bed(file.path))
    return {contig: tuple(group) for contig, group in groupby(merged, key=lambda i: i.contig)}


def _lies_in(bed: _File | None, contig: str, start: int, end: int) -> bool:
    """Whether [start, end) lies whole in an interval of a file, if there is one."""
    if bed is None:
        return True
    intervals = _intervals(bed).get(contig, ())
    number = bisect_right(intervals, start, key=attrgetter("start"))
    return number > 0 and end <= intervals[number - 1].end
