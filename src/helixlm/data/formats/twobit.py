"""Genomes in UCSC's 2bit format: four bases in a byte, with the places of N and of lower case.

In: a path. Out: the letters in parts, as `fasta_stream.iter_parts` gives them, so that what reads
FASTA reads 2bit too. N runs and the soft mask are restored; other IUPAC letters do not exist in
the format, whose writers turn them into N.

The reader is our own: it is smaller than what binds a C library, and a file that is damaged gives
an error and not a crash. Both byte orders and both versions (offsets of 32 and of 64 bits) are
read. The file is mapped, and a million bases are unpacked at a time.

References
----------
UCSC, https://genome.ucsc.edu/FAQ/FAQformat.html#format7.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.formats.fasta_bytes import Digest, Progress
from helixlm.data.formats.fasta_stream import Part
from helixlm.errors import InputError

PART_BP = 1 << 20
"""Most letters of a part; a multiple of the four bases of a byte."""

_SIGNATURE = 0x1A412743
_BASES = np.frombuffer(b"TCAG", np.uint8)  # the codes 0 to 3
# The first base of a byte is in its highest two bits.
_LETTERS_OF_BYTE = _BASES[(np.arange(256)[:, None] >> np.array([6, 4, 2, 0])) & 3]
_LOWER_CASE = 0x20
_HASHED_AT_ONCE = 1 << 24


class TwoBitError(InputError):
    """A 2bit file that cannot be read."""


class _Record(NamedTuple):
    """Where one sequence lies in the file."""

    name: str
    num_bases: int
    gaps: tuple[NDArray[np.int64], NDArray[np.int64]]
    """Starts and ends of the runs of N, ascending."""
    masked: tuple[NDArray[np.int64], NDArray[np.int64]]
    """Starts and ends of the runs in lower case, ascending."""
    position: int
    """Of the packed bases, in bytes from the start of the file."""
    packed: NDArray[np.uint8]


def is_twobit(path: str | Path) -> bool:
    """Say whether a file begins as 2bit files do; what is no file, such as a pipe, does not."""
    if not Path(path).is_file():
        return False
    try:
        with Path(path).open("rb") as stream:
            magic = stream.read(4)
    except OSError:
        return False
    return magic in (_SIGNATURE.to_bytes(4, "little"), _SIGNATURE.to_bytes(4, "big"))


def iter_twobit(
    path: str | Path, *, digest: Digest | None = None, progress: Progress | None = None
) -> Iterator[Part]:
    """Stream the sequences of a 2bit file.

    Parameters
    ----------
    path : path
        The file.
    digest : Digest, optional
        Is given every byte of the file, before the first part.
    progress : callable, optional
        Called as ``progress(done, total)`` in bytes of the file.

    Yields
    ------
    Part
        A, C, G, T and N in either case, at most `PART_BP` of them; sequences in the order of the
        file's index.

    Raises
    ------
    TwoBitError
        If the file is missing, is not 2bit, is cut short or damaged, holds no sequence, an empty
        one, or two of the same name.
    """
    path = Path(path)
    if not path.is_file():
        instead = "a folder" if path.is_dir() else "nothing there"
        raise TwoBitError(f"{path}: expected a 2bit file, found {instead}")
    if not is_twobit(path):
        raise TwoBitError(f"{path}: not a 2bit file: its first four bytes are not 2bit's signature")
    data = np.memmap(path, np.uint8, "r")
    if digest is not None:
        for start in range(0, len(data), _HASHED_AT_ONCE):
            digest.update(data[start : start + _HASHED_AT_ONCE].tobytes())
    for name, offset in _read_index(path, data).items():
        record = _read_record(path, data, name, offset)
        for start in range(0, record.num_bases, PART_BP):
            end = min(start + PART_BP, record.num_bases)
            yield Part(name, _unpack(record, start, end).tobytes(), end - start)
            if progress:
                progress(record.position + _num_bytes(end), len(data))


class _Cursor:
    """Reads numbers and bytes of a mapped file, one after the other."""

    def __init__(self, path: Path, data: NDArray[np.uint8], position: int) -> None:
        self.path = path
        self.data = data
        self.position = position
        swapped = int.from_bytes(data[:4].tobytes(), "little") != _SIGNATURE
        self.order = ">" if swapped else "<"

    def take(self, count: int) -> NDArray[np.uint8]:
        """Return the next `count` bytes."""
        end = self.position + count
        if end > len(self.data):
            raise TwoBitError(
                f"{self.path}: ends after {len(self.data):,} bytes, expected at least {end:,}: the "
                f"file was cut short or is damaged: copy or download it again"
            )
        found = self.data[self.position : end]
        self.position = end
        return found

    def integers(self, count: int, size: int = 4) -> NDArray[np.int64]:
        """Return the next `count` unsigned integers of `size` bytes, int64, shape (count,)."""
        return self.take(count * size).view(f"{self.order}u{size}").astype(np.int64)

    def integer(self, size: int = 4) -> int:
        """Return the next unsigned integer of `size` bytes."""
        order: Literal["big", "little"] = "big" if self.order == ">" else "little"
        return int.from_bytes(self.take(size).tobytes(), order)


def _read_index(path: Path, data: NDArray[np.uint8]) -> dict[str, int]:
    """Return the offset of each sequence."""
    cursor = _Cursor(path, data, 4)
    version, num_sequences, _ = cursor.integers(3).tolist()
    if version not in (0, 1):
        raise TwoBitError(
            f"{path}: 2bit of version {version}, expected version 0 or 1: write it anew with "
            f"faToTwoBit"
        )
    if not num_sequences:
        raise TwoBitError(
            f"{path}: no sequence in the file, expected at least one: copy or download it again"
        )
    offsets: dict[str, int] = {}
    for _ in range(num_sequences):
        raw = cursor.take(cursor.integer(1)).tobytes()
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            name = ""
        if not name.isprintable() or not name:
            raise TwoBitError(
                f"{path}: sequence {len(offsets) + 1} has the name {raw!r}, expected printable "
                f"text: the file is damaged: copy or download it again"
            )
        if name in offsets:
            raise TwoBitError(
                f"{path}: two sequences of the name {name!r}, expected a name of its own for each: "
                f"rename or remove one"
            )
        offsets[name] = cursor.integer(4 if version == 0 else 8)
    return offsets


def _read_record(path: Path, data: NDArray[np.uint8], name: str, offset: int) -> _Record:
    cursor = _Cursor(path, data, offset)
    num_bases = cursor.integer()
    if not num_bases:
        raise TwoBitError(
            f"{path}: sequence {name!r} is empty, expected at least one base: leave it out"
        )
    gaps = _read_runs(cursor, name, num_bases, "N")
    masked = _read_runs(cursor, name, num_bases, "lower case")
    cursor.integer()  # reserved
    position = cursor.position
    packed = cursor.take(_num_bytes(num_bases))
    return _Record(name, num_bases, gaps, masked, position, packed)


def _read_runs(
    cursor: _Cursor, name: str, num_bases: int, what: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    count = cursor.integer()
    starts = cursor.integers(count)
    ends = starts + cursor.integers(count)
    if count and (ends[-1] > num_bases or np.any(starts[1:] < ends[:-1])):
        raise TwoBitError(
            f"{cursor.path}: sequence {name!r}: the runs of {what} overlap or go past its "
            f"{num_bases:,} bases, expected them in order: the file is damaged: copy it again, or "
            f"write it anew with faToTwoBit"
        )
    return starts, ends


def _unpack(record: _Record, start: int, end: int) -> NDArray[np.uint8]:
    """Return the letters from `start`, a multiple of 4, to `end`."""
    packed = record.packed[start // 4 : _num_bytes(end)]
    letters = _LETTERS_OF_BYTE[packed].ravel()[: end - start]
    for low, high in _runs_within(record.gaps, start, end):
        letters[low:high] = ord("N")
    for low, high in _runs_within(record.masked, start, end):
        letters[low:high] |= _LOWER_CASE
    return letters


def _num_bytes(num_bases: int) -> int:
    """Return how many bytes so many bases take."""
    return (num_bases + 3) // 4


def _runs_within(
    runs: tuple[NDArray[np.int64], NDArray[np.int64]], start: int, end: int
) -> Iterator[tuple[int, int]]:
    """Yield the parts of runs between `start` and `end`, counted from `start`."""
    starts, ends = runs
    some = slice(np.searchsorted(ends, start, "right"), np.searchsorted(starts, end, "left"))
    lows = np.maximum(starts[some] - start, 0)
    highs = np.minimum(ends[some], end) - start
    yield from zip(lows.tolist(), highs.tolist(), strict=True)
