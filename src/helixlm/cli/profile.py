"""`helixlm profile`: what a model costs."""

from typing import Annotated

import typer


def profile(
    model: Annotated[
        str, typer.Argument(help="Built-in recipe, recipe's file, or folder of a model or run.")
    ],
    tokens: Annotated[
        int | None,
        typer.Option("--tokens", min=1, help="Length of an input. Default: a row of the recipe."),
    ] = None,
) -> None:
    """Show the parameters and operations of a model, by part.

    Example: helixlm profile dnabert2 --tokens 512
    """
    from helixlm.pipeline.profile import profile as count
    from helixlm.pipeline.profile import profile_text

    typer.echo(profile_text(count(model, tokens)))
