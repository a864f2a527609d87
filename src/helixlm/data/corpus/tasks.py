"""The parts of a corpus: each is cut, counted and written on its own, by whichever worker is free.

In: a `Job`, which says all that matters, and the number of a task. Out: at most one Parquet file
for each split, and a `TaskResult`. A task covers some stretches of one genome, `TASK_BP` in all, so
what it writes depends neither on the number of workers nor on the order in which they finish. A
result that is there already is not made again.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from helixlm.data.corpus.record_rows import RecordRows
from helixlm.data.corpus.rows import RowMaker, Stretch, VariantConfig
from helixlm.data.corpus.tally import Counting, Tally
from helixlm.data.corpus.weights import GenomeWeights, WindowWeights, regions_file
from helixlm.data.corpus.window_files import CorpusShard, WindowWriter
from helixlm.data.genome import Genome, open_genome
from helixlm.data.records import Records, open_records
from helixlm.data.repeats import RepeatSummary, summarize
from helixlm.data.sources import Source, prefix_of
from helixlm.data.splits import SPLITS, Assignment
from helixlm.data.unfinished import SCRATCH
from helixlm.data.windows import Dropped, Window, WindowConfig, unit_bp
from helixlm.files import replace_file
from helixlm.seq.ops import reverse_complement

TASK_BP = 1 << 26
"""Bases of a task: some seconds of work, and files of some 20 MB."""
TASKS = "tasks"
GENOMES = "genomes"
JOB = "job.json"


class Task(BaseModel):
    """Stretches of one genome, or some records."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: int
    stretches: tuple[Stretch, ...] = ()
    records: tuple[int, int] | None = None
    """Number of the first, and that after the last."""
    num_bases: int
    """Bases that it looks at."""


class Job(BaseModel):
    """All that the tasks of a corpus depend on, besides the genomes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[Source, ...]
    windows: WindowConfig
    variants: VariantConfig
    weights: tuple[GenomeWeights, ...]
    to_scratch: bool
    """Rows go through another step, which writes the copies too, see `unique_rows.py`."""
    seed: int
    block_bp: int | None
    validation: dict[str, bytes]
    """See `splits.Assignment`; names of contigs begin with `sources.prefix_of`."""
    record_splits: tuple[bytes | None, ...]
    """See `corpus_splits.HeldOut`."""
    variant_files: tuple[dict[str, Path], ...]
    """Of each genome: the file with the genotypes of a contig."""
    tasks: tuple[Task, ...]

    def windows_of(self, source: int) -> WindowConfig:
        """Return how a genome is cut."""
        return self.sources[source].windows or self.windows


class TaskItem(NamedTuple):
    """What is sent to a worker."""

    work: Path
    """The unfinished folder of the corpus."""
    job_sha256: str
    number: int


class TaskResult(BaseModel):
    """What a task has written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: dict[str, CorpusShard]
    """By split; one that got no window is absent."""
    rows_sha256: dict[str, str]
    """By split: hash of the rows in order."""
    tallies: dict[str, Tally]
    """By split; dropped stretches stand in "train"."""
    repeats: RepeatSummary | None
    """What windows of the kind ``repeatfree`` keep; null for others."""


def plan_tasks(genomes: Sequence[Genome | Records], windows: Sequence[WindowConfig]) -> list[Task]:
    """Share genomes out into tasks.

    Parameters
    ----------
    genomes : sequence of Genome or Records
        In the order of their sources.
    windows : sequence of WindowConfig
        Say where the contigs of each may be parted.

    Returns
    -------
    list of Task
        In the order of the genomes; together they hold each base once.
    """
    tasks: list[Task] = []
    for source, (found, config) in enumerate(zip(genomes, windows, strict=True)):
        if isinstance(found, Records):
            tasks += _record_tasks(source, list(found.genome.contigs.values()))
        else:
            tasks += _genome_tasks(source, found.contigs, unit_bp(config))
    return tasks


def _genome_tasks(source: int, contigs: Mapping[str, int], unit: int | None) -> Iterator[Task]:
    waiting: list[Stretch] = []
    num_bases = 0
    for contig, length in contigs.items():
        step = length if unit is None else max(1, TASK_BP // unit) * unit
        for start in range(0, length, step):
            part = Stretch(contig, start, min(start + step, length))
            if waiting and num_bases + part.stop - part.start > TASK_BP:
                yield Task(source=source, stretches=tuple(waiting), num_bases=num_bases)
                waiting, num_bases = [], 0
            waiting.append(part)
            num_bases += part.stop - part.start
    yield Task(source=source, stretches=tuple(waiting), num_bases=num_bases)


def _record_tasks(source: int, lengths: Sequence[int]) -> Iterator[Task]:
    first = num_bases = 0
    for number, length in enumerate(lengths):
        if number > first and num_bases + length > TASK_BP:
            yield Task(source=source, records=(first, number), num_bases=num_bases)
            first, num_bases = number, 0
        num_bases += length
    yield Task(source=source, records=(first, len(lengths)), num_bases=num_bases)


def genome_folder(work: Path, source: int) -> Path:
    """Return where the letters of a genome are while a corpus is made."""
    return work / SCRATCH / GENOMES / f"{source:05d}"


def open_weights(
    work: Path, job: Job, source: int, records: Records | None = None
) -> WindowWeights:
    """Return the weights of the windows of a genome, or of records."""
    return WindowWeights(
        job.weights[source],
        regions_file(work, source),
        prefix_of(job.sources, source),
        job.seed,
        records.counted_contig if records is not None else str,
    )


def written_as(
    window: Window, split: str, settings: WindowConfig, weights: WindowWeights
) -> Iterator[Window]:
    """Yield what is written for a window: its copies, each on one strand or on both."""
    both_strands = settings.both_strands and split == "train"
    for _ in range(weights.copies(split, window)):
        yield window
        if both_strands:
            yield window._replace(
                sequence=reverse_complement(window.sequence),
                strand="+" if window.strand == "-" else "-",
            )


def run_task(item: TaskItem) -> TaskResult:
    """Make one part of a corpus, or read what an earlier run made of it.

    Raises
    ------
    HelixError
        If the input is unsound.
    """
    done = item.work / SCRATCH / TASKS / f"{item.number:05d}.json"
    if done.is_file():
        return TaskResult.model_validate_json(done.read_text(encoding="utf-8"))
    job = _job(item.work, item.job_sha256)
    task = job.tasks[item.number]
    source = job.sources[task.source]
    folder = item.work / SCRATCH if job.to_scratch else item.work
    counts = {split: Counting() for split in SPLITS}
    with contextlib.ExitStack() as stack:
        writers = {
            split: stack.enter_context(
                WindowWriter(folder, split, source.species, source.assembly, item.number)
            )
            for split in SPLITS
        }
        maker, stretches = _rows_of(item.work, job, task, counts)
        stack.enter_context(maker.genome)
        for split, part in (row for stretch in stretches for row in maker.rows(stretch)):
            if isinstance(part, Dropped):
                counts[split].drop(part)
                continue
            rows = (
                [part] if job.to_scratch else written_as(part, split, maker.windows, maker.weights)
            )
            for window in rows:
                writers[split].add(window)
                counts[split].add(window, maker.counted_contig(window))
        shards = {split: writer.finish() for split, writer in writers.items()}
    result = TaskResult(
        shards={split: shard for split, shard in shards.items() if shard is not None},
        rows_sha256={split: writer.rows_sha256 for split, writer in writers.items()},
        tallies={split: counting.tally() for split, counting in counts.items()},
        repeats=summarize(maker.repeats),
    )
    done.parent.mkdir(exist_ok=True)
    with replace_file(done) as temporary:
        temporary.write_text(result.model_dump_json(), encoding="utf-8")
    return result


def _rows_of(
    work: Path, job: Job, task: Task, counts: dict[str, Counting]
) -> tuple[RowMaker, Iterable[Stretch]]:
    """Return what makes the rows of a task, and the stretches that it makes them of."""
    folder = genome_folder(work, task.source)
    splits = job.record_splits[task.source]
    records = None if splits is None else open_records(folder)
    settings: dict[str, Any] = {
        "genome": open_genome(folder) if records is None else records.genome,
        "source": job.sources[task.source],
        "prefix": prefix_of(job.sources, task.source),
        "windows": job.windows_of(task.source),
        "variants": job.variants,
        "seed": job.seed,
        "assignment": Assignment(job.block_bp, job.validation),
        "weights": open_weights(work, job, task.source, records),
        "variant_files": job.variant_files[task.source],
        "counts": counts,
    }
    if records is None or splits is None or task.records is None:
        return RowMaker(**settings), task.stretches
    maker = RecordRows(**settings, records=records, splits=splits)
    return maker, maker.stretches(*task.records)


@lru_cache(maxsize=1)
def _job(work: Path, sha256: str) -> Job:
    """Read the job of a corpus; the hash tells jobs in one folder apart."""
    return Job.model_validate_json((work / SCRATCH / JOB).read_text(encoding="utf-8"))
