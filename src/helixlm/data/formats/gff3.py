"""GFF3 files, row by row: coordinates turned into ours, attributes unescaped.

In: a path, plain, gzip or bgzip. Out: rows in the order of the file, 0-based and half-open. What
the rows mean together is said in `annotation.py`.

The parser is our own, because what exists (gffutils 0.14) loads a file into a database first: for
the annotations of yeast and of a piece of the worm that took 4 and 12 times as long as
`annotation.read_annotation` takes for everything. Read without complaint: comments, directives,
a FASTA section at the end (left out), blank lines, semicolons at the end of the attributes or
unescaped within a value, a missing ninth column.

References
----------
Stein, Generic Feature Format Version 3, version 1.26,
https://github.com/The-Sequence-Ontology/Specifications/blob/master/gff3.md.
"""

from collections.abc import Iterator
from pathlib import Path
from sys import intern
from typing import NamedTuple
from urllib.parse import unquote

from helixlm.data.formats.numbered_lines import iter_lines
from helixlm.errors import InputError

_STRANDS = frozenset("+-.?")
_PHASES = {".": None, "0": 0, "1": 1, "2": 2}


class AnnotationError(InputError):
    """An annotation that cannot be read, or does not hold what is asked for."""


class GffRow(NamedTuple):
    """One row of a GFF3 file."""

    line: int
    """Line of the file, 1-based."""
    contig: str
    kind: str
    """The third column, such as "gene" or "CDS"."""
    start: int
    """0-based."""
    end: int
    """Exclusive. Past the end of a circular contig for a feature that crosses its origin."""
    strand: str
    """"+", "-", "." (none) or "?" (unknown)."""
    phase: int | None
    """Bases to skip, in the direction of the strand, to the first whole codon of the row."""
    attributes: str
    """The ninth column as it stands; `parse_attributes` takes it apart."""


def iter_gff3(path: str | Path) -> Iterator[GffRow]:
    """Stream the rows of a GFF3 file.

    Parameters
    ----------
    path : path
        The file, plain, gzip or bgzip.

    Yields
    ------
    GffRow
        In the order of the file. Attributes are not looked at.

    Raises
    ------
    AnnotationError
        If the file is missing, damaged or not GFF3, holds no row, or if a row has a wrong number
        of columns or a start, end, strand or phase that is none.
    """
    path = Path(path)
    is_empty = True
    for number, line in iter_lines(path, "GFF3", AnnotationError):
        if line.startswith("#"):
            if line.startswith("##FASTA"):
                break
            _check_version(path, number, line)
        elif line.startswith(">"):  # the FASTA section may come without its directive
            if is_empty:
                raise AnnotationError(f"{path}:{number}: found FASTA, expected GFF3")
            break
        else:
            is_empty = False
            yield _row(path, number, line)
    if is_empty:
        raise AnnotationError(f"{path}: no feature in the file, expected rows of GFF3")


def parse_attributes(text: str) -> dict[str, str]:
    """Take the ninth column of a row apart.

    Parameters
    ----------
    text : str
        ``key=value`` pairs with semicolons between them. Text without "=" belongs to the value
        before it: files exist that do not escape their semicolons.

    Returns
    -------
    dict of str to str
        Values as they stand, escaped: take lists apart at their commas before `unescape`.

    Examples
    --------
    >>> parse_attributes("ID=x;Note=a%2Cb,c; and d;")
    {'ID': 'x', 'Note': 'a%2Cb,c; and d'}
    """
    found: dict[str, str] = {}
    key = ""
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            key = name.strip()
            found[key] = value.strip()
        elif key and part.strip():
            found[key] += f";{part.rstrip()}"
    return found


def unescape(value: str) -> str:
    """Return a value with its percent escapes resolved."""
    return unquote(value) if "%" in value else value


def _check_version(path: Path, number: int, line: str) -> None:
    words = line.split()
    if words[0] == "##gff-version" and len(words) > 1 and words[1].split(".")[0] != "3":
        raise AnnotationError(
            f"{path}:{number}: GFF of version {words[1]}, expected version 3: convert it, for "
            f"example with gffread or AGAT"
        )


def _row(path: Path, number: int, line: str) -> GffRow:
    fields = line.split("\t")
    if len(fields) == 8:
        fields.append("")
    if len(fields) != 9:
        hint = "; the columns seem to be separated by blanks" if len(line.split()) >= 9 else ""
        raise AnnotationError(
            f"{path}:{number}: found {len(fields)} column{'s' * (len(fields) != 1)}, expected the "
            f"9 of GFF3 with tabs between them{hint}"
        )
    contig, _, kind, start, end, _, strand, phase, attributes = fields
    place = f"{path}:{number}"
    if not (start.isdecimal() and end.isdecimal() and 1 <= int(start) <= int(end)):
        raise AnnotationError(
            f"{place}: {kind} from {start!r} to {end!r}, expected whole numbers with "
            f"1 <= start <= end"
        )
    if strand not in _STRANDS:
        raise AnnotationError(f"{place}: strand {strand!r}, expected '+', '-', '.' or '?'")
    if phase not in _PHASES:
        raise AnnotationError(f"{place}: phase {phase!r}, expected 0, 1, 2 or '.'")
    if len(attributes) > 1 and "=" not in attributes:
        hint = "; this looks like GTF: convert it with gffread or AGAT" if '"' in attributes else ""
        raise AnnotationError(
            f"{place}: attributes {attributes[:40]!r}, expected key=value pairs with semicolons "
            f"between them{hint}"
        )
    # A million rows share a few names, each of which is kept once.
    names = intern(unescape(contig)), intern(kind)
    return GffRow(
        number, *names, int(start) - 1, int(end), intern(strand), _PHASES[phase], attributes
    )
