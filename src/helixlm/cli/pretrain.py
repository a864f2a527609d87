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
    RecipeName,
    Species,
    ValidationContigs,
    with_contigs,
)


def pretrain(
    output: Output,
    recipe: RecipeName = "tinydnabert-mini",
    fasta: Fasta = None,
    corpus: Annotated[
        Path | None,
        typer.Option(
            "--corpus", help="A corpus that `prepare` made, not FASTA; or OWNER/NAME on the hub."
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
    """
    from helixlm.cli.progress import Terminal, duration
    from helixlm.pipeline.pretrain import pretrain as run_pretrain
    from helixlm.pipeline.pretrain import standard_error_of
    from helixlm.pipeline.report import write_run_report

    result = run_pretrain(
        recipe,
        output,
        fasta=fasta or [],
        corpus=corpus,
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
    typer.echo(
        f"{result.num_parameters:,} parameters, {training.tokens:,} tokens in "
        f"{duration(training.seconds)}\n"
        f"Validation loss {training.best_loss:.4f} nats a masked token (step "
        f"{training.best_step}); by counting: single tokens {training.baselines.unigram.loss:.4f}, "
        f"neighbours {training.baselines.neighbour.loss:.4f}{standard_error_of(result)}\n"
        f"Wrote {result.model} and {page}\n"
        f"Next: helixlm finetune {result.run} --train train.csv --test test.csv -o tuned"
    )
