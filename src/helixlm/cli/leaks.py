"""`helixlm leaks`: what training and validation share."""

from pathlib import Path
from typing import Annotated

import typer

LEAKS_FOUND = 3
"""Exit status when there are leaks."""
NOT_ALL_CHECKED = 4
"""Exit status when none was found, while some windows could not be checked."""


def leaks(
    corpus: Annotated[
        Path | None, typer.Argument(help="A corpus that `prepare` wrote.", show_default=False)
    ] = None,
    train: Annotated[
        list[Path] | None,
        typer.Option("--train", help="Instead: FASTA, or CSV with a column sequence; several."),
    ] = None,
    validation: Annotated[
        list[Path] | None,
        typer.Option("--validation", help="What is held out (validation or test), likewise."),
    ] = None,
    near: Annotated[
        float,
        typer.Option(
            "--near",
            min=0.05,
            max=1,
            help="Share of the k-mers of the smaller window from which two are near.",
        ),
    ] = 0.5,
    k: Annotated[int, typer.Option("--k", min=8, max=31, help="Length of a k-mer, bp.")] = 21,
) -> None:
    """Look for windows or sequences that training and validation share.

    Example: helixlm leaks corpus

    Example: helixlm leaks --train train.csv --validation test.csv

    Overlaps, equal sequences, reverse complements, contained sequences and near-duplicates are
    counted, and the worst are shown. The exit status is 0 without leaks, 3 with any, and 4 if none
    was found but some windows could not be checked.
    """
    from helixlm.cli.progress import Terminal
    from helixlm.data.corpus.base import open_corpus
    from helixlm.data.folder import MANIFEST
    from helixlm.data.similarity.leaks import WindowSource, check_leaks
    from helixlm.data.similarity.sequence_files import SequenceFiles
    from helixlm.errors import InputError

    if bool(corpus) == bool(train or validation) or bool(train) != bool(validation):
        raise InputError("leaks: expected a corpus, or both --train and --validation")
    if corpus and not (corpus / MANIFEST).exists() and (corpus / "corpus" / MANIFEST).exists():
        raise InputError(
            f"{corpus}: a run, expected a corpus: give the one inside, {corpus / 'corpus'}"
        )
    source: WindowSource = (
        open_corpus(corpus) if corpus else SequenceFiles(train or [], validation or [])
    )
    with Terminal().stage("Looking for leaks") as progress:
        report = check_leaks(source, near=near, k=k, places=bool(corpus), progress=progress)
    typer.echo(f"{'kind':<20}{'training':>12}{'validation':>12}")
    for kind, count in report.train.items():
        typer.echo(f"{kind:<20}{count:>12,}{report.validation[kind]:>12,}")
    typer.echo(f"{'windows':<20}{report.num_train:>12,}{report.num_validation:>12,}")
    for leak in report.examples:
        typer.echo(f"  {leak}")
    typer.echo(report.verdict)
    if report.num_leaking_train:
        typer.echo(
            "Next: write the corpus anew with --set split.by=group, which holds out together what "
            "is alike, or with --set duplicates.remove=near (exact for equal sequences alone), "
            "which leaves out windows that repeat most of one of validation, or of one before"
            if corpus
            else "Next: take out of training the sequences that are like one of validation, or "
            "divide both anew, by chromosome or by family"
        )
    if not report.clean:
        raise typer.Exit(LEAKS_FOUND if report.leaking else NOT_ALL_CHECKED)
