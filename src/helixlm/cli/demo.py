"""`helixlm demo`: the whole line."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from helixlm.cli.arguments import Device, Overrides


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")] = Path("demo"),
    seed: Annotated[int, typer.Option("--seed", min=0, help="The world and the run.")] = 0,
    overrides: Overrides = None,
    device: Device = None,
) -> None:
    """Simulate a genome, pretrain a model on it, judge it, and write a report.

    Example: helixlm demo -o demo
    """
    from helixlm.cli.progress import Terminal
    from helixlm.pipeline.demo import demo as run_demo
    from helixlm.pipeline.demo import headline

    result = run_demo(
        output, seed=seed, overrides=overrides or [], device=device, report=Terminal()
    )
    stopped_by = result.pretraining.training.stopped_by
    if stopped_by is not None:
        typer.echo(f"Stopped by {stopped_by} and saved\nNext: run the same command again to resume")
        raise typer.Exit(128 + signal.Signals[stopped_by])
    typer.echo(headline(result))
    typer.echo(
        f"Wrote {result.report}\n"
        f"Next: open {result.report} in a browser; then try your own genome: "
        f"helixlm pretrain --recipe tinydnabert-mini --fasta genome.fa.gz -o run"
    )
