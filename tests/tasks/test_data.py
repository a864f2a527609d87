"""Labelled tables: what they hold, and the one clear error for each way of being wrong."""

import gzip
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.errors import InputError
from helixlm.tasks.data import (
    LabelError,
    LabelledSequences,
    count_shared,
    read_labelled,
    read_task,
    split_off,
)


@pytest.fixture
def table(tmp_path):
    def write(*rows, name="t.csv", header="sequence,label"):
        path = tmp_path / name
        content = "".join(f"{row}\n" for row in (header, *rows)).encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def test_sequences_labels_and_lines(table):
    data = read_labelled(table("ACGT,1", "", "ttt,0", "NRY,1", name="x.csv.gz"))
    assert data.sequences == ["ACGT", "ttt", "NRY"]
    assert data.labels.tolist() == [1, 0, 1]
    assert data.labels.dtype == np.int64
    assert data.label_names == ("0", "1")
    assert data.lines.tolist() == [2, 4, 5]
    assert data.path.name == "x.csv.gz"


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["10", "2", "+2", "010"], ("2", "10")),
        (["-1", "1"], ("-1", "1")),
        (["exon", "Intron", "exon"], ("Intron", "exon")),
        (["1", "x"], ("1", "x")),
        (["1.0", "0.0"], ("0.0", "1.0")),
        (['"a, b"', "c"], ("a, b", "c")),
    ],
)
def test_names_and_order_of_labels(table, labels, names):
    assert read_labelled(table(*(f"ACGT,{x}" for x in labels))).label_names == names


def test_dev_takes_the_labels_of_train(table):
    dev = read_labelled(table("A,2", "C,2"), label_names=("0", "1", "2"))
    assert dev.labels.tolist() == [2, 2]


def test_fasta_in_place_of_a_table(tmp_path):
    path = tmp_path / "t.fa"
    path.write_text(">chr1 some words, and more\nACGT\n")
    with pytest.raises(InputError, match=r"t\.fa:1: no column 'sequence': .*; this is FASTA, whi"):
        read_labelled(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], r"t\.csv: a header without rows, expected labelled sequences"),
        (["A,1", "C,"], r"t\.csv:3: no label, expected one in column 'label'"),
        (["A,1", ",0"], r"t\.csv:3: no sequence"),
        (["A,1", "C-G,0"], r"t\.csv:3: letter '-' at position 2"),
        (["A,1", "C,1"], r"t\.csv: all 2 labels are '1', expected at least two classes"),
        (["A,0.5", "C,1"], "labels with fractions such as '0.5': these look like measured values"),
        (["A,0", "C,1,2"], r"t\.csv:3: found 3 fields, expected 2"),
    ],
)
def test_broken_training_files(table, rows, message):
    with pytest.raises(InputError, match=message):
        read_labelled(table(*rows))


def test_a_label_unseen_in_train(table):
    train = read_labelled(table("A,1", "C,0"))
    message = r"dev\.csv:3: label '2' does not occur in the training file, expected one of '0', '1'"
    with pytest.raises(LabelError, match=message):
        read_labelled(table("A,1", "C,2", name="dev.csv"), label_names=train.label_names)
    many = tuple(str(i) for i in range(30))
    with pytest.raises(LabelError, match=r"'19' and 10 more$"):
        read_labelled(table("A,x"), label_names=many)


def test_fingerprint_sees_every_change(table):
    prints = {
        read_labelled(table(*rows)).fingerprint()
        for rows in [("A,1", "C,0"), ("A,0", "C,1"), ("C,0", "A,1"), ("A,x", "C,y"), ("a,1", "C,0")]
    }
    assert len(prints) == 5
    same = read_labelled(table("x,A,1", "y,C,0", name="b.csv", header="id,sequence,label"))
    assert same.fingerprint() in prints


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(0, 2), min_size=2, max_size=60), st.floats(0.05, 0.9), st.integers(0, 9)
)
def test_split_off_is_a_stratified_partition(labels, fraction, seed):
    count = len(labels)
    data = LabelledSequences(
        [str(i) for i in range(count)],
        np.array(labels),
        ("a", "b", "c"),
        np.arange(count) + 2,
        Path("t.csv"),
    )
    taken = round(count * fraction)
    if not 0 < taken < count:
        with pytest.raises(LabelError, match=rf"t\.csv: {count} examples are too few to set aside"):
            split_off(data, fraction, seed)
        return
    larger, smaller = split_off(data, fraction, seed)
    assert sorted(larger.sequences + smaller.sequences, key=int) == data.sequences
    assert len(smaller.sequences) == taken
    for part in (larger, smaller):
        assert part.labels.tolist() == [labels[int(s)] for s in part.sequences]
        assert part.lines.tolist() == [int(s) + 2 for s in part.sequences]
    for label in range(3):
        expected = labels.count(label) * taken / count
        assert abs(int((smaller.labels == label).sum()) - expected) < 1 + 1e-9
    again = split_off(data, fraction, seed)
    assert again[1].sequences == smaller.sequences


def test_other_seeds_split_differently(table):
    data = read_labelled(table(*(f"{'A' * (i + 1)},{i % 2}" for i in range(40))))
    assert split_off(data, 0.2, 0)[1].sequences != split_off(data, 0.2, 1)[1].sequences


def test_read_task(table, caplog):
    train = table(*(f"{'A' * (i + 1)},{i % 2}" for i in range(20)), name="train.csv")
    test = table("ACGT,0", name="test.csv")
    with caplog.at_level(logging.INFO):
        task = read_task(train, None, test)
    assert [len(part.labels) for part in task] == [18, 2, 1]
    assert "2 of 20 examples" in caplog.text
    assert task.test.label_names == ("0", "1")
    given_dev = read_task(task.train, test)
    assert given_dev.train is task.train
    assert given_dev.dev.sequences == ["ACGT"]
    assert given_dev.test is None
    assert "test.csv: all 1 labels are '0': MCC is 0 and AUROC undefined" in caplog.text


def test_shared_sequences_on_either_strand(table):
    train = read_labelled(table("AACG,0", "TTT,1"))
    test = read_labelled(table("aacg,1", "CGTT,0", "AAA,0", "GGG,1", "AACGA,0"))
    assert count_shared(test, train) == 3
