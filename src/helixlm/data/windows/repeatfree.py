"""dnaGrinder's pieces of the human genome: windows that are mostly outside the soft mask.

Which stretches they are is said in `repeats.py`; here they become windows, and what lies between
them is told apart. In training, 12,000 of the 12,200 bp are taken from a start that is drawn anew
among the first 200.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from helixlm.data.repeats import (
    PIECE_BP,
    RepeatReport,
    find_threshold,
    find_unmasked,
    report_repeats,
    select_pieces,
)
from helixlm.data.runs import Letters
from helixlm.data.windows.base import (
    Dropped,
    Window,
    WindowSettings,
    fill,
    lost_to,
    read,
    stretches,
)


class RepeatFreeWindows(WindowSettings):
    """Pieces of one length, none with N, chosen for what they hold outside the soft mask."""

    kind: Literal["repeatfree"] = "repeatfree"
    """dnaGrinder's selection."""
    length_bp: int = Field(default=PIECE_BP, gt=0)
    """Length of a piece, bp."""
    min_run_bp: int | None = Field(default=None, gt=0)
    """Runs outside the soft mask that are shorter are left out, bp (the paper: 1,150 for
    chromosome 1); null: on each contig, the threshold that keeps kept_fraction."""
    kept_fraction: float = Field(default=0.5, gt=0, le=1)
    """min_run_bp null: the share of each contig to keep, N counted."""


def cut_repeatfree(
    letters: Letters,
    contig: str,
    config: RepeatFreeWindows,
    report: Callable[[RepeatReport], None],
) -> Iterator[Window | Dropped]:
    """Cut a whole contig; see `kinds.cut`."""
    found = find_unmasked(letters)
    threshold = config.min_run_bp
    if threshold is None:
        threshold = find_threshold(found, config.kept_fraction, config.length_bp)
    selection = select_pieces(found, threshold, config.length_bp)
    report(report_repeats(contig, found, selection))
    starts = selection.starts
    for stretch in stretches(letters, "keep"):
        if stretch.reason:
            yield Dropped(contig, stretch.start, stretch.end, stretch.reason)
            continue
        # Pieces hold no N, so each lies in one stretch.
        first, stop = np.searchsorted(starts, [stretch.start, stretch.end]).tolist()
        windows = (
            Window(contig, start, start + config.length_bp, sequence)
            for start in starts[first:stop].tolist()
            for sequence in [read(letters, start, start + config.length_bp)]
        )
        reason = "repeat"
        if stretch.end - stretch.start < config.length_bp:
            whole = stretch.end - stretch.start == len(letters)
            reason = "short_contig" if whole else "short_piece"
        yield from fill(windows, stretch.start, stretch.end, lost_to(contig, reason))
