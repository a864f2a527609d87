"""The table of results: one row a number, the same columns for every task and method.

Comes in: rows. Goes out: a CSV for people and a Parquet file for programs, written whole or not at
all, and their summary over seeds. Which numbers are worth a row is for the callers.
"""

import csv
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from helixlm.data.formats.delimited import TableError, iter_rows, open_writer
from helixlm.files import replace_file


class ResultRow(NamedTuple):
    """One number and what it is."""

    suite: str
    """Collection of tasks that the task belongs to, such as ``"gue"``; empty if none."""
    task: str
    """Name of the task."""
    model: str
    """Name of the model, or of the baseline."""
    method: str
    """How it was made to do the task: majority, kmer, scratch, pretrained."""
    seed: int | None
    """Seed of the training; none where nothing is drawn."""
    lr: float | None
    """Highest learning rate; none where there is none."""
    split: str
    """Which rows were scored: dev or test."""
    metric: str
    """mcc, accuracy, macro_f1 or auroc."""
    value: float
    """The number."""
    protocol: str
    """How it was obtained, in words, so that unlike things are not compared."""


class Summary(NamedTuple):
    """The same number over several seeds."""

    suite: str
    task: str
    model: str
    method: str
    lr: float | None
    split: str
    metric: str
    protocol: str
    num_seeds: int
    mean: float
    sd: float
    """Sample standard deviation; NaN for one seed."""


class IntervalRow(NamedTuple):
    """A score, or the difference of two methods, with its interval."""

    suite: str
    task: str
    model: str
    method: str
    """A method, or ``"pretrained - scratch"``."""
    num_seeds: int
    split: str
    metric: str
    value: float
    """Mean over the seeds."""
    low: float
    high: float
    level: float
    """Share of the resamples inside the interval."""
    resamples: int


_TYPES = {
    "seed": pa.int64(),
    "num_seeds": pa.int64(),
    "resamples": pa.int64(),
    "lr": pa.float64(),
    "value": pa.float64(),
    "low": pa.float64(),
    "high": pa.float64(),
    "level": pa.float64(),
}


def write_table(
    rows: Iterable[ResultRow] | Iterable[IntervalRow], folder: Path, name: str = "results"
) -> tuple[Path, Path]:
    """Write rows as `name.csv` and `name.parquet`.

    Parameters
    ----------
    rows : iterable of ResultRow or IntervalRow
        At least one row, all of one kind.
    folder : Path
        Where to write; made if it is not there.
    name : str
        Name of both files without their ending.

    Returns
    -------
    csv, parquet : Path
        The files. In the CSV an empty field is a missing value, and numbers are written so that
        reading gives the same bits.

    Raises
    ------
    StateError
        If they cannot be written.
    """
    records: list[ResultRow | IntervalRow] = list(rows)
    assert records, "a table without rows"
    fields = records[0]._fields
    csv_path, parquet_path = folder / f"{name}.csv", folder / f"{name}.parquet"
    schema = pa.schema([(field, _TYPES.get(field, pa.string())) for field in fields])
    columns = list(zip(*records, strict=True))
    table = pa.table([pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)], schema)
    with replace_file(parquet_path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    with open_writer(csv_path) as text:
        csv.writer(text, lineterminator="\n").writerows([fields, *records])
    return csv_path, parquet_path


def read_table(path: Path) -> list[ResultRow]:
    """Read a table of results, CSV or Parquet by its name.

    Raises
    ------
    TableError
        If the file is not a table with the columns of `ResultRow`, or a number is not one.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise TableError(f"{path}: cannot be read as Parquet: {error}") from error
        missing = [name for name in ResultRow._fields if name not in table.column_names]
        if missing:
            raise TableError(
                f"{path}: no column {missing[0]!r}: expected a table of results with the columns "
                f"{', '.join(ResultRow._fields)}"
            )
        columns = [table.column(name).to_pylist() for name in ResultRow._fields]
        return [ResultRow(*values) for values in zip(*columns, strict=True)]
    rows = []
    for line, fields in iter_rows(path, ResultRow._fields):
        try:
            rows.append(
                ResultRow(
                    **{
                        **fields,
                        "seed": int(fields["seed"]) if fields["seed"] else None,
                        "lr": float(fields["lr"]) if fields["lr"] else None,
                        "value": float(fields["value"]),
                    }  # type: ignore[arg-type]
                )
            )
        except ValueError as error:
            raise TableError(f"{path}:{line}: {error}, expected a number") from error
    return rows


def summarise(rows: Iterable[ResultRow]) -> list[Summary]:
    """Return mean and standard deviation over the seeds of rows that agree in all else.

    The order is that of the first row of each group.
    """
    groups: dict[ResultRow, list[float]] = {}
    for row in rows:
        key = row._replace(seed=None, value=0.0)
        groups.setdefault(key, []).append(row.value)
    return [
        Summary(
            suite=key.suite,
            task=key.task,
            model=key.model,
            method=key.method,
            lr=key.lr,
            split=key.split,
            metric=key.metric,
            protocol=key.protocol,
            num_seeds=len(values),
            mean=statistics.fmean(values),
            sd=statistics.stdev(values) if len(values) > 1 else float("nan"),
        )
        for key, values in groups.items()
    ]
