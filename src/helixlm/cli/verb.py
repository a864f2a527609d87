"""What all verbs share when a command is not understood: what is wrong, in words that help."""

from typing import Any

import typer

UsageError: Any = typer.BadParameter.__base__
"""its class is public under no name of its own"""
FILES = {"--fasta": "files of sequence", "--input": "files"}
"""options that take the files which are sometimes given alone"""


class Verb(typer.core.TyperCommand):
    """A verb that names the option under which stray files belong."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; errors are told in the words of this project."""
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            error.message = error.message.replace("Value error, ", "")
            if "unexpected extra argument" in error.message:
                named = {name for param in self.params for name in param.opts}
                hints = (f": give {FILES[name]} with {name}" for name in FILES if name in named)
                error.message += next(hints, "")
            raise
