"""Making a corpus: genomes are read, shared out into tasks, cut, counted and written.

In: genomes (`sources.Source`) and settings. Out: the folder of a corpus (`base.py`). How a genome
is cut is said in `windows`, what is held out in `splits.py`, what one task does in
`tasks.py`.

Genomes are first written as letters, one byte a base, which all workers map; so disk is needed, and
memory does not grow with them. It does with an annotation, with records, and with windows that are
compared. What is finished outlives an interruption.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from helixlm.compute import Compute, Workers
from helixlm.data.corpus.base import CorpusError, CorpusManifest
from helixlm.data.corpus.coverage import cover_contig, plan_coverage
from helixlm.data.corpus.held_out import hold_out
from helixlm.data.corpus.manifest import make_manifest
from helixlm.data.corpus.plan import Plan, made_before, stamps
from helixlm.data.corpus.rows import VariantConfig
from helixlm.data.corpus.tasks import (
    GENOMES,
    JOB,
    Job,
    TaskItem,
    TaskResult,
    genome_folder,
    plan_tasks,
    run_task,
)
from helixlm.data.corpus.unique_rows import write_unique
from helixlm.data.corpus.weights import WeightConfig, plan_weights
from helixlm.data.folder import MANIFEST, read_manifest, refuse_existing, write_manifest
from helixlm.data.genome import Genome
from helixlm.data.genome_files import (
    check_features,
    check_genotypes,
    check_windows,
    find_variant_files,
    used_of,
)
from helixlm.data.lost_features import lost_features
from helixlm.data.records import Records, letters_of, write_records
from helixlm.data.similarity.duplicates import DuplicateConfig
from helixlm.data.sources import Source, check_sources, prefix_of
from helixlm.data.splits import SplitConfig
from helixlm.data.unfinished import SCRATCH, unfinished_folder
from helixlm.data.windows import TinyDnabertWindows, WindowConfig
from helixlm.errors import StateError
from helixlm.files import replace_file

Progress = Callable[[int, int | None], None]
Describe = Callable[[CorpusManifest], Mapping[str, str]]
"""Gives the texts of files that describe a corpus, by name."""

LETTERS_DEPEND_ON = ("helixlm_version", "sources", "files")
"""fields of `Plan`: with these equal, the letters of an earlier run are used"""


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
    describe: Describe | None = None,
) -> CorpusManifest:
    """Cut genomes into windows and write them as a corpus.

    The folder appears under its name when it is complete. If it exists already and was made from
    the same sequences with the same settings, its manifest is returned. What an interrupted run has
    finished is used by the next one with the same inputs and settings.

    Parameters
    ----------
    sources : sequence of Source
        The genomes. An annotation that these windows are not made from is left alone.
    output : path
        The folder to write. While it is made, one byte for each base of input is needed beside it,
        and as much as the corpus itself takes where duplicates are left out.
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
    describe : callable, optional
        Given the manifest, as it is read from its file; its texts are written beside that before
        the folder gets its name, and into a finished corpus that lacks them.

    Returns
    -------
    CorpusManifest
        The manifest of the finished corpus, as it is read from its file.

    Raises
    ------
    SourceError
        If there is no input, a file is missing, or a genome lacks what its windows need.
    InputError
        If a file cannot be read, or does not belong to the genome: `FastaError`, `GenomeError` (two
        contigs of one name, say), `TwoBitError`, `VcfError`, `AnnotationError`, `BedError`,
        `BedGraphError`, `CdsFastaError` or `DatasetError`, with file and line or record.
    SplitError, WeightError
        If the genomes cannot be split, or weighed, as asked.
    CorpusError
        If a split has no window, or a file changes while it is read.
    ComputeError
        If workers cannot be had, or die again and again.
    StateError
        If the folder exists and was made otherwise, or the disk is full.
    """
    output = Path(output)
    windows = windows or TinyDnabertWindows()
    sources = [used_of(source, source.windows or windows) for source in sources]
    check_sources(sources)
    plan = Plan(
        sources=tuple(sources),
        files=stamps(sources),
        windows=windows,
        weights=weights or WeightConfig(),
        variants=variants or VariantConfig(),
        duplicates=duplicates,
        split=split or SplitConfig(),
        seed=seed,
    )
    for source in sources:
        check_windows(source, source.windows or plan.windows)
    if (output / MANIFEST).exists():
        manifest = made_before(output, plan)
        _write_texts(output, manifest, describe)
        return manifest
    refuse_existing(output)
    if plan.variants.individuals != "none":
        for source in sources:
            check_genotypes(
                source,
                source.windows or plan.windows,
                samples=plan.variants.samples,
                draws=plan.variants.draws,
            )
    with (
        unfinished_folder(output, plan, {GENOMES: LETTERS_DEPEND_ON}) as work,
        Workers(compute or Compute()) as workers,
    ):
        manifest = _Maker(plan, workers, progress).make(work)
        if stamps(sources) != plan.files:
            raise CorpusError(f"{output}: an input file changed while it was read: run again")
        write_manifest(work, manifest)
        # Read again: a default of 0 is then the 0.0 that whoever opens the corpus finds.
        manifest = read_manifest(work, CorpusManifest)
        _write_texts(work, manifest, describe)
    return manifest


def _write_texts(folder: Path, manifest: CorpusManifest, describe: Describe | None) -> None:
    """Write what describes a corpus, but for what is there."""
    for name, text in (describe(manifest) if describe else {}).items():
        if not (folder / name).exists():
            with replace_file(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8", newline="\n")


class _Maker:
    """The stages of one corpus."""

    def __init__(self, plan: Plan, workers: Workers, progress: Progress | None) -> None:
        self.plan = plan
        self.workers = workers
        self.progress = progress
        self.input_bytes = sum(size for _, size, _ in plan.files)

    def make(self, work: Path) -> CorpusManifest:
        """Write all parts into a folder; return the manifest."""
        genomes = self._read_genomes(work)
        prefixes = [prefix_of(self.plan.sources, number) for number in range(len(genomes))]
        lost = [
            self._lost_features(*found)
            for found in zip(self.plan.sources, genomes, prefixes, strict=True)
        ]
        held_out = hold_out(
            dict(zip(prefixes, genomes, strict=True)), self.plan.split, self.plan.seed
        )
        weights = plan_weights(work, self.plan.sources, genomes, self.plan.weights)
        tasks = plan_tasks(
            genomes, [source.windows or self.plan.windows for source in self.plan.sources]
        )
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
                find_variant_files(source, letters_of(genome))
                for source, genome in zip(self.plan.sources, genomes, strict=True)
            ),
            tasks=tuple(tasks),
        )
        results = self._run(work, job)
        if self.plan.duplicates is not None:
            results = write_unique(work, job, results, self.plan.duplicates)
        coverage = self.workers.map(cover_contig, plan_coverage(work, job, results))
        return make_manifest(
            self.plan, genomes, weights, held_out, tasks, results, tuple(coverage), lost
        )

    def _lost_features(
        self, source: Source, genome: Genome | Records, prefix: str
    ) -> Mapping[str, int]:
        """Check the features of a genome, and count those without a window."""
        if isinstance(genome, Records):
            return {}
        windows = source.windows or self.plan.windows
        check_features(source, windows, genome)
        names = {name for name in genome.contigs if self.plan.split.leaves_out(prefix + name)}
        return lost_features(source, windows, genome, names)

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
        for genome in self.workers.map(_read_genome, items):
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
        for result in self.workers.map(run_task, items):
            done += job.tasks[len(results)].num_bases
            results.append(result)
            if self.progress is not None:
                share = self.input_bytes * done // num_bases
                self.progress(self.input_bytes + share, 2 * self.input_bytes)
        return results


def _read_genome(item: tuple[Source, Path]) -> Genome | Records:
    """Write the letters of a genome, which another worker may have done meanwhile."""
    source, folder = item
    try:
        return _write_letters(source, folder)
    except StateError:
        if not (folder / MANIFEST).exists():
            raise
        return _write_letters(source, folder)


def _write_letters(source: Source, folder: Path) -> Genome | Records:
    if source.fasta:
        return Genome.from_fasta(source.fasta, folder)
    return write_records(source, folder)
