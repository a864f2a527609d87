"""A genome as memory-mapped letters: any stretch of any contig, at the speed of memory.

In: FASTA files (plain, gzip, bgzip) and 2bit files, or records of any kind. Out: a folder with
`letters.bin`, the letters of all contigs one after the other, one ASCII byte a base and nothing
between them, case kept; and a `manifest.json` with the sources, their hashes, and the contigs with
their lengths in the order of the file, from which the places in `letters.bin` follow. Each source
is read once, in a stream, so memory does not grow with the genome: 60 MB with all modules, and
about 220 Mbp a second of one core's time from plain FASTA, 110 to 130 from gzip. The folder appears
whole or not at all.

An open `Genome` costs no memory but the pages that are touched, shares them with all processes of
the machine, and can be sent to worker processes: only its path travels.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

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
from helixlm.data.formats.fasta_bytes import Digest, Progress, iter_blocks
from helixlm.data.formats.fasta_stream import LEGAL, Part, iter_parts
from helixlm.data.formats.twobit import is_twobit, iter_twobit
from helixlm.errors import InputError, StateError
from helixlm.seq.contigs import missing_contig
from helixlm.version import __version__

LETTERS = "letters.bin"
_WRITTEN_AT_ONCE = 1 << 20  # bytes


class GenomeError(InputError):
    """Files that make no genome, or a stretch that a genome does not have."""


class GenomeSource(BaseModel, frozen=True, extra="forbid"):
    """One file that a genome was made from."""

    path: str
    sha256: str
    """Of the bytes of the file as it is stored; of records, of their letters, a line for each."""
    contigs: dict[str, int]
    """Lengths in bp, in the order of the file."""
    letters: dict[str, int]
    """How often each letter occurs, upper and lower case apart; letters that do not are absent."""


class GenomeManifest(Manifest):
    """What a genome holds and what it was made from."""

    format: str = "helixlm genome"
    format_version: int = 1
    helixlm_version: str = __version__
    sources: tuple[GenomeSource, ...]
    letters: FileRecord


class Genome:
    """An open genome.

    Parameters
    ----------
    path : Path
        Its folder.
    manifest : GenomeManifest
        What it holds; `open_genome` reads and checks it.

    Attributes
    ----------
    path : Path
        Its folder.
    manifest : GenomeManifest
        What it holds and what it was made from.
    contigs : Mapping of str to int
        Lengths in bp, in the order of the files.
    """

    def __init__(self, path: Path, manifest: GenomeManifest) -> None:
        self.path = path
        self.manifest = manifest
        self.contigs: Mapping[str, int] = {
            name: length for source in manifest.sources for name, length in source.contigs.items()
        }
        ends = np.cumsum(list(self.contigs.values())).tolist()
        self._starts = dict(zip(self.contigs, [0, *ends], strict=False))
        self._map: NDArray[np.uint8] | None = np.memmap(path / LETTERS, np.uint8, "r")

    @classmethod
    def from_fasta(
        cls,
        paths: Sequence[str | Path],
        folder: str | Path,
        progress: Progress | None = None,
    ) -> "Genome":
        """Write a genome from FASTA or 2bit files, and open it.

        If the folder is there already and was made from the same files, it is opened.

        Parameters
        ----------
        paths : sequence of path
            FASTA files, plain, gzip or bgzip, or 2bit files; their contents tell. Contig names
            are unique over all of them.
        folder : path
            The folder to write. It takes one byte a base.
        progress : callable, optional
            Called as ``progress(done, total)`` in bytes of all files as they are stored.

        Returns
        -------
        Genome
            The open genome.

        Raises
        ------
        FastaError
            If a file is missing or is not sound FASTA.
        TwoBitError
            If a file is not sound 2bit.
        GenomeError
            If there is no file, or if two of them hold a contig of the same name.
        StateError
            If the folder exists and was made otherwise, or the disk is full.
        """
        files, folder = [Path(path) for path in paths], Path(folder)
        if not files:
            raise GenomeError("paths: expected at least one FASTA or 2bit file, found none")
        if (folder / MANIFEST).exists():
            _refuse_others(folder, files)
        else:
            refuse_existing(folder)
            _write_genome(files, folder, progress)
        return open_genome(folder)

    @classmethod
    def from_records(
        cls, parts: Iterable[tuple[str, Iterable[tuple[str, str]]]], folder: str | Path
    ) -> "Genome":
        """Write a genome whose contigs are records, such as coding sequences, and open it.

        Memory: one record, and the names.

        Parameters
        ----------
        parts : iterable of (source, records)
            Where records are from, such as the path of a file, and their names and letters: IUPAC's
            in either case, which whoever reads them has checked. Each is iterated over once, before
            the next is asked for. Names are unique over all of them.
        folder : path
            The folder to write. It takes one byte a base.

        Returns
        -------
        Genome
            The open genome.

        Raises
        ------
        GenomeError
            If there is no record, if one has no letter, or if two have the same name.
        StateError
            If the folder exists, or the disk is full.
        """
        _write_records(parts, Path(folder))
        return open_genome(folder)

    def letters(self, contig: str) -> NDArray[np.uint8]:
        """Return a contig.

        Parameters
        ----------
        contig : str
            Its name.

        Returns
        -------
        NDArray, uint8, shape (length of the contig,)
            ASCII letters in the case of the file, forward strand: a view of the map, which
            cannot be written to and stays valid after `close`.

        Raises
        ------
        GenomeError
            If there is no such contig.
        StateError
            If the genome is closed.
        """
        if contig not in self.contigs:
            raise GenomeError(f"{self.path}: {missing_contig(contig, self.contigs)}")
        if self._map is None:
            raise StateError(f"{self.path}: the genome is closed: open it again")
        start = self._starts[contig]
        return np.asarray(self._map[start : start + self.contigs[contig]])

    def sequence(self, contig: str, start: int, end: int) -> str:
        """Return a stretch of a contig as text.

        Parameters
        ----------
        contig : str
            Its name.
        start, end : int
            0-based, half-open, forward strand.

        Returns
        -------
        str
            Exactly ``end - start`` IUPAC letters, in the case of the file.

        Raises
        ------
        GenomeError
            If there is no such contig, or the stretch does not lie in it.
        StateError
            If the genome is closed.
        """
        letters = self.letters(contig)
        if not 0 <= start <= end <= len(letters):
            raise GenomeError(
                f"{self.path}: {contig}:{start}-{end}: expected 0 <= start <= end <= "
                f"{len(letters)}, the length of the contig"
            )
        return letters[start:end].tobytes().decode("ascii")

    def close(self) -> None:
        """Let go of the map; arrays that were given out stay valid."""
        self._map = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[Path], "Genome"], tuple[Path]]:
        return open_genome, (self.path,)


def open_genome(folder: str | Path) -> Genome:
    """Open a genome that `Genome.from_fasta` or `Genome.from_records` wrote.

    Parameters
    ----------
    folder : path
        Its folder.

    Returns
    -------
    Genome
        The genome; its file is there and of the size that the manifest says.

    Raises
    ------
    StateError
        If the folder is not a genome that this version can read, or is damaged.
    """
    path = Path(folder).resolve()
    manifest = read_manifest(path, GenomeManifest)
    check_files(path, [manifest.letters])
    return Genome(path, manifest)


def _refuse_others(folder: Path, files: list[Path]) -> None:
    """Raise StateError if a finished genome was made from other files."""
    found = read_manifest(folder, GenomeManifest).sources
    compared: dict[str, tuple[object, object]] = {"number of files": (len(found), len(files))}
    if len(found) == len(files):
        for source, path in zip(found, files, strict=True):
            # A file that is missing has no hash; reading it says what is wrong.
            wanted = file_sha256(path) if path.is_file() else "no such file"
            compared[f"SHA-256 of {path}"] = (source.sha256[:12], wanted[:12])
    refuse_differences(folder, compared)


def _write_genome(files: list[Path], folder: Path, progress: Progress | None) -> None:
    sizes = [path.stat().st_size if path.is_file() else 0 for path in files]
    home: dict[str, Path] = {}
    with new_folder(folder) as partial:
        with (partial / LETTERS).open("wb") as stream:
            output = _LettersFile(stream)
            sources = []
            for i, path in enumerate(files):
                report = _report_in_all(progress, sum(sizes[:i]), sum(sizes))
                sources.append(_append(path, output, home, report))
        record = FileRecord(file=LETTERS, bytes=output.bytes, sha256=output.digest.hexdigest())
        write_manifest(partial, GenomeManifest(sources=tuple(sources), letters=record))


def _write_records(parts: Iterable[tuple[str, Iterable[tuple[str, str]]]], folder: Path) -> None:
    home: dict[str, str] = {}
    with new_folder(folder) as partial:
        with (partial / LETTERS).open("wb") as stream:
            output = _LettersFile(stream)
            sources = [_append_records(path, records, output, home) for path, records in parts]
        if not home:
            raise GenomeError(f"{folder}: expected at least one record, found none")
        record = FileRecord(file=LETTERS, bytes=output.bytes, sha256=output.digest.hexdigest())
        write_manifest(partial, GenomeManifest(sources=tuple(sources), letters=record))


class _LettersFile:
    """The file of letters while it is written, its size and its hash."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.bytes = 0
        self.digest = hashlib.sha256()

    def write(self, letters: bytes | bytearray) -> None:
        self.stream.write(letters)
        self.digest.update(letters)
        self.bytes += len(letters)


def _append(
    path: Path, output: _LettersFile, home: dict[str, Path], progress: Progress | None
) -> GenomeSource:
    """Append the letters of one file; `home` has the file of each contig so far."""
    digest = hashlib.sha256()
    contigs: dict[str, int] = {}
    counts = np.zeros(256, dtype=np.int64)
    waiting = bytearray()  # short records are written together
    for part in _parts(path, digest, progress):
        if part.contig not in contigs:
            if part.contig in home:
                raise GenomeError(
                    f"{path}: the contig name {part.contig!r} is also in {home[part.contig]}: "
                    "rename one, or make a genome of each"
                )
            contigs[part.contig], home[part.contig] = 0, path
        contigs[part.contig] += part.num_letters
        waiting += part.body
        if len(waiting) >= _WRITTEN_AT_ONCE:
            counts += _write_and_count(waiting, output)
            waiting.clear()
    counts += _write_and_count(waiting, output)
    return GenomeSource(
        path=str(path),
        sha256=digest.hexdigest(),
        contigs=contigs,
        letters={chr(byte): int(counts[byte]) for byte in LEGAL if counts[byte]},
    )


def _append_records(
    path: str, records: Iterable[tuple[str, str]], output: _LettersFile, home: dict[str, str]
) -> GenomeSource:
    """Append the letters of records; `home` has where each so far is from."""
    digest = hashlib.sha256()
    contigs: dict[str, int] = {}
    counts = np.zeros(256, dtype=np.int64)
    waiting = bytearray()
    for name, sequence in records:
        if name in home:
            raise GenomeError(
                f"{path}: the record name {name!r} is also in {home[name]}: rename one, or give "
                "each as a genome of its own"
            )
        if not sequence:
            raise GenomeError(f"{path}: record {name!r} has no letter, expected at least one")
        contigs[name], home[name] = len(sequence), path
        waiting += sequence.encode("ascii") + b"\n"
        if len(waiting) >= _WRITTEN_AT_ONCE:
            digest.update(waiting)
            counts += _write_and_count(waiting, output)
            waiting.clear()
    digest.update(waiting)
    counts += _write_and_count(waiting, output)
    letters = {chr(byte): int(counts[byte]) for byte in LEGAL if counts[byte]}
    assert sum(letters.values()) == sum(contigs.values()), "letters that no reader has checked"
    return GenomeSource(path=path, sha256=digest.hexdigest(), contigs=contigs, letters=letters)


def _parts(path: Path, digest: Digest, progress: Progress | None) -> Iterator[Part]:
    if is_twobit(path):
        return iter_twobit(path, digest=digest, progress=progress)
    return iter_parts(path, iter_blocks(path, digest=digest, progress=progress))


def _write_and_count(lines: bytearray, output: _LettersFile) -> NDArray[np.int64]:
    """Write the letters of some lines; return how often each occurs, int64, shape (256,)."""
    letters = lines.replace(b"\n", b"")
    output.write(letters)
    return np.bincount(np.frombuffer(letters, np.uint8), minlength=256)


def _report_in_all(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Return what turns the progress in one file into that in all of them."""
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)
