"""What was kept along the contigs: bases in windows, N and the soft mask, in equal bins.

In: the finished rows of a corpus and the letters it was made from. Out: counts for the largest
contigs, one contig after the other, whatever tasks they were shared out in. Bases count once,
however many windows hold them, so that counts of a bin are shares of its bases. A window counts
from its start to its end: introns of a coding sequence are within, and so are N that it shortens.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, PlainSerializer

from helixlm.data.corpus.tasks import Job, TaskResult, genome_folder
from helixlm.data.corpus.window_files import CorpusShard, CorpusSplit, read_windows
from helixlm.data.genome import open_genome
from helixlm.data.sources import prefix_of
from helixlm.data.splits import SPLITS
from helixlm.seq.interval import Spans, bases_before, merge_spans

MOST_CONTIGS = 24
MOST_BINS = 200
"""of the longest contig; bins of all contigs have one length, shorter contigs are left out"""

# In JSON one line of text: thousands of bins take no line each.
Counts = Annotated[
    tuple[int, ...],
    BeforeValidator(lambda found: found.split() if isinstance(found, str) else found),
    PlainSerializer(lambda counts: " ".join(map(str, counts)), return_type=str, when_used="json"),
]
"""Bases in each bin, shape (B,)."""


class ContigCoverage(BaseModel, frozen=True, extra="forbid"):
    """Bases of a contig by what they are and where they went; B bins, the last may be shorter."""

    contig: str
    """Of several genomes as ``species:contig``."""
    length_bp: int
    bin_bp: int
    n: Counts
    """N letters."""
    softmasked: Counts
    """Lower-case letters other than N."""
    train: Counts
    """Bases in at least one window."""
    validation: Counts
    """As `train`; no base is in both."""


class CoverageItem(NamedTuple):
    """A contig whose bases are to be counted; sent to a worker."""

    work: Path
    """The folder with the rows."""
    genome: Path
    contig: str
    prefix: str
    bin_bp: int
    shards: dict[str, tuple[CorpusShard, ...]]
    """By split: the files with its windows, and perhaps those of others."""


def plan_coverage(work: Path, job: Job, results: Sequence[TaskResult]) -> list[CoverageItem]:
    """Choose the contigs to count; records are on none.

    Parameters
    ----------
    work : Path
        The unfinished folder of the corpus, with its rows and genomes.
    job : Job
        What its tasks were.
    results : sequence of TaskResult
        What they wrote, in their order.

    Returns
    -------
    list of CoverageItem
        The `MOST_CONTIGS` longest contigs of all genomes, those apart that are shorter than a bin;
        the longest first, and those of one length in the order of the genomes.
    """
    lengths: dict[tuple[int, str], int] = {}
    tasks: dict[tuple[int, str], list[int]] = {}
    for number, task in enumerate(job.tasks):
        for contig, _, stop in task.stretches:
            lengths[task.source, contig] = stop  # of the last stretch in the end
            tasks.setdefault((task.source, contig), []).append(number)
    bin_bp = -(-max(lengths.values(), default=0) // MOST_BINS)
    largest = sorted(lengths, key=lambda key: -lengths[key])[:MOST_CONTIGS]
    return [
        CoverageItem(
            work,
            genome_folder(work, source),
            contig,
            prefix_of(job.sources, source),
            bin_bp,
            {
                split: tuple(
                    results[number].shards[split]
                    for number in dict.fromkeys(tasks[source, contig])
                    if split in results[number].shards
                )
                for split in SPLITS
            },
        )
        for source, contig in largest
        if lengths[source, contig] >= bin_bp
    ]


def cover_contig(item: CoverageItem) -> ContigCoverage:
    """Count the bases of a contig."""
    with open_genome(item.genome) as genome:
        letters = genome.letters(item.contig)
    length = len(letters)
    borders = borders_of(length, item.bin_bp)
    n, softmasked = [], []
    for low, high in pairwise(borders.tolist()):
        part = letters[low:high]
        lower_n = np.count_nonzero(part == ord("n"))
        n.append(int(np.count_nonzero(part == ord("N"))) + lower_n)
        softmasked.append(int(np.count_nonzero(part >= ord("a"))) - lower_n)
    return ContigCoverage(
        contig=item.prefix + item.contig,
        length_bp=length,
        bin_bp=item.bin_bp,
        n=tuple(n),
        softmasked=tuple(softmasked),
        **{split: bases_in_bins(_windows(item, split, length), borders) for split in SPLITS},
    )


def borders_of(length_bp: int, bin_bp: int) -> NDArray[np.int64]:
    """Return where bins begin and, last, where the contig ends, int64, shape (B + 1,), bp."""
    return np.append(np.arange(0, length_bp, bin_bp), length_bp)


def bases_in_bins(spans: Spans, borders: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the bases of each bin in at least one of some spans, in any order; B counts."""
    return tuple(np.diff(bases_before(merge_spans(spans), borders)).tolist())


def _windows(item: CoverageItem, split: str, length: int) -> Spans:
    """Return where the windows on a contig begin and end; those across its origin twice."""
    shards = item.shards[split]
    rows = CorpusSplit(
        num_windows=sum(shard.windows for shard in shards),
        num_bases=sum(shard.bases for shard in shards),
        shards=shards,
    )
    spans = [np.zeros((2, 0), np.int64)]
    columns = ["contig", "start", "end"]
    for found in read_windows(item.work, rows, columns, range(rows.num_windows)):
        here = np.array(found["contig"]) == item.contig
        spans.append(np.array([found["start"], found["end"]], np.int64)[:, here])
    starts, ends = np.concatenate(spans, axis=1)
    beyond = ends[ends > length] - length
    return np.append(starts, np.zeros_like(beyond)), np.append(np.minimum(ends, length), beyond)
