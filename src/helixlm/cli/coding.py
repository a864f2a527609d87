"""`helixlm coding`: coding sequences as a table."""

import typer

from helixlm.cli.arguments import Cds, Fasta, Gff, Output


def coding(output: Output, fasta: Fasta = None, gff: Gff = None, cds: Cds = None) -> None:
    """Write coding sequences as the table of the book: a row for each transcript, with its gene.

    Example: helixlm coding --fasta genome.fa.gz --gff genes.gff3.gz -o coding.csv

    Example: helixlm coding --cds Homo_sapiens.GRCh38.cds.all.fa.gz -o coding.csv

    Columns: transcript_id, chromosome, start, end, strand, gene_id, gene_biotype,
    transcript_biotype, gene_symbol, description, sequence. Rows of a corpus that is made from the
    same files have the transcript_id as their name. CSV, or TSV, and gzipped if called .gz.
    """
    from helixlm.cli.progress import Terminal
    from helixlm.pipeline.coding import write_coding_sequences

    num_rows = write_coding_sequences(
        output, fasta=fasta or [], cds=cds or [], gff=gff, report=Terminal()
    )
    typer.echo(f"Wrote {output}: {num_rows:,} coding sequences")
    inputs = ["--cds", *(cds or [])] if cds else ["--fasta", *(fasta or []), "--gff", gff]
    typer.echo(f"Next: helixlm prepare --recipe book {' '.join(map(str, inputs))} -o CORPUS")
