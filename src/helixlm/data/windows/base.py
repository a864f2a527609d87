"""What all kinds of windows share: windows, dropped stretches, and how letters are read.

A contig is its letters in ASCII codes, uint8, in the case of its file: often a memory map, of which
only what a window needs is read. Coordinates are 0-based, half-open and on the forward strand.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from helixlm.data.runs import Letters, class_table, find_runs
from helixlm.errors import InputError
from helixlm.seq.alphabet import DNA

CHUNK_BP = 1_000_000

DROP_REASONS = {
    "gap": "N letters",
    "iupac": "letters other than A, C, G, T and N, where the settings cut at them",
    "short_contig": "contigs shorter than the shortest window",
    "short_piece": "pieces between gaps or block borders shorter than the shortest window",
    "tail": "ends of pieces, after the last window",
    "split_border": "windows that would lie in training and validation at once",
    "other_split": "windows into which an inversion or a duplication of a haplotype brings letters "
    "of the other split",
    "duplicate": "windows whose sequence came before",
    "deleted": "windows that the haplotypes drawn for them lack as a whole",
    "weight": "windows that a weight below 1 left out",
    "n_content": "windows with more N than the settings allow",
    "not_sampled": "stretches that no window drawn at random fell on",
    "no_feature": "stretches in no window around a feature, or in no coding sequence",
    "outside": "stretches outside the given intervals",
    "left_out": "contigs that the settings leave out of training and validation",
    "repeat": "soft-masked repeats, and what lies among them in no piece that was chosen",
}
"""Why bases are in no window, or, for those in `LOST_WINDOWS`, why windows are left out."""

LOST_WINDOWS = ("split_border", "other_split", "duplicate", "weight")
"""Reasons that count windows with all their bases, and other_split each haplotype of one: bases may
be in several of them, and in others that are kept."""

FEATURE_REASONS = {
    "no_contig": "on contigs that the genome lacks",
    "left_out": "on contigs that the settings leave out of training and validation",
    "no_strand": "without a strand, so that nothing is upstream",
    "off_contig": "whose windows would leave their contig",
    "outside": "whose windows do not lie whole in one of the given intervals",
    "shared": "whose windows are those of other features",
    "n_content": "whose windows have more N than the settings allow",
}
"""Why features, coding sequences among them, have no window of their own."""

IupacPolicy = Literal["keep", "split", "n"]

_GAP, _OTHER = 1, 2
_AMBIGUOUS = "".join(letter for letter in DNA.symbols if letter not in "ACGTN")
_AMBIGUOUS += _AMBIGUOUS.lower()
_AS_N = bytes.maketrans(
    _AMBIGUOUS.encode(), b"".join(b"N" if c.isupper() else b"n" for c in _AMBIGUOUS)
)
_CLASSES = {
    "keep": class_table("Nn"),
    "split": class_table("Nn", _AMBIGUOUS),
    "n": class_table("Nn" + _AMBIGUOUS),
}
_REASONS = {_GAP: "gap", _OTHER: "iupac"}


class WindowError(InputError):
    """A request for windows that the contig cannot serve."""


class WindowSettings(BaseModel):
    """What the settings of all kinds of windows have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """Which of them."""
    both_strands: bool = False
    """Each window of training comes as its reverse complement too. Where windows are drawn in
    training, `batches.reverse_complement` does it better, anew at every epoch."""


class Window(NamedTuple):
    """A stretch of sequence in 0-based, half-open, forward-strand coordinates."""

    contig: str
    start: int
    end: int
    sequence: str
    """Case as in the file, on the strand of the window. Its length is ``end - start``, except
    where runs of N are shortened or variants applied."""
    strand: str = "+"
    """"+", or "-" where `sequence` is the reverse complement of the contig's letters."""
    sample: str | None = None
    """Whose variants are applied; None: the reference itself."""
    haplotype: int | None = None
    """1 or 2 where `sample` is given."""
    name: str | None = None
    """Of a coding sequence, that of its transcript or record; None: other windows have none."""


class Dropped(NamedTuple):
    """A stretch that is in no window; `reason` is a key of `DROP_REASONS`."""

    contig: str
    start: int
    end: int
    reason: str


class Stretch(NamedTuple):
    """A stretch between gaps, or a gap."""

    start: int
    end: int
    reason: str | None
    """Why windows do not enter it; None: they do."""


def unit_of(step_bp: int) -> int:
    """Return the multiple of `step_bp` next below `CHUNK_BP`, or `step_bp` if there is none."""
    return step_bp * max(1, CHUNK_BP // step_bp)


def read(letters: Letters, start: int, end: int, iupac: IupacPolicy = "keep") -> str:
    """Return a stretch of a contig as text; with `iupac` "n", letters beyond ACGT are N or n."""
    data = letters[start:end].tobytes()
    return (data.translate(_AS_N) if iupac == "n" else data).decode("ascii")


def stretches(letters: Letters, iupac: IupacPolicy) -> Iterator[Stretch]:
    """Yield the stretches between gaps, and the gaps, in the order of the contig.

    Gaps are runs of N, upper or lower case; with `iupac` "split" runs of other ambiguity codes
    too, with "n" these count as N.
    """
    runs = find_runs(letters, _CLASSES[iupac])
    columns = (column.tolist() for column in runs)
    for start, end, kind in zip(*columns, strict=True):
        yield Stretch(start, end, _REASONS.get(kind))


def too_much_n(sequence: str, most: float) -> bool:
    """Whether the share of N in a sequence is above `most`."""
    return sequence.count("N") + sequence.count("n") > most * len(sequence)


def fill(
    windows: Iterable[Window], start: int, stop: int, lost: Callable[[int, int], Iterable[Dropped]]
) -> Iterator[Window | Dropped]:
    """Put what is in no window between windows.

    Parameters
    ----------
    windows : iterable of Window
        In the order of their starts, which lie in [start, stop).
    start, stop : int
        The stretch to fill, bp.
    lost : callable
        ``lost(a, b)`` gives the dropped stretches that make up [a, b).

    Yields
    ------
    Window or Dropped
        In the order of their starts.
    """
    covered = start
    for window in windows:
        if covered < window.start:
            yield from lost(covered, window.start)
        yield window
        covered = max(covered, window.end)
    if covered < stop:
        yield from lost(covered, stop)


def lost_to(contig: str, reason: str) -> Callable[[int, int], Iterable[Dropped]]:
    """Return a `lost` for `fill` that gives one reason for all."""
    return lambda start, end: [Dropped(contig, start, end, reason)]
