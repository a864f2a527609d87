"""Results go to disk and come back with the same bits; pandas and statistics agree."""

import math

import pandas as pd
import pytest

from helixlm.data.formats.delimited import TableError
from helixlm.tasks.table import IntervalRow, ResultRow, read_table, summarise, write_table


def row(**changes):
    base = ResultRow(
        "gue", "prom, core", "m", "pretrained", 1, 1e-4, "test", "mcc", 0.1 + 0.2, 'full "5000"'
    )
    return base._replace(**changes)


ROWS = [
    row(),
    row(seed=2, value=1 / 3),
    row(seed=3, value=-0.5),
    row(method="majority", seed=None, lr=None, value=0.0),
    row(metric="auroc", value=1e-17),
]


def test_both_files_give_the_same_rows_back(tmp_path):
    paths = write_table(ROWS, tmp_path / "new")
    assert [path.name for path in paths] == ["results.csv", "results.parquet"]
    assert [read_table(path) for path in paths] == [ROWS, ROWS]


def test_other_programs_read_them(tmp_path):
    csv_path, parquet_path = write_table(ROWS, tmp_path)
    frame = pd.read_csv(csv_path)
    assert tuple(frame.columns) == ResultRow._fields
    assert frame["value"].tolist() == pytest.approx([r.value for r in ROWS])
    assert frame["seed"].isna().tolist() == [r.seed is None for r in ROWS]
    assert pd.read_parquet(parquet_path)["protocol"].tolist() == [r.protocol for r in ROWS]


def test_intervals(tmp_path):
    rows = [
        IntervalRow("", "t", "m", "pretrained - scratch", 3, "test", "mcc", 0.2, 0.1, 0.3, 0.95, 9)
    ]
    csv_path, parquet_path = write_table(rows, tmp_path, "intervals")
    assert pd.read_csv(csv_path, keep_default_na=False).values.tolist() == [list(rows[0])]
    assert pd.read_parquet(parquet_path).columns.tolist() == list(IntervalRow._fields)


def test_summary():
    pretrained, majority, auroc = summarise(ROWS)
    frame = pd.DataFrame(ROWS[:3])
    assert pretrained.num_seeds == 3
    assert pretrained.mean == pytest.approx(frame["value"].mean())
    assert pretrained.sd == pytest.approx(frame["value"].std())
    assert (majority.method, majority.num_seeds, majority.mean) == ("majority", 1, 0.0)
    assert math.isnan(majority.sd)
    assert auroc.metric == "auroc"


def test_broken_tables(tmp_path):
    csv_path, parquet_path = write_table(ROWS, tmp_path)
    csv_path.write_text(csv_path.read_text().replace("-0.5", "high"))
    with pytest.raises(TableError, match=r"results\.csv:4: could not convert .*'high', expected"):
        read_table(csv_path)
    pd.DataFrame({"suite": ["x"]}).to_parquet(parquet_path)
    with pytest.raises(TableError, match=r"results\.parquet: no column 'task'"):
        read_table(parquet_path)
    parquet_path.write_bytes(b"PAR1 or so")
    with pytest.raises(TableError, match=r"results\.parquet: cannot be read as Parquet"):
        read_table(parquet_path)
