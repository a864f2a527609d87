"""Random access to FASTA files through an index, by htslib.

In: a path to a plain or bgzip file. Out: `FastaFile`, which fetches any stretch without reading
what lies before it. The index is samtools' (`.fai`, and `.gzi` for bgzip): one that lies beside the
file and is not older is used; otherwise the file is checked and one is made, beside the file, or in
a cache folder where that cannot be written. Plain gzip has no random access: stream it with
`fasta.iter_chunks`, or pack it again with bgzip.
"""

import contextlib
import difflib
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pysam

from helixlm.data.formats.fasta import scan_fasta
from helixlm.data.formats.fasta_bytes import FastaError, Progress, packing_of
from helixlm.data.formats.fasta_stream import LEGAL
from helixlm.errors import StateError

logger = logging.getLogger(__name__)


class FastaFile:
    """An open FASTA file that gives any stretch of its contigs.

    Parameters
    ----------
    path : path
        The file, plain or bgzip.
    cache : path, optional
        Folder for an index that cannot be written beside the file; `default_cache()` if not
        given.
    progress : callable, optional
        Called as ``progress(done, total)`` in bytes while a file without index is read.

    Attributes
    ----------
    path : Path
        The file.
    contigs : dict of str to int
        Lengths in bp, in the order of the file.

    Raises
    ------
    FastaError
        If the file is missing, damaged, not FASTA, packed with plain gzip, or not laid out so
        that it can be indexed.
    StateError
        If no index can be written.

    Examples
    --------
    >>> with FastaFile("genome.fa") as genome:  # doctest: +SKIP
    ...     genome.fetch("chr1", 1_000_000, 1_000_020)
    """

    def __init__(
        self,
        path: str | Path,
        *,
        cache: str | Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.path = Path(path)
        if self.path.exists() and not (self.path.is_file() or self.path.is_dir()):
            raise FastaError(f"{self.path}: is a pipe or a device, expected a file on disk")
        packing = packing_of(self.path)
        if packing == "gzip":
            raise FastaError(
                f"{self.path}: packed with gzip, in which nothing can be found by position: pack "
                f"it again with bgzip (gunzip -c FILE | bgzip > NEW), or unpack it"
            )
        suffixes = (".fai", ".gzi") if packing == "bgzip" else (".fai",)
        self._index = _find_index(self.path, suffixes, cache) or _make_index(
            self.path, suffixes, cache, progress
        )
        self._file = self._open()
        lengths = zip(self._file.references, self._file.lengths, strict=True)
        self.contigs: dict[str, int] = dict(lengths)

    def fetch(self, contig: str, start: int = 0, end: int | None = None) -> str:
        """Return a stretch of a contig.

        Parameters
        ----------
        contig : str
            Its name.
        start, end : int
            0-based, half-open, forward strand; the whole contig if not given.

        Returns
        -------
        str
            Exactly ``end - start`` IUPAC letters, in the case of the file.

        Raises
        ------
        FastaError
            If there is no such contig, the stretch does not lie in it, or the file holds there
            what it should not.
        """
        if contig not in self.contigs:
            raise FastaError(f"{self.path}: no contig {contig!r}{self._suggestion(contig)}")
        length = self.contigs[contig]
        end = length if end is None else end
        if not 0 <= start <= end <= length:
            raise FastaError(
                f"{self.path}: {contig}:{start}-{end}: expected 0 <= start <= end <= {length}, the "
                f"length of the contig"
            )
        if start == end:
            return ""
        try:
            with _quiet_htslib():
                sequence: str = self._file.fetch(contig, start, end)
        except (ValueError, OSError, KeyError) as error:
            raise self._misfit(contig, start, end, "nothing that can be read") from error
        wrong = sequence.encode("latin-1", "replace").translate(None, LEGAL)
        if wrong or len(sequence) != end - start:
            found = repr(chr(wrong[0])) if wrong else f"{len(sequence)} letters"
            raise self._misfit(contig, start, end, found)
        return sequence

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _open(self) -> pysam.FastaFile:
        try:
            with _quiet_htslib():
                return pysam.FastaFile(str(self.path), *map(str, self._index))
        except (ValueError, OSError) as error:
            raise FastaError(
                f"{self.path}: cannot be opened with the index {self._index[0]}: remove the "
                f"index, a new one will be made"
            ) from error

    def _misfit(self, contig: str, start: int, end: int, found: str) -> FastaError:
        names = " and ".join(map(str, self._index))
        return FastaError(
            f"{self.path}: {contig}:{start}-{end}: found {found}, expected {end - start} letters "
            f"of DNA: the file is damaged, or was changed after its index was made: check the "
            f"file, and remove {names}"
        )

    def _suggestion(self, contig: str) -> str:
        """Name the contigs there are, first the one that was probably meant."""
        swapped = contig.removeprefix("chr") if contig.startswith("chr") else f"chr{contig}"
        if swapped in self.contigs:
            return f": found {swapped!r}; use the names of this file"
        near = difflib.get_close_matches(contig, self.contigs, n=3)
        names = near or list(self.contigs)[:3]
        more = " and others" if len(self.contigs) > len(names) else ""
        return f": found {', '.join(map(repr, names))}{more}"


def default_cache() -> Path:
    """Return the folder for files that can be made again.

    The environment decides: ``HELIXLM_CACHE``, else ``helixlm`` in ``XDG_CACHE_HOME``, else
    ``~/.cache/helixlm``.
    """
    if named := os.environ.get("HELIXLM_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "helixlm"


def _homes(path: Path, cache: str | Path | None) -> list[Path]:
    """Return where an index may lie, each a path that takes ".fai" or ".gzi" at its end."""
    status = path.stat()
    # In the cache, another version of the file has another index.
    stamp = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
    key = hashlib.sha256(stamp.encode()).hexdigest()[:32]
    folder = Path(cache) if cache is not None else default_cache()
    return [path, folder / "fasta-index" / f"{key}-{path.name}"]


def _find_index(
    path: Path, suffixes: tuple[str, ...], cache: str | Path | None
) -> tuple[Path, ...]:
    """Return the files of an index that is not older than the FASTA file, or nothing."""
    changed = path.stat().st_mtime_ns
    for home in _homes(path, cache):
        files = tuple(home.with_name(home.name + suffix) for suffix in suffixes)
        if all(file.is_file() and file.stat().st_mtime_ns >= changed for file in files):
            return files
    return ()


def _make_index(
    path: Path, suffixes: tuple[str, ...], cache: str | Path | None, progress: Progress | None
) -> tuple[Path, ...]:
    """Check a FASTA file and write its index, whole or not at all."""
    contigs = scan_fasta(path, progress).contigs
    reason = ""
    for home in _homes(path, cache):
        files = tuple(home.with_name(home.name + suffix) for suffix in suffixes)
        try:
            home.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".fasta-index-", dir=home.parent) as folder:
                made = [Path(folder) / f"new{suffix}" for suffix in suffixes]
                _run_faidx(path, made, contigs)
                # The .fai comes last: with it the index is complete.
                for new, file in reversed(list(zip(made, files, strict=True))):
                    new.replace(file)
        except OSError as error:
            reason = f"{home.parent}: {error.strerror or error}"
            logger.info("%s: no index here: %s", path, reason)
        else:
            logger.info("%s: wrote the index %s", path, files[0])
            return files
    raise StateError(
        f"{path}: its index cannot be written beside it or in the cache ({reason}): make room, or "
        f"name a folder that can be written with HELIXLM_CACHE"
    )


def _run_faidx(path: Path, made: list[Path], contigs: dict[str, int]) -> None:
    """Have samtools write an index, and compare it with what the file holds."""
    options = ["--fai-idx", str(made[0])]
    if len(made) > 1:
        options += ["--gzi-idx", str(made[1])]
    try:
        with _quiet_htslib():
            pysam.faidx(*options, str(path))
        rows = [line.split("\t") for line in made[0].read_text("utf-8").splitlines()]
        found = {row[0]: int(row[1]) for row in rows}
    except pysam.SamtoolsError as error:
        _check_room(made[0].parent)
        raise _not_indexable(path, "samtools refuses it") from error
    if found != contigs:
        wrong = next((name for name in contigs if found.get(name) != contigs[name]), "")
        raise _not_indexable(path, f"samtools reads record {wrong!r} differently")


def _check_room(folder: Path) -> None:
    """Raise OSError if a folder cannot be written, because samtools does not say."""
    with (folder / "room").open("wb") as stream:
        stream.write(bytes(1 << 16))
        stream.flush()
        os.fsync(stream.fileno())


@contextlib.contextmanager
def _quiet_htslib() -> Iterator[None]:
    """Keep htslib from writing to stderr what is raised as an error."""
    level = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(level)


def _not_indexable(path: Path, why: str) -> FastaError:
    return FastaError(
        f"{path}: cannot be indexed ({why}): expected the lines of a record to be of one length, "
        f"and no comments, byte-order mark, blank lines or old Mac line ends: write it anew, for "
        f"example with `seqkit seq -w 60`"
    )
