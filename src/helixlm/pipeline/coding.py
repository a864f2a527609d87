"""Coding sequences as a table: the first chapter of the book, from a genome or from CDS FASTA.

In: what `prepare` makes a corpus of coding sequences from. Out: a CSV file with a row for each
transcript. The columns are described in `helixlm.data.coding`.
"""

import re
import shutil
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

from helixlm.data.cds_fasta import iter_cds_fasta
from helixlm.data.coding import CodingSequence, iter_coding_sequences, write_book_table
from helixlm.data.genome import Genome
from helixlm.data.genome_files import annotation_of, check_windows
from helixlm.data.sources import Source, check_sources, make_source
from helixlm.data.windows import CodingWindows
from helixlm.errors import InputError
from helixlm.pipeline.progress import Reporter, Silent, StageProgress


def write_coding_sequences(
    output: str | Path,
    *,
    fasta: Sequence[str | Path] = (),
    cds: Sequence[str | Path] = (),
    gff: str | Path | None = None,
    report: Reporter | None = None,
) -> int:
    """Write coding sequences as the table of the book's first chapter.

    Parameters
    ----------
    output : path
        A CSV file, or TSV when it is called `.tsv`; gzipped when `.gz` follows. One that is there
        is replaced when the new one is whole. While it is made from a genome, one byte for each
        base is needed beside it.
    fasta : sequence of path
        FASTA files of one genome, plain, gzip or bgzip, or 2bit.
    cds : sequence of path
        Instead of `fasta`: FASTA files of coding sequences.
    gff : path, optional
        Annotation, GFF3; needed with `fasta`.
    report : Reporter, optional
        Where to show progress, in bytes of the genome.

    Returns
    -------
    int
        Number of rows, in the order of the annotation or of the files.

    Raises
    ------
    InputError
        If the name is that of no table, or an input is not what it must be.
    StateError
        If the file cannot be written.
    """
    output = Path(output)
    if not re.search(r"\.[ct]sv(\.gz)?$", output.name, re.IGNORECASE):
        raise InputError(
            f"{output}: expected the name of a table, which ends in .csv, .tsv, .csv.gz or .tsv.gz"
        )
    source = make_source({"fasta": fasta, "cds": cds, "gff": gff})
    check_sources([source])
    check_windows(source, CodingWindows())
    with (
        (report or Silent()).stage("Reading coding sequences") as progress,
        closing(_coding_sequences(source, output, progress)) as sequences,
    ):
        return write_book_table(output, sequences)


def _coding_sequences(
    source: Source, output: Path, progress: StageProgress
) -> Generator[CodingSequence]:
    """Yield the coding sequences of a source; letters of a genome are kept beside the output."""
    if source.cds:
        for path in source.cds:
            yield from iter_cds_fasta(path)
        return
    letters = output.with_name(f".{output.name}.letters")
    shutil.rmtree(letters, ignore_errors=True)  # of a run that was killed
    try:
        with Genome.from_fasta(source.fasta, letters, progress) as genome:
            yield from iter_coding_sequences(genome, annotation_of(source))
    finally:
        shutil.rmtree(letters, ignore_errors=True)
