"""Columns of datasets: local files of each kind, which column is DNA, and what cannot be read."""

import csv
import gc
import json
import logging
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helixlm.data.formats.datasets_column import DatasetError, iter_column
from helixlm.errors import StateError

# A stream that is not read to its end keeps its file open inside of `datasets`.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

ROWS = [
    {"transcript_id": "ENST1.1", "start": 5, "sequence": "ATGCCC", "gene_symbol": "CAT"},
    {"transcript_id": "ENST2.1", "start": 7, "sequence": "atgNNNRY", "gene_symbol": "BRCA1"},
    {"transcript_id": "ENST3.1", "start": 9, "sequence": "A", "gene_symbol": "TTN"},
]


@pytest.fixture(autouse=True)
def collect():
    """Let the files that are still open be closed while the warnings of this module are ignored."""
    yield
    gc.collect()


def write(path, rows):
    """Write a table in the format that its name says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix in (".json", ".jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as stream:
            delimiter = "\t" if path.suffix == ".tsv" else ","
            writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".json", ".jsonl"])
def test_the_only_column_of_dna_is_found(tmp_path, suffix):
    path = write(tmp_path / f"cds{suffix}", ROWS)
    assert list(iter_column(path)) == [(i, row["sequence"]) for i, row in enumerate(ROWS)]


def test_a_column_by_name(tmp_path):
    rows = [row | {"other": "ACGT"} for row in ROWS]
    path = write(tmp_path / "cds.csv", rows)
    assert [sequence for _, sequence in iter_column(path, "other")] == ["ACGT"] * 3
    with pytest.raises(DatasetError, match=r"several columns hold DNA, 'sequence', 'other': name"):
        next(iter_column(path))
    with pytest.raises(
        DatasetError, match=r"no column 'seq': found 'transcript_id', 'start', 'seq"
    ):
        next(iter_column(path, "seq"))


def test_a_folder_of_a_dataset_with_splits(tmp_path):
    write(tmp_path / "train.csv", ROWS)
    write(tmp_path / "test.csv", ROWS[1:2])
    assert len(list(iter_column(tmp_path))) == 3
    assert list(iter_column(str(tmp_path), split="test")) == [(0, "atgNNNRY")]
    with pytest.raises(DatasetError, match=r"cannot be read as a dataset \(a file or folder\): "):
        next(iter_column(tmp_path, split="dev"))


def test_rows_without_a_sequence_are_left_out_and_counted(tmp_path, caplog):
    rows = [ROWS[0], ROWS[1] | {"sequence": None}, ROWS[2]]
    path = write(tmp_path / "cds.parquet", rows)
    with caplog.at_level(logging.WARNING):
        assert [row for row, _ in iter_column(path)] == [0, 2]
    assert "cds.parquet: 1 rows without a sequence are left out" in caplog.text
    path = write(tmp_path / "none.jsonl", [row | {"sequence": ""} for row in ROWS])
    with pytest.raises(DatasetError, match="no sequence in column 'sequence' of split 'train'"):
        list(iter_column(path, "sequence"))


def test_a_column_that_does_not_hold_dna(tmp_path):
    path = write(tmp_path / "a.csv", [{"name": "x", "protein": "MKVLE"}])
    with pytest.raises(DatasetError, match="no column that holds DNA: found 'name', 'protein': "):
        next(iter_column(path))
    message = (
        r"row 0, column 'protein': found 'L' at position 4 of the sequence, expected A, C, G, T, N "
        r"or another IUPAC code; this looks like protein"
    )
    with pytest.raises(DatasetError, match=message):
        next(iter_column(path, "protein"))
    path = write(tmp_path / "b.csv", ROWS)
    with pytest.raises(DatasetError, match=r"row 0, column 'start': found int '5', expected a seq"):
        next(iter_column(path, "start"))


def test_a_bad_letter_after_the_rows_that_were_looked_at(tmp_path):
    rows = [*ROWS[:2] * 60, ROWS[0] | {"sequence": "ACGU"}]
    found = iter_column(write(tmp_path / "a.jsonl", rows))
    assert [next(found).row for _ in range(120)] == list(range(120))
    with pytest.raises(DatasetError, match=r"row 120, .* found 'U' at position 4 .*this is RNA"):
        next(found)


def test_what_cannot_be_read(tmp_path):
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"PK")
    with pytest.raises(DatasetError, match=r"expected a file called \.csv, .*, found '\.xlsx'"):
        next(iter_column(path))
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 nonsense")
    with pytest.raises(DatasetError, match=r"a\.parquet: cannot be read as a dataset \(a file or"):
        next(iter_column(path))
    path = tmp_path / "empty.csv"
    path.write_text("")
    with pytest.raises(DatasetError, match=r"empty\.csv: "):
        next(iter_column(path))


def test_a_dataset_without_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("name,sequence\n")
    with pytest.raises(DatasetError, match=r"a\.csv: no row in the dataset, expected sequences"):
        next(iter_column(path))
    with pytest.raises(DatasetError, match=r"no sequence in column 'sequence' of split 'train'"):
        next(iter_column(path, "sequence"))


def test_a_name_that_is_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=r"nowhere: .*\(neither a file nor found on the hub\)"):
        next(iter_column("no/such/nowhere"))


def test_a_hub_that_cannot_be_reached_is_no_fault_of_the_input(tmp_path):
    """Offline, as `datasets` itself says it, in a process that has not set it up otherwise."""
    script = (
        "from helixlm.data.formats.datasets_column import iter_column\n"
        "next(iter_column('some/where'))"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    said = done.stderr.splitlines()[-1]
    assert "StateError: some/where: reading from the hub broke off (" in said
    assert "what is finished is kept; run the same command again" in said


@pytest.mark.parametrize("error", [ConnectionError, TimeoutError])
def test_a_hub_that_goes_away_in_between(monkeypatch, error):
    def rows():
        yield ROWS[0]
        raise error("no route")

    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: rows())
    found = iter_column("a/b", "sequence")
    assert next(found).sequence == "ATGCCC"
    with pytest.raises(StateError, match=r"a/b: reading from the hub broke off \(no route\)"):
        next(found)


def test_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(StateError, match=r"'datasets', which is not installed: pip install '\.\[d"):
        next(iter_column("x/y"))
