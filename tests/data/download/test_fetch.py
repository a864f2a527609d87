"""One file from a server that breaks off, stalls, refuses, changes and lies; and what is left."""

import email.utils
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helixlm.data.download import DownloadError, DownloadManifest, Entry, SessionConfig, download
from helixlm.errors import StateError

PATH = "/genome.fa"
GENOME = b">chr1\n" + b"ACGTTGCAAC" * 20_000  # 200 kB
OTHER = b">chr1\n" + b"TTTTTGCAAC" * 20_000


def manifest(site, path=PATH, **fields):
    entry = Entry(name=path.strip("/"), url=site.url + path, **fields)
    return DownloadManifest(name="mine", entries=(entry,))


def md5(content):
    return hashlib.md5(content).hexdigest()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def genome(site):
    site.put(PATH, GENOME)
    return manifest(site, checksum=md5(GENOME))


def test_a_file_arrives(site, genome, tmp_path, quick):
    result = download(genome, tmp_path / "out", config=quick)
    assert (result.fetched, result.already, result.num_bytes) == (1, 0, len(GENOME))
    assert (tmp_path / "out" / "genome.fa").read_bytes() == GENOME
    assert names(tmp_path / "out") == ["genome.fa", "manifest.json"]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(0, len(GENOME)), max_size=5), st.booleans())
def test_however_often_it_breaks_no_byte_is_sent_twice(site, quick, tmp_path_factory, stops, etags):
    # Tries without a new byte are counted, so there are never more of them than tries - 1.
    site.put(PATH, GENOME)
    site.log.clear()
    site.etags = etags
    site.acts[PATH] = [site.cut(stop) for stop in sorted(set(stops))]
    output = tmp_path_factory.mktemp("out")
    download(manifest(site), output, config=quick)
    assert (output / "genome.fa").read_bytes() == GENOME
    assert site.sent(PATH) == len(GENOME)


def test_a_connection_that_always_breaks_is_given_up_and_the_part_stays(
    site, genome, tmp_path, quick
):
    site.acts[PATH] = [site.cut(50_000) for _ in range(9)]
    message = (
        r"1 of 1 file\(s\) of mine could not be had; the others are in \S+:\n  genome.fa: "
        r"http://\S+/genome.fa: the connection broke: .*; given up after 3 tries that brought "
        r"nothing new: run the same command again later, what was got is kept"
    )
    with pytest.raises(DownloadError, match=message):
        download(genome, tmp_path, config=quick)
    assert names(tmp_path) == [".genome.fa.part", ".genome.fa.part.json"]
    assert len(site.gets(PATH)) == 4  # the first brought something, three did not
    site.acts.clear()
    site.log.clear()
    download(genome, tmp_path, config=quick)
    assert [seen.range for seen in site.gets(PATH)] == ["bytes=50000-"]
    assert site.sent(PATH) == len(GENOME) - 50_000
    assert names(tmp_path) == ["genome.fa", "manifest.json"]


def test_a_silent_server_is_left_and_asked_again(site, genome, tmp_path, quick, caplog):
    caplog.set_level("INFO", "helixlm")
    site.acts[PATH] = [site.stall(70_000)]
    download(genome, tmp_path, config=quick)
    assert "stalled: the server sent nothing more; trying again in" in caplog.text
    assert [seen.range for seen in site.gets(PATH)] == ["", "bytes=70000-"]


def test_a_server_that_is_silent_for_good(site, genome, tmp_path, quick):
    site.acts[PATH] = [site.stall(0) for _ in range(3)]
    with pytest.raises(DownloadError, match="stalled: the server sent nothing more; given up"):
        download(genome, tmp_path, config=quick)
    assert not (tmp_path / "genome.fa").exists()


def test_a_trickle_is_a_stall(site, genome, tmp_path, quick, caplog):
    caplog.set_level("INFO", "helixlm")
    site.acts[PATH] = [site.slow(3)]  # 150 bytes a second
    download(genome, tmp_path, config=quick)
    assert re.search(r"stalled: \d\d bytes in 0 s; trying again", caplog.text)
    assert [bool(seen.range) for seen in site.gets(PATH)] == [False, True]
    assert (tmp_path / "genome.fa").read_bytes() == GENOME


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(site, genome, tmp_path, quick, status):
    site.acts[PATH] = [site.status(status), site.status(status)]
    download(genome, tmp_path, config=quick)
    assert len(site.gets(PATH)) == 3


def test_a_server_that_stays_busy(site, genome, tmp_path, quick):
    site.acts[PATH] = [site.status(503) for _ in range(9)]
    with pytest.raises(DownloadError, match="the server answered 503 Service Unavailable; given"):
        download(genome, tmp_path, config=quick)
    assert len(site.gets(PATH)) == quick.tries
    assert not (tmp_path / "genome.fa").exists()


def test_waits_double_and_differ(site, genome, tmp_path, caplog):
    caplog.set_level("INFO", "helixlm")
    site.acts[PATH] = [site.status(503) for _ in range(5)]
    download(genome, tmp_path, config=SessionConfig(first_wait_seconds=0.02))
    waits = [float(record.args[2]) for record in caplog.records if "trying" in record.msg]
    shares = [seconds / (0.02 * 2**n) for n, seconds in enumerate(waits)]
    assert all(0.5 <= share <= 1 for share in shares)
    assert len(set(shares)) == 5


@pytest.mark.parametrize("dated", [False, True])
def test_retry_after_is_kept_to(site, genome, tmp_path, quick, dated):
    after = email.utils.formatdate(time.time() + 2, usegmt=True) if dated else "1"
    site.acts[PATH] = [site.status(503, Retry_After=after)]
    begin = time.monotonic()
    download(genome, tmp_path, config=quick)
    assert 0.9 <= time.monotonic() - begin < 10


def test_retry_after_that_is_too_long_ends_it(site, genome, tmp_path, quick):
    site.acts[PATH] = [site.status(429, Retry_After="3600")]
    message = (
        "the server answered 429 Too Many Requests, and the server asks to come back in 3,600 s, "
        "more than the 120 s that are waited: run the same command again then"
    )
    with pytest.raises(DownloadError, match=message):
        download(genome, tmp_path, config=quick)
    assert len(site.gets(PATH)) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "404 Not Found: no such file there: check the address or accession in the manifest"),
        (403, "403 Forbidden: it refuses the file: fetch it by hand, or check the address"),
        (401, "401 Unauthorized: it wants a login, which helixlm does not give"),
        (410, "410 Gone: the file was taken away: look for its new address"),
        (418, "418 I'm a Teapot: check the address"),
    ],
)
def test_what_cannot_pass_is_not_tried_again(site, genome, tmp_path, quick, status, message):
    site.acts[PATH] = [site.status(status)]
    with pytest.raises(DownloadError, match=f"the server answered {message}"):
        download(genome, tmp_path, config=quick)
    assert len(site.gets(PATH)) == 1
    assert not (tmp_path / "genome.fa").exists()


def test_no_server(tmp_path, quick):
    entry = Entry(name="x", url="http://127.0.0.1:9/x.fa")  # the port of `discard`
    with pytest.raises(DownloadError, match=r"no connection: .*refused.*; given up after 3 tries"):
        download(DownloadManifest(name="mine", entries=(entry,)), tmp_path, config=quick)


def test_an_address_that_cannot_be_one(tmp_path, quick):
    entry = Entry(name="x", url="http://a:b:c/x.fa")
    with pytest.raises(DownloadError, match=r"cannot be fetched: .*port.*: check the address"):
        download(DownloadManifest(name="mine", entries=(entry,)), tmp_path, config=quick)


def test_a_redirect_is_followed_and_a_circle_is_not(site, genome, tmp_path, quick):
    site.acts["/old.fa"] = [site.status(301, Location=PATH)]
    download(manifest(site, "/old.fa", checksum=md5(GENOME)), tmp_path, config=quick)
    assert (tmp_path / "old.fa").read_bytes() == GENOME
    site.acts["/circle.fa"] = [site.status(302, Location="/circle.fa") for _ in range(30)]
    with pytest.raises(DownloadError, match=r"cannot be fetched: .*redirects.*: check the address"):
        download(manifest(site, "/circle.fa"), tmp_path, config=quick)


def test_a_server_that_ignores_range(site, genome, tmp_path, quick, caplog):
    site.acts[PATH] = [site.cut(90_000), site.no_ranges()]
    download(genome, tmp_path, config=quick)
    assert "the server sends whole files only: beginning again" in caplog.text
    assert "thrown away" not in caplog.text
    assert len(site.gets(PATH)) == 2
    assert (tmp_path / "genome.fa").read_bytes() == GENOME


def test_a_server_that_ignores_range_and_breaks_off_does_not_go_on_for_ever(
    site, genome, tmp_path, quick
):
    site.acts[PATH] = [site.no_ranges(90_000) for _ in range(9)]
    with pytest.raises(DownloadError, match="given up after 3 tries that brought nothing new"):
        download(genome, tmp_path, config=quick)
    assert len(site.gets(PATH)) == 4


@pytest.mark.parametrize("etags", [True, False])
def test_a_file_that_changes_between_tries_is_begun_again(site, tmp_path, quick, caplog, etags):
    longer = OTHER + b"A"
    site.put(PATH, GENOME)
    site.etags = etags
    site.acts[PATH] = [site.cut(90_000), site.change(longer)]
    download(manifest(site), tmp_path, config=quick)
    assert (tmp_path / "genome.fa").read_bytes() == longer
    assert "the file has changed there: beginning again" in caplog.text
    first, *others = site.gets(PATH)
    assert first.if_range == ""
    # RFC 9110, 13.1.5: whoever has the ETag gets the new file in the same answer.
    assert [seen.if_range.strip('"') for seen in others] == (
        [hashlib.sha1(GENOME).hexdigest()] if etags else ["", ""]
    )


def test_a_date_stands_in_for_an_etag_that_is_weak(site, tmp_path, quick):
    """If-Range takes no weak ETag (RFC 9110, 13.1.5)."""
    site.put(PATH, GENOME)
    date = "Sat, 21 Nov 2026 20:58:00 GMT"

    def weak(handler, seen):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(GENOME)))
        handler.send_header("ETag", 'W/"1"')
        handler.send_header("Last-Modified", date)
        handler.end_headers()
        handler.wfile.write(GENOME[:50_000])
        handler.close_connection = True

    site.acts[PATH] = [weak, site.no_ranges()]
    download(manifest(site), tmp_path, config=quick)
    assert [seen.if_range for seen in site.gets(PATH)] == ["", date]


@pytest.mark.parametrize("date", ["Sat, 21 Nov 2020 20:58:00 GMT", "", "yesterday"])
def test_a_file_has_the_time_that_the_server_gives(site, tmp_path, quick, date):
    """So an index that was fetched before its file is not the older one."""
    site.put(PATH, GENOME)

    def dated(handler, seen):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(GENOME)))
        handler.send_header("Last-Modified", date)
        handler.end_headers()
        handler.wfile.write(GENOME)

    site.acts[PATH] = [dated]
    began = time.time()
    download(manifest(site), tmp_path, config=quick)
    found = (tmp_path / "genome.fa").stat().st_mtime
    if date.endswith("GMT"):
        assert found == 1605992280  # `date -d '2020-11-21 20:58 UTC' +%s`
    else:
        assert found > began - 60


def test_a_server_that_honours_range_but_not_if_range(site, tmp_path, quick, caplog):
    site.put(PATH, GENOME)

    def no_if_range(handler, seen):
        site.files[PATH] = OTHER  # as long as the first, so that the ETag alone tells
        del handler.headers["If-Range"]
        site.whole(handler, seen, OTHER)

    site.acts[PATH] = [site.cut(90_000), no_if_range]
    download(manifest(site), tmp_path, config=quick)
    assert (tmp_path / "genome.fa").read_bytes() == OTHER
    assert "the file has changed there: beginning again" in caplog.text


def test_a_file_that_shrinks_between_tries(site, tmp_path, quick):
    site.put(PATH, GENOME)
    site.etags = False
    site.acts[PATH] = [site.cut(90_000), site.change(GENOME[:1000])]
    download(manifest(site), tmp_path, config=quick)
    assert (tmp_path / "genome.fa").read_bytes() == GENOME[:1000]


def test_wrong_bytes_once_are_thrown_away(site, genome, tmp_path, quick, caplog):
    site.acts[PATH] = [site.wrong(OTHER)]
    download(genome, tmp_path, config=quick)
    assert (tmp_path / "genome.fa").read_bytes() == GENOME
    assert f"MD5 {md5(OTHER)}, expected {md5(GENOME)} (200,006 bytes): thrown away" in caplog.text


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_wrong_bytes_twice_are_an_error_and_nothing_stays(site, tmp_path, quick, kind):
    site.put(PATH, OTHER)
    expected, found = (hashlib.new(kind, content).hexdigest() for content in (GENOME, OTHER))
    message = (
        rf"{expected} \(200,006 bytes, fetched 2 times\): the file there is not the one that "
        "the manifest means, or something on the way changes it; nothing was kept"
    )
    with pytest.raises(DownloadError, match=message) as caught:
        download(manifest(site, checksum=expected), tmp_path, config=quick)
    assert found in str(caught.value)
    assert names(tmp_path) == []


def test_both_checksums_are_compared(site, tmp_path, quick):
    site.put(PATH, OTHER)
    both = f"{md5(OTHER)} {hashlib.sha256(GENOME).hexdigest()}"
    with pytest.raises(DownloadError, match="SHA-256"):
        download(manifest(site, checksum=both), tmp_path, config=quick)


def test_another_size_than_the_manifest_says(site, genome, tmp_path, quick):
    with pytest.raises(DownloadError, match=r"has 200,006 bytes, expected 1,000: it is not the"):
        download(manifest(site, bytes=1000), tmp_path, config=quick)
    assert not (tmp_path / "genome.fa").exists()


def test_a_page_in_place_of_a_gzip_file(site, tmp_path, quick):
    site.put("/x.fa.gz", b"<html>please log in</html>")
    message = r"expected a gzip file, found '<html>please log in</html>': probably a page"
    with pytest.raises(DownloadError, match=message):
        download(manifest(site, "/x.fa.gz"), tmp_path, config=quick)
    assert names(tmp_path) == []


def test_an_empty_file_is_a_file(site, tmp_path, quick):
    site.put("/empty.txt", b"")
    download(manifest(site, "/empty.txt", checksum=md5(b"")), tmp_path, config=quick)
    assert (tmp_path / "empty.txt").read_bytes() == b""


@pytest.mark.parametrize("damage", ["not json", '{"url": 3}', '{"url": "http://other/"}'])
def test_a_part_of_something_else_is_not_gone_on_with(site, genome, tmp_path, quick, damage):
    (tmp_path / ".genome.fa.part").write_bytes(b"other")
    (tmp_path / ".genome.fa.part.json").write_text(damage)
    download(genome, tmp_path, config=quick)
    assert [seen.range for seen in site.gets(PATH)] == [""]
    assert (tmp_path / "genome.fa").read_bytes() == GENOME


def test_a_whole_part_is_not_asked_for_again(site, genome, tmp_path, quick):
    """A process that was killed just before the file got its name."""
    (tmp_path / ".genome.fa.part").write_bytes(GENOME)
    note = {"url": site.url + PATH, "bytes": len(GENOME)}
    (tmp_path / ".genome.fa.part.json").write_text(json.dumps(note))
    download(genome, tmp_path, config=quick)
    assert site.gets(PATH) == []
    assert names(tmp_path) == ["genome.fa", "manifest.json"]


def test_a_full_disk(site, genome, tmp_path, quick, small_files):
    small_files(100_000)
    message = (
        r"genome.fa: the disk or a quota is full \(File too large; .* GB free\): what was got is "
        "kept; make room, and run the same command again: it goes on"
    )
    with pytest.raises(StateError, match=message):
        download(genome, tmp_path, config=quick)
    assert names(tmp_path) == [".genome.fa.part", ".genome.fa.part.json"]
    small_files(10_000_000)
    site.log.clear()
    download(genome, tmp_path, config=quick)
    assert [seen.range for seen in site.gets(PATH)] == ["bytes=100000-"]
    assert (tmp_path / "genome.fa").read_bytes() == GENOME


def test_after_a_kill_only_the_rest_is_fetched(site, genome, tmp_path, quick):
    script = """
        import sys
        from helixlm.data.download import DownloadManifest, download
        download(DownloadManifest.model_validate_json(sys.argv[1]), sys.argv[2])
    """
    site.acts[PATH] = [site.slow(2000)]
    command = [sys.executable, "-c", textwrap.dedent(script), genome.model_dump_json()]
    child = subprocess.Popen([*command, str(tmp_path)])
    part = tmp_path / ".genome.fa.part"
    deadline = time.monotonic() + 60
    while not part.exists() or part.stat().st_size < 20_000:
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert names(tmp_path) == [".genome.fa.part", ".genome.fa.part.json"]
    kept = part.stat().st_size
    assert 20_000 <= kept < len(GENOME)
    site.log.clear()
    download(genome, tmp_path, config=quick)
    assert [seen.range for seen in site.gets(PATH)] == [f"bytes={kept}-"]
    assert site.sent(PATH) == len(GENOME) - kept
    assert (tmp_path / "genome.fa").read_bytes() == GENOME
    assert names(tmp_path) == ["genome.fa", "manifest.json"]
