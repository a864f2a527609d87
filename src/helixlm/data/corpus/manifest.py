"""The manifest of a corpus, from what its tasks have counted."""

import hashlib
from collections.abc import Mapping, Sequence

from helixlm.data.corpus.base import CorpusError, CorpusManifest, CorpusSource, InputFile, OtherFile
from helixlm.data.corpus.coverage import ContigCoverage
from helixlm.data.corpus.held_out import HeldOut
from helixlm.data.corpus.plan import Plan, input_sha256
from helixlm.data.corpus.tally import total
from helixlm.data.corpus.tasks import Task, TaskResult
from helixlm.data.corpus.weights import GenomeWeights, num_bases
from helixlm.data.corpus.window_files import CorpusSplit
from helixlm.data.folder import file_sha256
from helixlm.data.genome import Genome, GenomeSource
from helixlm.data.records import Records, letters_of
from helixlm.data.repeats import summarize
from helixlm.data.sources import Source
from helixlm.data.splits import SPLITS
from helixlm.data.windows import DROP_REASONS


def make_manifest(
    plan: Plan,
    genomes: Sequence[Genome | Records],
    weights: Sequence[GenomeWeights],
    held_out: HeldOut,
    tasks: Sequence[Task],
    results: Sequence[TaskResult],
    coverage: tuple[ContigCoverage, ...],
    lost_features: Sequence[Mapping[str, int]],
) -> CorpusManifest:
    """Put together what is known of a corpus when its last task is done.

    Parameters
    ----------
    plan : Plan
        What it was made from.
    genomes, weights : sequence
        The genomes of the plan, and the factors of each.
    held_out : HeldOut
        The split.
    tasks, results : sequence
        The tasks and what each has written.
    coverage : tuple of ContigCoverage
        Of the largest contigs.
    lost_features : sequence of mapping of str to int
        Of each genome, what `helixlm.data.lost_features` counts; features that N leaves no window
        stand in the results.

    Returns
    -------
    CorpusManifest
        The manifest.

    Raises
    ------
    CorpusError
        If a split has no window.
    """
    splits = {name: _split(name, results) for name in SPLITS}
    tallies = [
        {
            name: total(
                result.tallies[name]
                for task, result in zip(tasks, results, strict=True)
                if task.source == number
            )
            for name in SPLITS
        }
        for number in range(len(genomes))
    ]
    for by_split, lost in zip(tallies, lost_features, strict=True):
        by_split["train"].lost_features.update(lost)
    dropped = dict.fromkeys(DROP_REASONS, 0)
    dropped |= total(tally for by_split in tallies for tally in by_split.values()).dropped
    for name, found in splits.items():
        if not found.num_windows:
            raise CorpusError(_why_empty(name, dropped, plan))
    digest = hashlib.sha256()
    for name in SPLITS:
        for result in results:
            digest.update(f"{name}\t{result.rows_sha256[name]}\n".encode())
    return CorpusManifest(
        sources=tuple(
            CorpusSource(
                kind=source.kind,
                column=source.column,
                dataset_split=source.dataset_split,
                species=source.species,
                assembly=source.assembly,
                group=source.group,
                weight=source.weight,
                windows=source.windows,
                balance=factors.balance,
                num_bases=num_bases(genome),
                inputs=tuple(_input_file(source, of) for of in letters_of(genome).manifest.sources),
                others=tuple(
                    OtherFile(kind=kind, path=str(path), sha256=file_sha256(path))
                    for kind, path in source.others
                ),
                tallies=by_split,
            )
            for source, genome, factors, by_split in zip(
                plan.sources, genomes, weights, tallies, strict=True
            )
        ),
        windows=plan.windows,
        weights=plan.weights,
        variants=plan.variants,
        duplicates=plan.duplicates,
        split=plan.split,
        seed=plan.seed,
        splits=splits,
        validation_contigs=held_out.validation_contigs,
        dropped_bases=dropped,
        coverage=coverage,
        repeats=summarize([result.repeats for result in results if result.repeats is not None]),
        corpus_sha256=digest.hexdigest(),
    )


def _split(name: str, results: Sequence[TaskResult]) -> CorpusSplit:
    shards = tuple(result.shards[name] for result in results if name in result.shards)
    return CorpusSplit(
        num_windows=sum(shard.windows for shard in shards),
        num_bases=sum(shard.bases for shard in shards),
        shards=shards,
    )


def _input_file(source: Source, found: GenomeSource) -> InputFile:
    is_genome = source.kind == "fasta"
    return InputFile(
        path=found.path,
        sha256=found.sha256 if is_genome else input_sha256(found.path) or found.sha256,
        contigs=found.contigs if is_genome else {},
        num_contigs=len(found.contigs),
        num_bases=sum(found.contigs.values()),
    )


def _why_empty(name: str, dropped: Mapping[str, int], plan: Plan) -> str:
    reasons = ", ".join(
        f"{bases:,} bp in {DROP_REASONS[reason]}" for reason, bases in dropped.items() if bases
    )
    by_contig = plan.split.by == "contig"
    advice = "hold out other contigs" if by_contig else "change split.block_bp or seed"
    shown = plan.windows.model_dump(exclude={"both_strands"})
    settings = ", ".join(f"{key} {value}" for key, value in shown.items())
    return (
        f"{name}: no window was found (windows: {settings}; dropped: {reasons or 'nothing'}): "
        f"{advice}, choose shorter windows, or give more sequence"
    )
