"""`helixlm prepare`: from sequences to a corpus."""

import logging

import typer

from helixlm.cli.arguments import (
    Assembly,
    Bed,
    Cds,
    Column,
    Dataset,
    DatasetSplit,
    Fasta,
    Gff,
    Output,
    Overrides,
    Ray,
    RecipeName,
    Sources,
    Species,
    ValidationContigs,
    Vcf,
    Weights,
    Workers,
    with_contigs,
)

logger = logging.getLogger(__name__)


def prepare(
    output: Output,
    fasta: Fasta = None,
    cds: Cds = None,
    dataset: Dataset = None,
    column: Column = None,
    dataset_split: DatasetSplit = "train",
    vcf: Vcf = None,
    gff: Gff = None,
    bed: Bed = None,
    weights: Weights = None,
    sources: Sources = None,
    recipe: RecipeName = "tinydnabert",
    overrides: Overrides = None,
    validation_contigs: ValidationContigs = None,
    species: Species = "",
    assembly: Assembly = "",
    workers: Workers = 1,
    ray: Ray = None,
) -> None:
    """Cut genomes, or other sequences, into windows and write them as a Parquet corpus.

    Example: helixlm prepare --recipe tinydnabert-mini --fasta genome.fa.gz -o corpus
    """
    from helixlm.cli.progress import Terminal
    from helixlm.compute import Compute
    from helixlm.data.similarity.leaks import check_leaks
    from helixlm.pipeline.prepare import PAGE, tokenizer_command
    from helixlm.pipeline.prepare import prepare as run_prepare
    from helixlm.recipes.load import list_recipes, load_recipe
    from helixlm.report.corpus import describe_corpus

    corpus = run_prepare(
        recipe,
        output,
        fasta=fasta or [],
        cds=cds or [],
        dataset=dataset,
        column=column,
        dataset_split=dataset_split,
        vcf=vcf or [],
        gff=gff,
        bed=bed,
        weights=weights,
        sources=sources,
        overrides=with_contigs(overrides, validation_contigs),
        species=species,
        assembly=assembly,
        compute=Compute(workers=workers, ray=ray),
        report=Terminal(),
    )
    typer.echo(describe_corpus(corpus.manifest))
    with Terminal().stage("Looking for leaks") as progress:
        leaks = check_leaks(corpus, progress=progress)
    typer.echo(f"{leaks}; for contained and near ones: helixlm leaks {output}")
    if not leaks.clean:
        logger.warning(
            "%d of %d training windows share their place or their sequence with validation, so "
            "its loss will be too low: write the corpus anew with --set split.by=group, which "
            "holds out together what is alike, or with --set duplicates.remove=exact (or near), "
            "which leaves out what came before",
            leaks.num_leaking_train,
            leaks.num_train,
        )
    typer.echo(f"Wrote {output}, described in {output / PAGE}")
    settings = load_recipe(recipe, overrides or [])
    if settings.model is None and settings.tokenizer is not None:
        typer.echo(
            f"Next: {tokenizer_command(settings.tokenizer, output)} -o TOKENIZER\n"
            f"Recipe {settings.name!r} has no model; one of another, with tokens of its own: "
            f"helixlm pretrain --recipe tinydnabert-mini --corpus {output} -o RUN"
        )
        return
    small = f"{recipe}-mini"  # the published sizes are for days on a GPU
    typer.echo(
        f"Next: helixlm pretrain --recipe {small if small in list_recipes() else recipe} "
        f"--corpus {output} -o RUN"
    )
