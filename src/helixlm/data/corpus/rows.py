"""The rows of a part of a corpus: windows of a stretch, with their split, copies and haplotypes.

In: a stretch of a genome and what belongs to that genome. Out: windows, and stretches that are in
none. Each step takes what the one before gives, in a stream:

1. the stretch is cut into windows (`windows`), or its coding sequences are spliced (`coding.py`);
   within the intervals of a BED file if there is one;
2. each window gets its split, and those that would lie in both are dropped;
3. windows whose weight leaves them out of training are dropped (`weights.py`);
4. where there are genotypes, one individual is drawn for a window, whose two haplotypes take its
   place (dnaGrinder, arXiv 2409.15697, section 3.3.2); or several are drawn, or all take it. A
   haplotype into which an inversion or a duplication brings letters of the other split is left out,
   as the split is that of the place. A window of which no haplotype is left is dropped.

Each window comes once; who writes them writes the copies.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from helixlm.data.coding import coding_windows, splice
from helixlm.data.corpus.tally import Counting
from helixlm.data.corpus.weights import WindowWeights
from helixlm.data.genome import Genome
from helixlm.data.genome_files import (
    DRAWN_AT_ONCE,
    annotation_of,
    coding_regions_of,
    features_of,
    intervals_of,
    needs_annotation,
)
from helixlm.data.haplotypes.base import HaplotypeConfig
from helixlm.data.haplotypes.cohort import Individual, cohort_haplotypes, random_haplotypes
from helixlm.data.repeats import RepeatReport
from helixlm.data.sources import Source
from helixlm.data.splits import Assignment
from helixlm.data.windows import (
    CodingWindows,
    Dropped,
    FeatureWindows,
    Window,
    WindowConfig,
    cut,
    feature_spans,
    refill,
)
from helixlm.seq.interval import Interval, on_circle

Part = tuple[str, Window | Dropped]


class VariantConfig(BaseModel):
    """Which haplotypes a corpus holds, where there are genotypes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    individuals: Literal["random", "all", "none"] = "random"
    """Of whom there are two haplotypes of each window: of individuals drawn for it, as dnaGrinder
    does; of all; or of none, which leaves the reference."""
    draws: int = Field(default=1, ge=1)
    """individuals random: how many different ones are drawn for each window."""
    samples: tuple[str, ...] = ()
    """Whose genotypes are used; empty: those of all individuals in the file."""
    genotypes: HaplotypeConfig = HaplotypeConfig()

    @model_validator(mode="after")
    def _check(self) -> "VariantConfig":
        if self.draws > 1 and self.individuals != "random":
            raise ValueError(
                f"draws {self.draws}: expected individuals 'random' with it, found "
                f"{self.individuals!r}"
            )
        return self


class Stretch(NamedTuple):
    """A part of a contig that is cut on its own; windows belong to where they begin."""

    contig: str
    start: int
    stop: int


@dataclass(kw_only=True)
class RowMaker:
    """Makes the rows of one genome."""

    genome: Genome
    """Its letters."""
    source: Source
    """What belongs to it."""
    prefix: str
    """Tells its contigs from those of other genomes in `assignment`."""
    windows: WindowConfig
    variants: VariantConfig
    seed: int
    assignment: Assignment
    """The split of every base."""
    weights: WindowWeights
    """Which windows are left out."""
    variant_files: dict[str, Path]
    """Where the genotypes of a contig are."""
    counts: dict[str, Counting]
    """By split; variants are counted there, and in "train" features that N leaves no window."""
    repeats: list[RepeatReport] = field(default_factory=list, init=False)
    """What windows of the kind ``repeatfree`` keep, filled as rows are made: of each contig, or of
    each interval of a BED file, named ``contig:start-end``."""

    def rows(self, stretch: Stretch) -> Iterator[Part]:
        """Yield the windows of a stretch and what is dropped, each with its split."""
        if self._is_left_out(stretch):
            yield "train", Dropped(*stretch, "left_out")
            return
        parts = self._weighed(self._with_splits(stretch))
        if stretch.contig in self.variant_files and self.variants.individuals != "none":
            parts = self._with_haplotypes(parts, self.variant_files[stretch.contig])
        yield from parts

    def counted_contig(self, window: Window) -> str:
        """Return what a window is counted under."""
        return window.contig

    def _is_left_out(self, stretch: Stretch) -> bool:
        """Whether a stretch is in no split."""
        return self.prefix + stretch.contig not in self.assignment.validation

    def _cut(self, stretch: Stretch) -> Iterator[Window | Dropped]:
        """Cut a stretch into windows."""
        contig, start, stop = stretch
        letters = self.genome.letters(contig)
        if isinstance(self.windows, CodingWindows):
            yield from self._outside(self._coding(stretch))
        elif isinstance(self.windows, FeatureWindows):
            yield from self._outside(self._around(stretch, self.windows))
        elif self.source.bed is not None:
            # Intervals lie in the part where they begin.
            yield from self._within(stretch, intervals_of(self.source).get(contig, ()))
        else:
            report = self._report_as(contig)
            yield from cut(letters, contig, self.windows, self.seed, start, stop, report=report)

    def _report_as(self, name: str) -> Callable[[RepeatReport], None]:
        """Return what keeps a report under a name."""
        name = self.prefix + name
        return lambda found: self.repeats.append(found.model_copy(update={"contig": name}))

    def _around(self, stretch: Stretch, windows: FeatureWindows) -> Iterator[Window | Dropped]:
        """Yield the windows around features that begin in a stretch; count those lost to N."""
        contig, start, stop = stretch
        letters = self.genome.letters(contig)
        features = features_of(self.source, windows).get(contig, ())
        spans = feature_spans(features, contig, len(letters), windows)
        num_lost = sum(start <= span.start < stop for span in spans)
        for part in cut(letters, contig, windows, self.seed, start, stop, features=features):
            num_lost -= isinstance(part, Window)
            yield part
        if num_lost:
            self.counts["train"].lost_features["n_content"] += num_lost

    def _coding(self, stretch: Stretch) -> Iterator[Window | Dropped]:
        """Yield the coding sequences that begin in a stretch."""
        contig, start, stop = stretch
        annotation = annotation_of(self.source)
        regions = coding_regions_of(self.source).get(contig, ())
        length = self.genome.contigs[contig]
        before = [found.end for found in regions if found.start < start]
        before += [found.end - length for found in regions]  # beyond the origin, if above 0
        covered = max(start, max(before, default=start))
        here = (found.region for found in regions if start <= found.start < stop)
        for window in coding_windows(splice(region, self.genome, annotation) for region in here):
            if covered < window.start:
                yield Dropped(contig, covered, window.start, "no_feature")
            yield Window(**window._asdict())
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
            if low < start:  # the part where it begins has all of it
                covered = max(covered, high)
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

    def _outside(self, parts: Iterable[Window | Dropped]) -> Iterator[Window | Dropped]:
        """Say which stretches in no window lie outside the intervals of a BED file, if any."""
        if self.source.bed is None or not needs_annotation(self.windows):
            yield from parts
            return
        for part in parts:
            if isinstance(part, Window):
                yield part
                continue
            intervals = intervals_of(self.source).get(part.contig, ())
            at = part.start
            for _, low, high in intervals[bisect_right(intervals, at, key=attrgetter("end")) :]:
                if low >= part.end:
                    break
                if at < low:
                    yield part._replace(start=at, end=low, reason="outside")
                at, inside = min(high, part.end), max(at, low)
                yield part._replace(start=inside, end=at)
            if at < part.end:
                yield part._replace(start=at, reason="outside")

    def _with_splits(self, stretch: Stretch) -> Iterator[Part]:
        for part in self._cut(stretch):
            if isinstance(part, Dropped):
                yield "train", part
                continue
            split = self._split_of(part.contig, part.start, part.end)
            if split is None:
                yield "train", self._lost(part, "split_border")
            else:
                yield split, part

    def _split_of(self, contig: str, start: int, end: int) -> str | None:
        """Return the split of a stretch, which may cross an origin, or None if it lies in both."""
        places = on_circle(start, end, self.genome.contigs[contig])
        splits = {self.assignment.split_of(self.prefix + contig, *place) for place in places}
        return splits.pop() if len(splits) == 1 else None

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
        """Put the haplotypes of individuals in the place of each window."""
        while batch := list(islice(parts, DRAWN_AT_ONCE)):
            windows: dict[Interval, list[tuple[str, Window]]] = {}
            for split, part in batch:
                if isinstance(part, Dropped):
                    yield split, part
                else:
                    place = Interval(part.contig, part.start, part.end)
                    windows.setdefault(place, []).append((split, part))
            individuals = self._individuals(path, sorted(windows))
            for place, people in groupby(individuals, key=lambda person: person.window):
                yield from self._carried(windows[place], people)

    def _individuals(self, path: Path, windows: list[Interval]) -> Iterator[Individual]:
        """Yield whose haplotypes take the place of windows, window by window."""
        samples, config = self.variants.samples or None, self.variants.genotypes
        if self.variants.individuals == "all":
            return cohort_haplotypes(path, self.genome, windows, samples=samples, config=config)
        return random_haplotypes(
            path,
            self.genome,
            windows,
            seed=self.seed,
            draws=self.variants.draws,
            samples=samples,
            config=config,
        )

    def _carried(
        self, windows: list[tuple[str, Window]], people: Iterable[Individual]
    ) -> Iterator[Part]:
        """Yield the windows of one place, on either strand, with the haplotypes of people.

        A haplotype with letters of the other split counts as dropped by itself; a window does,
        once, if the others are all left out for what they hold.
        """
        why_lost: list[set[str]] = [set() for _ in windows]
        is_lost = [True] * len(windows)
        for person in people:
            for i, (split, window) in enumerate(windows):
                for number, haplotype in enumerate(person.haplotypes, start=1):
                    brought = (self._split_of(window.contig, *place) for place in haplotype.brought)
                    if any(other != split for other in brought):
                        yield "train", self._lost(window, "other_split")
                        continue
                    found = refill(window, haplotype.letters, self.windows)
                    if isinstance(found, str):
                        why_lost[i].add(found)
                        continue
                    is_lost[i] = False
                    self.counts[split].variants.update(haplotype.applied)
                    self.counts[split].skipped_variants.update(haplotype.skipped)
                    yield split, found._replace(sample=person.sample, haplotype=number)
        for (_, window), lost, reasons in zip(windows, is_lost, why_lost, strict=True):
            if lost and reasons:
                reason = "n_content" if "n_content" in reasons else "deleted"
                yield "train", self._lost(window, reason)
