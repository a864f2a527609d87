"""The corpus: what the Parquet files hold, against the FASTA they were made from."""

import gzip
import hashlib
import importlib
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data import corpus as module
from helixlm.data import window_files
from helixlm.data.corpus import CorpusError, open_corpus, prepare_corpus
from helixlm.data.fasta import FastaError
from helixlm.data.leaks import check_leaks
from helixlm.data.splits import SplitConfig, SplitError
from helixlm.data.windows import WindowConfig
from helixlm.errors import StateError
from helixlm.rng import CounterRng

WINDOWS = WindowConfig(block_bp=2000, min_bp=20, max_bp=60)
BY_BLOCK = SplitConfig(by="block", block_bp=2000, validation_fraction=0.25)


def random_contig(name, length, letters="ACGTacgt"):
    codes = CounterRng("test", name).integers(0, len(letters), length)
    return "".join(letters[code] for code in codes.tolist())


GENOME = {
    "chr1": random_contig("a", 6000) + "N" * 37 + random_contig("b", 2500) + "nnACGTRYKM",
    "chr2": random_contig("c", 4100, "ACGT"),
    "tiny": "ACGTACGTAC",
    "chr3": random_contig("d", 1800, "acgt"),
}


def write_fasta(path, genome):
    text = "".join(f">{name} of a test\n{sequence}\n" for name, sequence in genome.items())
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    else:
        path.write_text(text)
    return path


@pytest.fixture
def fasta(tmp_path):
    return write_fasta(tmp_path / "genome.fa", GENOME)


def prepare(fasta, output, **arguments):
    arguments = {"windows": WINDOWS, "split": BY_BLOCK, "seed": 5} | arguments
    return prepare_corpus([fasta], output, **arguments)


def all_bytes(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_rows_are_the_stretches_of_the_genome(fasta, tmp_path):
    manifest = prepare(fasta, tmp_path / "corpus", species="S. testi", assembly="t1")
    covered = {name: np.zeros(len(sequence), int) for name, sequence in GENOME.items()}
    for split in ("train", "validation"):
        rows = pq.read_table(tmp_path / "corpus" / split / "00000.parquet").to_pylist()
        assert len(rows) == manifest.splits[split].num_windows > 0
        assert sum(len(row["sequence"]) for row in rows) == manifest.splits[split].num_bases
        for row in rows:
            sequence = GENOME[row["contig"]][row["start"] : row["end"]]
            assert row["sequence"] == sequence
            masked = sum(letter.islower() for letter in sequence)
            assert row["softmask_fraction"] == pytest.approx(masked / len(sequence))
            assert (row["species"], row["assembly"], row["split"]) == ("S. testi", "t1", split)
            assert (row["strand"], row["sample"], row["haplotype"]) == ("+", None, None)
            covered[row["contig"]][row["start"] : row["end"]] += 1
    everything = np.concatenate(list(covered.values()))
    assert everything.max() == 1
    assert sum(manifest.dropped_bases.values()) == (everything == 0).sum()
    assert manifest.dropped_bases["gap"] == 39
    assert manifest.dropped_bases["short_contig"] == 10
    assert manifest.dropped_bases["iupac"] == 0
    assert manifest.dropped_bases["split_border"] == 0
    assert check_leaks(open_corpus(tmp_path / "corpus")).clean


def test_the_manifest_says_what_it_was_made_from(fasta, tmp_path):
    manifest = prepare(fasta, tmp_path / "corpus")
    (record,) = manifest.inputs
    assert record.path == str(fasta)
    assert record.sha256 == hashlib.sha256(fasta.read_bytes()).hexdigest()
    assert record.contigs == {name: len(sequence) for name, sequence in GENOME.items()}
    assert manifest.windows == WINDOWS
    assert manifest.split == BY_BLOCK
    for split in manifest.splits.values():
        for shard in split.shards:
            data = (tmp_path / "corpus" / shard.file).read_bytes()
            assert (shard.bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    content = json.loads((tmp_path / "corpus" / "manifest.json").read_text())
    assert (content["format"], content["format_version"]) == ("helixlm corpus", 1)
    assert open_corpus(tmp_path / "corpus").manifest == manifest


def test_named_contigs_are_validation_and_nothing_else_is(fasta, tmp_path):
    split = SplitConfig(validation_contigs=("chr3", "chr2"))
    manifest = prepare(fasta, tmp_path / "corpus", split=split)
    corpus = open_corpus(tmp_path / "corpus")
    assert {w.contig for w in corpus.iter_windows("validation")} == {"chr2", "chr3"}
    assert {w.contig for w in corpus.iter_windows("train")} == {"chr1"}
    assert manifest.validation_contigs == ("chr2", "chr3")


@pytest.mark.parametrize("block_bp", [None, 700])
def test_windows_that_would_lie_in_both_splits_are_dropped(fasta, tmp_path, block_bp):
    windows = WINDOWS.model_copy(update={"block_bp": block_bp})
    split = SplitConfig(by="block", block_bp=500, validation_fraction=0.5)
    manifest = prepare(fasta, tmp_path / "corpus", windows=windows, split=split)
    assert manifest.dropped_bases["split_border"] > 0
    corpus = open_corpus(tmp_path / "corpus")
    assert check_leaks(corpus).overlapping == 0
    blocks = [
        {(w.contig, i // 500) for w in corpus.iter_windows(name) for i in range(w.start, w.end)}
        for name in ("train", "validation")
    ]
    assert not blocks[0] & blocks[1]


def test_a_genome_that_is_mostly_gaps(tmp_path):
    genome = {"chr": "N" * 16_000 + random_contig("e", 6000)}
    fasta = write_fasta(tmp_path / "gaps.fa", genome)
    for seed in range(5):
        manifest = prepare(fasta, tmp_path / str(seed), seed=seed)
        assert 1500 < manifest.splits["validation"].num_bases < 2500


def test_the_same_on_every_run_and_in_every_packaging(fasta, tmp_path):
    first = prepare(fasta, tmp_path / "one")
    prepare(fasta, tmp_path / "two")
    assert all_bytes(tmp_path / "one") == all_bytes(tmp_path / "two")
    zipped = write_fasta(tmp_path / "genome.fa.gz", GENOME)
    sharded = prepare(zipped, tmp_path / "three", shard_windows=40)
    assert len(sharded.splits["train"].shards) > 2
    assert sharded.corpus_sha256 == first.corpus_sha256
    assert prepare(fasta, tmp_path / "four", seed=6).corpus_sha256 != first.corpus_sha256


def test_a_contig_gives_the_same_windows_in_another_file(tmp_path):
    turned = dict(reversed(GENOME.items()))
    found = []
    for name, genome in (("a", GENOME), ("b", turned)):
        prepare(write_fasta(tmp_path / f"{name}.fa", genome), tmp_path / name)
        corpus = open_corpus(tmp_path / name)
        found.append([sorted(corpus.iter_windows(s)) for s in ("train", "validation")])
    assert found[0] == found[1]


def test_several_files(tmp_path):
    parts = [
        write_fasta(tmp_path / "1.fa", {name: GENOME[name] for name in ("chr1", "chr2")}),
        write_fasta(tmp_path / "2.fa.gz", {name: GENOME[name] for name in ("tiny", "chr3")}),
    ]
    whole = write_fasta(tmp_path / "0.fa", GENOME)
    calls = []
    arguments = {"windows": WINDOWS, "split": BY_BLOCK, "seed": 5}
    manifest = prepare_corpus(
        parts, tmp_path / "parts", progress=lambda *call: calls.append(call), **arguments
    )
    assert manifest.corpus_sha256 == prepare(whole, tmp_path / "whole").corpus_sha256
    total = 3 * sum(path.stat().st_size for path in parts)
    assert {call[1] for call in calls} == {total}
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert done[-1] == total


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """Row groups of 16 and files of 40 windows, so that slices cross both."""
    folder = tmp_path_factory.mktemp("sharded")
    fasta = write_fasta(folder / "genome.fa", GENOME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_files, "ROW_GROUP_WINDOWS", 16)
        prepare(fasta, folder / "corpus", shard_windows=40)
    corpus = open_corpus(folder / "corpus")
    return corpus, [row.sequence for row in corpus.iter_windows("train")]


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 400), st.none() | st.integers(0, 400), st.integers(1, 90))
def test_slices_are_those_of_a_list(sharded, start, stop, step):
    corpus, sequences = sharded
    assert len(sequences) == corpus.num_windows("train") > 200
    assert list(corpus.iter_sequences("train", start, stop, step)) == sequences[start:stop:step]
    windows = corpus.iter_windows("train", start, stop, step)
    assert [window.sequence for window in windows] == sequences[start:stop:step]


def test_only_the_row_groups_that_are_wanted_are_read(sharded, monkeypatch):
    corpus, sequences = sharded
    read = []
    original = pq.ParquetFile.read_row_group

    def spy(self, group, **arguments):
        read.append(group)
        return original(self, group, **arguments)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", spy)
    assert list(corpus.iter_sequences("train", 100, 101)) == [sequences[100]]
    assert read == [1]  # 100 is row 20 of the third file


def test_reading_what_is_not_there(sharded):
    corpus, _ = sharded
    with pytest.raises(CorpusError, match="no split 'test'; found train, validation"):
        corpus.num_windows("test")
    with pytest.raises(CorpusError, match="windows -1 to None in steps of 1: expected start"):
        list(corpus.iter_sequences("train", -1))


def test_it_loads_with_the_datasets_library(sharded, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = importlib.import_module("datasets")
    datasets.disable_progress_bars()
    corpus, sequences = sharded
    files = {name: str(corpus.path / name / "*.parquet") for name in ("train", "validation")}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
    assert loaded["train"]["sequence"][:] == sequences
    assert loaded["validation"].num_rows == corpus.num_windows("validation")
    assert loaded["train"].column_names == window_files.SCHEMA.names


def test_a_finished_corpus_is_not_made_again(fasta, tmp_path, monkeypatch):
    manifest = prepare(fasta, tmp_path / "corpus")
    before = all_bytes(tmp_path / "corpus")
    monkeypatch.setattr(module, "scan_fasta", None)  # would fail if it were called
    moved = fasta.rename(tmp_path / "moved.fa")
    assert prepare(moved, tmp_path / "corpus") == manifest
    assert all_bytes(tmp_path / "corpus") == before


def test_other_settings_for_a_finished_corpus_are_refused(fasta, tmp_path):
    prepare(fasta, tmp_path / "corpus", species="S. testi")
    before = all_bytes(tmp_path / "corpus")
    windows = WINDOWS.model_copy(update={"max_bp": 70})
    message = (
        r"made before with other inputs or settings: species \('S. testi' there, '' now\), "
        r"seed \(5 there, 6 now\), windows.max_bp \(60 there, 70 now\). Choose another folder"
    )
    with pytest.raises(StateError, match=message):
        prepare(fasta, tmp_path / "corpus", seed=6, windows=windows)
    with fasta.open("a") as stream:
        stream.write(">more\nACGT\n")
    with pytest.raises(StateError, match=r"SHA-256 of .*genome.fa \('\w{12}' there, '\w{12}' now"):
        prepare(fasta, tmp_path / "corpus", species="S. testi")
    with pytest.raises(StateError, match="number of FASTA files"):
        prepare_corpus([fasta, fasta], tmp_path / "corpus")
    assert all_bytes(tmp_path / "corpus") == before


def test_a_folder_of_something_else_is_left_alone(fasta, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "thesis.tex").touch()
    with pytest.raises(StateError, match="the folder is not empty and holds no finished result"):
        prepare(fasta, tmp_path / "corpus")


def test_damaged_files_are_noticed(fasta, tmp_path):
    prepare(fasta, tmp_path / "corpus")
    open_corpus(tmp_path / "corpus").verify()
    shard = tmp_path / "corpus" / "train" / "00000.parquet"
    data = shard.read_bytes()
    shard.write_bytes(data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])
    corpus = open_corpus(tmp_path / "corpus")
    with pytest.raises(StateError, match="the contents are not those that were written"):
        corpus.verify()
    with pytest.raises(StateError, match=r"00000.parquet: the file is damaged .* make the corpus"):
        list(corpus.iter_windows("train"))
    shard.write_bytes(data[:-5])
    for function in (open_corpus, lambda path: prepare(fasta, path)):
        with pytest.raises(StateError, match="the file was cut short or changed"):
            function(tmp_path / "corpus")


def test_an_error_in_the_middle_leaves_nothing(fasta, tmp_path, monkeypatch):
    chunks = module.iter_chunks

    def failing(*arguments, **more):
        for number, chunk in enumerate(chunks(*arguments, **more)):
            if number == 3:
                raise OSError("the cable came loose")
            yield chunk

    monkeypatch.setattr(module, "iter_chunks", failing)
    monkeypatch.setattr(window_files, "ROW_GROUP_WINDOWS", 16)
    with pytest.raises(OSError, match="the cable came loose"):
        prepare(fasta, tmp_path / "corpus")
    assert [path.name for path in tmp_path.iterdir()] == ["genome.fa"]
    monkeypatch.setattr(module, "iter_chunks", chunks)
    prepare(fasta, tmp_path / "corpus")


@pytest.mark.parametrize("limit", [0, 100, 2000])
def test_a_full_disk_leaves_nothing(fasta, tmp_path, monkeypatch, small_files, limit):
    monkeypatch.setattr(window_files, "ROW_GROUP_WINDOWS", 16)
    small_files(limit)
    with pytest.raises(StateError, match=r"the disk or a quota is full .* nothing was written"):
        prepare(fasta, tmp_path / "corpus")
    assert [path.name for path in tmp_path.iterdir()] == ["genome.fa"]


def test_a_file_that_changes_while_it_is_read(fasta, tmp_path, monkeypatch):
    scan = module.scan_fasta

    def scan_and_change(path, progress=None):
        summary = scan(path, progress)
        with path.open("a") as stream:
            stream.write("\n")
        return summary

    monkeypatch.setattr(module, "scan_fasta", scan_and_change)
    with pytest.raises(CorpusError, match=r"genome.fa: the file changed while it was read"):
        prepare(fasta, tmp_path / "corpus")


def test_inputs_that_are_not_there(fasta, tmp_path):
    with pytest.raises(CorpusError, match="expected at least one FASTA file, found none"):
        prepare_corpus([], tmp_path / "corpus")
    with pytest.raises(
        CorpusError, match=r"nowhere.fa: expected a FASTA file, found nothing there"
    ):
        prepare(tmp_path / "nowhere.fa", tmp_path / "corpus")
    with pytest.raises(CorpusError, match="expected a FASTA file, found a folder"):
        prepare(tmp_path, tmp_path / "corpus")
    with pytest.raises(CorpusError, match=r"genome.fa: the contig name 'chr1' is also in .*genome"):
        prepare_corpus([fasta, fasta], tmp_path / "corpus")
    (tmp_path / "empty.fa").touch()
    with pytest.raises(FastaError, match=r"empty.fa"):
        prepare(tmp_path / "empty.fa", tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_splits_that_stay_empty(fasta, tmp_path):
    message = (
        "validation: expected windows of 20 to 60 bp, found none .dropped: .*10 bp in contigs "
        "shorter than the shortest window.*: hold out other contigs, choose a smaller"
    )
    with pytest.raises(CorpusError, match=message):
        prepare(fasta, tmp_path / "corpus", split=SplitConfig(validation_contigs=("tiny",)))
    others = SplitConfig(validation_contigs=("chr1", "chr2", "chr3"))
    with pytest.raises(CorpusError, match="train: expected windows of 20 to 60 bp, found none"):
        prepare(fasta, tmp_path / "corpus", split=others)
    short = write_fasta(tmp_path / "short.fa", {"a": "ACGT" * 30})
    tiny_blocks = SplitConfig(by="block", block_bp=10)
    with pytest.raises(CorpusError, match=r"found none .* change split.block_bp or seed"):
        prepare(short, tmp_path / "corpus", split=tiny_blocks)
    with pytest.raises(SplitError, match="no contig is named 'chrX'; found chr1, chr2, tiny, chr3"):
        prepare(fasta, tmp_path / "corpus", split=SplitConfig(validation_contigs=("chrX",)))
    assert not (tmp_path / "corpus").exists()
