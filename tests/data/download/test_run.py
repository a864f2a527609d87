"""Whole manifests: what is there already, published checksums, records, several at once."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections import namedtuple

import pytest

from helixlm.data.download import (
    DownloadError,
    DownloadManifest,
    Entry,
    SessionConfig,
    addresses,
    download,
    read_downloads,
)
from helixlm.errors import StateError

A, B = b">a\nACGT\n" * 5000, b">b\nTTGA\n" * 7000


def md5(content):
    return hashlib.md5(content).hexdigest()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def listing(*links):
    return "".join(f'<a href="{link}">{link}</a>' for link in links).encode()


def of(*entries, name="mine"):
    return DownloadManifest(name=name, entries=entries)


@pytest.fixture
def two(site):
    return of(
        Entry(name="a", url=site.put("/a.fa", A), species="Alba alba", group="fungi", weight=2),
        Entry(name="b", url=site.put("/b.fa", B), checksum=md5(B), file="renamed.fa"),
    )


def test_what_was_got_is_recorded(site, two, tmp_path, quick):
    download(two, tmp_path, config=quick)
    assert names(tmp_path) == ["a.fa", "manifest.json", "renamed.fa"]
    a, b = read_downloads(tmp_path, contents=True).files
    assert (a.file, a.name, a.species, a.group, a.weight) == ("a.fa", "a", "Alba alba", "fungi", 2)
    assert (a.sha256, a.md5, a.bytes, a.checked) == (sha256(A), md5(A), len(A), "")
    assert (b.file, b.species, b.weight, b.checked) == ("renamed.fa", "b", 1, "manifest")
    assert (b.sha256, b.url) == (sha256(B), site.url + "/b.fa")
    assert a.etag.strip('"') == hashlib.sha1(A).hexdigest()


def test_what_is_there_is_not_asked_for_again(site, two, tmp_path, quick):
    download(two, tmp_path, config=quick)
    before = (tmp_path / "manifest.json").stat().st_mtime_ns
    site.log.clear()
    result = download(two, tmp_path, config=quick)
    assert (result.fetched, result.already, result.num_bytes) == (0, 2, len(A) + len(B))
    assert site.log == []
    assert (tmp_path / "manifest.json").stat().st_mtime_ns == before


def test_groups_and_weights_are_those_of_the_last_manifest(site, two, tmp_path, quick):
    download(two, tmp_path, config=quick)
    other = of(two.entries[0].model_copy(update={"weight": 5.0}), name="other")
    assert download(other, tmp_path, config=quick).already == 1
    a, b = read_downloads(tmp_path).files
    assert (a.weight, a.manifest, b.manifest) == (5.0, "other", "mine")


def test_a_file_of_the_right_checksum_is_taken_as_it_is(site, two, tmp_path, quick):
    """Fetched by hand, or by a process that was killed before it wrote the records."""
    (tmp_path / "renamed.fa").write_bytes(B)
    result = download(of(two.entries[1]), tmp_path, config=quick)
    assert (result.fetched, result.already) == (0, 1)
    assert site.log == []
    assert read_downloads(tmp_path, contents=True).files[0].sha256 == sha256(B)


def test_a_file_of_other_content_is_not_touched(site, two, tmp_path, quick):
    (tmp_path / "renamed.fa").write_bytes(b"mine")
    (tmp_path / "a.fa").write_bytes(A)
    with pytest.raises(DownloadError) as caught:
        download(two, tmp_path, config=quick)
    text = str(caught.value)
    assert "2 of 2 file(s) of mine could not be had" in text
    assert f"renamed.fa: is there already with MD5 {md5(b'mine')}, expected {md5(B)}: del" in text
    assert "a.fa: is there already, and no checksum says what must be in it: delete it" in text
    assert (tmp_path / "renamed.fa").read_bytes() == b"mine"


def test_a_file_that_was_changed_since(site, two, tmp_path, quick):
    download(two, tmp_path, config=quick)
    (tmp_path / "a.fa").write_bytes(b"changed")
    message = f"a.fa: is there already with SHA-256 {sha256(b'changed')}, expected {sha256(A)}"
    with pytest.raises(DownloadError, match=message):
        download(two, tmp_path, config=quick)
    (tmp_path / "a.fa").unlink()
    with pytest.raises(StateError, match=r"a\.fa: the file is missing, though manifest\.json"):
        read_downloads(tmp_path)
    assert download(two, tmp_path, config=quick).fetched == 1
    read_downloads(tmp_path, contents=True)


def test_one_that_fails_does_not_keep_the_others(site, two, tmp_path, quick):
    gone = [Entry(name=f"gone {n}", url=f"{site.url}/gone{n}.fa") for n in range(2)]
    message = (
        r"^2 of 4 file\(s\) of mine could not be had; the others are in \S+:\n"
        r"  gone 0: http\S+/gone0.fa: the server answered 404 Not Found: no such file there: .*\n"
        r"  gone 1: http\S+/gone1.fa: the server answered 404"
    )
    with pytest.raises(DownloadError, match=message):
        download(of(gone[0], *two.entries, gone[1]), tmp_path, config=quick)
    assert [file.name for file in read_downloads(tmp_path, contents=True).files] == ["a", "b"]


def test_published_checksums_are_read_and_compared(site, tmp_path, quick, monkeypatch):
    monkeypatch.setattr(addresses, "NCBI", f"{site.url}/all")
    name = "GCF_000001405.40_GRCh38.p14"
    folder = f"/all/GCF/000/001/405/{name}"
    site.put("/all/GCF/000/001/405/", listing("GCF_000001405.39_GRCh38.p13/", f"{name}/"))
    site.put(f"{folder}/{name}_genomic.fna.gz", b"\x1f\x8b" + A)
    site.put(f"{folder}/md5checksums.txt", f"{md5(A)}  ./{name}_genomic.fna.gz\n".encode())
    human = of(Entry(name="human", accession="GCF_000001405.40"))
    with pytest.raises(DownloadError, match=rf"MD5 .*, expected {md5(A)} .*fetched 2 times"):
        download(human, tmp_path, config=quick)
    assert names(tmp_path) == []
    site.put(f"{folder}/{name}_genomic.fna.gz", A)
    download(human, tmp_path, config=quick)
    (file,) = read_downloads(tmp_path, contents=True).files
    assert (file.file, file.checked, file.md5) == (f"{name}_genomic.fna.gz", "published", md5(A))
    site.log.clear()
    assert download(human, tmp_path, config=quick).already == 1
    assert site.log == []


def test_a_list_beside_the_file_and_one_elsewhere(site, tmp_path, quick):
    site.put("/panel/chr1.vcf.gz.tbi", A)
    site.put("/panel/20220804_manifest.txt", f"chr1.vcf.gz.tbi {md5(A)}\n".encode())
    entry = Entry(name="x", url=f"{site.url}/panel/chr1.vcf.gz.tbi")
    for where in ("20220804_manifest.txt", f"{site.url}/panel/20220804_manifest.txt"):
        listed = entry.model_copy(update={"checksums": where})
        output = tmp_path / str(len(where))
        download(of(listed), output, config=quick)
        assert read_downloads(output).files[0].checked == "published"
    lost = entry.model_copy(update={"checksums": "md5sum.txt"})
    with pytest.raises(DownloadError, match=r"md5sum\.txt: the server has no such list of checks"):
        download(of(lost), tmp_path / "lost", config=quick)


def test_ucsc_without_its_list(site, tmp_path, quick, monkeypatch, caplog):
    monkeypatch.setattr(addresses, "UCSC", f"{site.url}/goldenPath")
    site.put("/goldenPath/alba1/bigZips/alba1.fa.gz", b"\x1f\x8b" + A)
    download(of(Entry(name="alba", accession="ucsc:alba1")), tmp_path, config=quick)
    assert "md5sum.txt: no list of checksums there; what comes is recorded only" in caplog.text
    assert read_downloads(tmp_path).files[0].checked == ""


def test_an_accession_that_is_not_there_is_one_of_the_problems(site, two, tmp_path, quick,
                                                               monkeypatch):  # fmt: skip
    monkeypatch.setattr(addresses, "ENSEMBL", f"{site.url}/pub")
    lost = Entry(name="lost", accession="ensembl:113/homo_sapiens")
    with pytest.raises(DownloadError, match=r"  lost: .*/dna/: the server has no such folder"):
        download(of(lost, *two.entries), tmp_path, config=quick)
    assert len(read_downloads(tmp_path).files) == 2


def test_two_entries_that_lead_to_one_file(site, tmp_path, quick, monkeypatch):
    monkeypatch.setattr(addresses, "UCSC", f"{site.url}/goldenPath")
    url = site.put("/goldenPath/alba1/bigZips/alba1.fa.gz", b"\x1f\x8b" + A)
    both = of(Entry(name="a", url=url), Entry(name="b", accession="ucsc:alba1"))
    with pytest.raises(DownloadError, match=r"  b: alba1.fa.gz: is also the file of a: give each"):
        download(both, tmp_path, config=quick)
    assert read_downloads(tmp_path).files[0].name == "a"


@pytest.mark.parametrize("workers", [1, 4])
def test_several_at_once_and_no_more(site, tmp_path, workers):
    at_once, most, lock = 0, 0, threading.Lock()

    def act(handler, seen):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.1)
        with lock:
            at_once -= 1
        site.wrong(site.files[seen.path])(handler, seen)

    entries = []
    for n in range(8):
        path = f"/{n}.fa"
        entries.append(Entry(name=path, url=site.put(path, A + bytes([65 + n]))))
        site.acts[path] = [act]
    download(of(*entries), tmp_path, config=SessionConfig(workers=workers))
    assert most == workers
    for n in range(8):
        assert (tmp_path / f"{n}.fa").read_bytes() == A + bytes([65 + n])
    assert len(read_downloads(tmp_path, contents=True).files) == 8


def test_progress_counts_bytes_up_to_the_total(site, two, tmp_path, quick):
    # Bytes that were thrown away are taken back.
    site.acts["/b.fa"] = [site.wrong(A), site.cut(9000), site.no_ranges()]
    seen = []
    download(two, tmp_path, config=quick, progress=lambda *shown: seen.append(shown))
    assert seen[-1] == (len(A) + len(B), len(A) + len(B))
    assert {total for _, total in seen} == {len(A) + len(B)}
    seen.clear()
    download(two, tmp_path, config=quick, progress=lambda *shown: seen.append(shown))
    assert seen[-1] == (len(A) + len(B), len(A) + len(B))


def test_a_size_that_is_not_known(site, two, tmp_path, quick, monkeypatch):
    monkeypatch.setattr("helixlm.data.download.session.Session.find_size", lambda *_: None)
    seen = []
    download(two, tmp_path, config=quick, progress=lambda *shown: seen.append(shown))
    assert seen[-1] == (len(A) + len(B), None)


def test_a_disk_that_is_too_small_is_refused_at_once(site, two, tmp_path, quick, monkeypatch):
    """What is needed is the sum of all files, less what has come before."""
    usage = namedtuple("usage", "total used free")
    free = len(A) + len(B) - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, free))
    with pytest.raises(StateError, match=r"the files need 0\.0 GB more, and the disk has 0\.0 GB"):
        download(two, tmp_path, config=quick)
    assert [seen.method for seen in site.log] == ["HEAD", "HEAD"]
    (tmp_path / ".a.fa.part").write_bytes(A[:1])
    assert download(two, tmp_path, config=quick).fetched == 2


def test_a_folder_in_use(two, tmp_path, quick):
    lock = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StateError, match="another process is downloading into this folder"):
            download(two, tmp_path, config=quick)
    finally:
        os.close(lock)
    download(two, tmp_path, config=quick)


def test_a_file_system_without_locks(two, tmp_path, quick, monkeypatch, caplog):
    def no_locks(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    download(two, tmp_path, config=quick)
    assert "this file system has no locks" in caplog.text


def test_places_that_cannot_be_written(two, tmp_path, quick):
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="no folder can be made here: "):
        download(two, tmp_path / "file" / "out", config=quick)
    (tmp_path / "out" / ".a.fa.part").mkdir(parents=True)
    with pytest.raises(StateError, match=r"a\.fa: cannot be written: Is a directory"):
        download(two, tmp_path / "out", config=quick)


def test_records_of_something_else(two, tmp_path, quick):
    (tmp_path / "manifest.json").write_text('{"format": "helixlm corpus"}')
    with pytest.raises(
        StateError, match="expected a helixlm download folder, found 'helixlm corpus'"
    ):
        download(two, tmp_path, config=quick)


def test_nothing_to_fetch(tmp_path):
    message = (
        "manifest dnabert2: none of its 135 species can be fetched: 11 fungi, 2 protozoa, "
        "7 mammals, 10 invertebrates, 5 other vertebrates, 100 bacteria: no accession was "
        r"published: copy \S+/dnabert2\.yaml, give each species an accession or url under "
        "'entries', and download that"
    )
    with pytest.raises(DownloadError, match=message):
        download("dnabert2", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_stopped_by_the_user(site, two, tmp_path):
    """Ctrl-C while a server is silent: at once, and what has come stays."""
    script = """
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
        from helixlm.data.download import DownloadManifest, download
        download(DownloadManifest.model_validate_json(sys.argv[1]), sys.argv[2])
    """
    site.acts["/a.fa"] = [site.stall(10_000)]
    command = [sys.executable, "-c", textwrap.dedent(script), two.model_dump_json()]
    child = subprocess.Popen([*command, str(tmp_path)], stderr=subprocess.PIPE, text=True)
    part = tmp_path / ".a.fa.part"
    while not part.exists() or part.stat().st_size < 10_000:
        assert child.poll() is None
        time.sleep(0.01)
    begin = time.monotonic()
    child.send_signal(2)
    _, err = child.communicate(timeout=50)
    assert time.monotonic() - begin < 30  # the stall time-out is 60 s
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert part.stat().st_size == 10_000
