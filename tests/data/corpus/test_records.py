"""Corpora of coding sequences and of columns of datasets, against the records in them."""

import gc
import hashlib
import logging
import sys
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.data.fasta_files import LETTERS
from tests.data.record_files import Cds, letters, write_cds, write_table

from helixlm.compute import Compute
from helixlm.data import records
from helixlm.data.cds_fasta import CdsFastaError
from helixlm.data.corpus import tasks as corpus_tasks
from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.corpus.weights import WeightConfig, WeightError
from helixlm.data.formats.datasets_column import DatasetError
from helixlm.data.genome import GenomeError
from helixlm.data.similarity.duplicates import DuplicateConfig
from helixlm.data.similarity.leaks import check_leaks
from helixlm.data.sources import Source, SourceError
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import (
    CodingWindows,
    FeatureWindows,
    FixedWindows,
    RepeatFreeWindows,
    TinyDnabertWindows,
)
from helixlm.errors import StateError
from helixlm.seq.ops import reverse_complement

# A stream that is not read to its end keeps its file open inside of `datasets`.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

RECORDS = [
    Cds(
        f"T{i}", letters(i, 50 + 17 * i % 90), ("123"[i % 3], 1000 * i, 1000 * i + 400, "+-"[i % 2])
    )
    for i in range(30)
]
LOOSE = [record._replace(place=None) for record in RECORDS]
HELD = SplitConfig(validation_contigs=("2",))


@pytest.fixture(autouse=True)
def collect():
    """Let the files that are still open be closed while the warnings of this module are ignored."""
    yield
    gc.collect()


def prepare(output, source, **arguments):
    arguments = {"windows": CodingWindows(), "split": HELD} | arguments
    return prepare_corpus([source], output, **arguments)


def rows_of(folder, split=None):
    corpus = open_corpus(folder)
    splits = ("train", "validation") if split is None else (split,)
    return [(*row[:3], row.strand, row.sequence) for s in splits for row in corpus.iter_windows(s)]


def all_bytes(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def cds(tmp_path):
    return write_cds(tmp_path / "a.cds.fa", RECORDS)


def test_chromosomes_of_coding_sequences_are_held_out_by_name(cds, tmp_path):
    manifest = prepare(tmp_path / "corpus", Source(cds=cds))
    by_name = {record.name: record for record in RECORDS}
    assert rows_of(tmp_path / "corpus", "train") == [
        record.row for record in by_name.values() if record.place[0] != "2"
    ]
    assert rows_of(tmp_path / "corpus", "validation") == [
        record.row for record in by_name.values() if record.place[0] == "2"
    ]
    (source,) = manifest.sources
    (file,) = source.inputs
    assert (source.kind, file.contigs, file.num_contigs) == ("cds", {}, 30)
    assert file.num_bases == sum(len(record.sequence) for record in RECORDS)
    assert file.sha256 == hashlib.sha256(cds.read_bytes()).hexdigest()
    for split, contigs in (("train", "13"), ("validation", "2")):
        assert source.tallies[split].contigs == {
            contig: sum(len(r.sequence) for r in RECORDS if r.place[0] == contig)
            for contig in contigs
        }
    assert manifest.validation_contigs == ("2",)
    assert not any(manifest.dropped_bases.values())
    assert check_leaks(open_corpus(tmp_path / "corpus")).overlapping == 0


@pytest.mark.parametrize("remove", [None, "exact"])
def test_isoforms_of_one_place_are_told_apart_by_name(tmp_path, remove):
    place = ("1", 100, 900, "-")
    found = [Cds(f"ENST{i}.1", letters(i, 90), place) for i in range(4)]
    found += [Cds("unplaced", letters(4, 90)), Cds("held", letters(5, 90), ("2", 5, 99, "+"))]
    table = write_table(tmp_path / "table.csv", [Cds("x", letters(6, 90)), Cds("y", "ACGT")])
    sources = [
        Source(cds=write_cds(tmp_path / "a.fa", found), species="one"),
        Source(dataset=table, species="two"),
    ]
    prepare_corpus(
        sources,
        tmp_path / "corpus",
        windows=CodingWindows(both_strands=True),
        split=SplitConfig(validation_contigs=("one:2",)),
        duplicates=remove and DuplicateConfig(remove=remove),
    )
    columns = ["species", "split", "contig", "name", "sequence"]
    files = sorted((tmp_path / "corpus").glob("*/*.parquet"))
    tables = [pq.read_table(path, columns=columns).to_pylist() for path in files]
    rows = [tuple(row[name] for name in columns) for table in tables for row in table]
    expected = [
        ("one", "train", contig, record.name, sequence)
        for record, contig in zip(found, ["1"] * 4 + ["unplaced"], strict=False)
        for sequence in (record.sequence, reverse_complement(record.sequence))
    ]
    assert rows[: len(expected)] == expected
    assert ("one", "validation", "2", "held", found[-1].sequence) in rows
    assert {row[3] for row in rows[len(expected) :]} == {"row0", "row1", "held"}


def test_windows_that_are_no_coding_sequences_have_no_name(cds, tmp_path):
    prepare(tmp_path / "corpus", Source(cds=cds), windows=FixedWindows(length_bp=10))
    corpus = open_corpus(tmp_path / "corpus")
    assert {row.name for row in corpus.iter_windows("train")} == {None}


places = st.none() | st.tuples(
    st.sampled_from(["1", "X", "HLA-A*01:01"]),
    st.integers(0, 5000),
    st.integers(1, 3000),
    st.sampled_from("+-"),
).map(lambda place: (place[0], place[1], place[1] + place[2], place[3]))


@settings(deadline=None, max_examples=20, phases=[Phase.generate])
@given(
    st.lists(
        st.tuples(st.text(LETTERS + LETTERS.lower(), min_size=1, max_size=90), places),
        min_size=12,
        max_size=30,
    ),
    st.sampled_from(["contig", "block", "group"]),
    st.integers(0, 9),
    st.booleans(),
)
def test_any_records_are_windows_once_or_dropped(tmp_path_factory, drawn, by, seed, in_two):
    """Two kinds of header in one file; and no two records of one place on two sides."""
    drawn = [*drawn, *((letters(i, 80), ("5", 90_000 * i, 90_000 * i + 9, "+")) for i in range(9))]
    found = [Cds(f"T{i}", sequence, place) for i, (sequence, place) in enumerate(drawn)]
    folder = tmp_path_factory.mktemp("any")
    files = [write_cds(folder / "a.fa", found)]
    if in_two:
        files = [
            write_cds(folder / f"{i}.fa", part) for i, part in enumerate((found[:7], found[7:]))
        ]
    split = SplitConfig(by=by, validation_fraction=0.3, block_bp=1000)
    manifest = prepare(folder / "corpus", Source(cds=files), split=split, seed=seed)
    train, validation = (rows_of(folder / "corpus", s) for s in ("train", "validation"))
    expected = [record.row for record in found]
    dropped = list(expected)
    for row in train + validation:
        dropped.remove(row)  # each once
    assert sum(len(row[4]) for row in dropped) == manifest.dropped_bases["split_border"]
    assert by == "block" or not dropped
    assert check_leaks(open_corpus(folder / "corpus")).overlapping == 0
    for rows in (train, validation):
        assert [row for row in expected if row in rows] == rows  # in their order
    if by == "contig":
        assert not {row[0] for row in train} & {row[0] for row in validation}


@pytest.mark.parametrize(("kind", "remove"), [("cds", "near"), ("folder", None)])
def test_any_number_of_workers_writes_the_same_bytes(tmp_path, monkeypatch, kind, remove):
    monkeypatch.setattr(corpus_tasks, "TASK_BP", 500)
    (tmp_path / "in").mkdir()
    if kind == "cds":
        source = Source(cds=write_cds(tmp_path / "in" / "a.fa", RECORDS))
    else:
        write_table(tmp_path / "in" / "train.csv", LOOSE)
        source = Source(dataset=tmp_path / "in")
    settings = {
        "split": SplitConfig(by="group", validation_fraction=0.3),
        "duplicates": remove and DuplicateConfig(remove=remove),
    }
    manifest = prepare(tmp_path / "1", source, **settings)
    assert len(manifest.splits["train"].shards) > 3
    prepare(tmp_path / "2", source, **settings, compute=Compute(workers=2))
    assert all_bytes(tmp_path / "1") == all_bytes(tmp_path / "2")
    assert prepare(tmp_path / "1", source, **settings) == manifest  # made before


def test_a_table_gives_the_sequences_of_the_file_it_was_written_from(tmp_path):
    split = SplitConfig(validation_fraction=0.3)
    cds = Source(cds=write_cds(tmp_path / "a.fa", LOOSE))
    prepare(tmp_path / "cds", cds, split=split)
    sequences = sorted(row[4] for row in rows_of(tmp_path / "cds"))
    assert sequences == sorted(record.sequence for record in LOOSE)
    hashes = set()
    for suffix in ("csv", "parquet"):
        table = write_table(tmp_path / f"table.{suffix}", LOOSE)
        source = Source(dataset=str(table), column="sequence")
        hashes.add(prepare(tmp_path / suffix, source, split=split).corpus_sha256)
        rows = rows_of(tmp_path / suffix)
        assert sorted(row[4] for row in rows) == sequences
        assert all(row[4] == LOOSE[int(row[0].removeprefix("row"))].sequence for row in rows)
    assert len(hashes) == 1


@pytest.mark.parametrize(
    "windows",
    [
        FixedWindows(length_bp=20),
        FixedWindows(length_bp=60, last="keep"),
        TinyDnabertWindows(min_bp=5, max_bp=20),
        RepeatFreeWindows(length_bp=20, min_run_bp=3),
    ],
)
def test_other_kinds_cut_each_record(cds, tmp_path, windows):
    manifest = prepare(tmp_path / "corpus", Source(cds=cds), windows=windows)
    by_name = {record.name: record for record in RECORDS}
    rows = rows_of(tmp_path / "corpus")
    assert len(rows) > 20
    for name, start, end, strand, sequence in rows:
        assert (by_name[name].sequence[start:end], strand) == (sequence, "+")
    assert {by_name[row[0]].place[0] for row in rows_of(tmp_path / "corpus", "validation")} == {"2"}
    assert {by_name[row[0]].place[0] for row in rows_of(tmp_path / "corpus", "train")} == {"1", "3"}
    covered = {(row[0], i) for row in rows for i in range(row[1], row[2])}
    assert len(covered) + sum(manifest.dropped_bases.values()) == manifest.inputs[0].num_bases
    assert manifest.sources[0].tallies["train"].contigs.keys() == {"1", "3"}


def test_duplicates_and_weights_count_letters(tmp_path):
    """Not the bases of the chromosome, which the records do not hold."""
    twice = RECORDS[0]._replace(name="again", sequence=reverse_complement(RECORDS[0].sequence))
    cds = write_cds(tmp_path / "a.fa", [*RECORDS, twice])
    manifest = prepare(tmp_path / "once", Source(cds=cds), duplicates=DuplicateConfig())
    assert manifest.dropped_bases["duplicate"] == len(twice.sequence)
    assert manifest.sources[0].tallies["train"].contigs.keys() == {"1", "3"}
    assert [row[4] for row in rows_of(tmp_path / "once", "train")].count(twice.sequence) == 0
    manifest = prepare(tmp_path / "half", Source(cds=cds, weight=0.5))
    kept = sum(len(row[4]) for row in rows_of(tmp_path / "half"))
    assert manifest.dropped_bases["weight"] > 0
    assert kept + manifest.dropped_bases["weight"] == manifest.inputs[0].num_bases


@pytest.mark.parametrize("windows", [CodingWindows(), FixedWindows(length_bp=20)])
@pytest.mark.parametrize("duplicates", [None, DuplicateConfig()])
def test_weights_of_chromosomes_hold_for_records(cds, tmp_path, windows, duplicates):
    settings = {"windows": windows, "duplicates": duplicates}
    prepare(tmp_path / "once", Source(cds=cds), **settings)
    weights = WeightConfig(contigs={"1": 0, "3": 2})
    manifest = prepare(tmp_path / "c", Source(cds=cds), weights=weights, **settings)
    chromosomes = {record.name: record.place[0] for record in RECORDS}
    once = rows_of(tmp_path / "once", "train")
    kept = [row for row in once if chromosomes.get(row[0], row[0]) == "3"]
    assert rows_of(tmp_path / "c", "train") == [row for row in kept for _ in range(2)]
    left_out = sum(len(row[4]) for row in once if row not in kept)
    assert manifest.dropped_bases["weight"] == left_out > 0
    assert rows_of(tmp_path / "c", "validation") == rows_of(tmp_path / "once", "validation")
    with pytest.raises(WeightError, match="no contig 'T0': found '1', '2', '3'"):
        other = WeightConfig(contigs={"T0": 0})
        prepare(tmp_path / "d", Source(cds=cds), weights=other, **settings)


def test_genomes_and_records_of_several_species(cds, tmp_path):
    fasta = tmp_path / "genome.fa"
    fasta.write_text(f">2\n{letters('g', 500)}\n>row3\n{letters('h', 500)}\n")
    table = write_table(tmp_path / "t.csv", LOOSE)
    sources = [
        Source(fasta=fasta, species="one"),
        Source(cds=cds, species="two"),
        Source(dataset=table, species="three"),
    ]
    split = SplitConfig(validation_contigs=("two:2", "one:row3"))
    windows = FixedWindows(length_bp=50)
    manifest = prepare_corpus(sources, tmp_path / "corpus", windows=windows, split=split)
    held = {row.contig for row in open_corpus(tmp_path / "corpus").iter_windows("validation")}
    assert held == {"one:row3", *(f"two:{r.name}" for r in RECORDS if r.place[0] == "2")}
    assert set(manifest.validation_contigs) == {"two:2", "one:row3"}
    assert [source.kind for source in manifest.sources] == ["fasta", "cds", "dataset"]
    assert manifest.inputs[0].contigs == {"2": 500, "row3": 500}


def test_records_without_a_chromosome_are_drawn_and_warned_of_once(tmp_path, caplog):
    table = write_table(tmp_path / "t.csv", LOOSE)
    for by, warnings in (("contig", 1), ("block", 1), ("group", 0)):
        caplog.clear()
        split = SplitConfig(by=by, validation_fraction=0.3)
        with caplog.at_level(logging.WARNING):
            manifest = prepare(tmp_path / by, Source(dataset=table), split=split)
        said = [
            r.getMessage() for r in caplog.records if "similar ones may lie on" in r.getMessage()
        ]
        assert len(said) == warnings
        assert all("30 records" in text and "split.by=group" in text for text in said)
        assert all("duplicates.remove=near" in text for text in said)
        share = manifest.splits["validation"].num_bases / manifest.inputs[0].num_bases
        assert 0.3 <= share <= 0.4
        assert manifest.validation_contigs == ()


def test_the_manifest_and_the_job_do_not_grow_with_records(tmp_path, monkeypatch):
    sizes, jobs = [], []
    run = corpus_tasks.run_task

    def spy(item):
        jobs.append((item.work / "scratch" / "job.json").stat().st_size)
        return run(item)

    monkeypatch.setattr("helixlm.data.corpus.prepare.run_task", spy)
    for number in (20, 2000):
        found = [Cds(f"T{i}", letters(i, 9)) for i in range(number)]
        source = Source(cds=write_cds(tmp_path / f"{number}.fa", found))
        prepare(tmp_path / f"c{number}", source, split=SplitConfig())
        sizes.append((tmp_path / f"c{number}" / "manifest.json").stat().st_size)
    assert abs(sizes[1] - sizes[0]) < 100
    assert jobs[1] - jobs[0] < 7 * 2000  # six bytes of JSON a record


def test_an_interrupted_run_reads_the_records_once(cds, tmp_path, monkeypatch):
    whole = prepare(tmp_path / "whole", Source(cds=cds))
    reads = []
    read = records.iter_cds_fasta
    monkeypatch.setattr(records, "iter_cds_fasta", lambda path: reads.append(path) or read(path))
    with monkeypatch.context() as patch:
        patch.setattr("helixlm.data.corpus.prepare.run_task", None)
        with pytest.raises(TypeError):
            prepare(tmp_path / "corpus", Source(cds=cds))
    assert prepare(tmp_path / "corpus", Source(cds=cds)) == whole
    assert reads == [cds]
    assert all_bytes(tmp_path / "corpus") == all_bytes(tmp_path / "whole")
    with monkeypatch.context() as patch:  # without the table the letters are of no use
        patch.setattr(records, "replace_file", None)
        with pytest.raises(TypeError):
            prepare(tmp_path / "other", Source(cds=cds))
    assert prepare(tmp_path / "other", Source(cds=cds)) == whole
    assert reads == [cds] * 3


def test_other_inputs_for_a_finished_corpus_are_refused(tmp_path):
    table = write_table(tmp_path / "t.csv", LOOSE)
    split = SplitConfig(validation_fraction=0.3)
    prepare(tmp_path / "c", Source(dataset=table, column="sequence"), split=split)
    with pytest.raises(StateError, match=r"genome: column \('sequence' there, None now\)"):
        prepare(tmp_path / "c", Source(dataset=table), split=split)
    cds = write_cds(tmp_path / "a.fa", LOOSE)
    with pytest.raises(StateError, match=r"genome: kind \('dataset' there, 'cds' now\)"):
        prepare(tmp_path / "c", Source(cds=cds), split=split)
    write_table(table, LOOSE[1:])
    with pytest.raises(StateError, match=r"SHA-256 of .*t.csv \('\w{12}' there, '\w{12}' now"):
        prepare(tmp_path / "c", Source(dataset=table, column="sequence"), split=split)


def test_a_file_that_is_added_to_a_folder_of_a_dataset_is_noticed(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    write_table(folder / "train-0.csv", LOOSE)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x").write_text("not of it")
    split = SplitConfig(validation_fraction=0.3)
    manifest = prepare(tmp_path / "c", Source(dataset=folder), split=split)
    line = f"train-0.csv\t{hashlib.sha256((folder / 'train-0.csv').read_bytes()).hexdigest()}\n"
    assert manifest.inputs[0].sha256 == hashlib.sha256(line.encode()).hexdigest()
    write_table(folder / "train-1.csv", LOOSE)
    with pytest.raises(StateError, match=r"SHA-256 of .*set \("):
        prepare(tmp_path / "c", Source(dataset=folder), split=split)


def test_a_name_on_the_hub_is_kept_with_the_hash_of_what_was_read(tmp_path, monkeypatch):
    asked = []

    def load_dataset(name, **options):
        asked.append((name, options["split"]))
        return [{"cds": record.sequence} for record in LOOSE]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    source = Source(dataset="some.one/Human-CDS", dataset_split="test")
    split = SplitConfig(validation_fraction=0.3)
    manifest = prepare(tmp_path / "c", source, split=split)
    (file,) = manifest.inputs
    text = "".join(record.sequence + "\n" for record in LOOSE)
    assert (file.path, file.sha256) == (
        "some.one/Human-CDS",
        hashlib.sha256(text.encode()).hexdigest(),
    )
    assert prepare(tmp_path / "c", source, split=split) == manifest
    assert asked == [("some.one/Human-CDS", "test")]
    with pytest.raises(StateError, match=r"genome: dataset \('some.one/Human-CDS' there, 'b' now"):
        other = Source(dataset="b", dataset_split="test")
        prepare(tmp_path / "c", other, split=split)


def test_windows_that_need_a_genome(cds, tmp_path):
    windows = FeatureWindows(upstream_bp=5, downstream_bp=5)
    with pytest.raises(SourceError, match=r"need a genome \(fasta\), found cds: choose another"):
        prepare(tmp_path / "c", Source(cds=cds), windows=windows)
    with pytest.raises(SourceError, match=r"need an annotation.*, give them with --cds"):
        prepare(tmp_path / "c", Source(fasta=cds))


def test_names_that_come_twice(cds, tmp_path):
    with pytest.raises(GenomeError, match=r"b.fa: the record name 'T0' is also in .*a.cds.fa: ren"):
        prepare(tmp_path / "c", Source(cds=[cds, write_cds(tmp_path / "b.fa", RECORDS)]))
    path = write_cds(tmp_path / "c.fa", [*RECORDS, RECORDS[0]])
    with pytest.raises(CdsFastaError, match=r"c.fa:\d+: second record of the name 'T0'"):
        prepare(tmp_path / "c", Source(cds=path))
    assert not (tmp_path / "c").exists()


def test_inputs_that_cannot_be_read(tmp_path):
    empty = tmp_path / "empty.fa"
    empty.touch()
    with pytest.raises(CdsFastaError, match=r"empty.fa: empty file, expected FASTA"):
        prepare(tmp_path / "c", Source(cds=empty))
    wrong = write_cds(tmp_path / "wrong.fa", [Cds("a", "ACGT"), Cds("b", "ACGU")])
    with pytest.raises(CdsFastaError, match=r"wrong.fa:4: record 'b', column 4: found 'U'"):
        prepare(tmp_path / "c", Source(cds=wrong))
    table = write_table(tmp_path / "t.csv", [Cds("x1", "ACGT"), Cds("x2", "ACGE")])
    with pytest.raises(DatasetError, match=r"t.csv: no column that holds DNA: found 'name', 'seq"):
        prepare(tmp_path / "c", Source(dataset=table))
    with pytest.raises(DatasetError, match=r"t.csv: row 1, column 'sequence': found 'E' at pos"):
        prepare(tmp_path / "c", Source(dataset=table, column="sequence"))
    with pytest.raises(DatasetError, match=r"t.csv: no column 'cds': found 'name', 'sequence'"):
        prepare(tmp_path / "c", Source(dataset=table, column="cds"))
    with pytest.raises(SourceError, match=r"no.csv: expected a file, a folder, or the name of"):
        prepare(tmp_path / "c", Source(dataset="no.csv"))
    with pytest.raises(SourceError, match=r"no.fa: expected a file to read, found nothing there"):
        prepare(tmp_path / "c", Source(cds=tmp_path / "no.fa"))
