"""Records: sequences that stand for themselves, not for a stretch of a genome that is at hand.

In: CDS FASTA files, or a column of a dataset (`Source.cds`, `Source.dataset`). Out: a folder as of
a `Genome`, each record one contig of it, and beside it a table of where records lie, as far as
their headers say it: chromosome, start, end and strand of an Ensembl header. Rows of a dataset have
a number, ``row0`` and on, for a name, and no place.

Records are read in a stream; names and places are held, some 500 bytes a record.
"""

import shutil
from array import array
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from helixlm.data.cds_fasta import iter_cds_fasta
from helixlm.data.folder import MANIFEST
from helixlm.data.formats.datasets_column import iter_column
from helixlm.data.genome import Genome, open_genome
from helixlm.data.sources import Source
from helixlm.files import replace_file

NO_CONTIG = "records of no known contig"
"""what they are counted under"""


class Place(NamedTuple):
    """Where a record lies, 0-based, half-open, forward strand."""

    contig: str
    start: int
    end: int
    """``end - start`` is longer than the record where introns are left out."""
    strand: str
    """"+" or "-"."""


class Records:
    """Open records.

    Parameters
    ----------
    genome : Genome
        Their letters.
    contigs : list of str
        Of each record, in the order of `genome`, where it lies; empty: not known.
    starts, ends : NDArray, int64, shape (number of records,)
        As in `Place`; 0 where it is not known.
    strands : list of str
        As in `Place`; empty where it is not known.
    """

    def __init__(
        self,
        genome: Genome,
        contigs: list[str],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        strands: list[str],
    ) -> None:
        self.genome = genome
        self.contigs = contigs
        self.starts = starts
        self.ends = ends
        self.strands = strands

    def __reduce__(self) -> tuple[Callable[[Path], "Records"], tuple[Path]]:
        return open_records, (self.genome.path,)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of each record by its name."""
        return {name: number for number, name in enumerate(self.genome.contigs)}

    def place(self, name: str) -> Place | None:
        """Return where a record lies, or None if that is not known."""
        i = self.numbers[name]
        if not self.contigs[i]:
            return None
        return Place(self.contigs[i], int(self.starts[i]), int(self.ends[i]), self.strands[i])

    def counted_contig(self, contig: str) -> str:
        """Return what a window of a contig or record is counted under: there are few of those."""
        number = self.numbers.get(contig)
        return contig if number is None else self.contigs[number] or NO_CONTIG


def letters_of(genome: Genome | Records) -> Genome:
    """Return a genome as it is, and of records their letters."""
    return genome.genome if isinstance(genome, Records) else genome


def write_records(source: Source, folder: Path) -> Records:
    """Read the records of a source into a folder, or open those that are there.

    Raises
    ------
    CdsFastaError, DatasetError
        If a file or a dataset cannot be read.
    GenomeError
        If two records have the same name.
    StateError
        If the disk is full, if the package `datasets` is needed and not installed, or if the hub
        does not answer.
    """
    table = _table_of(folder)
    if not (table.is_file() and (folder / MANIFEST).is_file()):
        shutil.rmtree(folder, ignore_errors=True)
        places = _Places()
        Genome.from_records(_parts(source, places), folder).close()
        with replace_file(table) as temporary:
            pq.write_table(places.table(), temporary)
    return open_records(folder)


def open_records(folder: Path) -> Records:
    """Open the records that `write_records` has put into a folder."""
    table = pq.read_table(_table_of(folder))
    starts, ends = (table[name].to_numpy() for name in ("start", "end"))
    contigs, strands = (table[name].to_pylist() for name in ("contig", "strand"))
    return Records(open_genome(folder), contigs, starts, ends, strands)


def _table_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.places.parquet")


class _Places:
    """The table of places while records are read."""

    def __init__(self) -> None:
        self._contigs: list[str] = []
        self._starts, self._ends = array("q"), array("q")
        self._strands: list[str] = []
        self._known: dict[str, str] = {}

    def add(self, contig: str, start: int | None, end: int | None, strand: str) -> None:
        self._contigs.append(self._known.setdefault(contig, contig))  # one text for all
        self._starts.append(start or 0)
        self._ends.append(end or 0)
        self._strands.append(strand)

    def table(self) -> pa.Table:
        return pa.table(
            {
                "contig": self._contigs,
                "start": np.frombuffer(self._starts, np.int64),
                "end": np.frombuffer(self._ends, np.int64),
                "strand": self._strands,
            }
        )


def _parts(source: Source, places: _Places) -> Iterator[tuple[str, Iterator[tuple[str, str]]]]:
    """Yield what a source is read from, and its names and sequences."""
    for path in source.cds:
        yield str(path), _coding_sequences(path, places)
    if source.dataset:
        yield source.dataset, _rows(source, places)


def _coding_sequences(path: Path, places: _Places) -> Iterator[tuple[str, str]]:
    for record in iter_cds_fasta(path):
        places.add(record.chromosome, record.start, record.end, record.strand)
        yield record.transcript_id, record.sequence


def _rows(source: Source, places: _Places) -> Iterator[tuple[str, str]]:
    assert source.dataset is not None
    for row, sequence in iter_column(source.dataset, source.column, split=source.dataset_split):
        places.add("", None, None, "")
        yield f"row{row}", sequence
