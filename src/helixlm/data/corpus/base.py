"""The corpus: every window of some genomes with its coordinates, as Parquet shards.

A folder with `train/00000.parquet` and on, `validation/00000.parquet` and on, and a `manifest.json`
that names the inputs, the settings, the counts and the bases that were dropped, by reason. One row
is one window; the files load with ``datasets.load_dataset("parquet", data_files=...)`` and with
anything else that reads Parquet. How it is made is said in `prepare.py`; tokens come later, in
`store.py`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from helixlm.data.corpus.coverage import ContigCoverage
from helixlm.data.corpus.rows import VariantConfig
from helixlm.data.corpus.tally import Tally
from helixlm.data.corpus.weights import WeightConfig
from helixlm.data.corpus.window_files import CorpusSplit, read_windows
from helixlm.data.folder import FileRecord, Manifest, check_files, read_manifest
from helixlm.data.repeats import RepeatSummary
from helixlm.data.similarity.duplicates import DuplicateConfig
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import Window, WindowConfig
from helixlm.errors import InputError
from helixlm.version import __version__


class CorpusError(InputError):
    """Inputs that make no corpus, or a request that a corpus cannot serve."""


class InputFile(BaseModel, frozen=True, extra="forbid"):
    """One file of sequence that a corpus was made from, or one dataset."""

    path: str
    """Or the name of a dataset on the hub."""
    sha256: str
    """Of the bytes of the file, compressed if it is; of a folder, of a line with name and hash for
    each file in it; of a dataset on the hub, of the sequences that were read, a line for each."""
    contigs: dict[str, int]
    """Lengths in bp, in the order of the file; empty where the file holds records."""
    num_contigs: int
    """Number of contigs, or of records."""
    num_bases: int
    """All letters, bp."""


class OtherFile(BaseModel, frozen=True, extra="forbid"):
    """A file of genotypes, annotation, intervals or weights."""

    kind: str
    """The field of `Source` that named it: what it was used for."""
    path: str
    sha256: str


class CorpusSource(BaseModel, frozen=True, extra="forbid"):
    """One genome, and what became of it."""

    kind: Literal["fasta", "cds", "dataset"]
    """A genome; or records: coding sequences, or a column of a dataset."""
    column: str | None
    """Of a dataset, as it was asked for."""
    dataset_split: str
    """Of a dataset."""
    species: str
    assembly: str
    group: str
    weight: float
    """As asked for."""
    balance: float
    """What its weight was multiplied by, for its size (`weights.species_exponent`)."""
    num_bases: int
    """Letters of its files of sequence other than N: its size."""
    windows: WindowConfig | None
    """How it was cut, if not as the others."""
    inputs: tuple[InputFile, ...]
    others: tuple[OtherFile, ...]
    tallies: dict[str, Tally]
    """By split; what was dropped stands in "train", and duplicates in the split that lost them."""

    @property
    def files(self) -> tuple[InputFile | OtherFile, ...]:
        """All files."""
        return (*self.inputs, *self.others)


class CorpusManifest(Manifest):
    """What a corpus holds and what it was made from."""

    format: str = "helixlm corpus"
    format_version: int = 3
    helixlm_version: str = __version__
    sources: tuple[CorpusSource, ...]
    windows: WindowConfig
    weights: WeightConfig
    variants: VariantConfig
    duplicates: DuplicateConfig | None
    """What was left out for repeating another window; null: nothing."""
    split: SplitConfig
    seed: int
    splits: dict[str, CorpusSplit]
    validation_contigs: tuple[str, ...]
    """Contigs that are held out as a whole; of several genomes as ``species:contig``."""
    dropped_bases: dict[str, int]
    """Bases in no window, by reason; of windows that are left out (`windows.LOST_WINDOWS`) all that
    they span, also where others overlap them. `windows.DROP_REASONS` has the reasons in words."""
    coverage: tuple[ContigCoverage, ...]
    """What became of the bases along the largest contigs."""
    repeats: RepeatSummary | None
    """What was chosen by windows of the kind ``repeatfree``, before windows were left out for
    lying on the border of a split, as duplicates or by weight; null for other kinds."""
    corpus_sha256: str
    """Hash of all rows in order, whatever wrote the Parquet files."""

    @property
    def inputs(self) -> tuple[InputFile, ...]:
        """Files of sequence of all genomes."""
        return tuple(file for source in self.sources for file in source.inputs)

    @property
    def species(self) -> str:
        """Names of the species, joined."""
        return ", ".join(source.species for source in self.sources if source.species)

    @property
    def assembly(self) -> str:
        """Names of the assemblies, joined."""
        return ", ".join(source.assembly for source in self.sources if source.assembly)

    @property
    def files(self) -> list[FileRecord]:
        """All data files."""
        return [shard for split in self.splits.values() for shard in split.shards]


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

    @property
    def contigs(self) -> dict[str, int]:
        """Lengths of the contigs of its genomes, bp, by the names in `iter_windows`."""
        sources = self.manifest.sources
        return {
            f"{source.species}:{name}" if len(sources) > 1 else name: length
            for source in sources
            for file in source.inputs
            for name, length in file.contigs.items()
        }

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
        """Yield the windows of one split, in the order of the genome; see `iter_sequences`.

        In a corpus of several genomes their contigs are named ``species:contig``.
        """
        fields = list(Window._fields)
        if len(self.manifest.sources) > 1:
            for columns in self._batches(split, [*fields, "species"], start, stop, step):
                species = columns.pop("species")
                pairs = zip(species, columns["contig"], strict=True)
                columns["contig"] = [f"{name}:{contig}" for name, contig in pairs]
                yield from map(Window._make, zip(*columns.values(), strict=True))
            return
        for columns in self._batches(split, fields, start, stop, step):
            yield from map(Window._make, zip(*columns.values(), strict=True))

    def species_of_windows(self, split: str) -> NDArray[np.int32]:
        """Return the number of the species of each window, in the order of first windows.

        Returns
        -------
        ndarray, int32, shape (num_windows,)
        """
        numbers: dict[str, int] = {}
        parts = [
            np.array([numbers.setdefault(x, len(numbers)) for x in columns["species"]], np.int32)
            for columns in self._batches(split, ["species"], 0, None, 1)
        ]
        return np.concatenate([*parts, np.zeros(0, np.int32)])

    def verify(self) -> None:
        """Read every file and compare it with its hash in the manifest.

        Raises
        ------
        StateError
            If a file is missing or is not what was written.
        """
        check_files(self.path, self.manifest.files, contents=True)

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
    check_files(folder, manifest.files)
    return Corpus(folder, manifest)
