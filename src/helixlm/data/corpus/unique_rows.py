"""The last step of a corpus from which duplicates are left out.

In: the rows that the tasks have written. Out: those whose sequence did not come before. Validation
goes first, so what training loses repeats training or validation, and validation only itself. The
copies that weights ask for are made here, of what is left.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from helixlm.data.corpus.tally import Counting
from helixlm.data.corpus.tasks import Job, TaskResult, genome_folder, open_weights, written_as
from helixlm.data.corpus.window_files import CorpusSplit, WindowWriter, read_windows
from helixlm.data.records import Records, open_records
from helixlm.data.similarity.duplicates import Duplicate, DuplicateConfig, remove_duplicates
from helixlm.data.splits import SPLITS
from helixlm.data.unfinished import SCRATCH
from helixlm.data.windows import Dropped, Window


def write_unique(
    work: Path, job: Job, results: Sequence[TaskResult], config: DuplicateConfig
) -> list[TaskResult]:
    """Copy the rows of all tasks, but for duplicates, from the scratch folder to the corpus.

    Parameters
    ----------
    work : Path
        The unfinished folder of the corpus.
    job : Job
        What the tasks were.
    results : sequence of TaskResult
        What they wrote, in their order.
    config : DuplicateConfig
        What a duplicate is.

    Returns
    -------
    list of TaskResult
        What is written now, with copies. Stretches that are left out count as dropped, in their own
        split; variants are those of all rows that were made.
    """
    order = [(split, number) for split in reversed(SPLITS) for number in range(len(results))]
    rows = (row for split, number in order for row in _rows(work, split, results[number]))
    checked = remove_duplicates(rows, config, work / SCRATCH)
    found = [
        TaskResult(shards={}, rows_sha256={}, tallies={}, repeats=result.repeats)
        for result in results
    ]
    all_records = [
        None if splits is None else open_records(genome_folder(work, number))
        for number, splits in enumerate(job.record_splits)
    ]
    for split, number in order:
        source = job.sources[job.tasks[number].source]
        records = all_records[job.tasks[number].source]
        result, counting = results[number], Counting()
        windows = job.windows_of(job.tasks[number].source)
        weights = open_weights(work, job, job.tasks[number].source, records)
        with WindowWriter(work, split, source.species, source.assembly, number) as writer:
            for _ in range(result.shards[split].windows if split in result.shards else 0):
                row = next(checked)
                if isinstance(row, Duplicate):
                    counting.drop(_dropped(row.window, records))
                    continue
                for window in written_as(row, split, windows, weights):
                    writer.add(window)
                    name = window.contig
                    counting.add(window, name if records is None else records.counted_contig(name))
            shard = writer.finish()
        before, tally = result.tallies[split], counting.tally()
        tally = tally.model_copy(
            update={
                "dropped": {**before.dropped, **tally.dropped},
                "lost_features": before.lost_features,
                "variants": before.variants,
                "skipped_variants": before.skipped_variants,
            }
        )
        if shard is not None:
            found[number].shards[split] = shard
        found[number].rows_sha256[split] = writer.rows_sha256
        found[number].tallies[split] = tally
    return found


def _dropped(window: Window, records: Records | None) -> Dropped:
    """Return a duplicate as a dropped stretch: bases of a genome, or the letters of a record."""
    contig, start, end = window[:3]
    end = end if records is None else start + len(window.sequence)
    return Dropped(contig, start, end, "duplicate")


def _rows(work: Path, split: str, result: TaskResult) -> Iterator[Window]:
    if split not in result.shards:
        return
    shard = result.shards[split]
    part = CorpusSplit(num_windows=shard.windows, num_bases=shard.bases, shards=(shard,))
    columns = list(Window._fields)
    for found in read_windows(work / SCRATCH, part, columns, range(shard.windows)):
        yield from map(Window._make, zip(*found.values(), strict=True))
