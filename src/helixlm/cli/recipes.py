"""`helixlm recipes`: what can be made."""

from typing import Annotated

import typer


def recipes(
    name: Annotated[str | None, typer.Argument(help="Recipe to print.")] = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print every setting, bases filled in.")
    ] = False,
) -> None:
    """List the built-in recipes, or print one.

    Example: helixlm recipes tinydnabert > mine.yaml
    """
    from helixlm.recipes.load import list_recipes, load_recipe, recipe_text, recipe_yaml

    if name is None:
        found = list_recipes()
        width = max(len(key) for key in found)
        for key, description in found.items():
            typer.echo(f"{key:<{width}}  {description}")
        typer.echo(
            "\nNext: helixlm recipes NAME prints one; helixlm pretrain --recipe NAME runs it, and "
            "helixlm prepare --recipe NAME makes its corpus alone"
        )
    elif resolved:
        typer.echo(recipe_yaml(load_recipe(name)), nl=False)
    else:
        typer.echo(recipe_text(name), nl=False)
