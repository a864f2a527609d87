r"""Coding sequences from CDS FASTA files, with what Ensembl writes into their headers.

In: a file such as ``Homo_sapiens.GRCh38.cds.all.fa.gz``, plain, gzip or bgzip. Out: one
`CodingSequence` for each record, with the columns of the book. An Ensembl header looks like this,
on one line::

    >ENST00000448914.1 cds chromosome:GRCh38:14:22449113:22449125:1 gene:ENSG00000228985.1
    gene_biotype:TR_D_gene transcript_biotype:TR_D_gene gene_symbol:TRDD3
    description:T cell receptor delta diversity 3 [Source:HGNC Symbol;Acc:HGNC:12256]

Any part but the name may be missing; its column is then empty. Headers of other sources give the
name alone. A record is held whole: the longest, that of titin, has 108,000 letters.

References
----------
Ensembl, README of ftp.ensembl.org/pub/current_fasta/homo_sapiens/cds.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from helixlm.data.coding import CodingSequence
from helixlm.data.formats.fasta_stream import LEGAL, letter_hint
from helixlm.data.formats.numbered_lines import iter_lines
from helixlm.errors import InputError

_ILLEGAL = re.compile(f"[^{LEGAL.decode()}]")
_DESCRIPTION = re.compile(r"(?:^|\s)description:(.*)$")
# kind:assembly:name:start:end:strand; the name of a contig may hold colons, as those of HLA do.
_PLACE = re.compile(r"[^\s:]+:[^\s:]*:(\S+):(\d+):(\d+):(-?1)")


class CdsFastaError(InputError):
    """A CDS FASTA file that cannot be read."""


class _Header(NamedTuple):
    line: int
    text: str
    """Without ">"."""


def iter_cds_fasta(path: str | Path) -> Iterator[CodingSequence]:
    """Stream the coding sequences of a FASTA file.

    Parameters
    ----------
    path : path
        The file, plain, gzip or bgzip.

    Yields
    ------
    CodingSequence
        In the order of the file, letters in its case; places are 0-based and half-open.

    Raises
    ------
    CdsFastaError
        If the file is missing, damaged or not FASTA, if a record has no name, no sequence or the
        name of another, a place that is none, or a letter that is not IUPAC's.
    """
    path = Path(path)
    header: _Header | None = None
    lines: list[str] = []
    line_of: dict[str, int] = {}
    for number, line in iter_lines(path, "FASTA", CdsFastaError):
        if line.startswith(">"):
            if header:
                yield _record(path, header, "".join(lines), line_of)
            header, lines = _Header(number, line[1:]), []
        elif header is None:
            raise CdsFastaError(
                f"{path}:{number}: not FASTA: found {line[:40]!r}, expected a line with '>' and a "
                f"name"
            )
        else:
            _check_letters(path, number, line, header)
            lines.append(line)
    if header is None:
        raise CdsFastaError(f"{path}: only white space, expected FASTA")
    yield _record(path, header, "".join(lines), line_of)


def parse_header(text: str, place: str) -> CodingSequence:
    """Read an Ensembl header.

    Parameters
    ----------
    text : str
        The line, without ">".
    place : str
        File and line, for messages.

    Returns
    -------
    CodingSequence
        With an empty sequence.

    Raises
    ------
    CdsFastaError
        If there is no name, or the place is none.
    """
    name, _, rest = text.replace("\t", " ").partition(" ")
    if not name:
        raise CdsFastaError(f"{place}: header without a name, expected '>' and a name after it")
    described = _DESCRIPTION.search(rest)
    words = (rest[: described.start()] if described else rest).split()
    found = dict(word.split(":", 1) for word in words if ":" in word)
    chromosome, start, end, strand = _place_of(words, place)
    return CodingSequence(
        name,
        chromosome,
        start,
        end,
        strand,
        found.get("gene", ""),
        found.get("gene_biotype", ""),
        found.get("transcript_biotype", ""),
        found.get("gene_symbol", ""),
        described[1].strip() if described else "",
        "",
    )


def _place_of(words: list[str], place: str) -> tuple[str, int | None, int | None, str]:
    match = next(filter(None, map(_PLACE.fullmatch, words)), None)
    if match is None:
        return "", None, None, ""
    chromosome, start, end, strand = match.groups()
    if not 1 <= int(start) <= int(end):
        raise CdsFastaError(
            f"{place}: place {match[0]!r}, expected 1 <= start <= end, as in "
            f"chromosome:GRCh38:14:22449113:22449125:1"
        )
    return chromosome, int(start) - 1, int(end), "+" if strand == "1" else "-"


def _record(path: Path, header: _Header, sequence: str, line_of: dict[str, int]) -> CodingSequence:
    place = f"{path}:{header.line}"
    record = parse_header(header.text, place)
    name = record.transcript_id
    if name in line_of:
        raise CdsFastaError(
            f"{place}: second record of the name {name!r}, the first is at line {line_of[name]}: "
            f"expected a name of its own for each: rename or remove one"
        )
    line_of[name] = header.line
    if not sequence:
        raise CdsFastaError(
            f"{place}: record {name!r} has no sequence, expected at least one letter: remove the "
            f"record, or complete the file if it was cut short"
        )
    return record._replace(sequence=sequence)


def _check_letters(path: Path, number: int, line: str, header: _Header) -> None:
    wrong = _ILLEGAL.search(line)
    if wrong is None:
        return
    hint = letter_hint(wrong[0])
    if line.lower().startswith("sequence unavailable"):
        hint = "; BioMart writes this for what has no coding sequence: remove the record"
    raise CdsFastaError(
        f"{path}:{number}: record {header.text.partition(' ')[0]!r}, column {wrong.start() + 1:,}: "
        f"found {wrong[0]!r}, expected A, C, G, T, N or another IUPAC code (RYSWKMBDHV) in either "
        f"case{hint}"
    )
