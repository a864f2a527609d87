"""The text that byte-pair training begins with: one byte a base.

In: lines of letters. Out: regions of cells, codes 0 to 3 for A, C, G, T. A cell of `STOP` stands
between two runs of bases, so that no pair reaches across it, and at both ends of a region.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helixlm.jit import compiled
from helixlm.tokenizers.base import TokenizerError

Codes = NDArray[np.uint8]

STOP = 255
CHUNK_BASES = 1 << 26  # large enough for the allocator to give each back to the system at once
LEAST_REGION_BASES = 1 << 20
"""shorter regions are worked on faster by one thread than by several"""
MOST_REGION_BASES = 1 << 31
"""positions in a region are counted in 32 bits"""
PROGRESS_LINES = 1000

_CODES = np.full(256, STOP, dtype=np.uint8)
for _code, _pair in enumerate(("Aa", "Cc", "Gg", "Tt")):
    for _letter in _pair:
        _CODES[ord(_letter)] = _code


@dataclass(frozen=True)
class TrainingText:
    """Codes of a text, in regions of about equal size."""

    regions: list[Codes]
    num_lines: int
    num_bases: int
    num_runs: int
    """stretches of bases between two stops"""


def read_text(
    lines: Iterable[str | bytes],
    *,
    max_regions: int = 1,
    max_bases: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> TrainingText:
    """Take lines into memory, one byte a base and one a run.

    Parameters
    ----------
    lines : iterable of str or bytes
        Each is cut at every letter other than A, C, G and T; lower case is read as upper case.
    max_regions : int
        Parts that are worked on side by side; a short text or one long run has fewer.
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
    TokenizerError
        If the lines hold no A, C, G or T, or more than `max_bases` bases.
    """
    chunks: list[Codes] = []
    chunk = np.empty(CHUNK_BASES, dtype=np.uint8)
    used = num_lines = num_bases = num_runs = 0
    for line in lines:
        text = np.frombuffer(_ascii(line), dtype=np.uint8)
        done = 0
        open_run = False
        while done < len(text):
            if used >= CHUNK_BASES - 1:  # one cell for a stop, one for a base
                chunks.append(chunk[:used])
                chunk = np.empty(CHUNK_BASES, dtype=np.uint8)
                used = 0
            done, used, bases, runs, open_run = _take(text, done, chunk, used, _CODES, open_run)
            num_bases += bases
            num_runs += runs
        num_lines += 1
        if max_bases is not None and num_bases > max_bases:
            raise TokenizerError(
                f"the training text has more than {max_bases:,} bases, for which the memory given "
                "is too small: a byte a base is needed for the text alone"
            )
        if progress is not None and num_lines % PROGRESS_LINES == 0:
            progress(num_lines, None)
    if progress is not None:
        progress(num_lines, None)
    if num_bases == 0:
        raise TokenizerError(f"nothing to train on: {num_lines} lines hold no letter A, C, G or T")
    chunks.append(chunk[:used])
    del chunk
    wanted = min(max_regions, num_bases // LEAST_REGION_BASES)
    wanted = max(1, wanted, -(-num_bases // MOST_REGION_BASES))
    return TrainingText(_regions(chunks, wanted), num_lines, num_bases, num_runs)


def _regions(chunks: list[Codes], number: int) -> list[Codes]:
    """Put chunks together and cut them at stops, giving each chunk back when it is copied."""
    total = sum(map(len, chunks))
    regions: list[Codes] = []
    region = np.empty(total + 1, dtype=np.uint8)  # memory is taken when it is written to
    used = 0
    left = total
    for index, chunk in enumerate(chunks):
        chunks[index] = np.empty(0, dtype=np.uint8)  # its memory is needed for the rest
        start = 0
        while start < len(chunk):
            # A region may end at the first stop from where it has its share of what is left.
            share = -(-(used + left) // (number - len(regions)))
            end = len(chunk)
            if number - len(regions) > 1 and share - used < end - start:
                end = _next_stop(chunk, max(start + 1, start + share - used))
            region[used : used + end - start] = chunk[start:end]
            used += end - start
            left -= end - start
            start = end
            if left and number - len(regions) > 1 and used >= share and start < len(chunk):
                regions.append(_closed(region, used))
                region = np.empty(left + 1, dtype=np.uint8)
                used = 0
        del chunk
    regions.append(_closed(region, used))
    return regions


def _closed(region: Codes, used: int) -> Codes:
    """End a region with a stop and give the rest of its memory back."""
    region[used] = STOP
    region.resize(used + 1, refcheck=False)
    return region


def _ascii(line: str | bytes) -> bytes:
    """Bytes of a line, one for each of its characters."""
    return line.encode("ascii", "replace") if isinstance(line, str) else line


@compiled
def _take(
    text: NDArray[np.uint8],
    done: int,
    chunk: Codes,
    used: int,
    codes: NDArray[np.uint8],
    open_run: bool,
) -> tuple[int, int, int, int, bool]:
    """Append the codes of a line to a chunk, as many as it holds; a stop begins a run."""
    bases = runs = 0
    while done < len(text) and used < len(chunk) - 1:
        if codes[text[done]] == STOP:
            open_run = False
            done += 1
            continue
        if not open_run:
            chunk[used] = STOP
            used += 1
            runs += 1
            open_run = True
        number = 0
        most = min(len(text) - done, len(chunk) - used)
        while number < most:
            code = codes[text[done + number]]
            if code == STOP:
                break
            chunk[used + number] = code
            number += 1
        done += number
        used += number
        bases += number
    return done, used, bases, runs, open_run


@compiled
def _next_stop(chunk: Codes, at: int) -> int:
    """Position of the first stop at or after a position, or the end."""
    while at < len(chunk) and chunk[at] != STOP:
        at += 1
    return at
