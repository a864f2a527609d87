"""The text that byte-pair training begins with: one byte a base.

In: lines of letters. Out: regions of cells, codes 0 to 3 for A, C, G, T. A cell of `STOP` stands
between two runs of bases, so that no pair reaches across it, and at both ends of a region.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helixlm.jit import compiled
from helixlm.tokenizers.base import TokenizerError, in_batches

Codes = NDArray[np.uint8]


class EmptyTextError(TokenizerError):
    """A training text holds nothing to learn from."""


STOP = 255
PIECE = 1 << 16
"""letters that are read at once; what is larger comes from the system anew each time"""
LEAST_CELLS = 1 << 20
"""what is taken while lines come: this at first, then an eighth more whenever it is full"""
LEAST_BYTES_A_BASE = 1.5
"""a byte for each, and the half that is copied when two regions are cut"""
LEAST_WORKING_BYTES = 1 << 24
"""what is taken beside the text at least"""
LEAST_REGION_BASES = 1 << 20
"""shorter regions are worked on faster by one thread than by several"""
MOST_REGION_BASES = 1 << 31
"""positions in a region are counted in 32 bits"""
LINES_AT_ONCE = 4096

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
    memory_bytes: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> TrainingText:
    """Take lines into memory, one byte a base and one a run.

    Parameters
    ----------
    lines : iterable of str or of bytes
        Each is cut at every letter other than A, C, G and T; lower case is read as upper case.
    max_regions : int
        Parts that are worked on side by side; a short text or one long run has fewer.
    memory_bytes : int, optional
        Memory that training may take. A text that needs more is read to its end without being
        kept, so that the message can say how much is needed.
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
        If the memory is too small.
    """
    cells = np.empty(LEAST_CELLS, dtype=np.uint8)
    used = num_lines = num_bases = num_runs = 0
    fits = True
    for batch in in_batches(lines, letters=PIECE, number=LINES_AT_ONCE):
        joined = _joined(batch)
        in_run = False
        for start in range(0, len(joined), PIECE):
            text = np.frombuffer(_ascii(joined[start : start + PIECE]), dtype=np.uint8)
            if memory_bytes is not None and least_bytes(num_bases + num_runs) > memory_bytes:
                fits, used = False, 0
            most = used + 2 * len(text) + 1  # each letter may be a run, with a stop before it
            if most > len(cells):
                cells.resize(most + used // 8, refcheck=False)
            bases, runs, in_run = _take(text, cells, used, _CODES, in_run)
            used += bases + runs
            num_bases += bases
            num_runs += runs
        num_lines += len(batch)
        if memory_bytes is not None and least_bytes(num_bases + num_runs) > memory_bytes:
            fits, used = False, 0
        if progress is not None:
            progress(num_lines, None)
    if num_bases == 0:
        raise EmptyTextError(f"nothing to train on: {num_lines} lines hold no letter A, C, G or T")
    if not fits:
        raise TokenizerError(
            f"{memory_bytes:,} bytes of memory are too small for {num_bases:,} bases: at least "
            f"{least_bytes(num_bases + num_runs):,} are needed; give more (--memory), or train on "
            "a sample"
        )
    wanted = min(max_regions, num_bases // LEAST_REGION_BASES)
    wanted = max(1, wanted, -(-num_bases // MOST_REGION_BASES))
    return TrainingText(_regions(cells, used, wanted), num_lines, num_bases, num_runs)


def least_bytes(num_cells: int) -> int:
    """Memory that training needs at least for so many bases and runs."""
    return int(LEAST_BYTES_A_BASE * num_cells) + LEAST_WORKING_BYTES


def _regions(cells: Codes, used: int, number: int) -> list[Codes]:
    """Cut a text at stops, the last part first, so that its memory can be given back."""
    cells.resize(used + 1, refcheck=False)
    regions = []
    for place in range(number - 1, 0, -1):
        start = _next_stop(cells, used * place // (place + 1), used)
        if 0 < start < used:
            regions.append(_closed(cells[start:used].copy(), used - start))
            cells.resize(start + 1, refcheck=False)
            used = start
    regions.append(_closed(cells, used))
    return regions[::-1]


def _closed(cells: Codes, used: int) -> Codes:
    """End a region with a stop and give the rest of its memory back."""
    cells.resize(used + 1, refcheck=False)
    cells[used] = STOP
    return cells


def _joined(batch: list[Any]) -> str | bytes:
    """Put lines into one text, with a letter between them that no run goes across."""
    joined: str | bytes = (b"\n" if isinstance(batch[0], bytes) else "\n").join(batch)
    return joined


def _ascii(line: str | bytes) -> bytes:
    """Bytes of a line, one for each of its characters."""
    return line.encode("ascii", "replace") if isinstance(line, str) else line


@compiled
def _take(
    text: NDArray[np.uint8], cells: Codes, used: int, codes: NDArray[np.uint8], in_run: bool
) -> tuple[int, int, bool]:
    """Write down the runs of a text, a stop before each.

    Returns the bases, the runs that begin, and whether the last one may go on.
    """
    at = used
    runs = done = 0
    while done < len(text):
        if codes[text[done]] == STOP:
            done += 1
            in_run = False
            continue
        if not in_run:
            cells[at] = STOP
            at += 1
            runs += 1
            in_run = True
        while done < len(text):
            code = codes[text[done]]
            if code == STOP:
                break
            cells[at] = code
            at += 1
            done += 1
    return at - used - runs, runs, in_run


@compiled
def _next_stop(cells: Codes, at: int, end: int) -> int:
    """Position of the first stop at or after a position, or the end."""
    while at < end and cells[at] != STOP:
        at += 1
    return at
