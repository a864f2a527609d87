"""Duplicates: windows that repeat an earlier one, whole or for the most part, are left out.

In: windows in any order. Out: the windows that stay, and a `Duplicate` for each of the others that
says what it repeats; the first in order stays. Both strands count, case does not.

Exact: the whole sequence is that of an earlier window (128-bit digests, `digests.py`).

Near: a stated share of the window's distinct k-mers is in one earlier window that stayed. That is
its containment, which a window inside a longer one, a copy with a few differences and a shifted
overlap all raise; a long window that holds a short one has new sequence and stays. Candidates share
sampled k-mers (`sketch.py`); each is then compared k-mer by k-mer, so what is removed is
removed rightly, and what samples overlook stays. With the default scale of 16 a window of 256 bp or
more at the threshold is overlooked with a probability below 1e-3, one of 1,000 bp below 1e-9. Of a
k-mer in more than 256 windows that stayed, the index knows the first 256. Which windows are the
likeliest is judged by the k-mers of each that are known, and the likeliest 32 are compared; so a
copy of one of several hundred relatives is found by what that one has of its own. What repeats a
window with nothing of its own stays, if more than 256 others hold its k-mers and none is near.

Memory: 34 to 67 bytes a window for exact duplicates, 100 while the table grows; for near ones
another 20 bytes for each window that stays and 14 to 27 bytes, 40 while growing, for each of its
sampled k-mers. Measured at the peak, for 120,000 windows of 1,000 bp: 115 bytes a window; near,
1.8 kB at scale 16 and 0.6 kB at scale 64. The letters of windows that stay, one byte a base, are
in a temporary file.
"""

import contextlib
import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from helixlm.data.similarity.digests import NEW, DigestTable, strandless_digest
from helixlm.data.similarity.sketch import MOST_K, K, SketchIndex, count_shared, sketch
from helixlm.data.windows import Window
from helixlm.errors import StateError
from helixlm.files import DISK_FULL

_BATCH = 1024
_BUFFER_BYTES = 1 << 20
MOST_COMPARED = 32
"""Windows that one is compared with k-mer by k-mer: the likeliest."""

_LEAST_OF_EXPECTED = 1 / 4


class DuplicateConfig(BaseModel):
    """Which windows are left out as duplicates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    remove: Literal["exact", "near"] = "exact"
    """Windows whose whole sequence came before, or also those that came for the most part."""
    containment: float = Field(default=0.8, gt=0, le=1)
    """near: share of a window's distinct k-mers in one earlier window, from which it goes."""
    k: int = Field(default=K, ge=8, le=MOST_K)
    """near: length of a k-mer, bp."""
    scale: int = Field(default=16, ge=1, le=1024)
    """near: one k-mer of so many is indexed; a higher one takes less memory and overlooks more."""


class Duplicate(NamedTuple):
    """A window that is left out."""

    window: Window
    reason: Literal["exact", "near"]
    of: int
    """Number of the window that it repeats, from 0 in the order of the input."""
    containment: float
    """Share of its distinct k-mers in that one; 1 for an exact duplicate."""


def remove_duplicates(
    windows: Iterable[Window],
    config: DuplicateConfig | None = None,
    scratch: str | Path | None = None,
) -> Iterator[Window | Duplicate]:
    """Pass windows on, and replace those that repeat an earlier one.

    Parameters
    ----------
    windows : iterable of Window
        Fewer than 2**32 - 1.
    config : DuplicateConfig, optional
        The settings; exact duplicates if not given.
    scratch : path, optional
        Folder for the temporary file; the system's if not given.

    Yields
    ------
    Window or Duplicate
        One for each window, in their order.

    Raises
    ------
    AlphabetError
        If a letter is not one of IUPAC's for DNA.
    StateError
        If there is no room for the temporary file.
    """
    config = config or DuplicateConfig()
    if config.remove == "exact":
        for batch, equals in _with_equals(windows):
            for window, of in zip(batch, equals, strict=True):
                yield window if of == NEW else Duplicate(window, "exact", of, 1.0)
        return
    number = 0
    with LetterFile(scratch) as letters:
        kept = _Kept(config, letters)
        for batch, equals in _with_equals(windows):
            sampled = sketch([window.sequence for window in batch], config.k, config.scale)
            for index, (window, of) in enumerate(zip(batch, equals, strict=True)):
                if of == NEW:
                    yield kept.check(window, number + index, sampled.of(index)) or window
                else:
                    yield Duplicate(window, "exact", of, 1.0)
            number += len(batch)


def _with_equals(windows: Iterable[Window]) -> Iterator[tuple[list[Window], list[int]]]:
    """Yield windows in batches, and for each the number of an equal one before it, or -1."""
    table, number, windows = DigestTable(), 0, iter(windows)
    while batch := list(islice(windows, _BATCH)):
        digests = [strandless_digest(window.sequence) for window in batch]
        yield batch, table.add(digests, number).tolist()
        number += len(batch)


class _Kept:
    """The windows that stayed, as far as later ones are compared with them."""

    def __init__(self, config: DuplicateConfig, letters: "LetterFile") -> None:
        self.config = config
        self._letters = letters
        self._index = SketchIndex()
        self._numbers = array("Q")  # in the input
        self._known = array("f")  # share of the sketch that is in the index

    def check(self, window: Window, number: int, hashes: NDArray[np.uint64]) -> Duplicate | None:
        """Return what a window repeats; if nothing, keep it. `hashes` is its sketch."""
        config = self.config
        candidates, counts = self._index.find(hashes)
        known = np.frombuffer(self._known, np.float32)[candidates]
        order = likely(counts, config.containment * len(hashes) * known)[:MOST_COMPARED]
        if len(order):
            own = sketch([window.sequence], config.k).of(0)
            for place in candidates[order].tolist():
                other = sketch([self._letters.read(place)], config.k).of(0)
                share = count_shared(own, other) / len(own)
                if share >= config.containment:
                    return Duplicate(window, "near", self._numbers[place], share)
        self._known.append(self._index.add(len(self._numbers), hashes))
        self._numbers.append(number)
        self._letters.append(window.sequence)
        return None


def likely(counts: NDArray[np.int64], expected: NDArray[np.floating]) -> NDArray[np.int64]:
    """Choose the candidates that are worth a comparison, the likeliest first.

    Parameters
    ----------
    counts : NDArray, int64, shape (m,)
        Sampled k-mers that each shares.
    expected : NDArray, float, shape (m,)
        Sampled k-mers that one at the threshold shares on average, of those that are known.

    Returns
    -------
    NDArray, int64, shape (n,)
        Their places: by falling shared k-mers relative to what is expected, the lower place first
        among equals. None has less than a quarter of what is expected at the threshold.
    """
    ratio = counts / np.maximum(expected, 1e-9)
    enough = np.flatnonzero(ratio >= _LEAST_OF_EXPECTED)
    order: NDArray[np.int64] = enough[np.argsort(-ratio[enough], kind="stable")]
    return order


class LetterFile(contextlib.AbstractContextManager["LetterFile"]):
    """Sequences in a temporary file, in upper case, read back by number.

    Memory is 8 bytes a sequence and a buffer of 1 MB; the file goes away with the process.

    Parameters
    ----------
    folder : path, optional
        Where; the system's place for temporary files if not given.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise StateError(
                f"{folder or tempfile.gettempdir()}: no temporary file can be made here: "
                f"{error.strerror}"
            ) from error
        self._folder = folder or tempfile.gettempdir()
        self._ends = array("Q")
        self._waiting = bytearray()
        self._written = 0

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):  # what a full disk did not take
            self._file.close()

    def append(self, sequence: str) -> None:
        """Take a sequence; its number is how many there were before."""
        self._waiting += sequence.upper().encode()
        self._ends.append(self._written + len(self._waiting))
        if len(self._waiting) >= _BUFFER_BYTES:
            self._write()

    def read(self, number: int) -> bytes:
        """Return the letters of a sequence."""
        start, end = self._ends[number - 1] if number else 0, self._ends[number]
        if start >= self._written:
            return bytes(self._waiting[start - self._written : end - self._written])
        return os.pread(self._file.fileno(), end - start, start)

    def lengths(self) -> NDArray[np.int64]:
        """Return the lengths of the sequences, int64, shape (sequences,)."""
        ends = np.array(self._ends, np.int64)
        return ends - np.append(0, ends[:-1])

    def _write(self) -> None:
        try:
            self._file.write(self._waiting)
            self._file.flush()
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise StateError(
                f"{self._folder}: the disk is full, and the letters of the windows are kept here "
                f"for a while ({self._written / 1e9:.1f} GB so far): make room, or name another "
                "folder with TMPDIR"
            ) from error
        self._written += len(self._waiting)
        self._waiting.clear()
