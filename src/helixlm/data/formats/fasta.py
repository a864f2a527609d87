"""Genomes from FASTA files: streamed in chunks, scanned once, or fetched by position.

In: a path to a plain, gzip or bgzip file. Out: `iter_chunks` gives the sequence in the order of
the file in constant memory; `scan_fasta` reads a file once and says what is in it, or what is
wrong with it; `FastaFile` (from `fasta_index.py`) fetches stretches. All of them keep the case of
the letters, know IUPAC's letters for DNA, and raise `FastaError` for anything else.

A file passes through `fasta_bytes.py` (unpacking) and `fasta_stream.py` (structure); what a chunk
means for training is left to `windows`.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.formats.fasta_bytes import FastaError, Progress, iter_blocks
from helixlm.data.formats.fasta_stream import LEGAL, iter_parts

__all__ = ["Chunk", "FastaError", "FastaSummary", "iter_chunks", "scan_fasta"]

_COUNTED_AT_ONCE = 1 << 18  # bytes


class Chunk(NamedTuple):
    """A stretch of a contig; chunks of a contig follow each other without gap or overlap."""

    contig: str
    start: int
    """0-based position of the first letter, a multiple of the chunk size."""
    sequence: str
    """IUPAC letters in the case of the file."""
    last: bool
    """Whether the contig ends here."""


def iter_chunks(path: str | Path, chunk_bp: int = 1_000_000) -> Iterator[Chunk]:
    """Stream a FASTA file, plain, gzip or bgzip.

    The file is checked as it is read, so an error may come after good chunks; `scan_fasta` checks
    all of it beforehand. Memory is a few times `chunk_bp`, however long a line is.

    Parameters
    ----------
    path : path
        The file.
    chunk_bp : int
        Letters of a chunk, bp; the last chunk of a contig may be shorter.

    Yields
    ------
    Chunk
        Chunk k of a contig begins at ``k * chunk_bp``; contigs in the order of the file.

    Raises
    ------
    FastaError
        If the file is missing, damaged, not FASTA, or holds a letter that is not IUPAC's.
    ValueError
        If `chunk_bp` is not positive.
    """
    path = Path(path)
    if chunk_bp <= 0:
        raise ValueError(f"chunk_bp {chunk_bp}: expected at least 1")
    contig, start, waiting = None, 0, bytearray()
    for part in iter_parts(path, iter_blocks(path)):
        if part.contig != contig:
            if contig is not None:
                yield Chunk(contig, start, waiting.decode("ascii"), True)
            contig, start, waiting = part.contig, 0, bytearray()
        waiting += part.body.replace(b"\n", b"")
        # A full chunk waits for one more letter: until then it may be the last.
        while len(waiting) > chunk_bp:
            yield Chunk(contig, start, waiting[:chunk_bp].decode("ascii"), False)
            del waiting[:chunk_bp]
            start += chunk_bp
    assert contig is not None, "a file without records passed the parser"
    yield Chunk(contig, start, waiting.decode("ascii"), True)


@dataclass(frozen=True)
class FastaSummary:
    """What a FASTA file holds."""

    path: Path
    sha256: str
    """Of the bytes of the file as it is stored, hexadecimal."""
    contigs: dict[str, int]
    """Lengths in bp, in the order of the file."""
    letters: dict[str, int]
    """How often each letter occurs, upper and lower case apart; letters that do not are absent."""

    @property
    def num_bases(self) -> int:
        """All letters, N included, bp."""
        return sum(self.contigs.values())

    @property
    def softmask_fraction(self) -> float:
        """Share of letters in lower case, 0 to 1."""
        return sum(n for letter, n in self.letters.items() if letter.islower()) / self.num_bases


def scan_fasta(path: str | Path, progress: Progress | None = None) -> FastaSummary:
    """Read a FASTA file once, check all of it, and say what it holds.

    Parameters
    ----------
    path : path
        The file, plain, gzip or bgzip.
    progress : callable, optional
        Called as ``progress(done, total)`` in bytes of the file as it is stored.

    Returns
    -------
    FastaSummary
        Hash, contigs and letters.

    Raises
    ------
    FastaError
        If the file is missing, empty, damaged, not FASTA, has a record without name or sequence
        or two of the same name, or holds a letter that is not IUPAC's.
    """
    path = Path(path)
    digest = hashlib.sha256()
    contigs: dict[str, int] = {}
    counts = np.zeros(256, dtype=np.int64)
    waiting = bytearray()  # short records are counted together
    for part in iter_parts(path, iter_blocks(path, digest=digest, progress=progress)):
        contigs[part.contig] = contigs.get(part.contig, 0) + part.num_letters
        waiting += part.body
        if len(waiting) >= _COUNTED_AT_ONCE:
            counts += _count_bytes(waiting)
            waiting.clear()
    counts += _count_bytes(waiting)
    letters = {chr(byte): int(counts[byte]) for byte in LEGAL if counts[byte]}
    return FastaSummary(path, digest.hexdigest(), contigs, letters)


def _count_bytes(data: bytearray) -> NDArray[np.int64]:
    """Return how often each byte occurs, int64, shape (256,)."""
    # Counting pairs halves the work of numpy, which counts one 64-bit number at a time.
    pairs = np.bincount(np.frombuffer(data, np.uint16, len(data) // 2), minlength=1 << 16)
    counts: NDArray[np.int64] = pairs.reshape(256, 256).sum(axis=0)
    counts += pairs.reshape(256, 256).sum(axis=1)
    if len(data) % 2:
        counts[data[-1]] += 1
    return counts
