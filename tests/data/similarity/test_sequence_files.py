"""Files of sequences as windows: which there are, and that no stretch is lost between pieces."""

import pytest

from helixlm.data.formats.delimited import TableError
from helixlm.data.similarity.leaks import check_leaks
from helixlm.data.similarity.sequence_files import LONGEST_BP, SequenceFiles
from helixlm.data.windows import Window
from helixlm.rng import CounterRng
from helixlm.seq.ops import reverse_complement


def random_dna(name, length):
    return "".join("ACGT"[code] for code in CounterRng("test", name).integers(0, 4, length))


def write(path, records):
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in records.items()))
    return path


def windows(split, *paths):
    return list(
        SequenceFiles(**{"train": [], "validation": []} | {split: paths}).iter_windows(split)
    )


def test_records_and_rows_are_windows(tmp_path):
    whole = random_dna("whole", LONGEST_BP)
    fasta = write(tmp_path / "a.fa", {"one": "ACgt", "two": whole})
    table = tmp_path / "b.csv"
    table.write_text("label,Sequence\n1,AAC\n0,ggt\n")
    assert windows("train", fasta, table) == [
        Window("one", 0, 4, "ACgt"),
        Window("two", 0, LONGEST_BP, whole),
        Window("b.csv:2", 0, 3, "AAC"),
        Window("b.csv:3", 0, 3, "ggt"),
    ]


@pytest.mark.parametrize(("split", "step"), [("validation", 1000), ("train", 500)])
@pytest.mark.parametrize("length", [10_001, 20_000, 20_005, 20_400, 23_456])
def test_long_records_come_in_pieces(tmp_path, split, step, length):
    text = random_dna("long", length)
    path = write(tmp_path / "a.fa", {"short": "ACGT", "long": text, "other": text})
    found = windows(split, path)
    starts = sorted({*range(0, length - 999, step), length - 1000})  # the last ends with it
    pieces = [(i, i + 1000) for i in starts]
    assert found[0] == Window("short", 0, 4, "ACGT")
    assert found[1:] == [
        Window(f"{name}:{i}-{j}", i, j, text[i:j]) for name in ("long", "other") for i, j in pieces
    ]


def test_gaps_are_no_leaks(tmp_path):
    gap = "N" * 12_000
    files = [
        write(tmp_path / f"{name}.fa", {"chr1": gap + random_dna(name, 5000) + gap})
        for name in ("train", "validation")
    ]
    assert check_leaks(SequenceFiles(files[:1], files[1:]), near=0.5, places=False).clean


@pytest.mark.parametrize("shift", [0, 250, 499, 777])
def test_a_shared_stretch_is_found_wherever_it_begins(tmp_path, shift):
    shared = random_dna("shared", 5000)
    train = random_dna("t", 8000 + shift) + reverse_complement(shared) + random_dna("u", 3000)
    validation = random_dna("v", 9000) + shared + random_dna("w", 2000)
    files = SequenceFiles(
        [write(tmp_path / "t.fa", {"x": train})], [write(tmp_path / "v.fa", {"x": validation})]
    )
    report = check_leaks(files, near=0.7, places=False)
    assert report.num_leaking_validation == 5 and report.all_checked
    assert all(leak.validation.startswith("x:") for leak in report.examples)


def test_a_table_without_rows_or_dna(tmp_path):
    table = tmp_path / "a.tsv"
    table.write_text("sequence\tlabel\n")
    with pytest.raises(TableError, match=r"a\.tsv: found no rows below the header"):
        windows("train", table)
    table.write_text("sequence\tlabel\nACGT\t1\nAXGT\t0\n")
    with pytest.raises(TableError, match=r"a\.tsv:3: letter 'X' at position 2"):
        windows("train", table)
