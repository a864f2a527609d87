"""`helixlm simulate`: a small world with known truth."""

from typing import Annotated

import typer

from helixlm.cli.arguments import Output


def simulate(
    output: Output,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The world that is made.")] = 0,
    small: Annotated[
        bool, typer.Option("--small", help="A world of a few genes, for tests.")
    ] = False,
) -> None:
    """Make a clade of genomes with genes, motifs, repeats, selection and variants, all known.

    Example: helixlm simulate --seed 7 -o world
    """
    from helixlm.cli.progress import Terminal
    from helixlm.data.simulate import WorldConfig, small_config
    from helixlm.data.simulate import simulate as run_simulate

    config = small_config(seed=seed) if small else WorldConfig(seed=seed)
    with Terminal().stage("Simulating") as progress:
        world = run_simulate(output, config, progress=progress)
    typer.echo(f"Wrote {world.path}\nNext: helixlm demo -o demo shows what can be done with it")
