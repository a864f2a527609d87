"""The text that byte-pair training works on: one 16-bit cell a base, changed in place.

In: lines of letters. Out: cells. A cell that begins a token holds the token's id, and so does the
cell that ends it; cells between hold nothing of use. Tokens therefore need no list of their own:
the next one begins where this one ends, and the one before is named by the cell before. A cell of
`BREAK` stands between two runs of bases, so that no pair reaches across it.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helixlm.jit import compiled
from helixlm.tokenizers.base import TokenizerError


class EmptyTextError(TokenizerError):
    """A training text holds nothing to learn from."""


Cells = NDArray[np.uint16]

BREAK = 65535
DEAD = 65534
"""where a token began that is now the right part of another: no token has this id"""
MAX_TOKENS = 65534
BYTES_A_BASE = 2

CHUNK_BASES = 1 << 26  # large enough for the allocator to give each back to the system at once
PROGRESS_LINES = 1000

_OTHER = 255
_CODES = np.full(256, _OTHER, dtype=np.uint8)
for _code, _pair in enumerate(("Aa", "Cc", "Gg", "Tt")):
    for _letter in _pair:
        _CODES[ord(_letter)] = _code


@dataclass(frozen=True)
class TrainingText:
    """Cells of a text. The first and the last are breaks."""

    cells: Cells
    num_lines: int
    num_bases: int

    @property
    def num_runs(self) -> int:
        """Stretches of bases between two breaks, as long as nothing is merged."""
        return len(self.cells) - 1 - self.num_bases

    def regions(self, number: int) -> list[Cells]:
        """Cut the text at breaks into at most so many parts of about equal size.

        Each part has the breaks on both of its sides, so neighbours share one.
        """
        bounds = [0]
        for part in range(1, number):
            at = _next_break(self.cells, max(bounds[-1] + 1, len(self.cells) * part // number))
            if at < len(self.cells) - 1:
                bounds.append(at)
        bounds.append(len(self.cells) - 1)
        return [self.cells[start : end + 1] for start, end in itertools.pairwise(bounds)]


def read_text(
    lines: Iterable[str | bytes],
    *,
    max_bases: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> TrainingText:
    """Take lines into memory, one byte a base while they come and two at the end.

    Parameters
    ----------
    lines : iterable of str or bytes
        Each is cut at every letter other than A, C, G and T; lower case is read as upper case.
    max_bases : int, optional
        Refuse a longer text as soon as that is known.
    progress : callable, optional
        Called as ``progress(lines read, None)`` now and then.

    Returns
    -------
    TrainingText
        With at least one base.

    Raises
    ------
    EmptyTextError
        If the lines hold no A, C, G or T.
    TokenizerError
        If they hold more than `max_bases` bases.
    """
    chunks: list[NDArray[np.uint8]] = []
    chunk = np.empty(CHUNK_BASES, dtype=np.uint8)
    used = num_lines = num_bases = 0
    open_run = False
    for line in lines:
        text = np.frombuffer(_ascii(line), dtype=np.uint8)
        done = 0
        open_run = False
        while done < len(text):
            if used >= CHUNK_BASES - 1:  # one cell for a break, one for a base
                chunks.append(chunk[:used])
                chunk = np.empty(CHUNK_BASES, dtype=np.uint8)
                used = 0
            done, used, bases, open_run = _take(text, done, chunk, used, _CODES, open_run)
            num_bases += bases
        num_lines += 1
        if max_bases is not None and num_bases > max_bases:
            raise TokenizerError(
                f"the training text has more than {max_bases:,} bases, for which the memory given "
                f"is too small: {BYTES_A_BASE} bytes a base are needed for the text alone"
            )
        if progress is not None and num_lines % PROGRESS_LINES == 0:
            progress(num_lines, None)
    if progress is not None:
        progress(num_lines, None)
    if num_bases == 0:
        raise EmptyTextError(f"nothing to train on: {num_lines} lines hold no letter A, C, G or T")
    chunks.append(chunk[:used])
    del chunk
    cells = np.empty(sum(map(len, chunks)) + 1, dtype=np.uint16)
    at = 0
    for index, codes in enumerate(chunks):
        part = cells[at : at + len(codes)]
        part[:] = codes
        part[codes == _OTHER] = BREAK
        at += len(codes)
        chunks[index] = codes[:0].copy()  # its memory is needed for the rest of the cells
        del codes
    cells[-1] = BREAK
    return TrainingText(cells, num_lines, num_bases)


def _ascii(line: str | bytes) -> bytes:
    """Bytes of a line, one for each of its characters."""
    return line.encode("ascii", "replace") if isinstance(line, str) else line


@compiled
def _take(
    text: NDArray[np.uint8],
    done: int,
    chunk: NDArray[np.uint8],
    used: int,
    codes: NDArray[np.uint8],
    open_run: bool,
) -> tuple[int, int, int, bool]:
    """Append the codes of a line to a chunk, as many as it holds; a break begins a run."""
    bases = 0
    while done < len(text) and used < len(chunk) - 1:
        code = codes[text[done]]
        done += 1
        if code == _OTHER:
            open_run = False
            continue
        if not open_run:
            chunk[used] = _OTHER
            used += 1
            open_run = True
        chunk[used] = code
        used += 1
        bases += 1
    return done, used, bases, open_run


@compiled
def _next_break(cells: Cells, at: int) -> int:
    """Position of the first break at or after a position."""
    while at < len(cells) - 1 and cells[at] != BREAK:
        at += 1
    return at
