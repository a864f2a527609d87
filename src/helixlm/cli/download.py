"""`helixlm download`: genomes and variant files, from a manifest."""

from pathlib import Path
from typing import Annotated

import typer

from helixlm.cli.arguments import Output


def download(
    manifest: Annotated[
        str, typer.Argument(help="Manifest that ships with helixlm, or a YAML or TSV file.")
    ],
    output: Output,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=32, help="Files fetched at once.")
    ] = 4,
) -> None:
    """Fetch genomes and variant files, check them, and record what was got.

    Stopped or broken off, the same command goes on. Shipped manifests: grch38, hg38, 1000g-phased,
    and the species of published models, as far as they are known: dnabert2, nt, dnagrinder, book.

    Example: helixlm download grch38 -o genomes
    """
    from helixlm.cli.progress import Terminal
    from helixlm.data.download import SessionConfig, load_manifest
    from helixlm.data.download import download as run_download

    listed = load_manifest(manifest)
    megabyte = 10**6
    with Terminal().stage("Downloading (MB)") as show:
        result = run_download(
            listed,
            output,
            config=SessionConfig(workers=workers),
            progress=lambda done, total: show(
                done // megabyte, None if total is None else total // megabyte
            ),
        )
    if result.missing:
        typer.echo(f"{listed.num_unresolved} species cannot be fetched: {result.missing}")
    typer.echo(
        f"{result.fetched} file(s) fetched, {result.already} there already, "
        f"{result.num_bytes:,} bytes in all\n"
        f"Wrote {output / 'manifest.json'}\n"
        f"Next: {_next_step(output)}"
    )


def _next_step(folder: Path) -> str:
    """Return the command that makes a corpus of what a folder holds now."""
    from helixlm.data.download import read_downloads
    from helixlm.data.sources import SourceError, kind_of, read_sources

    try:
        sources = read_sources(folder)
    except SourceError as error:
        kinds = {record.file: kind_of(record.file) for record in read_downloads(folder).files}
        if "vcf" in kinds.values() and not {"fasta", "cds"} & set(kinds.values()):
            names = [file for file, kind in kinds.items() if kind == "vcf"]
            if len(names) > 1 and all(name.endswith(".vcf.gz") for name in names):
                names = ["*.vcf.gz"]
            files = " ".join(f"{folder}/{name}" for name in names)
            return f"helixlm prepare --fasta GENOME --vcf {files} -o CORPUS"
        return f"helixlm prepare --sources LIST.yaml -o CORPUS, as {error}"
    recipe = " --recipe book" if all(source.cds for source in sources) else ""
    return f"helixlm prepare{recipe} --sources {folder} -o CORPUS"
