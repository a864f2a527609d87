"""`helixlm predict`: what a model says of sequences."""

from pathlib import Path
from typing import Annotated

import typer

from helixlm.cli.arguments import Device, Output


def predict(
    model: Annotated[str, typer.Argument(help="A run, a model folder, or a hub name.")],
    inputs: Annotated[
        Path, typer.Option("--input", "-i", help="FASTA, or CSV with a column sequence.")
    ],
    output: Output,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Rows of a forward pass.")
    ] = 64,
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut sequences that are too long for a classifier.")
    ] = False,
    device: Device = None,
) -> None:
    """Classify sequences, or ask a masked model for each token in turn.

    Example: helixlm predict tuned --input sequences.fa -o labels.csv
    """
    from helixlm.cli.progress import Terminal
    from helixlm.inference import load, resolve_device
    from helixlm.inference import predict as run_predict

    where = resolve_device(device)
    loaded = load(model)
    with Terminal().stage("Predicting") as progress:
        done = run_predict(
            loaded,
            inputs,
            output,
            batch_size=batch_size,
            truncate=truncate,
            device=where,
            progress=progress,
        )
    cut = f", {done.num_cut:,} of them cut" if done.num_cut else ""
    typer.echo(f"Wrote {output}: {done.num_rows:,} rows for {done.num_sequences:,} sequences{cut}")
    if loaded.kind == "classifier":
        typer.echo(f"Next: open {output} in a spreadsheet; p_LABEL is the probability of LABEL")
    else:
        typer.echo(
            f"Next: open {output} in a spreadsheet; to classify sequences: "
            f"helixlm finetune {model} --train train.csv --test test.csv -o tuned"
        )
