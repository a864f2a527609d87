"""Pieces that are mostly free of repeats, chosen as dnaGrinder does (section 3.3.1 of the paper).

In: a contig whose repeats are soft-masked (lower case). Out: pieces of one length, and a report of
what they keep. No window is made here: that is `windows/repeatfree.py`.

The rules, with the paper's words where they leave a choice:

1. A run is a maximal stretch of upper-case letters other than N. Runs shorter than a threshold are
   left out. The threshold "varied across chromosomes depending on the proportion of retained
   sequences": it is given, or searched for a wanted share (`find_threshold`).
2. From left to right, a run gives a piece that begins with it. A shorter run is extended to the
   right to 12,200 bp, whatever is there. Longer runs are "split to ensure that each segment adhered
   to this length": the next piece begins where the last one ended, until the run is covered; the
   last is extended to the right as a short run is, without regard to the threshold, which was
   applied before.
3. Where the extension meets an N, or the end of the contig, it stops there, and the piece is
   extended to the left to its length. It may then share bases with the piece before.
4. "The subsequent operation began from the next non-repetitive sequence to the right that had not
   yet been included": the next run that is not whole in the last piece. One that the piece
   covers in part is not yet included; the next piece begins with it and shares that part. (On
   2.3 Mbp of chromosome 2 with a threshold of 1,150, 4.6 % of the kept bases are shared. Were such
   runs passed over, 7.6 % of the bases of all long runs would be lost.)
5. The paper saw no stretch between two N (or ends) that is shorter than a piece. Runs in such a
   stretch give none, and are counted as stranded.

So all pieces have one length, none holds N, and each base of the runs that are long enough, but for
stranded ones, is in a piece.

References
----------
The dnaGrinder paper, arXiv 2409.15697, sections 3.1.1 and 3.3.1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from helixlm.data.runs import Letters, class_table, find_runs
from helixlm.jit import compiled
from helixlm.seq.interval import bases_before, merge_spans

PIECE_BP = 12_200
MOST_REPORTS = 24
"""contigs of which a summary has more than the sum"""

GRCH38 = {
    "chr1": (248_956_422, 0.50), "chr2": (242_193_529, 0.50), "chr3": (198_295_559, 0.55),
    "chr4": (190_214_555, 0.53), "chr5": (181_538_259, 0.52), "chr6": (170_805_979, 0.51),
    "chr7": (159_345_973, 0.54), "chr8": (145_138_636, 0.56), "chr9": (138_394_717, 0.47),
    "chr10": (133_797_422, 0.56), "chr11": (135_086_622, 0.53), "chr12": (133_275_309, 0.54),
    "chr13": (114_364_328, 0.46), "chr14": (107_043_718, 0.44), "chr15": (101_991_189, 0.44),
    "chr16": (90_338_345, 0.49), "chr17": (83_257_441, 0.52), "chr18": (80_373_285, 0.51),
    "chr19": (58_617_616, 0.55), "chr20": (64_444_167, 0.56), "chr21": (46_709_983, 0.50),
    "chr22": (50_818_468, 0.57), "chrX": (156_040_895, 0.50),
}  # fmt: skip
"""Chromosomes of GRCh38: length in bp (UCSC hg38.chrom.sizes; no two are equal), and the share of
it that dnaGrinder's pieces keep, as printed in section 3.3.1 of the paper."""

_MASKED, _RUN, _GAP = 0, 1, 2
_CLASSES = class_table("ACGTRYSWKMBDHV", "Nn", other=_MASKED)


class MaskedContig(NamedTuple):
    """Where a contig is neither soft-masked nor N; R runs, G gaps. 0-based, half-open."""

    length_bp: int
    run_starts: NDArray[np.int64]
    """Shape (R,), bp: runs of upper-case letters other than N."""
    run_ends: NDArray[np.int64]
    """Shape (R,), bp."""
    gap_starts: NDArray[np.int64]
    """Shape (G,), bp: runs of N, upper or lower case."""
    gap_ends: NDArray[np.int64]
    """Shape (G,), bp."""


class Selection(NamedTuple):
    """The pieces that were chosen on a contig; P of them."""

    piece_bp: int
    """Length of each piece, bp."""
    min_run_bp: int
    """The threshold: shorter runs were left out."""
    starts: NDArray[np.int64]
    """Shape (P,), bp, 0-based, increasing."""
    num_stranded: int
    """Runs that are long enough, in stretches between N that are too short for a piece."""

    def kept_intervals(self) -> NDArray[np.int64]:
        """Return what the pieces cover, int64, shape (n, 2): disjoint intervals in order, bp."""
        return np.stack(merge_spans((self.starts, self.starts + self.piece_bp)), axis=1)

    @property
    def kept_bp(self) -> int:
        """Bases in at least one piece."""
        kept = self.kept_intervals()
        return int((kept[:, 1] - kept[:, 0]).sum())


class RepeatCounts(BaseModel, frozen=True, extra="forbid"):
    """What was chosen, counted; counts of contigs add up."""

    length_bp: int
    n_bp: int
    """N letters."""
    masked_bp: int
    """Soft-masked letters other than N."""
    num_runs: int
    """Runs outside the soft mask."""
    num_long_runs: int
    """Runs that reach the threshold."""
    num_stranded: int
    """Of these, runs too near to N on both sides to give a piece."""
    num_pieces: int
    kept_bp: int
    """Bases in at least one piece."""
    kept_masked_bp: int
    """Soft-masked letters among the kept."""
    shared_bp: int
    """Bases that pieces hold beyond the first time."""

    @property
    def kept_fraction(self) -> float:
        """Share that is kept of `length_bp`, N counted ("total chromosome lengths")."""
        return self.kept_bp / self.length_bp


class RepeatReport(RepeatCounts, frozen=True, extra="forbid"):
    """What was chosen on a contig, and what it amounts to."""

    contig: str
    min_run_bp: int
    """The threshold, bp."""
    paper_fraction: float | None
    """dnaGrinder's share, if the contig has the length of one of its chromosomes."""


class RepeatSummary(BaseModel, frozen=True, extra="forbid"):
    """What was chosen on many contigs."""

    num_contigs: int
    total: RepeatCounts
    largest: tuple[RepeatReport, ...]
    """The longest contigs, the longest first, at most `MOST_REPORTS`."""


def find_unmasked(letters: Letters) -> MaskedContig:
    """Find the runs outside the soft mask, and the gaps.

    Parameters
    ----------
    letters : NDArray, uint8, shape (L,)
        A contig in ASCII codes, soft-masked; read in blocks.

    Returns
    -------
    MaskedContig
        Runs and gaps in the order of the contig. Without a soft mask each stretch between
        gaps is one run.
    """
    starts, ends, kinds = find_runs(letters, _CLASSES)
    run, gap = kinds == _RUN, kinds == _GAP
    return MaskedContig(len(letters), starts[run], ends[run], starts[gap], ends[gap])


def select_pieces(contig: MaskedContig, min_run_bp: int, piece_bp: int = PIECE_BP) -> Selection:
    """Choose pieces by the rules above.

    Parameters
    ----------
    contig : MaskedContig
        From `find_unmasked`.
    min_run_bp : int
        The threshold: shorter runs are left out. The paper has 1,150 for chromosome 1.
    piece_bp : int
        Length of a piece, bp.

    Returns
    -------
    Selection
        The pieces in the order of the contig.
    """
    long = contig.run_ends - contig.run_starts >= min_run_bp
    starts, ends = contig.run_starts[long], contig.run_ends[long]
    # A run of L bp gives at most ceil(L / piece_bp) pieces.
    room = np.zeros(int((-(-(ends - starts) // piece_bp)).sum()), np.int64)
    bounds = contig.gap_starts, contig.gap_ends, contig.length_bp
    count, stranded = _place_pieces(starts, ends, *bounds, piece_bp, room)
    return Selection(piece_bp, min_run_bp, room[:count].copy(), int(stranded))


@compiled
def _place_pieces(
    run_starts: NDArray[np.int64],
    run_ends: NDArray[np.int64],
    gap_starts: NDArray[np.int64],
    gap_ends: NDArray[np.int64],
    length_bp: int,
    piece_bp: int,
    out: NDArray[np.int64],
) -> tuple[int, int]:
    """Write the starts of the pieces to `out`; return their number, and that of stranded runs."""
    count = stranded = gap = covered = 0
    for run in range(len(run_starts)):
        if run_ends[run] <= covered:
            continue
        while gap < len(gap_starts) and gap_starts[gap] < run_ends[run]:
            gap += 1
        left = gap_ends[gap - 1] if gap > 0 else 0
        right = gap_starts[gap] if gap < len(gap_starts) else length_bp
        if right - left < piece_bp:
            stranded += 1
            continue
        start = run_starts[run]
        while start < run_ends[run]:
            start = min(start, right - piece_bp)
            out[count] = start
            count += 1
            start += piece_bp
        covered = start
    return count, stranded


def find_threshold(contig: MaskedContig, kept_fraction: float, piece_bp: int = PIECE_BP) -> int:
    """Find the threshold at which pieces keep a wanted share of a contig.

    Parameters
    ----------
    contig : MaskedContig
        From `find_unmasked`.
    kept_fraction : float
        The wanted share of the contig's length, N counted, above 0.
    piece_bp : int
        Length of a piece, bp.

    Returns
    -------
    int
        A threshold t, bp, at which at least the wanted share is kept, while less is kept at
        t + 1. It is found by bisection between 1 and the longest run, so it is always the same
        one, though there may be several: where a run that is left out lets the pieces after it
        begin elsewhere, a higher threshold can keep more. 1 if no threshold keeps so much.
    """
    wanted = kept_fraction * contig.length_bp
    low = 1
    high = int((contig.run_ends - contig.run_starts).max(initial=0)) + 1  # keeps nothing
    while high - low > 1:
        middle = (low + high) // 2
        if select_pieces(contig, middle, piece_bp).kept_bp >= wanted:
            low = middle
        else:
            high = middle
    return low


def paper_fraction(length_bp: int) -> float | None:
    """Return dnaGrinder's share of the GRCh38 chromosome of this length, or None."""
    return next((share for length, share in GRCH38.values() if length == length_bp), None)


def report_repeats(name: str, contig: MaskedContig, selection: Selection) -> RepeatReport:
    """Say what was chosen on a contig.

    Parameters
    ----------
    name : str
        The contig's name.
    contig : MaskedContig
        From `find_unmasked`.
    selection : Selection
        From `select_pieces`.

    Returns
    -------
    RepeatReport
        Counts and shares.
    """
    run_bp = contig.run_ends - contig.run_starts
    n_bp = int((contig.gap_ends - contig.gap_starts).sum())
    kept_bp = selection.kept_bp
    runs = contig.run_starts, contig.run_ends
    unmasked_before = bases_before(runs, selection.kept_intervals().ravel())
    kept_unmasked = int(np.diff(unmasked_before)[::2].sum())
    return RepeatReport(
        contig=name,
        length_bp=contig.length_bp,
        n_bp=n_bp,
        masked_bp=contig.length_bp - n_bp - int(run_bp.sum()),
        num_runs=len(run_bp),
        min_run_bp=selection.min_run_bp,
        num_long_runs=int((run_bp >= selection.min_run_bp).sum()),
        num_stranded=selection.num_stranded,
        num_pieces=len(selection.starts),
        kept_bp=kept_bp,
        kept_masked_bp=kept_bp - kept_unmasked,
        shared_bp=len(selection.starts) * selection.piece_bp - kept_bp,
        paper_fraction=paper_fraction(contig.length_bp),
    )


def summarize(parts: Sequence[RepeatReport | RepeatSummary]) -> RepeatSummary | None:
    """Add up what was chosen on contigs.

    Parameters
    ----------
    parts : sequence of RepeatReport or RepeatSummary
        Contigs, or what they were added up to: in parts or at once, the result is the same.

    Returns
    -------
    RepeatSummary or None
        Of contigs of one length the earlier ones come first. None if there is no part.
    """
    if not parts:
        return None
    counts = [part.total if isinstance(part, RepeatSummary) else part for part in parts]
    reports = [
        report
        for part in parts
        for report in (part.largest if isinstance(part, RepeatSummary) else [part])
    ]
    return RepeatSummary(
        num_contigs=sum(getattr(part, "num_contigs", 1) for part in parts),
        total=RepeatCounts(
            **{name: sum(getattr(c, name) for c in counts) for name in RepeatCounts.model_fields}
        ),
        largest=tuple(sorted(reports, key=lambda report: -report.length_bp)[:MOST_REPORTS]),
    )
