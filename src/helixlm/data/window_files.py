"""Parquet files of windows: the rows of one split, written in a stream and read in slices.

In and out: windows. On disk: `00000.parquet` and on, zstd, one row a window with the columns of
`SCHEMA`, in row groups of 16,384. Which windows there are, and the manifest of the whole, belongs
to `corpus.py`.
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

ROW_GROUP_WINDOWS = 16_384
"""Rows that are compressed and read together: about 10 Mbp."""

SHARD_WINDOWS = 32 * ROW_GROUP_WINDOWS
"""Most rows of a file: about 340 Mbp, 110 MB on disk."""

SCHEMA = pa.schema(
    [
        pa.field("species", pa.string(), nullable=False),
        pa.field("assembly", pa.string(), nullable=False),
        pa.field("contig", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("strand", pa.string(), nullable=False),
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
    """Writes the windows of one split into Parquet files; holds one row group.

    Parameters
    ----------
    folder : Path
        The folder of the corpus; the split becomes a folder in it.
    split : str
        Name of the split.
    species, assembly : str
        Written into each row.
    shard_windows : int
        Most windows in one file.
    """

    def __init__(
        self, folder: Path, split: str, species: str, assembly: str, shard_windows: int
    ) -> None:
        self.folder = folder
        self.split = split
        self.species = species
        self.assembly = assembly
        self.shard_windows = shard_windows
        self._rows: list[Window] = []  # not written yet
        self._rows_hash = hashlib.sha256(f"{species}\t{assembly}\t{split}\n".encode())
        self._shards: list[CorpusShard] = []
        self._parquet: pq.ParquetWriter | None = None
        self._file = ""  # the open one; how many rows and bases it has
        self._file_rows = self._file_bases = 0
        (folder / split).mkdir()

    def __exit__(self, *error: object) -> None:
        if self._parquet is not None:  # after an error only: finish() has closed it otherwise
            with contextlib.suppress(OSError):
                self._parquet.close()

    def add(self, window: Window) -> None:
        """Take one window."""
        self._rows.append(window)
        full = self._file_rows + len(self._rows) == self.shard_windows
        if full or len(self._rows) == ROW_GROUP_WINDOWS:
            self._write_rows()
        if full:
            self._close_file()

    def _write_rows(self) -> None:
        if self._parquet is None:
            self._file = f"{self.split}/{len(self._shards):05d}.parquet"
            self._parquet = pq.ParquetWriter(
                self.folder / self._file,
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
            place = f"{row.contig}\t{row.start}\t{row.end}\t"
            self._rows_hash.update(place.encode() + letters + b"\n")
        columns: dict[str, Any] = {
            "species": [self.species] * count,
            "assembly": [self.assembly] * count,
            "contig": [row.contig for row in self._rows],
            "start": [row.start for row in self._rows],
            "end": [row.end for row in self._rows],
            "strand": [row.strand for row in self._rows],
            "sample": [row.sample for row in self._rows],
            "haplotype": [row.haplotype for row in self._rows],
            "softmask_fraction": (masked / bases).astype(np.float32),
            "split": [self.split] * count,
            "sequence": text,
        }
        table = pa.table(columns, schema=SCHEMA)
        self._parquet.write_table(table, row_group_size=ROW_GROUP_WINDOWS)
        self._file_rows += count
        self._file_bases += int(bases.sum())
        self._rows = []

    def _close_file(self) -> None:
        assert self._parquet is not None
        self._parquet.close()
        self._parquet = None
        path = self.folder / self._file
        self._shards.append(
            CorpusShard(
                file=self._file,
                bytes=path.stat().st_size,
                sha256=file_sha256(path),
                windows=self._file_rows,
                bases=self._file_bases,
            )
        )
        self._file_rows = self._file_bases = 0

    def finish(self) -> CorpusSplit:
        """Write what is left, and say what was written (perhaps nothing)."""
        if self._rows:
            self._write_rows()
        if self._parquet is not None:
            self._close_file()
        return CorpusSplit(
            num_windows=sum(shard.windows for shard in self._shards),
            num_bases=sum(shard.bases for shard in self._shards),
            shards=tuple(self._shards),
        )

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
