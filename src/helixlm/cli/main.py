"""The command `helixlm`: its verbs, and how errors reach the user."""

import logging
import sys
from collections.abc import Sequence

import typer

from helixlm.cli import (
    demo,
    doctor,
    finetune,
    predict,
    prepare,
    pretrain,
    recipes,
    simulate,
    tokenizer,
)
from helixlm.errors import HelixError
from helixlm.version import __version__

app = typer.Typer(
    name="helixlm",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a genome to a DNA language model that can be trusted.\n\n"
    "First time here? Run: helixlm demo -o demo",
)
app.command("demo")(demo.demo)
app.command("simulate")(simulate.simulate)
app.command("recipes")(recipes.recipes)
app.command("prepare")(prepare.prepare)
app.add_typer(tokenizer.app, name="tokenizer")
app.command("pretrain")(pretrain.pretrain)
app.command("finetune")(finetune.finetune)
app.command("predict")(predict.predict)
app.command("doctor")(doctor.doctor)

MANY_VALUES = ("--fasta", "--input", "--seeds")
"""Options that take several values: ``--fasta a.fa b.fa`` is ``--fasta a.fa --fasta b.fa``."""


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"helixlm {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Show a traceback when something fails."),
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Set what holds for every verb; `run` has read --debug already."""


def repeat_options(arguments: Sequence[str]) -> list[str]:
    """Write ``--fasta a b`` as ``--fasta a --fasta b``, so that shell patterns work.

    Examples
    --------
    >>> repeat_options(["pretrain", "--fasta", "a.fa", "b.fa", "-o", "run"])
    ['pretrain', '--fasta', 'a.fa', '--fasta', 'b.fa', '-o', 'run']
    """
    written: list[str] = []
    option, values = "", 0
    for argument in arguments:
        if argument.startswith("-"):
            option, values = (argument if argument in MANY_VALUES else ""), 0
        elif option:
            if values:
                written.append(option)
            values += 1
        written.append(argument)
    return written


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit status.

    0: done. 1: the input or the folder is not what it must be, said in one message. 2: the command
    was not understood. 130 and 143: stopped by SIGINT or SIGTERM. Anything else that fails shows a
    traceback and leaves with 70.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = ["--debug", *(x for x in given if x != "--debug")] if debug else given
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s: %(message)s"
    )
    logging.getLogger("helixlm").setLevel(logging.DEBUG if debug else logging.INFO)
    try:
        app(given, prog_name="helixlm")
    except HelixError as error:
        if debug:
            raise
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(130)


if __name__ == "__main__":
    run()
