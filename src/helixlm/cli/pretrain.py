"""`helixlm pretrain`: the main job."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from helixlm.cli.arguments import (
    Assembly,
    Device,
    Fasta,
    Output,
    Overrides,
    Species,
    ValidationContigs,
    with_contigs,
)


def pretrain(
    output: Output,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            "-r",
            help="Built-in recipe (see: helixlm recipes) or YAML file. Default: tinydnabert-mini; "
            "with --continue that of the run.",
        ),
    ] = None,
    fasta: Fasta = None,
    corpus: Annotated[
        Path | None,
        typer.Option(
            "--corpus", help="A corpus that `prepare` made, not FASTA; or OWNER/NAME on the hub."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Begin with the weights and the tokenizer of a run, a model folder or a model on "
            "the Hugging Face hub; with a fresh optimiser and schedule.",
        ),
    ] = None,
    continues: Annotated[
        Path | None,
        typer.Option(
            "--continue",
            metavar="RUN",
            help="Go on with a run in a new folder, with its optimiser and schedule, to more "
            "train.steps in all; on its own corpus, or on another.",
        ),
    ] = None,
    also_validate: Annotated[
        list[Path] | None,
        typer.Option(
            "--also-validate",
            metavar="CORPUS",
            help="Another corpus to validate on, before, while and after training. Repeat.",
        ),
    ] = None,
    overrides: Overrides = None,
    validation_contigs: ValidationContigs = None,
    species: Species = "",
    assembly: Assembly = "",
    device: Device = None,
) -> None:
    """Pretrain a model from FASTA files; run it again to resume a run that was stopped.

    Example: helixlm pretrain --recipe tinydnabert-mini --fasta genome.fa.gz -o run

    Further, on another genome: helixlm pretrain --from run --fasta other.fa.gz -o further

    More steps: helixlm pretrain --continue run --set train.steps=20000 -o longer
    """
    from helixlm.cli.progress import Terminal, duration
    from helixlm.pipeline.pretrain import pretrain as run_pretrain
    from helixlm.pipeline.pretrain import standard_error_of
    from helixlm.pipeline.report import write_run_report

    if recipe is None:
        recipe = "tinydnabert-mini" if continues is None else str(continues / "recipe.yaml")
    result = run_pretrain(
        recipe,
        output,
        fasta=fasta or [],
        corpus=corpus,
        start=start,
        continues=continues,
        also_validate=also_validate or [],
        overrides=with_contigs(overrides, validation_contigs),
        species=species,
        assembly=assembly,
        device=device,
        report=Terminal(),
    )
    training = result.training
    if training.stopped_by is not None:
        typer.echo(
            f"Stopped by {training.stopped_by} after step {training.step}; saved "
            f"{training.checkpoint}\nNext: run the same command again to resume"
        )
        raise typer.Exit(128 + signal.Signals[training.stopped_by])
    page = write_run_report(result.run)
    before = ""
    if start is not None or continues is not None:
        before = f"; before the first step {training.loss_before:.4f}"
    counted = training.baselines
    others = "".join(
        f"On {name}: {found['best']:.4f}; before the first step {found['before']:.4f}\n"
        for name, found in result.summary["others"].items()
    )
    typer.echo(
        f"{result.num_parameters:,} parameters, {training.tokens:,} tokens in "
        f"{duration(training.seconds)}\n"
        f"Validation loss {training.best_loss:.4f} nats a masked token (step "
        f"{training.best_step}){before}; by counting: single tokens {counted.unigram.loss:.4f}, "
        f"neighbours {counted.neighbour.loss:.4f}{standard_error_of(result)}\n"
        f"{others}"
        f"Wrote {result.model} and {page}\n"
        f"Next: helixlm finetune {result.run} --train train.csv --test test.csv -o tuned"
    )
