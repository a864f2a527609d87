"""Options that several verbs share, written once."""

import re
from pathlib import Path
from typing import Annotated

import typer

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def bytes_of(text: str) -> int:
    """Read an amount of memory.

    Examples
    --------
    >>> bytes_of("8GB"), bytes_of("1.5 GiB"), bytes_of("500m"), bytes_of("4096")
    (8000000000, 1610612736, 500000000, 4096)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?\s*", text.upper())
    if found is None or (found[3] and not found[2]) or float(found[1]) == 0:
        raise typer.BadParameter(f"{text!r}: expected a size such as 8GB, 512MB or 8GiB")
    units = _BINARY_UNITS if found[3] else _UNITS
    return int(float(found[1]) * units[found[2]])


Output = Annotated[Path, typer.Option("--output", "-o", help="Folder or file to write.")]
Memory = Annotated[
    int | None,
    typer.Option(
        "--memory",
        parser=bytes_of,
        metavar="SIZE",
        help="Memory that training keeps to, such as 8GB. Default: 2.75 bytes a base.",
    ),
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads. Default: one for each core.")
]
LineBp = Annotated[
    int | None,
    typer.Option(
        "--line-bp",
        min=2,
        help="FASTA: bases of the lines that records are cut into. Default: 1000.",
    ),
]
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
Cds = Annotated[
    list[Path] | None,
    typer.Option(
        "--cds",
        help="Instead of --fasta: FASTA files of coding sequences, such as Ensembl's .cds.all.fa.",
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME",
        help="Instead of --fasta: a table (CSV, TSV, Parquet, JSON), a folder of a dataset, or its "
        "name on the Hugging Face hub. Needs the extra 'datasets'.",
    ),
]
Column = Annotated[
    str | None,
    typer.Option("--column", help="Of --dataset. Default: the only column that holds DNA."),
]
DatasetSplit = Annotated[str, typer.Option("--dataset-split", help="Split of --dataset.")]
Sources = Annotated[
    Path | None,
    typer.Option(
        "--sources",
        help="Instead of --fasta: a YAML list of genomes with species, files and weights, or a "
        "folder of 'helixlm download'.",
    ),
]
Vcf = Annotated[
    list[Path] | None,
    typer.Option(
        "--vcf", help="Genotypes (VCF, BCF): haplotypes of one individual for each window."
    ),
]
Gff = Annotated[
    Path | None, typer.Option("--gff", help="Annotation (GFF3): coding sequences, features.")
]
Bed = Annotated[
    Path | None, typer.Option("--bed", help="Intervals (BED) outside which nothing is taken.")
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights", help="Weights of regions (bedGraph): mean copies of a training window."
    ),
]
Workers = Annotated[
    int, typer.Option("--workers", min=1, help="Processes to work in. They change no result.")
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Work on a Ray cluster: host:port, 'auto' or 'local'. Needs the extra 'cluster'.",
    ),
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
