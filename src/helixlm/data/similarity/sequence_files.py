"""Two sets of sequences in files, as the leak check reads them.

In: FASTA files, or tables with a column `sequence` (`.csv`, `.tsv`), for training and for
validation. Out: windows. A record of FASTA is one window, as is a row of a table; a record longer
than 10,000 bp is a contig, and is cut into pieces of 1,000 bp, in validation one after the
other, in training one every 500 bp: so three quarters at least of a piece of validation that is
in a contig of training are in one piece of it. The last piece ends with the contig, and overlaps
the one before. Pieces of N alone are left out.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from helixlm.data.formats.delimited import TableError, check_sequence, iter_rows
from helixlm.data.formats.fasta import iter_chunks
from helixlm.data.windows import Window

LONGEST_BP = 10_000
PIECE_BP = 1_000
STEP_BP = {"train": 500, "validation": PIECE_BP}

_TABLES = (".csv", ".tsv", ".tab")


class SequenceFiles:
    """Sequences for training and for validation.

    Parameters
    ----------
    train, validation : sequence of path
        FASTA (plain, gzip, bgzip) or tables (plain, gzip), told apart by name.
    """

    def __init__(self, train: Sequence[str | Path], validation: Sequence[str | Path]) -> None:
        self.files = {"train": train, "validation": validation}

    @property
    def contigs(self) -> dict[str, int]:
        """Nothing: coordinates are not compared, see `leaks.WindowSource`."""
        return {}

    def iter_windows(self, split: str) -> Iterator[Window]:
        """Yield the sequences of one split, in the order of the files.

        Parameters
        ----------
        split : str
            "train" or "validation".

        Yields
        ------
        Window
            The contig is the name of the record, with start and end if it is a piece of one, or
            ``FILE:LINE`` of a table.

        Raises
        ------
        FastaError, TableError
            If a file is not sound.
        """
        for path in map(Path, self.files[split]):
            if path.name.lower().removesuffix(".gz").endswith(_TABLES):
                yield from _rows(path)
            else:
                yield from _records(path, STEP_BP[split])


def _rows(path: Path) -> Iterator[Window]:
    empty = True
    for row in iter_rows(path, ["sequence"]):
        place = f"{path.name}:{row.line}"
        sequence = row.fields["sequence"]
        check_sequence(sequence, f"{path}:{row.line}")
        yield Window(place, 0, len(sequence), sequence)
        empty = False
    if empty:
        raise TableError(f"{path}: found no rows below the header, expected sequences")


def _records(path: Path, step_bp: int) -> Iterator[Window]:
    """Yield short records whole and long ones in pieces; holds one chunk."""
    waiting, start, at = "", 0, 0  # letters, where they begin, and where the next piece does
    for chunk in iter_chunks(path, LONGEST_BP):
        if chunk.last and chunk.start == 0:
            yield Window(chunk.contig, 0, len(chunk.sequence), chunk.sequence)
            continue
        if chunk.start == 0:
            waiting, start, at = "", 0, 0
        waiting += chunk.sequence
        end = start + len(waiting)
        starts = [*range(at, end - PIECE_BP + 1, step_bp)]
        at += step_bp * len(starts)
        if chunk.last and at - step_bp + PIECE_BP < end:
            starts.append(end - PIECE_BP)
        for first in starts:
            piece = waiting[first - start : first - start + PIECE_BP]
            if piece.strip("Nn"):
                last = first + PIECE_BP
                yield Window(f"{chunk.contig}:{first}-{last}", first, last, piece)
        waiting = waiting[-PIECE_BP:]
        start = end - len(waiting)
