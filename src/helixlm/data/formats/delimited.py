"""Tables as text: rows of a CSV or TSV file with their line numbers, and tables written whole.

Comes in: a path, plain or gzipped, comma-separated (tab-separated when it is called `.tsv`), with
a header. Goes out: one row at a time, so that a file of any size streams. What the columns mean
is for the caller; `check_sequence` says whether a field is DNA.
"""

import csv
import gzip
import io
import logging
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, TextIO

from helixlm.errors import InputError
from helixlm.files import replace_file
from helixlm.seq.alphabet import DNA

logger = logging.getLogger(__name__)

FIELD_LIMIT = 2**31 - 1
"""Letters that one field may hold; Python's own limit, 131,072, is less than one contig."""


_ILLEGAL = re.compile(f"[^{DNA.symbols}{DNA.symbols.lower()}]")


class TableError(InputError):
    """A delimited file that cannot be read."""


class Row(NamedTuple):
    """One row of a table."""

    line: int
    """Line of the file on which the row begins, 1-based; the header is line 1."""
    fields: dict[str, str]
    """The columns asked for, by name, without surrounding white space."""


def delimiter_of(path: Path) -> str:
    r"""Return what separates the columns of a file of this name: a tab for `.tsv`, else a comma.

    Examples
    --------
    >>> delimiter_of(Path("train.tsv.gz"))
    '\t'
    """
    name = path.name.lower().removesuffix(".gz")
    return "\t" if name.endswith((".tsv", ".tab")) else ","


def iter_rows(path: Path, columns: Sequence[str], *, optional: Sequence[str] = ()) -> Iterator[Row]:
    """Read the rows of a delimited file, one at a time.

    Column names are compared without regard to case and surrounding white space. Blank lines are
    skipped. A byte-order mark, Windows line ends, quoted fields and gzip (by content, whatever
    the name) are understood.

    Parameters
    ----------
    path : Path
        The file.
    columns : sequence of str
        Columns that must be there, in lower case.
    optional : sequence of str
        Columns that are read where they exist, in lower case.

    Yields
    ------
    Row
        Line number and fields.

    Raises
    ------
    TableError
        If the file is missing, empty, not text, damaged, without one of the columns, or if a row
        has another number of fields than the header.
    """
    path = Path(path)
    csv.field_size_limit(FIELD_LIMIT)
    with _open_text(path) as text:
        reader = csv.reader(text, delimiter=delimiter_of(path), strict=True)
        where: dict[str, int] | None = None
        num_columns = 0
        while True:
            line = reader.line_num + 1
            try:
                values = next(reader, None)
            except csv.Error as error:
                raise TableError(
                    f"{path}:{line}: broken row: {error}; expected fields that are quoted on "
                    f"both sides or not at all"
                ) from error
            except UnicodeDecodeError as error:
                raise TableError(
                    f"{path}:{line}: not text in UTF-8: byte 0x{error.object[error.start]:02x} "
                    f"at or after this line; save the table as CSV in UTF-8"
                ) from error
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise TableError(
                    f"{path}:{line}: damaged gzip file ({error}); it was probably cut short: "
                    f"copy or download it again"
                ) from error
            if values is None:
                break
            if not any(value.strip() for value in values):
                continue
            if where is None:
                where = _find_columns(path, line, values, columns, optional)
                num_columns = len(values)
                continue
            if len(values) != num_columns:
                raise TableError(
                    f"{path}:{line}: found {_count(len(values), 'field')}, expected {num_columns} "
                    f"as in the header"
                )
            yield Row(line, {name: values[column].strip() for name, column in where.items()})
    if where is None:
        raise TableError(f"{path}: empty file, expected a header with {_listed(columns)} and rows")


def check_sequence(sequence: str, where: str) -> None:
    """Raise TableError unless a field is a DNA sequence in IUPAC letters of either case.

    Parameters
    ----------
    sequence : str
        The field.
    where : str
        File and line, for the message.
    """
    if not sequence:
        raise TableError(f"{where}: no sequence, expected one in column 'sequence'")
    bad = _ILLEGAL.search(sequence)
    if bad:
        hint = "; write RNA with T in place of U" if bad.group() in "Uu" else ""
        raise TableError(
            f"{where}: letter {bad.group()!r} at position {bad.start() + 1} of the sequence, "
            f"expected A, C, G, T, N or another IUPAC code{hint}"
        )


@contextmanager
def open_writer(path: Path) -> Iterator[TextIO]:
    """Open a text file for writing through `replace_file`, gzipped when it is called `.gz`.

    The gzip header holds no time and no name, so the same text gives the same bytes.
    """
    with replace_file(path) as temporary, temporary.open("wb") as raw:
        if path.name.lower().endswith(".gz"):
            with (
                gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
                io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
            ):
                yield text
        else:
            with io.TextIOWrapper(raw, encoding="utf-8", newline="") as text:
                yield text


def _open_text(path: Path) -> TextIO:
    """Open a file for reading as text, unpacking gzip where the content says so."""
    try:
        raw: IO[bytes] = path.open("rb")
    except FileNotFoundError:
        raise TableError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise TableError(f"{path}: is a folder, expected a CSV or TSV file") from None
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from error
    magic = raw.read(4)
    raw.seek(0)
    if magic.startswith(b"PK\x03\x04"):
        raw.close()
        raise TableError(f"{path}: a zip or Excel file, expected text: save the table as CSV")
    if magic.startswith(b"\x1f\x8b"):
        return io.TextIOWrapper(_Unzipped(raw), encoding="utf-8-sig", newline="")
    return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")


class _Unzipped(gzip.GzipFile):
    """A gzip stream that also closes the file below it."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._below = raw

    def close(self) -> None:
        super().close()
        self._below.close()


def _find_columns(
    path: Path, line: int, header: list[str], columns: Sequence[str], optional: Sequence[str]
) -> dict[str, int]:
    """Return the index of each column asked for."""
    names = [name.strip().lower() for name in header]
    where: dict[str, int] = {}
    for name in (*columns, *optional):
        if names.count(name) > 1:
            raise TableError(f"{path}:{line}: column {name!r} stands twice in the header")
        if name in names:
            where[name] = names.index(name)
        elif name in columns:
            raise TableError(
                f"{path}:{line}: no column {name!r}: found {_listed(header)}, "
                f"expected {_listed(columns)}{_hint(header, delimiter_of(path))}"
            )
    ignored = [name for name, low in zip(header, names, strict=True) if low not in where]
    if ignored:
        logger.info("%s: ignoring %s", path, _listed(ignored))
    return where


def _hint(header: list[str], delimiter: str) -> str:
    """Guess why a header does not have the columns that it must have."""
    if header[0].startswith(">"):
        return "; this is FASTA, which has no columns: write a table with a header"
    for other, name in ((";", "semicolons"), ("\t", "tabs"), (",", "commas")):
        if other != delimiter and other in header[0]:
            wanted = "tabs" if delimiter == "\t" else "commas"
            return f"; the columns seem to be separated by {name}, expected {wanted}"
    if len(header[0]) > 3 and set(header[0].upper()) <= set("ACGTN"):
        return "; the first line seems to be data: put the header above it"
    return ""


def _listed(names: Sequence[str]) -> str:
    """Return names for a message, long ones cut."""
    short = [name if len(name) <= 30 else name[:27] + "..." for name in names[:8]]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return _plural(len(names), "column") + " " + ", ".join(map(repr, short)) + more


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else noun + "s"


def _count(count: int, noun: str) -> str:
    return f"{count} {_plural(count, noun)}"
