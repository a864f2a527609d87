"""Parquet files of windows: the rows of one split, written in a stream and read in slices.

In and out: windows. On disk: `00000.parquet` and on, zstd, one row a window with the columns of
`SCHEMA`, in row groups of 16,384. Which windows there are, and the manifest of the whole, belongs
to `base.py`.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, Field

from helixlm.data.folder import FileRecord, file_sha256
from helixlm.data.windows import Window
from helixlm.errors import StateError
from helixlm.files import PART, own_name

ROW_GROUP_WINDOWS = 16_384
"""Rows that are compressed and read together: about 10 Mbp."""

ROW_GROUP_BASES = 1 << 24
"""Bases after which a row group ends, however few its rows are."""

SCHEMA = pa.schema(
    [
        pa.field("species", pa.string(), nullable=False),
        pa.field("assembly", pa.string(), nullable=False),
        pa.field("contig", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("strand", pa.string(), nullable=False),
        pa.field("name", pa.string()),  # of coding sequences alone
        pa.field("sample", pa.string()),  # null: the reference itself
        pa.field("haplotype", pa.int8()),
        pa.field("softmask_fraction", pa.float32(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("sequence", pa.string(), nullable=False),
    ]
)
_REPEATED = ["species", "assembly", "contig", "strand", "sample", "haplotype", "split"]
_UPPER_CASE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class CorpusShard(FileRecord):
    """One Parquet file."""

    windows: int = Field(gt=0)
    bases: int = Field(gt=0)


class CorpusSplit(BaseModel, frozen=True, extra="forbid"):
    """What one split of a corpus holds."""

    num_windows: int
    num_bases: int
    shards: tuple[CorpusShard, ...]


class WindowWriter(contextlib.AbstractContextManager["WindowWriter"]):
    """Writes the windows of one split into a Parquet file; holds one row group.

    Parameters
    ----------
    folder : Path
        The folder of the corpus; the split is a folder in it.
    split : str
        Name of the split.
    species, assembly : str
        Written into each row.
    number : int
        Names the file.
    """

    def __init__(self, folder: Path, split: str, species: str, assembly: str, number: int) -> None:
        self.folder = folder
        self.split = split
        self.species = species
        self.assembly = assembly
        self._file = f"{split}/{number:05d}.parquet"
        self._part = own_name(folder / self._file, PART)  # until it is whole
        self._rows: list[Window] = []  # not written yet
        self._rows_bases = 0
        self._rows_hash = hashlib.sha256(f"{species}\t{assembly}\t{split}\n".encode())
        self._parquet: pq.ParquetWriter | None = None
        self._written_rows = self._written_bases = 0
        (folder / split).mkdir(exist_ok=True)

    def __exit__(self, *error: object) -> None:
        if self._parquet is not None:  # after an error only: finish() has closed it otherwise
            with contextlib.suppress(OSError):
                self._parquet.close()
        self._part.unlink(missing_ok=True)

    def add(self, window: Window) -> None:
        """Take one window."""
        self._rows.append(window)
        self._rows_bases += len(window.sequence)
        if len(self._rows) == ROW_GROUP_WINDOWS or self._rows_bases >= ROW_GROUP_BASES:
            self._write_rows()

    def _write_rows(self) -> None:
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(
                self._part,
                SCHEMA,
                compression="zstd",
                compression_level=3,
                use_dictionary=_REPEATED,
                write_statistics=["contig", "start", "end"],
                write_page_checksum=True,
            )
        count = len(self._rows)
        text = [row.sequence.encode() for row in self._rows]
        bases = np.fromiter(map(len, text), np.int64, count)
        masked = np.fromiter((len(t.translate(None, _UPPER_CASE)) for t in text), np.int64, count)
        for row, letters in zip(self._rows, text, strict=True):
            place = f"{row.contig}\t{row.start}\t{row.end}\t{row.strand}\t"
            place += f"{row.sample or ''}\t{row.haplotype or ''}\t"
            place += f"{row.name}\t" if row.name else ""
            self._rows_hash.update(place.encode() + letters + b"\n")
        columns: dict[str, Any] = {
            "species": [self.species] * count,
            "assembly": [self.assembly] * count,
            "contig": [row.contig for row in self._rows],
            "start": [row.start for row in self._rows],
            "end": [row.end for row in self._rows],
            "strand": [row.strand for row in self._rows],
            "name": [row.name for row in self._rows],
            "sample": [row.sample for row in self._rows],
            "haplotype": [row.haplotype for row in self._rows],
            "softmask_fraction": (masked / bases).astype(np.float32),
            "split": [self.split] * count,
            "sequence": text,
        }
        table = pa.table(columns, schema=SCHEMA)
        self._parquet.write_table(table, row_group_size=ROW_GROUP_WINDOWS)
        self._written_rows += count
        self._written_bases += int(bases.sum())
        self._rows, self._rows_bases = [], 0

    def finish(self) -> CorpusShard | None:
        """Write what is left; say what was written, or None if there was no window."""
        if self._rows:
            self._write_rows()
        if self._parquet is None:
            return None
        self._parquet.close()
        self._parquet = None
        # Of what this process wrote, before another that has the same work can replace it.
        shard = CorpusShard(
            file=self._file,
            bytes=self._part.stat().st_size,
            sha256=file_sha256(self._part),
            windows=self._written_rows,
            bases=self._written_bases,
        )
        self._part.replace(self.folder / self._file)
        return shard

    @property
    def rows_sha256(self) -> str:
        """Hash of all rows in order: the same for any file size and any Parquet writer."""
        return self._rows_hash.hexdigest()


def read_windows(
    folder: Path, split: CorpusSplit, columns: list[str], wanted: range
) -> Iterator[dict[str, list[Any]]]:
    """Yield the wanted rows of a split, one row group after the other.

    Parameters
    ----------
    folder : Path
        The folder of the corpus.
    split : CorpusSplit
        What its manifest says of the split.
    columns : list of str
        Names of the columns to read.
    wanted : range
        Numbers of the windows, with a positive step. Row groups without one of them are not
        read.

    Yields
    ------
    dict of str to list
        The columns.

    Raises
    ------
    StateError
        If a file is damaged.
    """
    first = 0
    for shard in split.shards:
        if _within(wanted, first, first + shard.windows):
            path = folder / shard.file
            try:
                yield from _read_file(path, columns, wanted, first)
            except (pa.ArrowException, OSError) as error:
                raise StateError(
                    f"{path}: the file is damaged ({error}): copy it again, or make the corpus anew"
                ) from error
        first += shard.windows


def _read_file(
    path: Path, columns: list[str], wanted: range, first: int
) -> Iterator[dict[str, list[Any]]]:
    # No threads: readers run in forked worker processes too.
    with pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            rows = _within(wanted, first, first + count)
            if rows:
                table = file.read_row_group(group, columns=columns, use_threads=False)
                if len(rows) < count:
                    table = table.take(np.array(rows) - first)
                yield {name: table[name].to_pylist() for name in columns}
            first += count


def _within(wanted: range, low: int, high: int) -> range:
    """Return the part of `wanted` (whose step is positive) that is in [low, high)."""
    first = max(0, -(-(low - wanted.start) // wanted.step))
    last = max(first, -(-(high - wanted.start) // wanted.step))
    return wanted[first:last]
