"""The corpus: what the Parquet files hold, against the FASTA they were made from."""

import contextlib
import gzip
import hashlib
import importlib
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.compute import Compute
from helixlm.data import genome as genome_module
from helixlm.data.corpus import prepare as prepare_module
from helixlm.data.corpus import rows as corpus_rows
from helixlm.data.corpus import tasks as corpus_tasks
from helixlm.data.corpus import window_files
from helixlm.data.corpus.base import CorpusError, open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.corpus.weights import WeightConfig
from helixlm.data.corpus.window_files import CorpusSplit, WindowWriter
from helixlm.data.formats.fasta import FastaError
from helixlm.data.genome import GenomeError
from helixlm.data.records import letters_of
from helixlm.data.similarity.duplicates import DuplicateConfig
from helixlm.data.similarity.leaks import check_leaks
from helixlm.data.sources import Source, SourceError
from helixlm.data.splits import SplitConfig, SplitError
from helixlm.data.windows import (
    DnabertWindows,
    FixedWindows,
    PieceWindows,
    RepeatFreeWindows,
    TinyDnabertWindows,
    Window,
)
from helixlm.errors import StateError
from helixlm.rng import CounterRng

WINDOWS = TinyDnabertWindows(block_bp=2000, min_bp=20, max_bp=60)
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


def prepare(fasta, output, *, species="", assembly="", **arguments):
    arguments = {"windows": WINDOWS, "split": BY_BLOCK, "seed": 5} | arguments
    source = Source(fasta=fasta, species=species, assembly=assembly)
    return prepare_corpus([source], output, **arguments)


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


def test_strand_haplotype_and_name_of_a_window_are_kept(tmp_path):
    windows = [
        Window("chr1", 3, 9, "acgtAC"),
        Window("chr1", 5, 9, "GTAC", "-", "HG00096", 2),
        Window("chr2", 5, 95, "ATGTAA", "-", name="ENST01.2"),
    ]
    with window_files.WindowWriter(tmp_path, "train", "", "", 10) as writer:
        for window in windows:
            writer.add(window)
        shard = writer.finish()
    split = CorpusSplit(num_windows=3, num_bases=shard.bases, shards=(shard,))
    columns = list(Window._fields)
    (found,) = window_files.read_windows(tmp_path, split, columns, range(3))
    assert list(map(Window._make, zip(*found.values(), strict=True))) == windows


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
    assert (content["format"], content["format_version"]) == ("helixlm corpus", 3)
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
    assert prepare(zipped, tmp_path / "three").corpus_sha256 == first.corpus_sha256
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
    manifest = prepare(parts, tmp_path / "parts", progress=lambda *call: calls.append(call))
    assert manifest.corpus_sha256 == prepare(whole, tmp_path / "whole").corpus_sha256
    total = 2 * sum(path.stat().st_size for path in parts)
    assert {call[1] for call in calls} == {total}
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert done[-1] == total


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """Row groups of 16 windows and files of 2,000 bp, so that slices cross both."""
    folder = tmp_path_factory.mktemp("sharded")
    fasta = write_fasta(folder / "genome.fa", GENOME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_files, "ROW_GROUP_WINDOWS", 16)
        patch.setattr(corpus_tasks, "TASK_BP", 2000)
        prepare(fasta, folder / "corpus")
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
    ends = np.cumsum([shard.windows for shard in corpus.manifest.splits["train"].shards])
    wanted = int(ends[1]) + 20  # row 20 of the third file
    assert list(corpus.iter_sequences("train", wanted, wanted + 1)) == [sequences[wanted]]
    assert read == [1]


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
    monkeypatch.setattr(prepare_module, "unfinished_folder", None)  # would fail if it were called
    moved = fasta.rename(tmp_path / "moved.fa")
    assert prepare(moved, tmp_path / "corpus") == manifest
    assert all_bytes(tmp_path / "corpus") == before


def test_other_settings_for_a_finished_corpus_are_refused(fasta, tmp_path):
    prepare(fasta, tmp_path / "corpus", species="S. testi")
    before = all_bytes(tmp_path / "corpus")
    windows = WINDOWS.model_copy(update={"max_bp": 70})
    message = (
        r"made before with other inputs or settings: seed \(5 there, 6 now\), "
        r"windows.max_bp \(60 there, 70 now\), genome: species \('S. testi' there, '' now\). Choose"
    )
    with pytest.raises(StateError, match=message):
        prepare(fasta, tmp_path / "corpus", seed=6, windows=windows)
    grid = FixedWindows(length_bp=60)
    with pytest.raises(StateError, match=r"windows.kind \('tinydnabert' there, 'fixed' now\)"):
        prepare(fasta, tmp_path / "corpus", species="S. testi", windows=grid)
    with fasta.open("a") as stream:
        stream.write(">more\nACGT\n")
    with pytest.raises(StateError, match=r"SHA-256 of .*genome.fa \('\w{12}' there, '\w{12}' now"):
        prepare(fasta, tmp_path / "corpus", species="S. testi")
    with pytest.raises(StateError, match="number of files"):
        prepare([fasta, fasta], tmp_path / "corpus")
    assert all_bytes(tmp_path / "corpus") == before


def test_a_folder_of_something_else_is_left_alone(fasta, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "thesis.tex").touch()
    with pytest.raises(StateError, match=r"folder is not empty \(it holds thesis\.tex\)"):
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


def test_an_interrupted_run_goes_on_with_what_is_finished(fasta, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_tasks, "TASK_BP", 2000)
    whole = prepare(fasta, tmp_path / "whole")
    cut, cuts = corpus_rows.cut, []

    def failing(letters, contig, config, seed, start, stop, **more):
        cuts.append((contig, start))
        if len(cuts) == 4:
            raise OSError("the cable came loose")
        return cut(letters, contig, config, seed, start, stop, **more)

    monkeypatch.setattr(corpus_rows, "cut", failing)
    with pytest.raises(OSError, match="the cable came loose"):
        prepare(fasta, tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()
    assert prepare(fasta, tmp_path / "corpus") == whole
    assert all_bytes(tmp_path / "corpus") == all_bytes(tmp_path / "whole")
    places = [(name, start) for name in GENOME for start in range(0, len(GENOME[name]), 2000)]
    assert sorted(cuts) == sorted([*places, cuts[3]])  # only the one that failed was cut twice


def test_two_workers_on_the_same_part_do_not_disturb_each_other(tmp_path, monkeypatch):
    """As when one was taken for dead, and its work was given to the other."""
    monkeypatch.setattr(window_files, "ROW_GROUP_WINDOWS", 5)
    windows = [Window("a", n, n + 4, "+", "ACGT") for n in range(10)]
    with contextlib.ExitStack() as stack:
        first, second = (
            stack.enter_context(WindowWriter(tmp_path, "train", "", "", 0)) for _ in range(2)
        )
        for writer, part in ((first, windows[:5]), (second, windows), (first, windows[5:])):
            for window in part:
                writer.add(window)
        shards = [second.finish()]
        content = (tmp_path / "train" / "00000.parquet").read_bytes()
        assert shards[0].sha256 == hashlib.sha256(content).hexdigest()
        shards.append(first.finish())
    assert shards[0] == shards[1]
    assert all_bytes(tmp_path) == {"train/00000.parquet": content}


@pytest.mark.parametrize("kind", ["fasta", "cds"])
def test_letters_that_another_worker_has_written_meanwhile(fasta, tmp_path, monkeypatch, kind):
    source = Source(**{kind: fasta})
    write = genome_module.new_folder
    others = []

    def new_folder(folder):
        if not others:
            others.append(folder)
            prepare_module._read_genome((source, folder))
            shutil.copytree(folder, tmp_path / "other")
            shutil.rmtree(folder)

            @contextlib.contextmanager
            def late():
                with write(folder) as partial:
                    yield partial
                    shutil.copytree(tmp_path / "other", folder)

            return late()
        return write(folder)

    monkeypatch.setattr(genome_module, "new_folder", new_folder)
    found = letters_of(prepare_module._read_genome((source, tmp_path / "letters")))
    assert {name: found.letters(name).tobytes().decode() for name in found.contigs} == GENOME


def test_letters_are_not_read_again_for_other_settings(fasta, tmp_path, monkeypatch, caplog):
    whole = prepare(fasta, tmp_path / "whole", seed=6)

    def failing(*_):
        raise OSError("the cable came loose")

    with monkeypatch.context() as patch:
        patch.setattr(prepare_module, "plan_tasks", failing)
        with pytest.raises(OSError, match="the cable came loose"):
            prepare(fasta, tmp_path / "corpus")
    monkeypatch.setattr(genome_module, "iter_blocks", failing)
    assert prepare(fasta, tmp_path / "corpus", seed=6) == whole
    assert "seed (5 there, 6 now); what it had finished is removed, but for genomes" in caplog.text
    assert all_bytes(tmp_path / "corpus") == all_bytes(tmp_path / "whole")


@pytest.mark.parametrize("limit", [0, 100, 2000])
def test_a_full_disk_is_said_and_the_run_goes_on_after_it(fasta, tmp_path, small_files, limit):
    small_files(limit)
    with pytest.raises(StateError, match=r"disk or a quota is full|File too large"):
        prepare(fasta, tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()
    small_files(None)
    prepare(fasta, tmp_path / "corpus")
    open_corpus(tmp_path / "corpus").verify()


def test_any_number_of_workers_writes_the_same_bytes(fasta, tmp_path, monkeypatch):
    second = write_fasta(tmp_path / "second.fa", {"chr1": random_contig("z", 9000)})
    regions = tmp_path / "regions.bedgraph"
    regions.write_text("chr1 100 7000 0.5\nchr2 0 1000 2.5\n")
    sources = [
        Source(fasta=fasta, species="one", group="fungi", weights=regions),
        Source(fasta=second, species="two", weight=1.5),
    ]
    weights = WeightConfig(species_exponent=0.3, contigs={"one:chr3": 0.7})
    settings = {"windows": WINDOWS, "split": BY_BLOCK, "weights": weights}
    # Children import the modules anew, so their tasks must not depend on what is patched here.
    monkeypatch.setattr(corpus_tasks, "TASK_BP", 2000)
    manifest = prepare_corpus(sources, tmp_path / "1", **settings)
    assert len(manifest.splits["train"].shards) > 5
    prepare_corpus(sources, tmp_path / "3", **settings, compute=Compute(workers=3))
    assert all_bytes(tmp_path / "1") == all_bytes(tmp_path / "3")


@pytest.mark.parametrize("duplicates", [None, DuplicateConfig(remove="exact")])
def test_a_genome_with_windows_of_its_own(fasta, tmp_path, duplicates):
    second = write_fasta(tmp_path / "second.fa", {"chr1": random_contig("z", 9000)})
    pieces = PieceWindows(chunk_bp=300, overlap_bp=20, both_strands=True)
    settings = {"split": SplitConfig(by="block", block_bp=1000), "duplicates": duplicates}
    sources = [
        Source(fasta=fasta, species="one"),
        Source(fasta=second, species="two", windows=pieces),
    ]
    manifest = prepare_corpus(sources, tmp_path / "both", windows=WINDOWS, **settings)
    assert [source.windows for source in manifest.sources] == [None, pieces]
    rows = [
        row
        for split in ("train", "validation")
        for row in open_corpus(tmp_path / "both").iter_windows(split)
    ]
    for source, config in zip(sources, (WINDOWS, pieces), strict=True):
        # The same genomes, both cut in one way: what this one gives does not depend on the other.
        alike = [one.model_copy(update={"windows": None}) for one in sources]
        prepare_corpus(alike, tmp_path / source.species, windows=config, **settings)
        other = open_corpus(tmp_path / source.species)
        expected = [row for split in ("train", "validation") for row in other.iter_windows(split)]
        assert [row for row in rows if row.contig.startswith(source.species)] == [
            row for row in expected if row.contig.startswith(source.species)
        ]
    changed = [sources[0], sources[1].model_copy(update={"windows": None})]
    with pytest.raises(StateError, match="two: windows"):
        prepare_corpus(changed, tmp_path / "both", windows=WINDOWS, **settings)


def test_genomes_are_told_apart_by_their_species(fasta, tmp_path):
    second = write_fasta(tmp_path / "second.fa", {"chr1": random_contig("z", 9000)})
    sources = [
        Source(fasta=fasta, species="one", assembly="o1", group="fungi"),
        Source(fasta=second, species="two", assembly="t1"),
    ]
    split = SplitConfig(validation_contigs=("one:chr1",))
    manifest = prepare_corpus(sources, tmp_path / "corpus", windows=WINDOWS, split=split)
    rows = [
        row
        for found in manifest.splits.values()
        for shard in found.shards
        for row in pq.read_table(tmp_path / "corpus" / shard.file).to_pylist()
    ]
    places = {(row["species"], row["assembly"], row["contig"], row["split"]) for row in rows}
    assert places == {
        ("one", "o1", "chr1", "validation"),
        ("one", "o1", "chr2", "train"),
        ("one", "o1", "chr3", "train"),
        ("two", "t1", "chr1", "train"),
    }
    for source, found in zip(manifest.sources, ("one", "two"), strict=True):
        bases = sum(len(row["sequence"]) for row in rows if row["species"] == found)
        assert sum(tally.bases for tally in source.tallies.values()) == bases
    assert manifest.validation_contigs == ("one:chr1",)
    # chr1 of one is held out, and chr1 of the other is not: no leak.
    corpus = open_corpus(tmp_path / "corpus")
    assert {row.contig for row in corpus.iter_windows("train")} == {
        "one:chr2", "one:chr3", "two:chr1",
    }  # fmt: skip
    assert check_leaks(corpus).overlapping == 0


def test_a_weight_is_the_mean_number_of_copies(fasta, tmp_path):
    split = SplitConfig(validation_contigs=("chr3",))
    settings = {"windows": WINDOWS, "split": split, "seed": 5}
    found = {}
    for weight in (1, 2, 0.5, 1.25):
        source = Source(fasta=fasta, weight=weight)
        manifest = prepare_corpus([source], tmp_path / str(weight), **settings)
        windows = list(open_corpus(tmp_path / str(weight)).iter_windows("train"))
        found[weight] = windows
        assert (
            manifest.splits["validation"]
            == open_corpus(tmp_path / "1").manifest.splits["validation"]
        )  # not weighted
    assert found[2] == [window for window in found[1] for _ in range(2)]
    assert set(found[0.5]) < set(found[1]) == set(found[1.25])
    assert len(found[0.5]) == pytest.approx(len(found[1]) / 2, rel=0.2)
    assert len(found[1.25]) == pytest.approx(len(found[1]) * 1.25, rel=0.1)
    manifest = open_corpus(tmp_path / "0.5").manifest
    left_out = sum(w.end - w.start for w in set(found[1]) - set(found[0.5]))
    assert manifest.dropped_bases["weight"] == left_out


@pytest.mark.parametrize(
    "windows",
    [
        FixedWindows(length_bp=60),
        FixedWindows(length_bp=60, step_bp=25),
        DnabertWindows(),
        PieceWindows(chunk_bp=300, overlap_bp=20),
        RepeatFreeWindows(length_bp=100, min_run_bp=3),
    ],
)
def test_every_kind_of_windows_makes_a_corpus(fasta, tmp_path, windows, monkeypatch):
    manifest = prepare(fasta, tmp_path / "corpus", windows=windows)
    corpus = open_corpus(tmp_path / "corpus")
    rows = [w for split in ("train", "validation") for w in corpus.iter_windows(split)]
    assert len(rows) == sum(found.num_windows for found in manifest.splits.values())
    for row in rows:
        assert row.sequence == GENOME[row.contig][row.start : row.end]
    assert check_leaks(corpus).overlapping == 0
    monkeypatch.setattr(corpus_tasks, "TASK_BP", 4000)
    prepare(fasta, tmp_path / "parted", windows=windows)
    parted = open_corpus(tmp_path / "parted")
    assert rows == [w for split in ("train", "validation") for w in parted.iter_windows(split)]


def test_a_file_that_changes_while_it_is_read(fasta, tmp_path, monkeypatch):
    run = corpus_tasks.run_task

    def change_and_run(item):
        with fasta.open("a") as stream:
            stream.write("\n")
        return run(item)

    monkeypatch.setattr(prepare_module, "run_task", change_and_run)
    with pytest.raises(CorpusError, match=r"an input file changed while it was read: run again"):
        prepare(fasta, tmp_path / "corpus")
    assert [path.name for path in tmp_path.iterdir()] == ["genome.fa"]


def test_inputs_that_are_not_there(fasta, tmp_path):
    with pytest.raises(SourceError, match=r"expected at least one genome .*, found none"):
        prepare_corpus([], tmp_path / "corpus")
    with pytest.raises(SourceError, match=r"nowhere.fa: expected a file .*, found nothing there"):
        prepare(tmp_path / "nowhere.fa", tmp_path / "corpus")
    with pytest.raises(SourceError, match="expected a file to read, found a folder"):
        prepare(tmp_path, tmp_path / "corpus")
    with pytest.raises(GenomeError, match=r"genome.fa: the contig name 'chr1' is also in .*genome"):
        prepare([fasta, fasta], tmp_path / "corpus")
    (tmp_path / "empty.fa").touch()
    with pytest.raises(FastaError, match=r"empty.fa"):
        prepare(tmp_path / "empty.fa", tmp_path / "corpus")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.fa", "genome.fa"]


def test_splits_that_stay_empty(fasta, tmp_path):
    message = (
        "validation: no window was found .windows: .*min_bp 20.*dropped: .*10 bp in contigs "
        "shorter than the shortest window.*: hold out other contigs, choose shorter windows"
    )
    with pytest.raises(CorpusError, match=message):
        prepare(fasta, tmp_path / "corpus", split=SplitConfig(validation_contigs=("tiny",)))
    others = SplitConfig(validation_contigs=("chr1", "chr2", "chr3"))
    with pytest.raises(CorpusError, match="train: no window was found"):
        prepare(fasta, tmp_path / "corpus", split=others)
    short = write_fasta(tmp_path / "short.fa", {"a": "ACGT" * 30})
    tiny_blocks = SplitConfig(by="block", block_bp=10)
    with pytest.raises(CorpusError, match=r"no window .* change split.block_bp or seed"):
        prepare(short, tmp_path / "corpus", split=tiny_blocks)
    with pytest.raises(SplitError, match="no contig is named 'chrX'; found chr1, chr2, tiny, chr3"):
        prepare(fasta, tmp_path / "corpus", split=SplitConfig(validation_contigs=("chrX",)))
    assert not (tmp_path / "corpus").exists()
