"""The corpus: every window of a genome with its coordinates, as Parquet shards.

In: FASTA files and settings. Out: a folder with `train/00000.parquet` and on,
`validation/00000.parquet` and on, and a `manifest.json` that names the inputs, the settings, the
counts and the bases that were dropped, by reason. One row is one window; the files load with
``datasets.load_dataset("parquet", data_files=...)`` and with anything else that reads Parquet.
How a genome is cut is said in `windows.py`, what is held out in `splits.py`; tokens come later,
in `store.py`.

Everything streams: no more than a block of sequence and one row group of each split is in memory.
"""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from helixlm.data.fasta import Chunk, FastaSummary, iter_chunks, scan_fasta
from helixlm.data.folder import (
    MANIFEST,
    FileRecord,
    Manifest,
    check_files,
    file_sha256,
    new_folder,
    read_manifest,
    refuse_differences,
    refuse_existing,
    write_manifest,
)
from helixlm.data.homology import HomologyGrouper
from helixlm.data.splits import SPLITS, SplitConfig, assign
from helixlm.data.window_files import SHARD_WINDOWS, CorpusSplit, WindowWriter, read_windows
from helixlm.data.windows import DROP_REASONS, Dropped, Window, WindowConfig, segments
from helixlm.errors import InputError
from helixlm.version import __version__

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]


class CorpusError(InputError):
    """Inputs that make no corpus, or a request that a corpus cannot serve."""


class InputFile(BaseModel, frozen=True, extra="forbid"):
    """One FASTA file that a corpus was made from."""

    path: str
    sha256: str
    """Of the bytes of the file, compressed if it is."""
    contigs: dict[str, int]
    """Lengths in bp, in the order of the file."""


class CorpusManifest(Manifest):
    """What a corpus holds and what it was made from."""

    format: str = "helixlm corpus"
    format_version: int = 1
    helixlm_version: str = __version__
    species: str
    assembly: str
    inputs: tuple[InputFile, ...]
    windows: WindowConfig
    split: SplitConfig
    seed: int
    splits: dict[str, CorpusSplit]
    validation_contigs: tuple[str, ...]
    """Contigs that are held out as a whole."""
    dropped_bases: dict[str, int]
    """Bases in no window, by reason; `windows.DROP_REASONS` has the reasons in words."""
    corpus_sha256: str
    """Hash of all rows in order: the same for any shard size and any Parquet writer."""


def prepare_corpus(
    fasta: Sequence[str | Path],
    output: str | Path,
    *,
    windows: WindowConfig | None = None,
    split: SplitConfig | None = None,
    seed: int = 0,
    species: str = "",
    assembly: str = "",
    shard_windows: int = SHARD_WINDOWS,
    progress: Progress | None = None,
) -> CorpusManifest:
    """Cut genomes into windows and write them as a corpus.

    The folder appears under its name when it is complete. If it exists already and was made from
    the same sequences with the same settings, its manifest is returned.

    Parameters
    ----------
    fasta : sequence of path
        FASTA files, plain, gzip or bgzip; contig names are unique over all of them.
    output : path
        The folder to write.
    windows : WindowConfig, optional
        How contigs are cut; TinyDNABERT's settings if not given.
    split : SplitConfig, optional
        How validation is held out; about a tenth, by whole contigs, if not given.
    seed : int
        Seed of the window lengths and of the split.
    species, assembly : str
        Written into each row.
    shard_windows : int
        Most windows in one Parquet file.
    progress : callable, optional
        Called as ``progress(done, total)`` in bytes of input; each file is read twice, or
        three times for a split by block or group.

    Returns
    -------
    CorpusManifest
        The manifest of the finished corpus.

    Raises
    ------
    FastaError
        If a file is not sound FASTA.
    SplitError
        If the genome cannot be split as asked.
    CorpusError
        If there is no input, if two files hold a contig of the same name, if a split
        has no window, or if a file changes while it is read.
    StateError
        If the folder exists and was made otherwise, or the disk is full.
    """
    paths, output = [Path(path) for path in fasta], Path(output)
    windows, split = windows or WindowConfig(), split or SplitConfig()
    if not paths:
        raise CorpusError("fasta: expected at least one FASTA file, found none")
    for path in paths:
        if not path.is_file():
            instead = "a folder" if path.is_dir() else "nothing there"
            raise CorpusError(f"{path}: expected a FASTA file, found {instead}")
    if (output / MANIFEST).exists():
        return _made_before(output, paths, windows, split, seed, species, assembly)
    refuse_existing(output)

    stamps = [_stamp(path) for path in paths]
    passes = 2 if split.by == "contig" else 3
    report = _report_in_bytes(progress, [size for size, _ in stamps], passes)
    summaries = [scan_fasta(path, report(0, i)) for i, path in enumerate(paths)]
    contigs = _all_contigs(paths, summaries)
    block_bases: dict[str, list[int]] = {name: [] for name in contigs}
    grouper = HomologyGrouper(split.group_share, length_bp=split.block_bp)
    if split.by != "contig":
        for i, path in enumerate(paths):
            chunks = iter_chunks(path, chunk_bp=split.block_bp)
            for chunk in _counted(chunks, sum(summaries[i].contigs.values()), report(1, i)):
                gaps = chunk.sequence.count("N") + chunk.sequence.count("n")
                block_bases[chunk.contig].append(len(chunk.sequence) - gaps)
                if split.by == "group":
                    grouper.add(chunk.sequence)
    groups = iter(grouper.groups().tolist())
    block_groups = {name: list(islice(groups, len(blocks))) for name, blocks in block_bases.items()}
    assignment = assign(contigs, split, seed, block_bases, block_groups)
    with new_folder(output) as folder, contextlib.ExitStack() as stack:
        writers = {
            name: stack.enter_context(WindowWriter(folder, name, species, assembly, shard_windows))
            for name in SPLITS
        }
        dropped = dict.fromkeys(DROP_REASONS, 0)
        for i, path in enumerate(paths):
            chunks = iter_chunks(path, chunk_bp=windows.chunk_bp)
            chunks = _counted(chunks, sum(summaries[i].contigs.values()), report(passes - 1, i))
            for segment in segments(chunks, windows, seed):
                length = segment.end - segment.start
                if isinstance(segment, Dropped):
                    dropped[segment.reason] += length
                elif home := assignment.split_of(segment.contig, segment.start, segment.end):
                    writers[home].add(segment)
                else:
                    dropped["split_border"] += length
            if _stamp(path) != stamps[i]:
                raise CorpusError(f"{path}: the file changed while it was read: run again")
        splits = {name: writer.finish() for name, writer in writers.items()}
        num_bases = sum(found.num_bases for found in splits.values())
        assert num_bases + sum(dropped.values()) == sum(contigs.values()), "bases went missing"
        for name, found in splits.items():
            if not found.num_windows:
                raise CorpusError(_why_empty(name, dropped, windows, split))
        manifest = CorpusManifest(
            species=species,
            assembly=assembly,
            inputs=tuple(
                InputFile(path=str(path), sha256=summary.sha256, contigs=summary.contigs)
                for path, summary in zip(paths, summaries, strict=True)
            ),
            windows=windows,
            split=split,
            seed=seed,
            splits=splits,
            validation_contigs=assignment.validation_contigs,
            dropped_bases=dropped,
            corpus_sha256=_hash_of_hashes(writer.rows_sha256 for writer in writers.values()),
        )
        write_manifest(folder, manifest)
    return manifest


def _made_before(
    output: Path,
    paths: list[Path],
    windows: WindowConfig,
    split: SplitConfig,
    seed: int,
    species: str,
    assembly: str,
) -> CorpusManifest:
    """Return the manifest of a finished corpus, if it is the one that is asked for."""
    found = read_manifest(output, CorpusManifest)
    compared: dict[str, tuple[object, object]] = {
        "species": (found.species, species),
        "assembly": (found.assembly, assembly),
        "seed": (found.seed, seed),
        "number of FASTA files": (len(found.inputs), len(paths)),
    }
    for group, old, new in (("windows", found.windows, windows), ("split", found.split, split)):
        wanted = new.model_dump()
        for name, value in old.model_dump().items():
            compared[f"{group}.{name}"] = (value, wanted[name])
    if len(found.inputs) == len(paths):
        for record, path in zip(found.inputs, paths, strict=True):
            compared[f"SHA-256 of {path}"] = (record.sha256[:12], file_sha256(path)[:12])
    refuse_differences(output, compared)
    check_files(output, _records(found))
    logger.info("%s: the corpus is there already", output)
    return found


def _all_contigs(paths: list[Path], summaries: list[FastaSummary]) -> dict[str, int]:
    contigs: dict[str, int] = {}
    home: dict[str, Path] = {}
    for path, summary in zip(paths, summaries, strict=True):
        for name, length in summary.contigs.items():
            if name in home:
                raise CorpusError(
                    f"{path}: the contig name {name!r} is also in {home[name]}: rename one, or "
                    "prepare a corpus of each"
                )
            contigs[name], home[name] = length, path
    return contigs


def _report_in_bytes(
    progress: Progress | None, sizes: list[int], passes: int
) -> Callable[[int, int], Progress | None]:
    """Return what turns the progress of one pass over one file into that of the whole."""

    def of_pass(pass_index: int, file_index: int) -> Progress | None:
        if progress is None:
            return None
        before = pass_index * sum(sizes) + sum(sizes[:file_index])

        def report(done: int, total: int | None) -> None:
            share = done / total if total else 0.0
            progress(before + int(share * sizes[file_index]), passes * sum(sizes))

        return report

    return of_pass


def _counted(chunks: Iterator[Chunk], total: int, report: Progress | None) -> Iterator[Chunk]:
    """Pass chunks on, and report the bases that have been dealt with."""
    done = 0
    for chunk in chunks:
        yield chunk
        done += len(chunk.sequence)
        if report:
            report(done, total)


def _why_empty(
    name: str, dropped: dict[str, int], windows: WindowConfig, split: SplitConfig
) -> str:
    reasons = ", ".join(
        f"{bases:,} bp in {DROP_REASONS[reason]}" for reason, bases in dropped.items() if bases
    )
    advice = "hold out other contigs" if split.by == "contig" else "change split.block_bp or seed"
    return (
        f"{name}: expected windows of {windows.min_bp} to {windows.max_bp} bp, found none "
        f"(dropped: {reasons or 'nothing'}): {advice}, choose a smaller windows.min_bp, or give "
        "more sequence"
    )


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _hash_of_hashes(hashes: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _records(manifest: CorpusManifest) -> list[FileRecord]:
    return [shard for split in manifest.splits.values() for shard in split.shards]


class Corpus:
    """An open corpus.

    Attributes
    ----------
    path : Path
        Its folder.
    manifest : CorpusManifest
        What it holds and what it was made from.
    """

    def __init__(self, path: Path, manifest: CorpusManifest) -> None:
        self.path = path
        self.manifest = manifest

    def num_windows(self, split: str) -> int:
        """Return the number of windows in one split."""
        return self._split(split).num_windows

    def iter_sequences(
        self, split: str, start: int = 0, stop: int | None = None, step: int = 1
    ) -> Iterator[str]:
        """Yield the sequences of one split, in the order of the genome.

        Parameters
        ----------
        split : str
            "train" or "validation".
        start, stop, step : int
            Which windows, as in `range`; ``step=10`` gives every tenth. Row groups without one of
            them are not read.

        Yields
        ------
        str
            A sequence; case as in the FASTA file.
        """
        for columns in self._batches(split, ["sequence"], start, stop, step):
            yield from columns["sequence"]

    def iter_windows(
        self, split: str, start: int = 0, stop: int | None = None, step: int = 1
    ) -> Iterator[Window]:
        """Yield the windows of one split, in the order of the genome; see `iter_sequences`."""
        for columns in self._batches(split, list(Window._fields), start, stop, step):
            yield from map(Window._make, zip(*columns.values(), strict=True))

    def verify(self) -> None:
        """Read every file and compare it with its hash in the manifest.

        Raises
        ------
        StateError
            If a file is missing or is not what was written.
        """
        check_files(self.path, _records(self.manifest), contents=True)

    def _split(self, split: str) -> CorpusSplit:
        if split not in self.manifest.splits:
            found = ", ".join(self.manifest.splits)
            raise CorpusError(f"{self.path}: no split {split!r}; found {found}")
        return self.manifest.splits[split]

    def _batches(
        self, split: str, columns: list[str], start: int, stop: int | None, step: int
    ) -> Iterator[dict[str, list[Any]]]:
        found = self._split(split)
        if start < 0 or step < 1 or (stop is not None and stop < 0):
            raise CorpusError(
                f"windows {start} to {stop} in steps of {step}: expected start and stop of at "
                "least 0 and a step of at least 1"
            )
        end = found.num_windows if stop is None else min(stop, found.num_windows)
        return read_windows(self.path, found, columns, range(start, end, step))


def open_corpus(path: str | Path) -> Corpus:
    """Open a corpus for reading.

    Parameters
    ----------
    path : path
        The folder that `prepare_corpus` wrote.

    Returns
    -------
    Corpus
        The corpus; its files are present and of the size that the manifest says.

    Raises
    ------
    StateError
        If the folder is not a corpus that this version can read, or is damaged.
    """
    folder = Path(path).resolve()
    manifest = read_manifest(folder, CorpusManifest)
    check_files(folder, _records(manifest))
    return Corpus(folder, manifest)
