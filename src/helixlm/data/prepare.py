"""Making a corpus: genomes are read, shared out into tasks, cut, counted and written.

In: genomes (`sources.Source`) and settings. Out: the folder of a corpus (`corpus.py`). How a genome
is cut is said in `windows`, what is held out in `splits.py`, what one task does in
`corpus_tasks.py`.

Genomes are first written as letters, one byte a base, which all workers map; so disk is needed, and
memory does not grow with the input. What is finished outlives an interruption.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from helixlm.compute import Compute, map_in_order
from helixlm.data.corpus import (
    CorpusError,
    CorpusManifest,
    CorpusSource,
    InputFile,
    OtherFile,
)
from helixlm.data.corpus_rows import (
    VariantConfig,
    check_features,
    check_windows,
    find_variant_files,
)
from helixlm.data.corpus_splits import HeldOut, hold_out
from helixlm.data.corpus_tasks import (
    JOB,
    Job,
    Task,
    TaskItem,
    TaskResult,
    genome_folder,
    plan_tasks,
    run_task,
)
from helixlm.data.coverage import ContigCoverage, cover_contig, plan_coverage
from helixlm.data.duplicates import DuplicateConfig
from helixlm.data.folder import (
    MANIFEST,
    check_files,
    file_sha256,
    read_manifest,
    refuse_differences,
    refuse_existing,
    write_manifest,
)
from helixlm.data.genome import Genome, GenomeSource
from helixlm.data.records import Records, write_records
from helixlm.data.repeats import summarize
from helixlm.data.sources import Source, check_sources, files_below, prefix_of
from helixlm.data.splits import SPLITS, SplitConfig
from helixlm.data.tally import total
from helixlm.data.unfinished import SCRATCH, unfinished_folder
from helixlm.data.unique_rows import write_unique
from helixlm.data.weights import GenomeWeights, WeightConfig, num_bases, plan_weights
from helixlm.data.window_files import CorpusSplit
from helixlm.data.windows import DROP_REASONS, TinyDnabertWindows, WindowConfig
from helixlm.files import replace_file
from helixlm.version import __version__

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]


class _Plan(BaseModel):
    """What a corpus is made from, and how; files by size and time, so that looking is quick."""

    model_config = ConfigDict(frozen=True)

    helixlm_version: str = __version__
    sources: tuple[Source, ...]
    files: tuple[tuple[str, int, int], ...]
    windows: WindowConfig
    weights: WeightConfig
    variants: VariantConfig
    duplicates: DuplicateConfig | None
    split: SplitConfig
    seed: int


def prepare_corpus(
    sources: Sequence[Source],
    output: str | Path,
    *,
    windows: WindowConfig | None = None,
    split: SplitConfig | None = None,
    weights: WeightConfig | None = None,
    variants: VariantConfig | None = None,
    duplicates: DuplicateConfig | None = None,
    seed: int = 0,
    compute: Compute | None = None,
    progress: Progress | None = None,
) -> CorpusManifest:
    """Cut genomes into windows and write them as a corpus.

    The folder appears under its name when it is complete. If it exists already and was made from
    the same sequences with the same settings, its manifest is returned. What an interrupted run has
    finished is used by the next one with the same inputs and settings.

    Parameters
    ----------
    sources : sequence of Source
        The genomes.
    output : path
        The folder to write. While it is made, one byte for each base of input is needed beside it.
    windows : WindowConfig, optional
        How contigs are cut; TinyDNABERT's settings if not given.
    split : SplitConfig, optional
        How validation is held out; about a tenth, by whole contigs of all genomes, if not given.
    weights : WeightConfig, optional
        How often windows come in training, with what the sources say; once if not given.
    variants : VariantConfig, optional
        Whose haplotypes take the place of windows, where a source has genotypes; one individual's,
        drawn for each window, if not given.
    duplicates : DuplicateConfig, optional
        Leave out windows that repeat earlier ones; those of validation come first. Copies that
        weights ask for are made of what is left.
    seed : int
        Seed of all that is drawn.
    compute : Compute, optional
        Processes or cluster to work on. They change no byte of the result.
    progress : callable, optional
        Called as ``progress(done, total)``: bytes of the input files, then as many once more.

    Returns
    -------
    CorpusManifest
        The manifest of the finished corpus.

    Raises
    ------
    FastaError
        If a file is not sound FASTA.
    SplitError
        If the genomes cannot be split as asked.
    SourceError, CorpusError
        If there is no input, if two files of a genome hold a contig of the same name, if a split
        has no window, or if a file changes while it is read.
    WeightError, BedGraphError
        If weights name contigs that are not there, or a file of weights cannot be read.
    StateError
        If the folder exists and was made otherwise, or the disk is full.
    """
    output = Path(output)
    sources = list(sources)
    check_sources(sources)
    plan = _Plan(
        sources=tuple(sources),
        files=_stamps(sources),
        windows=windows or TinyDnabertWindows(),
        weights=weights or WeightConfig(),
        variants=variants or VariantConfig(),
        duplicates=duplicates,
        split=split or SplitConfig(),
        seed=seed,
    )
    for source in sources:
        check_windows(source, plan.windows)
    if (output / MANIFEST).exists():
        return _made_before(output, plan)
    refuse_existing(output)
    maker = _Maker(plan, compute or Compute(), progress)
    with unfinished_folder(output, plan) as work:
        manifest = maker.make(work)
        if _stamps(sources) != plan.files:
            raise CorpusError(f"{output}: an input file changed while it was read: run again")
        write_manifest(work, manifest)
    return manifest


class _Maker:
    """The stages of one corpus."""

    def __init__(self, plan: _Plan, compute: Compute, progress: Progress | None) -> None:
        self.plan = plan
        self.compute = compute
        self.progress = progress
        self.input_bytes = sum(size for _, size, _ in plan.files)

    def make(self, work: Path) -> CorpusManifest:
        """Write all parts into a folder; return the manifest."""
        genomes = self._read_genomes(work)
        for source, genome in zip(self.plan.sources, genomes, strict=True):
            if isinstance(genome, Genome):
                check_features(source, self.plan.windows, genome)
        prefixes = [prefix_of(self.plan.sources, number) for number in range(len(genomes))]
        held_out = hold_out(
            dict(zip(prefixes, genomes, strict=True)), self.plan.split, self.plan.seed
        )
        weights = plan_weights(work, self.plan.sources, genomes, self.plan.weights)
        tasks = plan_tasks(genomes, self.plan.windows)
        job = Job(
            sources=self.plan.sources,
            windows=self.plan.windows,
            variants=self.plan.variants,
            weights=weights,
            to_scratch=self.plan.duplicates is not None,
            seed=self.plan.seed,
            block_bp=held_out.contigs.block_bp,
            validation=held_out.contigs.validation,
            record_splits=held_out.records,
            variant_files=tuple(
                find_variant_files(source, _letters(genome))
                for source, genome in zip(self.plan.sources, genomes, strict=True)
            ),
            tasks=tuple(tasks),
        )
        results = self._run(work, job)
        if self.plan.duplicates is not None:
            results = write_unique(work, job, results, self.plan.duplicates)
        coverage = map_in_order(cover_contig, plan_coverage(work, job, results), self.compute)
        return _manifest(self.plan, genomes, weights, held_out, tasks, results, tuple(coverage))

    def _read_genomes(self, work: Path) -> list[Genome | Records]:
        """Write the letters of all genomes, several at a time."""
        items = [
            (source, genome_folder(work, number)) for number, source in enumerate(self.plan.sources)
        ]
        if len(items) == 1 and self.plan.sources[0].fasta:
            source, folder = items[0]
            return [Genome.from_fasta(source.fasta, folder, self._report_bytes)]
        sizes = {path: size for path, size, _ in self.plan.files}
        done = 0
        genomes: list[Genome | Records] = []
        for genome in map_in_order(_read_genome, items, self.compute):
            source, _ = items[len(genomes)]
            genomes.append(genome)
            done += sum(sizes[str(path)] for path in source.sequence_files)
            self._report_bytes(done, None)
        return genomes

    def _report_bytes(self, done: int, total: int | None) -> None:
        if self.progress is not None:
            self.progress(done, 2 * self.input_bytes)

    def _run(self, work: Path, job: Job) -> list[TaskResult]:
        text = job.model_dump_json()
        with replace_file(work / SCRATCH / JOB) as temporary:
            temporary.write_text(text, encoding="utf-8")
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        items = [TaskItem(work, sha256, number) for number in range(len(job.tasks))]
        num_bases = sum(task.num_bases for task in job.tasks)
        done = 0
        results: list[TaskResult] = []
        for result in map_in_order(run_task, items, self.compute):
            done += job.tasks[len(results)].num_bases
            results.append(result)
            if self.progress is not None:
                share = self.input_bytes * done // num_bases
                self.progress(self.input_bytes + share, 2 * self.input_bytes)
        return results


def _read_genome(item: tuple[Source, Path]) -> Genome | Records:
    source, folder = item
    return Genome.from_fasta(source.fasta, folder) if source.fasta else write_records(*item)


def _letters(genome: Genome | Records) -> Genome:
    return genome.genome if isinstance(genome, Records) else genome


def _manifest(
    plan: _Plan,
    genomes: Sequence[Genome | Records],
    weights: Sequence[GenomeWeights],
    held_out: HeldOut,
    tasks: Sequence[Task],
    results: Sequence[TaskResult],
    coverage: tuple[ContigCoverage, ...],
) -> CorpusManifest:
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
                balance=factors.balance,
                num_bases=num_bases(genome),
                inputs=tuple(_input_file(source, of) for of in _letters(genome).manifest.sources),
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
        sha256=found.sha256 if is_genome else _input_sha256(found.path) or found.sha256,
        contigs=found.contigs if is_genome else {},
        num_contigs=len(found.contigs),
        num_bases=sum(found.contigs.values()),
    )


def _input_sha256(name: str) -> str | None:
    """Return the hash of a file or folder, as `InputFile` says; None: it is not on disk."""
    path = Path(name)
    if not path.is_dir():
        return file_sha256(path) if path.exists() else None
    digest = hashlib.sha256()
    for file in files_below(path):
        digest.update(f"{file.relative_to(path).as_posix()}\t{file_sha256(file)}\n".encode())
    return digest.hexdigest()


def _made_before(output: Path, plan: _Plan) -> CorpusManifest:
    """Return the manifest of a finished corpus, if it is the one that is asked for."""
    found = read_manifest(output, CorpusManifest)
    compared: dict[str, tuple[object, object]] = {
        "seed": (found.seed, plan.seed),
        "duplicates": (found.duplicates, plan.duplicates),
        "number of genomes": (len(found.sources), len(plan.sources)),
        "weights.species_exponent": (
            found.weights.species_exponent,
            plan.weights.species_exponent,
        ),
        # Their order matters, and dictionaries in another order are equal.
        "weights.contigs": (
            list(found.weights.contigs.items()),
            list(plan.weights.contigs.items()),
        ),
    }
    groups: dict[str, tuple[BaseModel, BaseModel]] = {
        "windows": (found.windows, plan.windows),
        "variants": (found.variants, plan.variants),
        "split": (found.split, plan.split),
    }
    for group, (old, new) in groups.items():
        there, wanted = old.model_dump(), new.model_dump()
        for name in {**there, **wanted}:
            compared[f"{group}.{name}"] = (there.get(name), wanted.get(name))
    if len(found.sources) == len(plan.sources):
        for record, source in zip(found.sources, plan.sources, strict=True):
            compared |= _source_differences(record, source)
    refuse_differences(output, compared)
    check_files(output, found.files)
    logger.info("%s: the corpus is there already", output)
    return found


def _source_differences(found: CorpusSource, wanted: Source) -> Mapping[str, tuple[object, object]]:
    name = wanted.species or "genome"
    compared: dict[str, tuple[object, object]] = {
        f"{name}: {field}": (getattr(found, field), getattr(wanted, field))
        for field in (
            "kind", "species", "assembly", "group", "weight", "column", "dataset_split",
        )
    }  # fmt: skip
    paths = [*wanted.sequence_inputs, *(str(path) for _, path in wanted.others)]
    compared[f"{name}: number of files"] = (len(found.files), len(paths))
    compared[f"{name}: other files"] = (
        [record.kind for record in found.others],
        [kind for kind, _ in wanted.others],
    )
    if len(found.files) == len(paths):
        for record, path in zip(found.files, paths, strict=True):
            sha256 = _input_sha256(path)
            if sha256 is None:  # on the hub, where nothing is read again
                compared[f"{name}: dataset"] = (record.path, path)
            else:
                compared[f"SHA-256 of {path}"] = (record.sha256[:12], sha256[:12])
    return compared


def _why_empty(name: str, dropped: Mapping[str, int], plan: _Plan) -> str:
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


def _stamps(sources: Sequence[Source]) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of each file."""
    found = []
    for source in sources:
        for path in source.files:
            status = path.stat()
            found.append((str(path), status.st_size, status.st_mtime_ns))
    return tuple(found)
