"""`helixlm prepare`: from FASTA to a corpus."""

import typer

from helixlm.cli.arguments import (
    Assembly,
    Fasta,
    Output,
    Overrides,
    RecipeName,
    Species,
    ValidationContigs,
    with_contigs,
)


def prepare(
    output: Output,
    fasta: Fasta = None,
    recipe: RecipeName = "tinydnabert",
    overrides: Overrides = None,
    validation_contigs: ValidationContigs = None,
    species: Species = "",
    assembly: Assembly = "",
) -> None:
    """Cut genomes into windows and write them as a Parquet corpus.

    Example: helixlm prepare --recipe tinydnabert-mini --fasta genome.fa.gz -o corpus
    """
    from helixlm.cli.progress import Terminal
    from helixlm.data.leaks import check_leaks
    from helixlm.pipeline.prepare import prepare as run_prepare

    corpus = run_prepare(
        recipe,
        output,
        fasta=fasta or [],
        overrides=with_contigs(overrides, validation_contigs),
        species=species,
        assembly=assembly,
        report=Terminal(),
    )
    for split in corpus.manifest.splits:
        typer.echo(f"{split}: {corpus.num_windows(split):,} windows")
    with Terminal().stage("Looking for leaks") as progress:
        leaks = check_leaks(corpus, progress=progress)
    typer.echo(str(leaks))
    typer.echo(f"Wrote {output}\nNext: helixlm pretrain --recipe {recipe} --corpus {output} -o RUN")
