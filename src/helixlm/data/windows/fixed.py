"""Windows of one length, at equal distances.

The grid begins with the contig (with ``n="split"``: anew with each stretch between gaps) and is
known beforehand, so a part of a contig can be cut without the rest. What is left at the end, where
no whole window fits, is dropped, kept as a shorter window, or covered by one more window that ends
with the contig; that one shares bases with its neighbour.
"""

from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from helixlm.data.runs import Letters
from helixlm.data.windows.base import (
    Dropped,
    IupacPolicy,
    Stretch,
    Window,
    WindowSettings,
    fill,
    read,
    stretches,
    too_much_n,
    unit_of,
)


class FixedWindows(WindowSettings):
    """Windows of one length, side by side or overlapping."""

    kind: Literal["fixed"] = "fixed"
    """A grid."""
    length_bp: int = Field(gt=0)
    """Length of a window, bp."""
    step_bp: int | None = Field(default=None, gt=0)
    """From the start of one window to the next, bp, at most length_bp; null: length_bp."""
    last: Literal["drop", "keep", "shift"] = "drop"
    """Bases at the end in no whole window are dropped; or are the end of one more window of the
    grid, which is shorter; or of one more whole window, which is moved to the left to fit."""
    n: Literal["split", "drop", "cap", "keep"] = "drop"
    """Windows hold no N, the grid beginning anew after each gap; or windows with more N than
    max_n_fraction are dropped; or runs of more than cap_bp N are shortened to so many before the
    grid is laid, so that end - start can be more than length_bp; or N is a letter like others."""
    max_n_fraction: float = Field(default=0, ge=0, le=1)
    """n drop: largest share of N in a window."""
    cap_bp: int = Field(default=100, gt=0)
    """n cap: longest run of N, bp."""
    iupac: IupacPolicy = "keep"
    """Letters such as R or Y stay; or (with n split) cut the sequence as N does; or become N."""

    @model_validator(mode="after")
    def _check(self) -> "FixedWindows":
        if self.step > self.length_bp:
            raise ValueError(
                f"step_bp {self.step_bp}: expected at most length_bp {self.length_bp}, so that no "
                "bases lie between windows"
            )
        if self.iupac == "split" and self.n != "split":
            raise ValueError(f"iupac 'split': expected n 'split' with it, found {self.n!r}")
        return self

    @property
    def step(self) -> int:
        """From the start of one window to the next, bp."""
        return self.step_bp or self.length_bp

    @property
    def unit_bp(self) -> int | None:
        """Multiples at which a contig may be parted, bp; None: nowhere."""
        return None if self.n in ("split", "cap") else unit_of(self.step)


def cut_fixed(
    letters: Letters, contig: str, config: FixedWindows, start: int, stop: int
) -> Iterator[Window | Dropped]:
    """Cut a contig from `start` to `stop` into a grid of windows; see `kinds.cut`."""
    if config.n == "cap":
        yield from _cut_capped(letters, contig, config)
    elif config.n == "split":
        for stretch in stretches(letters, config.iupac):
            if stretch.reason:
                yield Dropped(contig, stretch.start, stretch.end, stretch.reason)
            else:
                part = stretch.start, stretch.end
                yield from _cut_grid(letters, contig, config, stretch, *part)
    else:
        unit = config.unit_bp
        assert unit is not None
        whole = Stretch(0, len(letters), None)
        for low in range(start, stop, unit):
            yield from _cut_grid(letters, contig, config, whole, low, min(low + unit, stop))


def _cut_grid(
    letters: Letters, contig: str, config: FixedWindows, stretch: Stretch, low: int, high: int
) -> Iterator[Window | Dropped]:
    """Yield the windows of a stretch that begin in [low, high), and what is dropped there."""
    most_n = config.max_n_fraction if config.n == "drop" else 1.0

    def windows(low: int, high: int) -> Iterator[Window]:
        for start, end in _spans(stretch.start, stretch.end, low, high, config):
            sequence = read(letters, start, end, config.iupac)
            if not too_much_n(sequence, most_n):
                yield Window(contig, start, end, sequence)

    before = (window.end for window in windows(low - config.length_bp, low))
    lost = partial(_lost, contig, stretch, len(letters), config)
    return fill(windows(low, high), max(before, default=low), high, lost)


def _spans(
    begin: int, end: int, low: int, high: int, config: FixedWindows
) -> Iterator[tuple[int, int]]:
    """Yield the windows of the stretch [begin, end) that begin in [low, high)."""
    length, step = config.length_bp, config.step
    count = max(0, (end - begin - length) // step + 1)
    first = max(0, -(-(low - begin) // step))
    for i in range(first, min(count, -(-(high - begin) // step))):
        yield begin + i * step, begin + i * step + length
    covered = begin + (count - 1) * step + length if count else begin
    if covered < end and config.last == "keep" and low <= begin + count * step < high:
        yield begin + count * step, end
    if covered < end and config.last == "shift" and count and low <= end - length < high:
        yield end - length, end


def _lost(
    contig: str, stretch: Stretch, contig_bp: int, config: FixedWindows, start: int, end: int
) -> Iterator[Dropped]:
    """Say why [start, end) of a stretch is in no window."""
    size = stretch.end - stretch.start
    if config.last != "drop" and (size >= config.length_bp or config.last == "keep"):
        covered = stretch.end  # were it not for N
    elif size >= config.length_bp:
        covered = stretch.end - (size - config.length_bp) % config.step
    else:
        covered = stretch.start
    if start < covered:
        yield Dropped(contig, start, min(end, covered), "n_content")
    if end > covered:
        short = "short_contig" if size == contig_bp else "short_piece"
        reason = "tail" if size >= config.length_bp else short
        yield Dropped(contig, max(start, covered), end, reason)


def _cut_capped(letters: Letters, contig: str, config: FixedWindows) -> Iterator[Window | Dropped]:
    """Lay the grid over the contig without the letters by which runs of N are shortened."""
    removed = [
        (gap.start + config.cap_bp, gap.end)
        for gap in stretches(letters, config.iupac)
        if gap.reason and gap.end - gap.start > config.cap_bp
    ]
    removed_R2 = np.array(removed, np.int64).reshape(-1, 2)
    removed_before_R = np.concatenate([[0], np.cumsum(removed_R2[:, 1] - removed_R2[:, 0])])
    # Where letters are missing, counted in the letters that are left.
    seam_R = removed_R2[:, 0] - removed_before_R[:-1]
    left_bp = len(letters) - int(removed_before_R[-1])

    def windows() -> Iterator[Window]:
        for low, high in _spans(0, left_bp, 0, left_bp, config):
            first, stop = np.searchsorted(seam_R, [low, high - 1], side="right").tolist()
            start = low + int(removed_before_R[first])
            end = high + int(removed_before_R[stop])
            cuts = [start, *(place for pair in removed[first:stop] for place in pair), end]
            parts = zip(cuts[::2], cuts[1::2], strict=True)
            sequence = "".join(read(letters, a, b, config.iupac) for a, b in parts)
            yield Window(contig, start, end, sequence)

    def lost(start: int, end: int) -> Iterator[Dropped]:
        reason = "tail" if left_bp >= config.length_bp else "short_contig"
        for gap_start, gap_end in removed:
            if start < gap_end and gap_start < end:
                if start < gap_start:
                    yield Dropped(contig, start, gap_start, reason)
                yield Dropped(contig, max(start, gap_start), min(end, gap_end), "gap")
                start = min(end, gap_end)
        if start < end:
            yield Dropped(contig, start, end, reason)

    return fill(windows(), 0, len(letters), lost)
