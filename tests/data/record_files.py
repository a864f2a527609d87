"""CDS FASTA files and tables of sequences for the tests, written without our code."""

import csv
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from helixlm.rng import CounterRng


class Cds(NamedTuple):
    """One record; start is 0-based, and the place is None where the header names none."""

    name: str
    sequence: str
    place: tuple[str, int, int, str] | None = None

    @property
    def row(self) -> tuple[str, int, int, str, str]:
        """Contig, start, end, strand and sequence that its window has."""
        contig, start, end, strand = self.place or (self.name, 0, len(self.sequence), "+")
        return contig, start, end, strand, self.sequence


def letters(key: str | int, length: int) -> str:
    """Return random letters."""
    return "".join("ACGTacgt"[i] for i in CounterRng("records", key).integers(0, 8, length))


def write_cds(path: Path, records: list[Cds]) -> Path:
    """Write records with headers as Ensembl's."""
    with path.open("w") as stream:
        for record in records:
            stream.write(f">{record.name} cds")
            if record.place is not None:
                contig, start, end, strand = record.place
                sign = {"+": "1", "-": "-1"}[strand]
                stream.write(f" chromosome:GRCh38:{contig}:{start + 1}:{end}:{sign} gene:G.1")
            stream.write(" description:of a test\n")
            for i in range(0, len(record.sequence), 60):
                stream.write(record.sequence[i : i + 60] + "\n")
    return path


def write_table(path: Path, records: list[Cds]) -> Path:
    """Write names and sequences as a table, CSV or Parquet by its name."""
    columns = ("name", "sequence")
    if path.suffix == ".parquet":
        values = [[record.name, record.sequence] for record in records]
        rows = [dict(zip(columns, row, strict=True)) for row in values]
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows((record.name, record.sequence) for record in records)
    return path
