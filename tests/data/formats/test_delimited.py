"""Rows of tables as people save them, every way in which a table can be broken, whole writing."""

import csv
import errno
import gzip
import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helixlm.data.formats.delimited import (
    TableError,
    check_sequence,
    delimiter_of,
    iter_rows,
    open_writer,
)

COLUMNS = ("sequence", "label")


def read(path, **options):
    return [(row.line, *row.fields.values()) for row in iter_rows(path, COLUMNS, **options)]


@pytest.fixture
def table(tmp_path):
    def write(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


PLAIN = [(2, "ACGT", "1"), (3, "TTT", "0")]


@pytest.mark.parametrize(
    "content",
    [
        "sequence,label\nACGT,1\nTTT,0\n",
        "sequence,label\nACGT,1\nTTT,0",
        "sequence,label\r\nACGT,1\r\nTTT,0\r\n",
        "sequence,label\rACGT,1\rTTT,0\r",
        "\ufeffsequence,label\nACGT,1\nTTT,0\n",
        '"sequence","label"\n"ACGT","1"\n"TTT","0"\n',
        "label,sequence\n1,ACGT\n0,TTT\n",
        " Sequence , LABEL \n ACGT , 1\nTTT,0 \n",
        "id,sequence,label,note\na,ACGT,1,x\nb,TTT,0,\n",
        gzip.compress(b"sequence,label\nACGT,1\nTTT,0\n"),
    ],
    ids=["plain", "unended", "crlf", "cr", "bom", "quoted", "swapped", "spaces", "extra", "gzip"],
)
def test_the_same_rows_however_they_are_saved(table, content):
    assert read(table(content)) == PLAIN


def test_tabs_by_name(table):
    assert read(table("sequence\tlabel\nACGT\t1\nTTT\t0\n", "t.tsv")) == PLAIN
    assert [delimiter_of(Path(name)) for name in ("a.TSV.gz", "a.csv.gz", "a.txt")] == [
        "\t",
        ",",
        ",",
    ]


def test_line_numbers_count_blank_lines_and_quoted_line_ends(table):
    path = table('\nsequence,label,note\n\nACGT,1,"two\nlines"\n\n,,\nTTT,0,\n')
    assert read(path) == [(4, "ACGT", "1"), (8, "TTT", "0")]


def test_a_field_longer_than_the_limit_of_the_csv_module(table):
    sequence = "ACGT" * 50_000
    assert read(table(f"sequence,label\n{sequence},1\n")) == [(2, sequence, "1")]


def test_optional_columns_and_ignored_ones(table, caplog):
    path = table("name,sequence,label,score\nx,A,1,0.5\n")
    with caplog.at_level(logging.INFO):
        (row,) = iter_rows(path, ["sequence"], optional=["name", "id"])
    assert row.fields == {"sequence": "A", "name": "x"}
    assert "ignoring columns 'label', 'score'" in caplog.text


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(*2 * [st.text(st.characters(codec="ascii", categories=("L", "N", "P")))]),
        max_size=5,
    )
)
def test_agrees_with_a_plain_csv_reader(tmp_path, rows):
    path = tmp_path / "t.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    assert [values for _, *values in read(path)] == [list(row) for row in rows if any(row)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"t\.csv: empty file, expected a header with columns 'sequence', 'label' and rows"),
        ("\n \n", "empty file"),
        ("sequence;label\nA;1\n", "separated by semicolons, expected commas"),
        ("sequence\tlabel\nA\t1\n", "separated by tabs, expected commas"),
        ("ACGTTT,1\nACG,0\n", "first line seems to be data: put the header above it"),
        ("seq,label\nA,1\n", r"t\.csv:1: no column 'sequence': found columns 'seq', 'label'"),
        ("x" * 40 + ",a,b,c,d,e,f,g,h\n", r"'x{27}\.\.\.', .* and 1 more"),
        ("sequence,label,Label\nA,1,1\n", ":1: column 'label' stands twice"),
        ("sequence,label\nA,1\nA\n", ":3: found 1 field, expected 2 as in the header"),
        ("sequence,label\nA,1\nA,1,1\n", ":3: found 3 fields, expected 2"),
        ('sequence,label\nA,1\n"A,1\n', ":3: broken row: unexpected end of data"),
        ('sequence,label\n"A"C,1\n', ":2: broken row"),
        ("sequence,label\nA,\xe9\n".encode("latin-1"), "not text in UTF-8: byte 0xe9"),
        ("sequence,label\nA,1\n".encode("utf-16"), "not text in UTF-8"),
        (b"PK\x03\x04rest", "a zip or Excel file"),
        (gzip.compress(b"sequence,label\n" + b"ACGT,1\n" * 99)[:-9], "damaged gzip file"),
        (gzip.compress(b"sequence,label\nA,1\n")[:-8] + 8 * b"\0", "damaged gzip file"),
    ],
)
def test_broken_tables(table, content, message):
    with pytest.raises(TableError, match=message):
        read(table(content))


def test_tabs_expected(table):
    with pytest.raises(TableError, match="separated by commas, expected tabs"):
        read(table("sequence,label\nA,1\n", "t.tsv"))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(TableError, match=r"none\.csv: no such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(TableError, match="is a folder"):
        read(tmp_path)


def test_a_file_that_may_not_be_read(table, monkeypatch):
    path = table("")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(TableError, match="cannot be read: Permission denied"):
        read(path)


@pytest.mark.parametrize("name", ["out.csv", "new/out.csv.gz"])
def test_writer(tmp_path, name):
    path = tmp_path / name
    contents = []
    for _ in range(2):
        with open_writer(path) as file:
            csv.writer(file).writerows([COLUMNS, ("ACGT", "1"), ("TTT", "0")])
            assert not contents or path.read_bytes() == contents[0]  # the old one, until the end
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert read(path) == PLAIN
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_interrupted_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), open_writer(path) as file:
        file.write("new")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_sequences():
    check_sequence("ACGTNRYSWKMBDHVacgtnryswkmbdhv", "t.csv:2")
    for text, message in [
        ("", "no sequence, expected one in column 'sequence'"),
        ("ACG-T", "letter '-' at position 4 of the sequence, expected A, C, G, T, N or"),
        ("*", "letter '\\*' at position 1"),
        ("AC GT", "letter ' ' at position 3"),
        ("acgu", "letter 'u' at position 4 .*; write RNA with T in place of U"),
    ]:
        with pytest.raises(TableError, match=r"^t\.csv:2: " + message):
            check_sequence(text, "t.csv:2")
