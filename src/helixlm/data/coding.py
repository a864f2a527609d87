"""Coding sequences, spliced from a genome and its annotation, with the columns of the book.

In: an open `Genome` and an `Annotation`. Out: one `CodingSequence` for each coding region, its
segments joined in the order of translation and on their strand, case as in the genome; windows of
them for a corpus; the table of the book's first chapter. The letters are those of the CDS rows: a
ribosome that slips back reads a base twice, a stop codon is there if the rows hold it (those of
SGD, Ensembl and NCBI do), and bases before the first whole codon stay, with their number in
`CodingSequence.phase`. Nothing is translated here.

References
----------
Nivard, Biological language models, https://github.com/MichelNivard/Biological-language-models,
chapter 1: the columns.
"""

import csv
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.formats.annotation import Annotation, CodingRegion, Segment
from helixlm.data.formats.delimited import delimiter_of, open_writer
from helixlm.data.genome import Genome
from helixlm.errors import InputError
from helixlm.seq.contigs import missing_contig
from helixlm.seq.interval import on_circle
from helixlm.seq.ops import reverse_complement

logger = logging.getLogger(__name__)


class CodingError(InputError):
    """An annotation that does not fit its genome, or records that hold no coding sequence."""


class CodingSequence(NamedTuple):
    """A coding sequence; the first eleven fields are the columns of the book."""

    transcript_id: str
    chromosome: str
    """Name of the contig; empty if it is not known, as in files whose headers do not say it."""
    start: int | None
    """0-based, forward strand; None if it is not known. From an annotation it is where the coding
    region begins; from an Ensembl header, where the transcript does."""
    end: int | None
    """Exclusive; see `start`. Past the end of a circular contig where its origin is crossed."""
    strand: str
    """"+" or "-"; empty if it is not known."""
    gene_id: str
    gene_biotype: str
    transcript_biotype: str
    gene_symbol: str
    description: str
    sequence: str
    """IUPAC letters in the direction of translation, introns left out."""
    phase: int = 0
    """Bases before the first whole codon: 0, 1 or 2."""
    transl_table: int | None = None
    """NCBI's number of the genetic code, if the file says it."""


BOOK_COLUMNS = CodingSequence._fields[:11]
"""Columns of the book's table."""


class CodingWindow(NamedTuple):
    """A coding sequence as a window of a corpus."""

    contig: str
    start: int
    end: int
    """``end - start`` is the length of the sequence only where there is no intron."""
    sequence: str
    strand: str
    name: str
    """Of the transcript."""


def iter_coding_sequences(genome: Genome, annotation: Annotation) -> Iterator[CodingSequence]:
    """Splice the coding sequences of a genome.

    Parameters
    ----------
    genome : Genome
        The letters.
    annotation : Annotation
        The coding regions. Those on contigs that the genome lacks, such as patches, are left
        out; how many is logged.

    Yields
    ------
    CodingSequence
        In the order of the annotation.

    Raises
    ------
    CodingError
        If a region goes past the end of its contig (and that is not circular), has no strand, or
        if none lies on a contig of the genome.
    """
    num_found = 0
    missing: dict[str, int] = {}
    for region in annotation.coding_regions():
        if region.contig in genome.contigs:
            num_found += 1
            yield splice(region, genome, annotation)
        else:
            missing[region.contig] = missing.get(region.contig, 0) + 1
    first = missing_contig(next(iter(missing)), genome.contigs) if missing else ""
    if not num_found:
        found = f"coding regions on other contigs than {genome.path} has" if missing else "no CDS"
        raise CodingError(
            f"{annotation.path}: found {found}, expected coding regions of this genome"
            f"{f' ({first})' if first else ''}"
        )
    if missing:
        logger.warning(
            "%s: %d coding regions are left out, on %d contigs that %s lacks (%s)",
            annotation.path,
            sum(missing.values()),
            len(missing),
            genome.path,
            first,
        )


def coding_windows(sequences: Iterable[CodingSequence]) -> Iterator[CodingWindow]:
    """Turn coding sequences into windows.

    Parameters
    ----------
    sequences : iterable of CodingSequence
        From an annotation or from a CDS FASTA file. One whose place is not known is a contig of
        its own, with the name of the transcript.

    Yields
    ------
    CodingWindow
        One for each.
    """
    for record in sequences:
        name, text = record.transcript_id, record.sequence
        if record.start is None or record.end is None:
            yield CodingWindow(name, 0, len(text), text, "+", name)
        else:
            place = (record.chromosome, record.start, record.end)
            yield CodingWindow(*place, text, record.strand, name)


def write_book_table(path: str | Path, sequences: Iterable[CodingSequence]) -> int:
    """Write coding sequences as the table of the book: its columns, 1-based, strand 1 or -1.

    Parameters
    ----------
    path : path
        A CSV file, or TSV when it is called `.tsv`; gzipped when it is called `.gz`.
    sequences : iterable of CodingSequence
        What to write, in this order.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    StateError
        If the file cannot be written. It appears whole or not at all.
    """
    path = Path(path)
    num_rows = 0
    with open_writer(path) as text:
        writer = csv.writer(text, delimiter=delimiter_of(path), lineterminator="\n")
        writer.writerow(BOOK_COLUMNS)
        for record in sequences:
            writer.writerow(_book_row(record))
            num_rows += 1
    return num_rows


def _book_row(record: CodingSequence) -> list[str]:
    placed = record._replace(
        start=None if record.start is None else record.start + 1,
        strand={"+": "1", "-": "-1"}.get(record.strand, ""),
    )
    return ["" if value is None else str(value) for value in placed[: len(BOOK_COLUMNS)]]


def splice(region: CodingRegion, genome: Genome, annotation: Annotation) -> CodingSequence:
    """Join the segments of a coding region.

    Parameters
    ----------
    region : CodingRegion
        Of `annotation`, on a contig of `genome`.
    genome : Genome
        The letters.
    annotation : Annotation
        Says which contigs are circular.

    Returns
    -------
    CodingSequence
        In the direction of translation.

    Raises
    ------
    CodingError
        If the region goes past the end of its contig (and that is not circular), or has no strand.
    """
    segments, gene, transcript = region.segments, region.gene, region.transcript
    letters = genome.letters(region.contig)
    check_region(region, genome, annotation)
    first = segments[0]
    return CodingSequence(
        region.transcript_id,
        region.contig,
        min(segment.start for segment in segments),
        max(segment.end for segment in segments),
        first.strand,
        region.gene_id,
        gene.biotype if gene else "",
        transcript.biotype if transcript else "",
        gene.symbol if gene else "",
        region.description,
        "".join(_text_of(segment, letters) for segment in segments),
        first.phase or 0,
        region.transl_table,
    )


def check_region(region: CodingRegion, genome: Genome, annotation: Annotation) -> None:
    """Refuse a coding region that cannot be spliced; see `splice`."""
    length = genome.contigs[region.contig]
    is_circular = region.contig in annotation.circular
    for segment in region.segments:
        place = (
            f"{annotation.path}: coding region of {region.transcript_id!r}: "
            f"{region.contig}:{segment.start}-{segment.end}"
        )
        if segment.end > length * (1 + is_circular) or segment.start >= length:
            raise CodingError(
                f"{place}: goes past the end of the contig ({length} bp), expected the annotation "
                f"of this assembly: give the FASTA file that belongs to it"
            )
        if segment.strand not in "+-":
            raise CodingError(
                f"{place}: strand {segment.strand!r}, expected '+' or '-' for what is translated"
            )


def _text_of(segment: Segment, letters: NDArray[np.uint8]) -> str:
    """Return the letters of a segment, which may go on at the origin of a circular contig."""
    places = on_circle(segment.start, segment.end, len(letters))
    text = b"".join(letters[start:end].tobytes() for start, end in places).decode("ascii")
    return reverse_complement(text) if segment.strand == "-" else text
