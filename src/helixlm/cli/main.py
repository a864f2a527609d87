"""The command `helixlm`: its verbs, and how errors reach the user."""

import logging
import sys
import traceback
from collections.abc import Sequence
from itertools import islice
from typing import Any

import typer

from helixlm.cli import (
    coding,
    convert,
    demo,
    doctor,
    download,
    finetune,
    leaks,
    predict,
    prepare,
    pretrain,
    profile,
    push,
    recipes,
    simulate,
    tokenizer,
)
from helixlm.cli.verb import Verb
from helixlm.errors import HelixError
from helixlm.version import __version__


class LogLines(logging.Handler):
    """Writes to what is standard error now: while a bar is drawn, rich puts lines above it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        print(self.format(record), file=sys.stderr)


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
app.command("demo", cls=Verb)(demo.demo)
app.command("simulate", cls=Verb)(simulate.simulate)
app.command("recipes", cls=Verb)(recipes.recipes)
app.command("prepare", cls=Verb)(prepare.prepare)
app.command("coding", cls=Verb)(coding.coding)
app.command("leaks", cls=Verb)(leaks.leaks)
app.command("push", cls=Verb)(push.push)
app.add_typer(tokenizer.app, name="tokenizer")
app.command("pretrain", cls=Verb)(pretrain.pretrain)
app.command("finetune", cls=Verb)(finetune.finetune)
app.command("predict", cls=Verb)(predict.predict)
app.command("convert", cls=Verb)(convert.convert)
app.command("download", cls=Verb)(download.download)
app.command("profile", cls=Verb)(profile.profile)
app.command("doctor", cls=Verb)(doctor.doctor)


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

    The verb's own declaration says which options take several values, and how many arguments must
    stand by themselves: if such a one is missing, it is the last of the values.

    Examples
    --------
    >>> repeat_options(["pretrain", "--fasta", "a.fa", "b.fa", "-o", "run"])
    ['pretrain', '--fasta', 'a.fa', '--fasta', 'b.fa', '-o', 'run']
    >>> repeat_options(["tokenizer", "report", "-i", "a.fa", "b.fa", "tokenizer"])
    ['tokenizer', 'report', '-i', 'a.fa', '-i', 'b.fa', 'tokenizer']
    """
    given, at = list(arguments), 0
    command = typer.main.get_command(app)
    while isinstance(command, typer.core.TyperGroup):
        while at < len(given) and given[at].startswith("-"):  # groups have flags only
            at += 1
        if at == len(given) or given[at] not in command.commands:
            return given
        command = command.commands[given[at]]
        at += 1
    return given[:at] + _repeat(command.params, given[at:])


def _repeat(params: Sequence[Any], arguments: Sequence[str]) -> list[str]:
    """Repeat the options of one verb."""
    options = {name: p for p in params if p.param_type_name == "option" for name in p.opts}
    missing = sum(p.required for p in params if p.param_type_name == "argument")
    written: list[tuple[str, ...]] = []
    further: list[int] = []  # where `written` has the second and later values of an option
    several = ""
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest = list(words)
            missing -= len(rest)
            written.append((word, *rest))
        elif word.startswith("-") and len(word) > 1:
            name, attached, _ = word.partition("=")
            if name not in options and not name.startswith("--"):
                name, attached = word[:2], word[2:]  # -fa.fa
            takes = name in options and not options[name].is_flag
            several = name if takes and options[name].multiple else ""
            value = islice(words, 1) if takes and not attached else ()
            written.append((word, *value))
        elif several:
            further.append(len(written))
            written.append((several, word))
        else:
            missing -= 1
            written.append((word,))
    for place in further[max(0, len(further) - missing) :] if missing > 0 else ():
        written[place] = written[place][1:]
    return [word for words in written for word in words]


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit status.

    0: done. 1: the input or the folder is not what it must be, said in one message. 2: the command
    was not understood. 3: `helixlm leaks` found leaks. 130 and 143: stopped by SIGINT or SIGTERM.
    Anything else that fails shows a traceback and leaves with 70.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = ["--debug", *(x for x in given if x != "--debug")] if debug else given
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(levelname)s: %(message)s",
        handlers=[LogLines()],
    )
    logging.getLogger("helixlm").setLevel(logging.DEBUG if debug else logging.INFO)
    try:
        app(repeat_options(given), prog_name="helixlm")
    except HelixError as error:
        if debug:
            raise
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        typer.secho(
            "error: this should not have happened: please report it, with the lines above, the "
            "command, and what helixlm doctor says",
            fg="red",
            err=True,
        )
        sys.exit(70)


if __name__ == "__main__":
    run()
