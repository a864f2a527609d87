"""The table of docs/download.md: each case is provoked; message and folder are then as it says."""

import fcntl
import hashlib
import os
import re
from pathlib import Path

import pytest

from helixlm.data.download import DownloadManifest, Entry, addresses, download
from helixlm.errors import HelixError

PAGE = Path(__file__).parents[3] / "docs" / "download.md"
GENOME = b">chr1\n" + b"ACGTTGCAAC" * 20_000
MD5 = hashlib.md5(GENOME).hexdigest()
OTHER_MD5 = "0" * 32
HUMAN = "/GCF/000/001/405/"


def table():
    """Return the rows: what happened, the message, the files."""
    text = PAGE.read_text().partition("| the message says |")[2]
    rows = re.findall(r"^\| ([^|]+) \| `([^`]+)` \| ([^|]+) \|$", text, re.MULTILINE)
    return {
        what: (message, sorted(re.findall(r"`([^`]+)`", files))) for what, message, files in rows
    }


def full_disk(site, folder, small_files):
    small_files(100_000)


def there(site, folder, small_files):
    (folder / "x.fa").write_bytes(b"mine")


def in_use(site, folder, small_files):
    lock = os.open(folder, os.O_RDONLY)  # until the process ends
    fcntl.flock(lock, fcntl.LOCK_EX)


def acts(make):
    """Let the server behave so at every GET of x.fa."""

    def before(site, folder, small_files):
        site.acts["/x.fa"] = [make(site) for _ in range(9)]

    return before


def has(path, content):
    return lambda site, folder, small_files: site.put(path, content)


def nothing(site, folder, small_files):
    pass


CASES = {
    "the connection always breaks": (acts(lambda site: site.cut(50_000)), {}),
    "the server falls silent": (acts(lambda site: site.stall(50_000)), {}),
    "503, again and again": (acts(lambda site: site.status(503)), {}),
    "503, come back in an hour": (acts(lambda site: site.status(503, Retry_After="3600")), {}),
    "404": (acts(lambda site: site.status(404)), {}),
    "wrong bytes": (nothing, {"checksum": OTHER_MD5}),
    "another size": (nothing, {"bytes": 1000}),
    "a page in place of the file": (has("/x.fa.gz", b"<html></html>"), {"url": "/x.fa.gz"}),
    "another file is there": (there, {"checksum": MD5}),
    "a file is there, no checksum is known": (there, {}),
    "the published list does not name the file": (
        has("/md5sum.txt", f"{MD5}  y.fa\n".encode()),
        {"checksums": "md5sum.txt"},
    ),
    "the published list is none": (has("/md5sum.txt", b"x"), {"checksums": "md5sum.txt"}),
    "NCBI has no such accession": (nothing, {"accession": "GCF_000001405.40"}),
    "NCBI has other versions": (
        has(HUMAN, b'<a href="GCF_000001405.40_GRCh38.p14/">'),
        {"accession": "GCF_000001405.41"},
    ),
    "a full disk": (full_disk, {}),
    "another process is at work": (in_use, {}),
}


def test_the_cases_are_those_of_the_page():
    assert set(table()) == set(CASES)


@pytest.mark.parametrize("what", CASES)
def test_message_and_folder_are_those_of_the_page(
    site, tmp_path, quick, monkeypatch, small_files, what
):
    monkeypatch.setattr(addresses, "NCBI", site.url)
    site.put("/x.fa", GENOME)
    before, fields = CASES[what]
    before(site, tmp_path, small_files)
    url = "" if "accession" in fields else site.url + fields.get("url", "/x.fa")
    entry = Entry(**{"name": "x", **fields, "url": url})
    with pytest.raises(HelixError) as caught:
        download(DownloadManifest(name="mine", entries=(entry,)), tmp_path, config=quick)
    message, files = table()[what]
    found = str(caught.value).rpartition("\n  x: ")[2]
    assert re.fullmatch(".*".join(map(re.escape, message.split("..."))), found), found
    assert sorted(path.name for path in tmp_path.iterdir()) == files
