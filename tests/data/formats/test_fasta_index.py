"""Random access to FASTA: against slices of what was written, pysam, and bad requests."""

import os
import re
import subprocess
import sys
import threading
from types import SimpleNamespace

import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.fasta_files import genomes, pack, text_of

from helixlm.data.formats import fasta_index
from helixlm.data.formats.fasta import FastaError, iter_chunks
from helixlm.data.formats.fasta_index import FastaFile, default_cache
from helixlm.errors import StateError

GENOME = {"chr1": "ACGTNNacgtRYSWKMBDHVryswkmbdhvnT" * 900, "chr2": "g", "chrM": "TTTA" * 300}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No test writes into the cache of who runs it."""
    monkeypatch.setenv("HELIXLM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fasta-index"


@pytest.fixture
def bgzipped(tmp_path):
    return pack(tmp_path / "genome.fa.gz", text_of(GENOME).encode(), "bgzip")


@pytest.fixture
def plain(tmp_path):
    return pack(tmp_path / "genome.fa", text_of(GENOME).encode(), "plain")


def unwritable(monkeypatch, *folders):
    """Make folders refuse new files, also for root."""
    make = fasta_index.tempfile.TemporaryDirectory

    def refuse(prefix, dir):  # noqa: A002
        if dir in folders:
            raise PermissionError(13, "Permission denied", str(dir))
        return make(prefix=prefix, dir=dir)

    monkeypatch.setattr(fasta_index.tempfile, "TemporaryDirectory", refuse)


@settings(deadline=None, max_examples=40)
@given(genomes, st.integers(1, 70), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.data())
def test_fetch_is_a_slice(tmp_path_factory, genome, width, end, packed, data):
    path = tmp_path_factory.mktemp("fetch") / "a.fa"
    pack(path, text_of(genome, width, end).encode(), "bgzip" if packed else "plain")
    with FastaFile(path) as file:
        assert list(file.contigs.items()) == [(name, len(text)) for name, text in genome.items()]
        for name, sequence in genome.items():
            start = data.draw(st.integers(0, len(sequence)))
            stop = data.draw(st.integers(start, len(sequence)))
            assert file.fetch(name, start, stop) == sequence[start:stop]
            assert file.fetch(name) == sequence
            assert file.fetch(name, start) == sequence[start:]


def test_stream_and_index_agree(bgzipped):
    with FastaFile(bgzipped) as file:
        for chunk in iter_chunks(bgzipped, chunk_bp=777):
            end = chunk.start + len(chunk.sequence)
            assert file.fetch(chunk.contig, chunk.start, end) == chunk.sequence


def test_the_index_is_samtools_own(plain, bgzipped, tmp_path):
    for path, suffixes in ((plain, (".fai",)), (bgzipped, (".fai", ".gzi"))):
        FastaFile(path).close()
        made = [path.with_name(path.name + suffix) for suffix in suffixes]
        copy = tmp_path / f"copy-{path.name}"
        copy.write_bytes(path.read_bytes())
        pysam.faidx(str(copy))
        for suffix, file in zip(suffixes, made, strict=True):
            assert file.read_bytes() == copy.with_name(copy.name + suffix).read_bytes()
    assert not (tmp_path / "cache").exists()
    assert not list(tmp_path.glob(".fasta-index-*"))


def test_an_index_that_is_there_is_used(plain, monkeypatch):
    pysam.faidx(str(plain))
    monkeypatch.setattr(fasta_index, "scan_fasta", None)  # would fail if it were called
    with FastaFile(str(plain)) as file:
        assert file.fetch("chr1", 3, 9) == "TNNacg"
        assert file.path == plain


@pytest.mark.parametrize("packing", ["plain", "bgzip"])
def test_an_older_index_is_made_anew(tmp_path, packing):
    path = pack(tmp_path / "a.fa", b">a\nACGT\n", packing)
    FastaFile(path).close()
    pack(path, b">longer name\nACGTAA\nACG\n", packing)
    later = path.with_name("a.fa.fai").stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))
    with FastaFile(path) as file:
        assert file.contigs == {"longer": 9}
        assert file.fetch("longer", 5, 8) == "AAC"


def test_half_an_index_is_none(bgzipped):
    pysam.faidx(str(bgzipped))
    bgzipped.with_name("genome.fa.gz.gzi").unlink()
    with FastaFile(bgzipped) as file:
        assert file.fetch("chrM", 2, 6) == "TATT"
    assert bgzipped.with_name("genome.fa.gz.gzi").exists()


@pytest.mark.parametrize("given_cache", [True, False])
def test_an_index_goes_to_the_cache_where_the_folder_is_closed(
    bgzipped, tmp_path, cache, monkeypatch, given_cache
):
    unwritable(monkeypatch, tmp_path)
    folder = tmp_path / "mine" if given_cache else None
    with FastaFile(bgzipped, cache=folder) as file:
        assert file.fetch("chr2") == "g"
    found = sorted((folder / "fasta-index" if folder else cache).iterdir())
    assert [re.sub("^[0-9a-f]{32}-", "", path.name) for path in found] == [
        "genome.fa.gz.fai",
        "genome.fa.gz.gzi",
    ]
    monkeypatch.setattr(fasta_index, "scan_fasta", None)  # would fail if it were called
    with FastaFile(bgzipped, cache=folder) as file:
        assert file.fetch("chrM", 0, 4) == "TTTA"


def test_no_place_for_an_index(plain, tmp_path, cache, monkeypatch):
    unwritable(monkeypatch, tmp_path, cache)
    message = (
        rf"{plain}: its index cannot be written beside it or in the cache \({cache}: Permission "
        r"denied\): make room, or name a folder that can be written with HELIXLM_CACHE"
    )
    with pytest.raises(StateError, match=message):
        FastaFile(plain)


@pytest.mark.parametrize("limit", [0, 5])
def test_a_full_disk_leaves_no_half_index(bgzipped, tmp_path, small_files, limit):
    small_files(limit)
    with pytest.raises(StateError, match=r"File too large\): make room"):
        FastaFile(bgzipped)
    left = {path.name for path in tmp_path.rglob("*")}
    assert left == {"genome.fa.gz", "cache", "fasta-index"}


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HELIXLM_CACHE", "/a/b")
    assert str(default_cache()) == "/a/b"
    monkeypatch.delenv("HELIXLM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert str(default_cache()) == "/c/helixlm"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert str(default_cache()) == "/home/me/.cache/helixlm"


def test_progress_while_the_file_is_checked(plain):
    calls = []
    FastaFile(plain, progress=lambda *call: calls.append(call)).close()
    assert calls[-1] == (plain.stat().st_size, plain.stat().st_size)


@pytest.mark.parametrize(
    ("start", "end"), [(-1, 3), (4, 3), (0, 1201), (1201, 1201), (1201, None), (5, -1)]
)
def test_stretches_outside_of_the_contig(plain, start, end):
    with FastaFile(plain) as file:
        message = rf"genome.fa: chrM:{start}-\S+: expected 0 <= start <= end <= 1200, the length"
        with pytest.raises(FastaError, match=message):
            file.fetch("chrM", start, end)


def test_contigs_that_are_not_there(plain, tmp_path):
    with FastaFile(plain) as file:
        with pytest.raises(FastaError, match=r"no contig '1': found 'chr1'; use the names of this"):
            file.fetch("1")
        with pytest.raises(FastaError, match=r"no contig 'chr3': found 'chr"):
            file.fetch("chr3", 0, 1)
        with pytest.raises(FastaError, match=r"no contig 'x': found 'chr1', 'chr2', 'chrM'$"):
            file.fetch("x")
    many = pack(tmp_path / "b.fa", text_of({str(i): "ACG" for i in range(9)}).encode(), "plain")
    with FastaFile(many) as file:
        with pytest.raises(FastaError, match=r"no contig 'chr7': found '7'; use the names"):
            file.fetch("chr7")
        with pytest.raises(FastaError, match=r"no contig 'X': found '0', '1', '2' and others"):
            file.fetch("X")


def test_plain_gzip_has_no_random_access(tmp_path):
    path = pack(tmp_path / "a.fa.gz", text_of(GENOME).encode(), "gzip")
    message = r"a.fa.gz: packed with gzip, in which nothing can be found by position: pack it again"
    with pytest.raises(FastaError, match=message):
        FastaFile(path)


NOT_INDEXABLE = {
    "uneven lines": b">a\nACGT\nAC\nACGT\n",
    "blank line": b">a\nACGT\n\nACGT\n",
    "comment": b"; hello\n>a\nACGT\n",
    "comment as long as a line": b">a\nACGT\n;abc\nACGT\nAC\n",
    "byte-order mark": b"\xef\xbb\xbf>a\nACGT\n",
    "blank at one line end": b">a\nACGT\nACGT \nACGT\n",
    "old Mac line ends": b">a\rACGT\rACGT\r",
}


@pytest.mark.parametrize("content", NOT_INDEXABLE.values(), ids=NOT_INDEXABLE)
def test_files_that_can_be_streamed_only(tmp_path, capfd, content):
    path = pack(tmp_path / "a.fa", content, "plain")
    assert next(iter_chunks(path)).contig == "a"
    with pytest.raises(FastaError, match=r"a.fa: cannot be indexed \(samtools .*: expected the li"):
        FastaFile(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.fa"]
    assert capfd.readouterr().err == ""


def test_bad_files_are_refused_before_an_index_is_made(tmp_path):
    for content in (b"", b"ACGT\n", b">a\nAC-GT\n", b">a\nAC\n>a\nAC\n"):
        path = pack(tmp_path / "a.fa", content, "plain")
        with pytest.raises(FastaError, match=r"a\.fa"):
            FastaFile(path)
    path = pack(tmp_path / "b.fa", text_of(GENOME).encode(), "bgzip")
    path.write_bytes(path.read_bytes()[:-28])
    with pytest.raises(FastaError, match="without its end marker"):
        FastaFile(path)
    for where, found in ((tmp_path / "no.fa", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(FastaError, match=found):
            FastaFile(where)
    assert not list(tmp_path.glob("*.fai"))


def test_a_pipe_has_no_random_access(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FastaError, match="pipe: is a pipe or a device, expected a file on disk"):
        FastaFile(tmp_path / "pipe")


def test_an_index_of_another_file(tmp_path, capfd):
    path = pack(tmp_path / "a.fa", b">a\nACGTACGTAC\n>b\nACGT\n", "plain")
    index = path.with_name("a.fa.fai")
    index.write_text("a\t11\t3\t11\t12\nb\t400\t900\t60\t61\n")
    with FastaFile(path) as file:
        assert file.fetch("a", 0, 4) == "ACGT"
        message = (
            rf"{path}: a:0-11: found '\\n', expected 11 letters of DNA: the file is damaged, or "
            rf"was changed after its index was made: check the file, and remove {index}"
        )
        index.write_text("a\t11\t4\t12\t13\n")
        with FastaFile(path) as other, pytest.raises(FastaError, match=message):
            other.fetch("a")
        with pytest.raises(FastaError, match=r"b:0-300: found (nothing that|0 letters)"):
            file.fetch("b", 0, 300)
    index.write_text("nonsense\n")
    with pytest.raises(FastaError, match=rf"cannot be opened with the index {index}: remove the"):
        FastaFile(path)
    assert capfd.readouterr().err == ""


def test_a_file_that_ends_before_its_index_says(tmp_path):
    path = pack(tmp_path / "a.fa", b">a\nACGT", "plain")
    path.with_name("a.fa.fai").write_text("a\t10\t3\t10\t11\n")
    with FastaFile(path) as file:
        assert file.fetch("a", 0, 4) == "ACGT"
        with pytest.raises(FastaError, match=r"a:2-10: found .*, expected 8 letters of DNA"):
            file.fetch("a", 2, 10)
        # Some versions of htslib skip white space in lines and return less than was asked for.
        file._file = SimpleNamespace(fetch=lambda *_: "ACG", close=file._file.close)
        with pytest.raises(FastaError, match="a:0-4: found 3 letters, expected 4 letters of DNA"):
            file.fetch("a", 0, 4)


def test_damage_after_the_index_was_made(bgzipped):
    FastaFile(bgzipped).close()
    times = bgzipped.stat()
    data = bytearray(bgzipped.read_bytes())
    data[60:80] = bytes(20)
    bgzipped.write_bytes(data)
    os.utime(bgzipped, ns=(times.st_atime_ns, times.st_mtime_ns))
    with FastaFile(bgzipped) as file, pytest.raises(FastaError, match=r"chr1:0-28800: found"):
        file.fetch("chr1")


def test_many_openers_at_once(bgzipped):
    found = []

    def read():
        with FastaFile(bgzipped) as file:
            found.append(file.fetch("chr1", 10, 20))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [GENOME["chr1"][10:20]] * 8


def test_an_index_from_another_process(plain):
    code = (
        "import sys; from helixlm.data.formats.fasta_index import FastaFile; FastaFile(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", code, str(plain)], check=True)
    with FastaFile(plain) as file:
        assert file.contigs == {name: len(text) for name, text in GENOME.items()}
