"""Sequences from one column of a Hugging Face dataset, on the hub or in local files.

In: the name of a dataset on the hub, such as ``MichelNivard/Human-genome-CDS-GRCh38``, or a CSV,
TSV, Parquet or JSON (one object a line) file or a folder of a dataset. Out: its sequences,
streamed: no more than a batch of rows is held, and nothing is downloaded but what is read. The
package `datasets` does the reading.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from helixlm.data.formats.fasta_stream import LEGAL, letter_hint
from helixlm.errors import HelixError, InputError, StateError, require

logger = logging.getLogger(__name__)

LOOKED_AT = 100
"""Rows that tell which column holds DNA."""

_ILLEGAL = re.compile(f"[^{LEGAL.decode()}]")
_BUILDERS = {
    ".csv": ("csv", {}),
    ".tsv": ("csv", {"sep": "\t"}),
    ".parquet": ("parquet", {}),
    ".json": ("json", {}),
    ".jsonl": ("json", {}),
}

TABLES = tuple(suffix + packed for suffix in _BUILDERS for packed in ("", ".gz"))
"""What names of tables end with."""


class DatasetError(InputError):
    """A dataset that cannot be read, or that has no such column."""


class DatasetSequence(NamedTuple):
    """The sequence of one row."""

    row: int
    """Number of the row in its split, 0-based."""
    sequence: str
    """IUPAC letters in the case of the dataset."""


def iter_column(
    source: str | Path, column: str | None = None, *, split: str = "train"
) -> Iterator[DatasetSequence]:
    """Stream the sequences of a dataset.

    Parameters
    ----------
    source : str or path
        A file or folder that exists, or else the name of a dataset on the hub.
    column : str, optional
        The column of the sequences. If not given, the only one that holds nothing but IUPAC's
        letters for DNA in the first `LOOKED_AT` rows.
    split : str
        The split; files have only "train".

    Yields
    ------
    DatasetSequence
        In the order of the dataset. Rows without a sequence are left out; how many is logged.

    Raises
    ------
    DatasetError
        If the dataset cannot be read, is empty, has no such split or column, if no column or
        several hold DNA and none was named, or if a sequence holds another letter.
    StateError
        If the package `datasets` is not installed, or the hub does not answer.
    """
    rows = _rows(_open(require("datasets", "datasets"), source, split), source)
    if column is None:
        first = list(islice(rows, LOOKED_AT))
        column = _only_dna_column(source, first)
        rows = chain(first, rows)
    num_rows = num_empty = 0
    for row, values in enumerate(rows):
        if column not in values:
            raise DatasetError(f"{source}: no column {column!r}: found {_listed(values)}")
        num_rows += 1
        if values[column] in (None, ""):
            num_empty += 1
        else:
            yield DatasetSequence(row, _checked(values[column], source, row, column))
    if num_rows == num_empty:
        raise DatasetError(f"{source}: no sequence in column {column!r} of split {split!r}")
    if num_empty:
        logger.warning("%s: %d rows without a sequence are left out", source, num_empty)


def _open(datasets: ModuleType, source: str | Path, split: str) -> Any:
    """Open a dataset for streaming."""
    path = Path(source)
    name, options = str(source), {}
    if path.is_file():
        suffix = path.name.lower().removesuffix(".gz")
        suffix = suffix[suffix.rfind(".") :]
        if suffix not in _BUILDERS:
            raise DatasetError(
                f"{source}: expected a file called {', '.join(_BUILDERS)}, found {path.suffix!r}"
            )
        name, more = _BUILDERS[suffix]
        options = {"data_files": str(path), **more}
    try:
        return datasets.load_dataset(name, split=split, streaming=True, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(source, error) from error


def _rows(dataset: Any, source: str | Path) -> Iterator[Mapping[str, Any]]:
    """Yield the rows; what goes wrong inside `datasets` is told as ours."""
    rows = iter(dataset)
    while True:
        try:
            values = next(rows)
        except StopIteration:
            return
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise _unreadable(source, error) from error
        yield values


def _only_dna_column(source: str | Path, rows: list[Mapping[str, Any]]) -> str:
    if not rows:
        raise DatasetError(f"{source}: no row in the dataset, expected sequences")
    found = [name for name in rows[0] if _holds_dna([row[name] for row in rows])]
    if len(found) == 1:
        logger.info("%s: reading column %r", source, found[0])
        return found[0]
    if not found:
        raise DatasetError(
            f"{source}: no column that holds DNA: found {_listed(rows[0])}: name the column"
        )
    raise DatasetError(f"{source}: several columns hold DNA, {_listed(found)}: name one of them")


def _holds_dna(values: list[Any]) -> bool:
    given = [value for value in values if value not in (None, "")]
    return bool(given) and all(
        isinstance(value, str) and not _ILLEGAL.search(value) for value in given
    )


def _checked(value: Any, source: str | Path, row: int, column: str) -> str:
    if not isinstance(value, str):
        raise DatasetError(
            f"{source}: row {row}, column {column!r}: found {type(value).__name__} "
            f"{str(value)[:20]!r}, expected a sequence"
        )
    wrong = _ILLEGAL.search(value)
    if wrong:
        raise DatasetError(
            f"{source}: row {row}, column {column!r}: found {wrong[0]!r} at position "
            f"{wrong.start() + 1} of the sequence, expected A, C, G, T, N or another IUPAC code"
            f"{letter_hint(wrong[0])}"
        )
    return value


def _listed(names: Mapping[str, Any] | list[str]) -> str:
    return ", ".join(map(repr, names))


def _unreadable(source: str | Path, error: Exception) -> HelixError:
    """Return the dataset's fault, or what passes: a hub that cannot be reached just now."""
    reason = str(error).strip().split("\n")[0]
    passes = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
    if passes and not Path(source).exists():
        return StateError(
            f"{source}: reading from the hub broke off ({reason}): what is finished is kept; run "
            "the same command again when the hub can be reached"
        )
    where = "a file or folder" if Path(source).exists() else "neither a file nor found on the hub"
    return DatasetError(f"{source}: cannot be read as a dataset ({where}): {reason}")
