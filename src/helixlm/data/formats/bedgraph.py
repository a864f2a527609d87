"""Values along contigs from bedGraph files.

In: a path, plain, gzip or bgzip, of four columns, with tabs or blanks between them: contig, start,
end, value. Out: one row for each line, in the order of the file; bedGraph counts as we do, 0-based
and half-open. Comments, ``track`` and ``browser`` lines are left out. The values are weights here,
so none is below 0; what a base has that is in no line, is for whoever asks.

References
----------
UCSC Genome Browser, bedGraph track format,
https://genome.ucsc.edu/goldenPath/help/bedgraph.html.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from helixlm.data.formats.numbered_lines import iter_lines
from helixlm.errors import InputError
from helixlm.seq.contigs import missing_contig

_SORTED = "sort the file (sort -k1,1 -k2,2n) and give each base one value"


class BedGraphError(InputError):
    """A bedGraph file that cannot be read."""


class BedGraphRow(NamedTuple):
    """One line of a bedGraph file."""

    contig: str
    start: int
    end: int
    value: float


def iter_bedgraph(path: str | Path, contigs: Mapping[str, int]) -> Iterator[BedGraphRow]:
    """Stream the lines of a bedGraph file.

    Parameters
    ----------
    path : path
        The file, plain, gzip or bgzip.
    contigs : mapping of str to int
        Contigs of the genome and their lengths in bp.

    Yields
    ------
    BedGraphRow
        Those of a contig follow one another, starts ascending, and no two overlap. One may be
        empty.

    Raises
    ------
    BedGraphError
        If the file is missing, damaged or not bedGraph, or holds no line; if a line does not lie
        on a contig of the genome, has a value that is no number of at least 0, overlaps another,
        or is out of order.
    """
    name, contig, reached, before = str(path), "", 0, set[str]()
    for number, line in iter_lines(Path(path), "bedGraph", BedGraphError):
        words = line.split()
        if not words or line.startswith("#") or words[0] in ("track", "browser"):
            continue
        place = f"{name}:{number}"
        row = _row(place, words)
        if row.contig != contig:
            _check_contig(place, row.contig, contigs, before)
            contig, reached = row.contig, 0
            before.add(contig)
        if row.start < reached:
            raise BedGraphError(
                f"{place}: {contig}:{row.start}-{row.end} begins before the end of an earlier line "
                f"({reached}), expected lines in order that do not overlap: {_SORTED}"
            )
        if row.end > contigs[contig]:
            raise BedGraphError(
                f"{place}: {contig}:{row.start}-{row.end} goes past the end of the contig "
                f"({contigs[contig]} bp), expected values of this assembly"
            )
        reached = row.end
        yield row
    if not before:
        raise BedGraphError(f"{path}: no line with a value, expected contig, start, end and value")


def _row(place: str, words: list[str]) -> BedGraphRow:
    if len(words) != 4:
        raise BedGraphError(
            f"{place}: found {len(words)} column{'s' * (len(words) != 1)}, expected 4: contig, "
            "start, end and value, with tabs or blanks between them"
        )
    contig, start, end, value = words
    if not (start.isdecimal() and end.isdecimal() and int(start) <= int(end)):
        raise BedGraphError(
            f"{place}: from {start!r} to {end!r}, expected whole numbers with 0 <= start <= end"
        )
    return BedGraphRow(contig, int(start), int(end), _weight(place, value))


def _weight(place: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise BedGraphError(f"{place}: value {text!r}, expected a number of at least 0")
    return value


def _check_contig(place: str, contig: str, contigs: Mapping[str, int], before: set[str]) -> None:
    if contig not in contigs:
        raise BedGraphError(f"{place}: {missing_contig(contig, contigs)}")
    if contig in before:
        raise BedGraphError(
            f"{place}: more of {contig!r} after another contig, expected the lines of a contig "
            f"together: {_SORTED}"
        )
