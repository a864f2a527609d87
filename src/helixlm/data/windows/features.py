"""Windows around features: promoters around transcription start sites, sites with their flanks.

The features are the caller's: points or intervals with a strand, from an annotation or a table. On
the minus strand upstream is to the right, and the sequence is the reverse complement, so that all
windows are read in the direction of their feature.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from helixlm.data.runs import Letters
from helixlm.data.windows.base import (
    Dropped,
    Window,
    WindowError,
    WindowSettings,
    fill,
    lost_to,
    read,
    too_much_n,
    unit_of,
)
from helixlm.seq.ops import reverse_complement


class Feature(NamedTuple):
    """A place on a contig, 0-based, half-open, on the forward strand; a point has length 1."""

    contig: str
    start: int
    end: int
    strand: str
    """"+" or "-": where it is read."""


class FeatureWindows(WindowSettings):
    """Windows around features that are given beside the settings."""

    kind: Literal["features"] = "features"
    """Around features."""
    of: Literal["transcription_start", "gene_start", "translation_start", "bed"] = (
        "transcription_start"
    )
    """The first base of each transcript, gene or coding region of an annotation; or the lines of a
    BED file."""
    upstream_bp: int = Field(ge=0)
    """Bases before the feature, in its direction, bp."""
    downstream_bp: int = Field(ge=0)
    """around start: bases from the feature's first on, that one counted; around interval: bases
    after the feature; bp."""
    around: Literal["start", "interval"] = "start"
    """Windows of one length around the first base of a feature, in its direction (a transcription
    start site); or the whole feature with its flanks."""
    n: Literal["keep", "drop"] = "keep"
    """Windows with N are kept; or dropped, with more than max_n_fraction."""
    max_n_fraction: float = Field(default=0, ge=0, le=1)
    """n drop: largest share of N in a window."""
    iupac: Literal["keep", "n"] = "keep"
    """Letters such as R or Y stay, or become N."""

    @model_validator(mode="after")
    def _check(self) -> "FeatureWindows":
        if self.around == "start" and not self.upstream_bp + self.downstream_bp:
            raise ValueError("upstream_bp and downstream_bp are 0: expected at least 1 base")
        return self

    @property
    def unit_bp(self) -> int:
        """Multiples at which a contig may be parted, bp."""
        return unit_of(1)


class FeatureSpan(NamedTuple):
    """Where the window of a feature lies."""

    start: int
    end: int
    strand: str


def feature_spans(
    features: Sequence[Feature], contig: str, contig_bp: int, config: FeatureWindows
) -> list[FeatureSpan]:
    """Find the windows of the features of one contig.

    Parameters
    ----------
    features : sequence of Feature
        In any order; those on other contigs are passed over.
    contig : str
        Name of the contig.
    contig_bp : int
        Its length, bp.
    config : FeatureWindows
        The settings.

    Returns
    -------
    list of FeatureSpan
        In the order of the contig, each once: features with the same window share it. A window
        that would leave the contig is not among them; `helixlm.data.lost_features` counts those.

    Raises
    ------
    WindowError
        If a feature does not lie in the contig, or has no strand.
    """
    found = set()
    for number, feature in enumerate(features):
        if feature.contig != contig:
            continue
        place = f"feature {number} ({contig}:{feature.start}-{feature.end})"
        if not 0 <= feature.start < feature.end <= contig_bp:
            raise WindowError(
                f"{place}: expected 0 <= start < end <= {contig_bp}, the length of the contig: is "
                "the annotation of another assembly?"
            )
        if feature.strand not in ("+", "-"):
            raise WindowError(
                f"{place}: strand {feature.strand!r}, expected '+' or '-': without a strand "
                "there is no upstream; leave the feature out, or say '+'"
            )
        span = span_of(feature, config)
        if span.start >= 0 and span.end <= contig_bp:
            found.add(span)
    return sorted(found)


def span_of(feature: Feature, config: FeatureWindows) -> FeatureSpan:
    """Return the window of a feature, which may leave the contig."""
    start, end = feature.start, feature.end
    upstream, downstream = config.upstream_bp, config.downstream_bp
    if config.around == "start":  # the border upstream of the first base stands for the feature
        start = end = start if feature.strand == "+" else end
    if feature.strand == "+":
        return FeatureSpan(start - upstream, end + downstream, "+")
    return FeatureSpan(start - downstream, end + upstream, "-")


def cut_features(
    letters: Letters,
    contig: str,
    config: FeatureWindows,
    features: Sequence[Feature],
    start: int,
    stop: int,
) -> Iterator[Window | Dropped]:
    """Yield the windows around features that begin in [start, stop); see `kinds.cut`."""
    spans = feature_spans(features, contig, len(letters), config)
    starts = [span.start for span in spans]
    longest = max((span.end - span.start for span in spans), default=0)
    most_n = config.max_n_fraction if config.n == "drop" else 1.0

    def windows(low: int, high: int) -> Iterator[Window]:
        for span in spans[bisect_left(starts, low) : bisect_left(starts, high)]:
            sequence = read(letters, span.start, span.end, config.iupac)
            if not too_much_n(sequence, most_n):
                if span.strand == "-":
                    sequence = reverse_complement(sequence)
                yield Window(contig, span.start, span.end, sequence, span.strand)

    for low in range(start, stop, config.unit_bp):
        high = min(low + config.unit_bp, stop)
        before = (window.end for window in windows(low - longest, low))
        covered = max(low, max(before, default=low))
        yield from fill(windows(low, high), covered, high, lost_to(contig, "no_feature"))
