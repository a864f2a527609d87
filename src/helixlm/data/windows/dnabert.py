"""DNABERT's windows: cuts side by side, and stretches drawn at random.

Each stretch between gaps is what a line of the input is to the published script ("gaps" are what
the paper removes from the human genome). For k-mers, a window of ``509 + k`` bp is the longest
that the script writes.

* ``cut``: while more than 509 + k bp remain, the next window has 509 + k bp, or, with probability
  1/2, ``max(int(u * (509 + k)), 5)`` with u uniform in [0, 1); then the rest is one window.
* ``sample``: ``int(L * rate / 256)`` windows; each has ``max(int(u * (509 + k)), 5)`` bp from a
  start drawn from 0 to L - k - 1, and ends with the stretch at the latest.

The paper says 5 to 510 tokens. A rest of less than 5 bp, of which the script makes a window without
a k-mer, is dropped. The script counts the newline in L; here L is in letters. Its command line with
a sampling rate calls another function, with windows of one length: a random subset of a grid.

References
----------
Ji et al. (2021), DNABERT. Bioinformatics 37, 2112-2120. jerryji1993/DNABERT,
`examples/data_process_template/process_pretrain_data.py`: `cut_no_overlap` and `sampling`.
"""

from collections.abc import Iterator
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
    lost_to,
    read,
    stretches,
)
from helixlm.rng import CounterRng

LEAST_BP = 5
_DRAWN_AT_ONCE = 256


class DnabertWindows(WindowSettings):
    """Windows of 5 to 509 + k bp."""

    kind: Literal["dnabert"] = "dnabert"
    """DNABERT's."""
    mode: Literal["cut", "sample"] = "cut"
    """Cuts side by side, or stretches drawn at random."""
    k: int = Field(default=6, ge=1)
    """Length of a k-mer, bp: windows have up to 509 + k."""
    rate: float = Field(default=1.0, gt=0)
    """mode sample: how many windows are drawn, as a share of the length over 256."""
    n: Literal["split", "keep"] = "split"
    """Windows hold no N, or N is a letter like others."""
    iupac: IupacPolicy = "keep"
    """Letters such as R or Y stay; or (with n split) cut the sequence as N does; or become N."""

    @model_validator(mode="after")
    def _check(self) -> "DnabertWindows":
        if self.iupac == "split" and self.n != "split":
            raise ValueError(f"iupac 'split': expected n 'split' with it, found {self.n!r}")
        return self

    @property
    def max_bp(self) -> int:
        """Longest window, bp."""
        return 509 + self.k


def cut_dnabert(
    letters: Letters, contig: str, config: DnabertWindows, seed: int
) -> Iterator[Window | Dropped]:
    """Cut a whole contig; see `kinds.cut`.

    What is drawn in a stretch comes from ``CounterRng("windows", seed, contig, its start)``: in
    the mode ``cut`` as it is needed, in the mode ``sample`` first all lengths, then all starts.
    """
    whole = Stretch(0, len(letters), None)
    for stretch in [whole] if config.n == "keep" else stretches(letters, config.iupac):
        if stretch.reason:
            yield Dropped(contig, stretch.start, stretch.end, stretch.reason)
            continue
        rng = CounterRng("windows", seed, contig, stretch.start)
        size = stretch.end - stretch.start
        spans = (_cuts if config.mode == "cut" else _samples)(size, config, rng)
        windows = (
            Window(contig, start, end, read(letters, start, end, config.iupac))
            for start, end in ((stretch.start + a, stretch.start + b) for a, b in spans)
        )
        reason = _why_lost(size, len(letters), config)
        yield from fill(windows, stretch.start, stretch.end, lost_to(contig, reason))


def _cuts(size: int, config: DnabertWindows, rng: CounterRng) -> Iterator[tuple[int, int]]:
    draws = _uniform(rng)
    start = 0
    while size - start > config.max_bp:
        cut = config.max_bp
        if next(draws) < 0.5:
            cut = max(int(next(draws) * config.max_bp), LEAST_BP)
        yield start, start + cut
        start += cut
    if size - start >= LEAST_BP:
        yield start, size


def _samples(size: int, config: DnabertWindows, rng: CounterRng) -> Iterator[tuple[int, int]]:
    times = int(size * config.rate / 256) if size > config.k else 0
    if not times:
        return
    length_W = np.maximum((rng.uniform(times) * config.max_bp).astype(np.int64), LEAST_BP)
    start_W = rng.integers(0, size - config.k, times)
    end_W = np.minimum(start_W + length_W, size)
    order_W = np.lexsort((end_W, start_W))
    yield from zip(start_W[order_W].tolist(), end_W[order_W].tolist(), strict=True)


def _why_lost(size: int, contig_bp: int, config: DnabertWindows) -> str:
    if size < LEAST_BP if config.mode == "cut" else size <= config.k:
        return "short_contig" if size == contig_bp else "short_piece"
    return "tail" if config.mode == "cut" else "not_sampled"


def _uniform(rng: CounterRng) -> Iterator[float]:
    while True:
        yield from rng.uniform(_DRAWN_AT_ONCE).tolist()
