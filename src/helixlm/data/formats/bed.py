"""Intervals from BED files.

In: a path, plain, gzip or bgzip, of BED3 to BED12, with tabs or with blanks between the columns.
Out: intervals with name, score and strand where the file has them, in the order of the file; BED
counts as we do, 0-based and half-open. Comments, ``track`` and ``browser`` lines are left out, and
so is a first line with the names of the columns.

References
----------
Niu, Denisko & Hoffman, The Browser Extensible Data (BED) format, version 1.0,
https://samtools.github.io/hts-specs/BEDv1.pdf.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from helixlm.data.formats.numbered_lines import iter_lines
from helixlm.errors import InputError
from helixlm.seq.contigs import missing_contig
from helixlm.seq.interval import Interval

_STRANDS = frozenset("+-.")
_HEADER_NAMES = frozenset({"start", "chromstart", "chrom_start", "txstart", "begin"})


class BedError(InputError):
    """A BED file that cannot be read."""


class BedRow(NamedTuple):
    """One line of a BED file."""

    contig: str
    start: int
    end: int
    name: str = ""
    score: str = ""
    """As it stands: whole numbers to 1000 in theory, anything in practice."""
    strand: str = "."

    @property
    def interval(self) -> Interval:
        """Where it lies."""
        return Interval(self.contig, self.start, self.end)


def iter_bed(
    path: str | Path, contigs: Mapping[str, int] | None = None, *, allow_empty: bool = True
) -> Iterator[BedRow]:
    """Stream the intervals of a BED file.

    Parameters
    ----------
    path : path
        The file, plain, gzip or bgzip.
    contigs : mapping of str to int, optional
        Contigs of the genome and their lengths in bp; without them, names and ends are not
        checked.
    allow_empty : bool
        Whether an interval may have no base, as BED allows.

    Yields
    ------
    BedRow
        In the order of the file.

    Raises
    ------
    BedError
        If the file is missing, damaged or not BED, holds no interval, or if an interval ends
        before it starts, has a strand that is none, does not lie on a contig of the genome, or is
        empty and must not be.
    """
    path = Path(path)
    num_rows = 0
    for number, line in iter_lines(path, "BED", BedError):
        words = line.split("\t") if "\t" in line else line.split()
        if not words or line.startswith("#") or words[0].split()[:1] in (["track"], ["browser"]):
            continue
        if not num_rows and len(words) >= 3 and words[1].strip().lower() in _HEADER_NAMES:
            continue
        num_rows += 1
        row = _row(f"{path}:{number}", words)
        if contigs is not None:
            _check_place(f"{path}:{number}", row, contigs)
        if row.start == row.end and not allow_empty:
            raise BedError(
                f"{path}:{number}: {row.interval} is empty, expected at least 1 base to put a "
                "window around: a point is the interval of its base, from start to start + 1"
            )
        yield row
    if not num_rows:
        raise BedError(f"{path}: no interval in the file, expected contig, start and end")


def _row(place: str, words: list[str]) -> BedRow:
    if len(words) < 3:
        raise BedError(
            f"{place}: found {len(words)} column{'s' * (len(words) != 1)}, expected at least "
            f"contig, start and end, with tabs or blanks between them"
        )
    contig, start, end = (word.strip() for word in words[:3])
    if not (start.isdecimal() and end.isdecimal()):
        raise BedError(
            f"{place}: interval from {start!r} to {end!r}, expected whole numbers of at least 0"
        )
    if int(start) > int(end):
        raise BedError(
            f"{place}: interval from {start} to {end}, expected start <= end: BED gives places on "
            f"the forward strand, and the strand in its sixth column"
        )
    name, score, strand = (*words[3:6], *("", "", ".")[len(words[3:6]) :])
    if strand not in _STRANDS:
        raise BedError(f"{place}: strand {strand!r}, expected '+', '-' or '.' in the sixth column")
    return BedRow(contig, int(start), int(end), name, score, strand)


def _check_place(place: str, row: BedRow, contigs: Mapping[str, int]) -> None:
    if row.contig not in contigs:
        raise BedError(f"{place}: {missing_contig(row.contig, contigs)}")
    if row.end > contigs[row.contig]:
        raise BedError(
            f"{place}: {row.interval} goes past the end of the contig ({contigs[row.contig]} bp), "
            f"expected intervals of this assembly"
        )
