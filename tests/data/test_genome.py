"""Genomes as maps of letters: against pysam, the records that were written, and bad requests."""

import gzip
import hashlib
import json
import multiprocessing
import pickle
import re
import shutil
import tracemalloc
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.fasta_files import genomes, pack, text_of
from tests.data.twobit_files import twobit_bytes

from helixlm.data import genome as genome_module
from helixlm.data.formats.fasta import FastaError, scan_fasta
from helixlm.data.genome import Genome, GenomeError, missing_contig, open_genome
from helixlm.errors import StateError

GENOME = {"chr1": "ACGTNNacgtRYSWKMBDHVryswkmbdhvnT" * 900, "chr2": "g", "chrM": "TTTA" * 300}


@pytest.fixture
def fasta(tmp_path):
    return pack(tmp_path / "genome.fa.gz", text_of(GENOME).encode(), "gzip")


@pytest.fixture
def genome(fasta, tmp_path):
    with Genome.from_fasta([fasta], tmp_path / "genome") as genome:
        yield genome


def text(letters):
    return bytes(letters).decode()


@settings(deadline=None, max_examples=25)
@given(
    genomes,
    st.integers(1, 70),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["plain", "bgzip"]),
    st.data(),
)
def test_agrees_with_htslib(tmp_path_factory, records, width, end, packing, data):
    folder = tmp_path_factory.mktemp("genome")
    path = pack(folder / "a.fa", text_of(records, width, end).encode(), packing)
    with (
        pysam.FastaFile(str(path)) as expected,
        Genome.from_fasta([path], folder / "genome") as genome,
    ):
        lengths = zip(expected.references, expected.lengths, strict=True)
        assert list(genome.contigs.items()) == list(lengths)
        for name, length in genome.contigs.items():
            start = data.draw(st.integers(0, length))
            stop = data.draw(st.integers(start, length))
            assert genome.sequence(name, start, stop) == expected.fetch(name, start, stop)
            assert text(genome.letters(name)) == expected.fetch(name)
    shutil.rmtree(folder)


@settings(deadline=None, max_examples=15)
@given(st.lists(genomes, min_size=1, max_size=3), st.data())
def test_several_files_follow_each_other(tmp_path_factory, groups, data):
    folder = tmp_path_factory.mktemp("genome")
    paths, expected = [], {}
    for i, records in enumerate(groups):
        renamed = {f"{i}{name}": sequence for name, sequence in records.items()}
        packing = data.draw(st.sampled_from(["plain", "gzip", "members", "bgzip"]))
        paths.append(pack(folder / f"{i}.fa", text_of(renamed).encode(), packing))
        expected |= renamed
    genome = Genome.from_fasta(paths, folder / "genome")
    assert {name: text(genome.letters(name)) for name in genome.contigs} == expected
    assert list(genome.contigs) == list(expected)
    whole = "".join(expected.values()).encode()
    assert (folder / "genome" / "letters.bin").read_bytes() == whole
    assert genome.manifest.letters.sha256 == hashlib.sha256(whole).hexdigest()
    shutil.rmtree(folder)


def test_the_manifest_says_what_scan_fasta_says(genome, fasta):
    summary = scan_fasta(fasta)
    (source,) = genome.manifest.sources
    assert source.path == str(fasta)
    assert source.sha256 == summary.sha256 == hashlib.sha256(fasta.read_bytes()).hexdigest()
    assert source.contigs == summary.contigs == {name: len(x) for name, x in GENOME.items()}
    assert source.letters == summary.letters == Counter("".join(GENOME.values()))
    index = json.loads((genome.path / "manifest.json").read_text())
    assert index["sources"][0]["contigs"] == {"chr1": 28_800, "chr2": 1, "chrM": 1200}


def test_twobit_and_fasta_make_one_genome(tmp_path):
    path = tmp_path / "b.2bit"
    path.write_bytes(twobit_bytes({"two": "NNacgTTn", "three": "A"}))
    fasta = pack(tmp_path / "a.fa", b">one\nRyAC\n", "plain")
    with Genome.from_fasta([fasta, path], tmp_path / "genome") as genome:
        assert genome.contigs == {"one": 4, "two": 8, "three": 1}
        assert genome.sequence("two", 1, 7) == "NacgTT"
    source = genome.manifest.sources[1]
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.letters == {"N": 2, "n": 1, "a": 1, "c": 1, "g": 1, "T": 2, "A": 1}


def test_letters_cannot_be_written_and_outlive_the_genome(genome):
    letters = genome.letters("chr1")
    assert letters.dtype == np.uint8
    assert letters.shape == (28_800,)
    with pytest.raises(ValueError, match="read-only"):
        letters[0] = 0
    genome.close()
    assert text(letters) == GENOME["chr1"]
    with pytest.raises(StateError, match=r"genome: the genome is closed: open it again"):
        genome.letters("chr1")


def _first_letters(genome):
    return genome.sequence("chrM", 0, 6)


def test_only_the_path_travels_to_other_processes(genome):
    assert len(pickle.dumps(genome)) < 300
    assert pickle.loads(pickle.dumps(genome)).contigs == genome.contigs
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(_first_letters, genome).result() == "TTTATT"


def test_the_same_files_open_what_is_there(genome, fasta, monkeypatch):
    before = (genome.path / "letters.bin").stat().st_mtime_ns
    again = Genome.from_fasta([fasta], genome.path)
    assert again.contigs == genome.contigs
    assert (genome.path / "letters.bin").stat().st_mtime_ns == before


def test_other_files_are_refused(genome, fasta, tmp_path):
    other = pack(tmp_path / "b.fa", b">one\nACGT\n", "plain")
    with pytest.raises(StateError, match=r"made before with other inputs .*SHA-256 of .*b\.fa"):
        Genome.from_fasta([other], genome.path)
    with pytest.raises(StateError, match=r"number of files \(1 there, 2 now\)"):
        Genome.from_fasta([fasta, other], genome.path)
    with pytest.raises(StateError, match=r"'no such file' now|'no such fil' now"):
        Genome.from_fasta([tmp_path / "gone.fa"], genome.path)


def test_memory_does_not_grow_with_the_genome(tmp_path):
    path = tmp_path / "a.fa.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(b">chr1\n" + b"ACGTacgtNN" * 4_000_000 + b"\n")
        for i in range(2000):
            stream.write(b">short%d\nACGT\n" % i)
    tracemalloc.start()
    try:
        genome = Genome.from_fasta([path], tmp_path / "genome")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(genome.contigs.values()) == 40_008_000
    assert peak < 15_000_000  # bytes


def test_progress_counts_the_bytes_of_all_files(fasta, tmp_path):
    twobit = tmp_path / "b.2bit"
    twobit.write_bytes(twobit_bytes({"two": "ACGT" * 100}))
    calls = []
    paths = [fasta, twobit]
    Genome.from_fasta(paths, tmp_path / "g", progress=lambda *call: calls.append(call))
    total = sum(path.stat().st_size for path in paths)
    assert calls == sorted(calls)
    assert calls[0] == (fasta.stat().st_size, total)
    assert calls[-1] == (total, total)


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (4, 3), (0, 1201), (1201, 1201)])
def test_stretches_outside_of_the_contig(genome, start, end):
    message = rf"chrM:{start}-{end}: expected 0 <= start <= end <= 1200, the length of the contig"
    with pytest.raises(GenomeError, match=message):
        genome.sequence("chrM", start, end)


def test_contigs_that_are_not_there(genome):
    with pytest.raises(GenomeError, match=r"no contig '1': found 'chr1'; use the names of the gen"):
        genome.letters("1")
    with pytest.raises(GenomeError, match=r"no contig 'chr3': found 'chr"):
        genome.sequence("chr3", 0, 1)
    assert missing_contig("chr7", "789").startswith("no contig 'chr7': found '7'; use the names")
    assert missing_contig("X", "1234") == "no contig 'X': found '1', '2', '3' and others"
    assert missing_contig("X", "12") == "no contig 'X': found '1', '2'"


def test_names_are_unique_over_all_files(fasta, tmp_path):
    other = pack(tmp_path / "b.fa", b">one\nACGT\n>chr2\nACGT\n", "plain")
    message = rf"b\.fa: the contig name 'chr2' is also in {re.escape(str(fasta))}: rename one"
    with pytest.raises(GenomeError, match=message):
        Genome.from_fasta([fasta, other], tmp_path / "genome")
    assert not (tmp_path / "genome").exists()


def test_bad_input_leaves_nothing(fasta, tmp_path):
    bad = pack(tmp_path / "b.fa", b">one\nAC-GT\n", "plain")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FastaError, match=r"b\.fa:2: record 'one', column 3: found '-'"):
        Genome.from_fasta([fasta, bad], tmp_path / "genome")
    with pytest.raises(FastaError, match=r"gone\.fa: no such file"):
        Genome.from_fasta([fasta, tmp_path / "gone.fa"], tmp_path / "genome")
    with pytest.raises(GenomeError, match="expected at least one FASTA or 2bit file, found none"):
        Genome.from_fasta([], tmp_path / "genome")
    with pytest.raises(StateError, match=r"found a file: choose another name"):
        Genome.from_fasta([fasta], fasta)
    assert sorted(tmp_path.iterdir()) == before


def test_a_full_disk_leaves_nothing(fasta, tmp_path, small_files):
    small_files(20_000)
    with pytest.raises(StateError, match=r"genome: the disk or a quota is full"):
        Genome.from_fasta([fasta], tmp_path / "genome")
    assert [path.name for path in tmp_path.iterdir()] == ["genome.fa.gz"]


def test_what_is_no_genome_or_damaged(genome, tmp_path):
    with pytest.raises(StateError, match=r"nothing: expected .* helixlm genome|no such folder"):
        open_genome(tmp_path / "nothing")
    (genome.path / "letters.bin").write_bytes(b"ACGT")
    with pytest.raises(StateError, match=r"letters\.bin: 4 bytes, manifest\.json says 30,001"):
        open_genome(genome.path)


def test_records_are_contigs(tmp_path, monkeypatch):
    monkeypatch.setattr(genome_module, "_WRITTEN_AT_ONCE", 7)
    found = {"a": {"x": "ACGTn", "y": "GG"}, "b": {"z": "ryAC" * 5}}
    parts = ((path, iter(records.items())) for path, records in found.items())
    with Genome.from_records(parts, tmp_path / "g") as genome:
        whole = {name: text for records in found.values() for name, text in records.items()}
        assert genome.contigs == {name: len(text) for name, text in whole.items()}
        for name, text in whole.items():
            assert genome.sequence(name, 0, len(text)) == text
        for source, (path, records) in zip(genome.manifest.sources, found.items(), strict=True):
            text = "".join(records.values())
            assert (source.path, source.letters) == (path, dict(Counter(text)))
            lines = "".join(f"{record}\n" for record in records.values())
            assert source.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    with pytest.raises(StateError, match="the folder is not empty"):
        Genome.from_records([("a", [("x", "A")])], tmp_path / "g")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([("a", [("x", "A"), ("x", "C")])], "a: the record name 'x' is also in a: rename one"),
        ([("a", [("x", "A")]), ("b", [("x", "C")])], "b: the record name 'x' is also in a: ren"),
        ([("a", [("x", "")])], "a: record 'x' has no letter, expected at least one"),
        ([("a", [])], "expected at least one record, found none"),
    ],
)
def test_records_that_make_no_genome(tmp_path, parts, message):
    with pytest.raises(GenomeError, match=message):
        Genome.from_records(parts, tmp_path / "g")
    assert not (tmp_path / "g").exists()
