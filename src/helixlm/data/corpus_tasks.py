"""The parts of a corpus: each is cut, counted and written on its own, by whichever worker is free.

In: a `Job`, which says all that matters, and the number of a task. Out: at most one Parquet file
for each split, and a `TaskResult`. A task covers some stretches of one genome, `TASK_BP` in all, so
what it writes depends neither on the number of workers nor on the order in which they finish. A
result that is there already is not made again.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from helixlm.data.corpus_rows import RowMaker, Stretch, VariantConfig
from helixlm.data.genome import open_genome
from helixlm.data.repeats import RepeatSummary, summarize
from helixlm.data.sources import Source, prefix_of
from helixlm.data.splits import SPLITS, Assignment
from helixlm.data.tally import Counting, Tally
from helixlm.data.unfinished import SCRATCH
from helixlm.data.weights import GenomeWeights, WindowWeights, regions_file
from helixlm.data.window_files import CorpusShard, WindowWriter
from helixlm.data.windows import Dropped, Window, WindowConfig, unit_bp
from helixlm.files import replace_file
from helixlm.seq.ops import reverse_complement

TASK_BP = 1 << 26
"""Bases of a task: some seconds of work, and files of some 20 MB."""
TASKS = "tasks"
GENOMES = "genomes"
JOB = "job.json"


class Task(BaseModel):
    """Stretches of one genome."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: int
    stretches: tuple[Stretch, ...]

    @property
    def num_bases(self) -> int:
        """Bases that it looks at."""
        return sum(part.stop - part.start for part in self.stretches)


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
    variant_files: tuple[dict[str, Path], ...]
    """Of each genome: the file with the genotypes of a contig."""
    tasks: tuple[Task, ...]


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


def plan_tasks(genomes: Sequence[Mapping[str, int]], config: WindowConfig) -> list[Task]:
    """Share genomes out into tasks.

    Parameters
    ----------
    genomes : sequence of mapping of str to int
        Contig lengths, bp, of each genome.
    config : WindowConfig
        Says where contigs may be parted.

    Returns
    -------
    list of Task
        In the order of the genomes; together they hold each base once.
    """
    unit = unit_bp(config)
    tasks = []
    for source, contigs in enumerate(genomes):
        waiting: list[Stretch] = []
        room = TASK_BP
        for contig, length in contigs.items():
            step = length if unit is None else max(1, TASK_BP // unit) * unit
            for start in range(0, length, step):
                part = Stretch(contig, start, min(start + step, length))
                if waiting and part.stop - part.start > room:
                    tasks.append(Task(source=source, stretches=tuple(waiting)))
                    waiting, room = [], TASK_BP
                waiting.append(part)
                room -= part.stop - part.start
        tasks.append(Task(source=source, stretches=tuple(waiting)))
    return tasks


def genome_folder(work: Path, source: int) -> Path:
    """Return where the letters of a genome are while a corpus is made."""
    return work / SCRATCH / GENOMES / f"{source:05d}"


def open_weights(work: Path, job: Job, source: int) -> WindowWeights:
    """Return the weights of the windows of a genome."""
    return WindowWeights(
        job.weights[source],
        regions_file(work, source),
        prefix_of(job.sources, source),
        job.seed,
    )


def written_as(window: Window, split: str, job: Job, weights: WindowWeights) -> Iterator[Window]:
    """Yield what is written for a window: its copies, each on one strand or on both."""
    both_strands = job.windows.both_strands and split == "train"
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
    weights = open_weights(item.work, job, task.source)
    with contextlib.ExitStack() as stack:
        genome = stack.enter_context(open_genome(genome_folder(item.work, task.source)))
        writers = {
            split: stack.enter_context(
                WindowWriter(folder, split, source.species, source.assembly, item.number)
            )
            for split in SPLITS
        }
        maker = RowMaker(
            genome,
            source,
            prefix_of(job.sources, task.source),
            job.windows,
            job.variants,
            job.seed,
            Assignment(job.block_bp, job.validation),
            weights,
            job.variant_files[task.source],
            counts,
        )
        for split, part in (row for stretch in task.stretches for row in maker.rows(stretch)):
            if isinstance(part, Dropped):
                counts[split].drop(part)
                continue
            for window in [part] if job.to_scratch else written_as(part, split, job, weights):
                writers[split].add(window)
                counts[split].add(window)
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


@lru_cache(maxsize=1)
def _job(work: Path, sha256: str) -> Job:
    """Read the job of a corpus; the hash tells jobs in one folder apart."""
    return Job.model_validate_json((work / SCRATCH / JOB).read_text(encoding="utf-8"))
