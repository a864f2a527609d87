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
    from helixlm.data.corpus import open_corpus, prepare_corpus
    from helixlm.data.splits import check_leaks
    from helixlm.recipes.load import load_recipe

    settings = load_recipe(recipe, with_contigs(overrides, validation_contigs))
    with Terminal().stage("Preparing the corpus") as progress:
        prepare_corpus(
            fasta or [],
            output,
            windows=settings.windows,
            split=settings.split,
            seed=settings.seed,
            species=species,
            assembly=assembly,
            progress=progress,
        )
    corpus = open_corpus(output)
    for split in corpus.manifest.splits:
        typer.echo(f"{split}: {corpus.num_windows(split):,} windows")
    leaks = check_leaks(corpus)
    typer.echo(str(leaks))
    typer.echo(f"Wrote {output}\nNext: helixlm pretrain --recipe {recipe} --corpus {output} -o RUN")
