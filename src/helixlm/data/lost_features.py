"""Features without a window, counted: what an annotation or a BED file has and a corpus has not.

In: a genome with its features, or its coding sequences, which are features too. Out: how many of
them have no window of their own, by reason. What the letters decide, too much N, is counted where
windows are cut.
"""

from collections import Counter
from collections.abc import Collection

from helixlm.data.genome import Genome
from helixlm.data.genome_files import all_features, coding_regions_of, features_of
from helixlm.data.sources import Source
from helixlm.data.windows import (
    CodingWindows,
    FeatureSpan,
    FeatureWindows,
    WindowConfig,
    span_of,
)


def lost_features(
    source: Source, windows: WindowConfig, genome: Genome, left_out: Collection[str]
) -> Counter[str]:
    """Count the features without a window of their own, whatever the letters.

    Parameters
    ----------
    source : Source
        What belongs to the genome; `genome_files.check_features` has found it sound.
    windows : WindowConfig
        Its windows. Kinds other than ``features`` and ``coding`` have no features.
    genome : Genome
        The genome.
    left_out : collection of str
        Contigs that are in no split.

    Returns
    -------
    Counter of str
        By reason, a key of `windows.FEATURE_REASONS`; each feature by the first that holds.
    """
    if isinstance(windows, CodingWindows):
        return _lost_regions(source, genome, left_out)
    if not isinstance(windows, FeatureWindows):
        return Counter()
    inside = {contig: set(found) for contig, found in features_of(source, windows).items()}
    lost: Counter[str] = Counter()
    seen: set[tuple[str, FeatureSpan]] = set()
    for feature in all_features(source, windows):
        contig, span = feature.contig, span_of(feature, windows)
        if contig not in genome.contigs:
            lost["no_contig"] += 1
        elif contig in left_out:
            lost["left_out"] += 1
        elif feature.strand not in "+-":
            lost["no_strand"] += 1
        elif span.start < 0 or span.end > genome.contigs[contig]:
            lost["off_contig"] += 1
        elif feature not in inside.get(contig, ()):
            lost["outside"] += 1
        elif (contig, span) in seen:
            lost["shared"] += 1
        else:
            seen.add((contig, span))
    return lost


def _lost_regions(source: Source, genome: Genome, left_out: Collection[str]) -> Counter[str]:
    """Count the coding regions that are no window."""
    lost: Counter[str] = Counter()
    inside = coding_regions_of(source)
    for contig, regions in coding_regions_of(source.model_copy(update={"bed": None})).items():
        if contig not in genome.contigs:
            lost["no_contig"] += len(regions)
        elif contig in left_out:
            lost["left_out"] += len(regions)
        else:
            lost["outside"] += len(regions) - len(inside.get(contig, ()))
    return +lost  # without zeros
