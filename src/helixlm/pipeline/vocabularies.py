"""Vocabularies compared, from tokenizer folders and a text to a folder of figures and pictures."""

import csv
from collections.abc import Sequence
from pathlib import Path

from helixlm.data.folder import new_folder, refuse_existing
from helixlm.errors import InputError, StateError
from helixlm.files import replace_file
from helixlm.pipeline.prepare import LINE_BP, training_sequences
from helixlm.pipeline.progress import Reporter, Silent
from helixlm.report.vocabularies import pictures, render_comparison
from helixlm.tokenizers.compare import VocabularyComparison, compare_tokenizers
from helixlm.tokenizers.hf import load_tokenizer

PAGE = "report.html"


def compare_vocabularies(
    tokenizers: Sequence[str | Path],
    inputs: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    names: Sequence[str] | None = None,
    sample_every: int = 1,
    line_bp: int = LINE_BP,
    report: Reporter | None = None,
) -> VocabularyComparison:
    """Encode one text with several tokenizers and say how they differ.

    Parameters
    ----------
    tokenizers : sequence of path
        Tokenizer folders, or runs.
    inputs : sequence of path
        The text: what `helixlm.pipeline.prepare.training_sequences` reads.
    output : path, optional
        Where to write: a name that ends in ``.html`` is the page alone; any other is a folder with
        the page, its pictures (SVG) and its tables (CSV). It must not exist yet.
    names : sequence of str, optional
        What to call each tokenizer; by default its path.
    sample_every : int
        Take every n-th sequence of the text.
    line_bp : int
        Bases of the lines that FASTA is cut into.
    report : Reporter, optional
        Where to show progress.

    Returns
    -------
    VocabularyComparison
        The figures.

    Raises
    ------
    InputError
        If a tokenizer cannot be read or is given twice, the names do not fit, or there is no text.
    StateError
        If the output exists already or cannot be written.
    """
    folders = [_folder(path) for path in tokenizers]
    places = [folder.resolve() for folder in folders]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise InputError(
                f"{tokenizers[number]}: this tokenizer is given twice, as number "
                f"{places.index(place) + 1} and {number + 1}: expected different ones to compare"
            )
    output = None if output is None else Path(output)
    if output is not None:
        _refuse(output)
    loaded = [load_tokenizer(folder) for folder in folders]
    with (report or Silent()).stage("Encoding the text") as progress:
        found = compare_tokenizers(
            loaded,
            training_sequences(inputs, line_bp),
            names=[str(path) for path in tokenizers] if names is None else names,
            sample_every=sample_every,
            progress=progress,
        )
    if output is not None:
        write_comparison(found, output)
    return found


def write_comparison(comparison: VocabularyComparison, output: str | Path) -> None:
    """Write the page alone, or a folder with page, pictures and tables; see `compare_vocabularies`.

    Raises
    ------
    StateError
        If the output exists already or cannot be written.
    """
    output = Path(output)
    _refuse(output)
    page = render_comparison(comparison)
    if _is_page(output):
        with replace_file(output) as temporary:
            temporary.write_text(page, encoding="utf-8", newline="\n")
        return
    with new_folder(output) as folder:
        (folder / PAGE).write_text(page, encoding="utf-8", newline="\n")
        for name, picture in pictures(comparison).items():
            (folder / f"{name}.svg").write_text(picture, encoding="utf-8", newline="\n")
        for name, columns, rows in comparison.tables():
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows(rows)


def _folder(path: str | Path) -> Path:
    """Return the folder of a tokenizer: of a run, the one inside."""
    inside = Path(path) / "tokenizer"
    return inside if inside.is_dir() else Path(path)


def _is_page(output: Path) -> bool:
    return output.suffix.lower() in (".html", ".htm")


def _refuse(output: Path) -> None:
    """Refuse an output that is there already."""
    if not _is_page(output):
        refuse_existing(output)
    elif output.exists():
        raise StateError(f"{output}: exists already: delete it or choose another name")
