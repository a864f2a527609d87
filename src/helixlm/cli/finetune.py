"""`helixlm finetune`: a classifier from a pretrained model, and what it must beat."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from helixlm.cli.arguments import Device, Output


def finetune(
    model: Annotated[str, typer.Argument(help="A run, a model folder, or a hub name.")],
    train: Annotated[Path, typer.Option("--train", help="CSV with the columns sequence,label.")],
    output: Output,
    dev: Annotated[
        Path | None, typer.Option("--dev", help="CSV to choose on. Default: a tenth of train.")
    ] = None,
    test: Annotated[
        Path | None, typer.Option("--test", help="CSV to score once, at the end.")
    ] = None,
    methods: Annotated[
        str,
        typer.Option(
            "--methods",
            help="What to run: pretrained, scratch, kmer, majority, with commas between, or all.",
        ),
    ] = "pretrained",
    seeds: Annotated[
        list[int] | None, typer.Option("--seeds", help="Training seeds. Default: 0.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            "-r",
            help="Recipe whose finetune section to use. Default: the run's own, or tinydnabert.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting, such as --set finetune.max_steps=500."),
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="Name in the results table.")] = None,
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut sequences that are too long for the model.")
    ] = False,
    device: Device = None,
) -> None:
    """Fine-tune a sequence classifier from a labelled CSV and score it.

    Training that is stopped begins anew when the same command is given again, or goes on from its
    last save if it has run for more than a minute. What is finished is not done again.

    Example: helixlm finetune run --train train.csv --dev dev.csv --test test.csv -o tuned
    """
    from helixlm.cli.progress import Terminal
    from helixlm.errors import InputError
    from helixlm.recipes.load import load_recipe
    from helixlm.tasks.compare import METHODS, TRAINED, compare
    from helixlm.tasks.finetune import finetune as run_finetune

    settings = list(overrides or []) + (["finetune.truncate=true"] if truncate else [])
    own = Path(model) / "recipe.yaml"
    config = load_recipe(recipe or (own if own.is_file() else "tinydnabert"), settings).finetune
    chosen = METHODS if methods == "all" else tuple(x.strip() for x in methods.split(","))
    if len(chosen) == 1 and chosen[0] in TRAINED and len(seeds or [0]) == 1:
        with _stops(output), Terminal().stage("Fine-tuning", config.max_steps) as progress:
            result = run_finetune(
                model,
                train=train,
                dev=dev,
                test=test,
                output=output,
                config=config,
                method=chosen[0],  # type: ignore[arg-type]
                seed=(seeds or [0])[0],
                task=task,
                device=device,
                progress=progress,
            )
        for row in result.rows:
            typer.echo(f"{row.split} {row.metric}: {row.value:.4f}")
        typer.echo(
            f"Wrote {output}\nNext: helixlm predict {output} --input sequences.fa -o labels.csv"
        )
        return
    if test is None:
        raise InputError(
            "several methods or seeds, and the baselines kmer and majority, are compared on test "
            "rows: give --test CSV"
        )
    with _stops(output), Terminal().stage("Fine-tuning") as progress:
        comparison = compare(
            model,
            train=train,
            dev=dev,
            test=test,
            output=output,
            seeds=seeds or [0],
            config=config,
            methods=chosen,  # type: ignore[arg-type]
            task=task,
            device=device,
            progress=progress,
        )
    typer.echo(f"{'method':<24}{'metric':<12}{'mean':>8}   95 % interval")
    for interval in comparison.intervals:
        typer.echo(
            f"{interval.method:<24}{interval.metric:<12}{interval.value:>8.4f}   "
            f"[{interval.low:.4f}, {interval.high:.4f}]"
        )
    typer.echo(f"Wrote {output}: results.csv, intervals.csv, and a folder for each training run")
    trained = [method for method in reversed(METHODS) if method in chosen and method in TRAINED]
    if trained:
        folder = output / f"{trained[0]}-seed{(seeds or [0])[0]}"
        typer.echo(f"Next: helixlm predict {folder} --input sequences.fa -o labels.csv")
    else:
        typer.echo("Next: the same command with --methods all, to see what the model adds")


@contextmanager
def _stops(output: Path) -> Iterator[None]:
    """Leave at SIGINT and SIGTERM, and say what the same command will do then."""
    from helixlm.tasks.outputs import STATE_FILE
    from helixlm.tasks.state import saved_step

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    watched = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, stop) for number in watched}
    try:
        yield
    except KeyboardInterrupt as stopped:
        number = signal.Signals(*stopped.args)
        states = [output / STATE_FILE, *output.glob(f"*/{STATE_FILE}")]  # of the one under way
        step = max(map(saved_step, states))
        typer.echo(
            f"Stopped by {number.name}: the same command "
            + (f"goes on from step {step}, the last save" if step else "begins this training anew")
        )
        raise typer.Exit(128 + number) from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
