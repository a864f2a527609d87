"""`helixlm download` as a user meets it; the server and the transfer are tested with the data."""

import functools
import gzip
import hashlib
import http.server
import threading

import pytest

from helixlm.data.download import read_downloads


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *parts):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Serve a folder with one genome; give the address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "genome.fa").write_bytes(b">a\n" + b"ACGT" * 500_000)
    handler = functools.partial(Quiet, directory=tmp_path / "site")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_download(helixlm, site, tmp_path):
    (tmp_path / "mine.tsv").write_text(f"name\turl\tgroup\nalba\t{site}/genome.fa\tfungi\n")
    output = tmp_path / "out"
    status, out, err = helixlm("download", tmp_path / "mine.tsv", "-o", output, "--workers", 2)
    assert status == 0, err
    assert out.splitlines() == [
        "1 file(s) fetched, 0 there already, 2,000,003 bytes in all",
        f"Wrote {output}/manifest.json",
        f"Next: helixlm prepare --sources {output} -o CORPUS",
    ]
    assert "Downloading (MB): done in" in err
    (file,) = read_downloads(output).files
    assert (file.species, file.group) == ("alba", "fungi")
    status, out, _ = helixlm("download", tmp_path / "mine.tsv", "-o", output)
    assert status == 0
    assert out.startswith("0 file(s) fetched, 1 there already")


FASTA, CDS, VCF = b">a\nACGT\n", b">T1 cds\nATGTAG\n", b"##fileformat=VCFv4.2\n"
HINTS = [
    ({"a.fa": ("one", FASTA), "b.2bit": ("two", FASTA), "a.vcf": ("one", VCF)}, "--sources DIR"),
    ({"a.cds.all.fa": ("one", CDS), "b.cds.fa": ("two", CDS)}, "--recipe book --sources DIR"),
    ({"a.cds.all.fa": ("one", CDS), "b.fa": ("two", FASTA)}, "--sources DIR"),
    ({"a.bcf": ("one", VCF)}, "--fasta GENOME --vcf DIR/a.bcf"),
    (
        {
            f"{name}.vcf.gz{end}": ("one", gzip.compress(VCF))
            for name in "ab"
            for end in ("", ".tbi")
        },
        "--fasta GENOME --vcf DIR/*.vcf.gz",
    ),
    ({"a.vcf": ("one", VCF), "b.bcf": ("one", VCF)}, "--fasta GENOME --vcf DIR/a.vcf DIR/b.bcf"),
]


@pytest.mark.parametrize(("files", "options"), HINTS)
def test_the_next_step_is_one_that_works(helixlm, site, tmp_path, files, options):
    rows = ["name\turl\tspecies"]
    for name, (species, content) in files.items():
        (tmp_path / "site" / name).write_bytes(content)
        rows.append(f"{name}\t{site}/{name}\t{species}")
    (tmp_path / "mine.tsv").write_text("\n".join([*rows, ""]))
    status, out, err = helixlm("download", tmp_path / "mine.tsv", "-o", tmp_path / "out")
    assert status == 0, err
    expected = options.replace("DIR", str(tmp_path / "out"))
    assert out.splitlines()[-1] == f"Next: helixlm prepare {expected} -o CORPUS"


def test_the_next_step_where_a_list_is_needed(helixlm, site, tmp_path):
    for name in ("a.fa", "b.fa"):
        (tmp_path / "site" / name).write_bytes(FASTA)
    rows = [f"{name}\t{site}/{name}.fa\talba\t{name}1" for name in "ab"]
    text = "\n".join(["name\turl\tspecies\tassembly", *rows, ""])
    (tmp_path / "mine.tsv").write_text(text)
    _, out, _ = helixlm("download", tmp_path / "mine.tsv", "-o", tmp_path / "out")
    said = out.splitlines()[-1]
    assert said.startswith("Next: helixlm prepare --sources LIST.yaml -o CORPUS, as ")
    assert "found sequence of more than one assembly (a1: a.fa; b1: b.fa), expected one" in said


def test_species_that_are_left_out_are_said(helixlm, site, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        f"entries: [{{name: alba, url: '{site}/genome.fa'}}]\n"
        "unresolved: [{group: fungi, count: 46, reason: no accession was published}]\n"
    )
    status, out, _ = helixlm("download", tmp_path / "mine.yaml", "-o", tmp_path / "out")
    assert status == 0
    assert "46 species cannot be fetched: 46 fungi: no accession was published" in out


def test_messages(helixlm, site, tmp_path):
    checksum = hashlib.md5(b"other").hexdigest()
    (tmp_path / "mine.yaml").write_text(
        f"entries: [{{name: alba, url: '{site}/genome.fa', checksum: {checksum}}}]\n"
    )
    status, _, err = helixlm("download", tmp_path / "mine.yaml", "-o", tmp_path / "out")
    assert status == 1
    assert "error: 1 of 1 file(s) of mine could not be had; the others are in" in err
    status, _, err = helixlm("download", "dnabert2", "-o", tmp_path / "out")
    assert status == 1
    assert "error: manifest dnabert2: none of its 135 species can be fetched" in err
    status, _, err = helixlm("download", "nothing", "-o", tmp_path / "out")
    assert status == 1
    assert "neither a .yaml, .tsv or .csv file nor one that ships with helixlm" in err
