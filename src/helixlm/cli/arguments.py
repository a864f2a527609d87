"""Options that several verbs share, written once."""

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder or file to write.")]
RecipeName = Annotated[
    str, typer.Option("--recipe", "-r", help="Built-in recipe (see: helixlm recipes) or YAML file.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting, such as --set model.hidden_size=256. Repeat."),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="cpu, cuda or cuda:N. Default: CUDA if there is one, else cpu. "
        "Apple's GPU is not used yet.",
    ),
]
Fasta = Annotated[
    list[Path] | None,
    typer.Option("--fasta", "-f", help="FASTA files: plain, gzip or bgzip."),
]
Species = Annotated[str, typer.Option("--species", help="Species, kept in the corpus.")]
Assembly = Annotated[str, typer.Option("--assembly", help="Assembly, kept in the corpus.")]
ValidationContigs = Annotated[
    str | None,
    typer.Option(
        "--validation-contigs",
        help="Contigs to hold out for validation, separated by commas. Default: the recipe's.",
    ),
]


def with_contigs(overrides: list[str] | None, contigs: str | None) -> list[str]:
    """Add the held-out contigs to the overrides."""
    given = list(overrides or [])
    if contigs:
        names = ", ".join(repr(name.strip()) for name in contigs.split(",") if name.strip())
        given += ["split.by=contig", f"split.validation_contigs=[{names}]"]
    return given
