"""Reading VCF and BCF: against what was written and pysam, and every way to be no good file."""

import gzip
import os
import random

import pysam
import pytest
from tests.data.vcf_files import vcf_text, write_vcf

from helixlm.data.formats import vcf
from helixlm.data.formats.vcf import VcfError, VcfFile, contig_of
from helixlm.errors import StateError

KINDS = {"plain": "a.vcf", "gzip": "a.vcf.gz", "members": "b.vcf.gz", "bgzip": "c.vcf.gz"}
KINDS["bcf"] = "d.bcf"
SAMPLES = ["x", "y", "z"]


def many_rows():
    """Two contigs, records of several lengths, and one long deletion."""
    draw = random.Random(5)
    rows = []
    for contig in ("chr1", "chr2"):
        for i in range(3000):
            genotypes = [
                f"{draw.randint(0, 1)}{draw.choice('|/')}{draw.randint(0, 1)}" for _ in "xyz"
            ]
            rows.append((contig, 10 * i + 1, "ACG"[: draw.randint(1, 3)], "T,TT", ".", *genotypes))
    rows[40] = ("chr1", 401, "A", "<DEL>", "END=20000", "0|1", "0|0", ".|.")
    return rows


ROWS = many_rows()
TEXT = vcf_text({"chr1": 40000, "chr2": 40000, "chrX": 9}, SAMPLES, ROWS)


def summary(record):
    return record.contig, record.position, record.ref, record.alts


@pytest.mark.parametrize("kind", KINDS)
def test_records_are_what_pysam_reads(tmp_path, kind):
    path = write_vcf(tmp_path / KINDS[kind], TEXT, kind)
    with VcfFile(path) as file:
        assert file.samples == SAMPLES
        assert file.contigs == ["chr1", "chr2", "chrX"]
        records = list(file.records())
        assert [(r.contig, r.position + 1, r.ref, ",".join(r.alts)) for r in records] == [
            row[:4] for row in ROWS
        ]
    plain = write_vcf(tmp_path / "plain.vcf", TEXT, "plain")
    readable = plain if kind in ("gzip", "members") else path  # pysam reads no plain gzip
    with VcfFile(path) as file, pysam.VariantFile(str(readable)) as other:
        for record, expected in zip(file.records(), other, strict=True):
            genotypes = record.genotypes().tolist()
            assert genotypes == [
                [*(-1 if x is None else x for x in call["GT"]), int(call.phased)]
                for call in expected.samples.values()
            ]


def test_samples_are_chosen(tmp_path):
    path = write_vcf(tmp_path / "a.vcf", TEXT, "plain")
    with VcfFile(path, samples=["z", "x"]) as file:
        assert file.samples == ["x", "z"]
        for record, row in zip(file.records(), ROWS, strict=True):
            if row[4] == ".":
                texts = [f"{a}{'|' if p else '/'}{b}" for a, b, p in record.genotypes().tolist()]
                assert texts == [row[5], row[7]]


@pytest.mark.parametrize("kind", ["bgzip", "bcf"])
@pytest.mark.parametrize("start", [0, 60, 15003, 20000, 29990])
def test_records_from_a_position_on(tmp_path, kind, start):
    """The deletion at 400 reaches to 20000: before it ends, reading begins with it."""
    path = write_vcf(tmp_path / KINDS[kind], TEXT, kind)
    with VcfFile(path) as file:
        assert file.index is not None
        whole = [summary(record) for record in file.records()]
    with VcfFile(path) as file:
        found = [summary(record) for record in file.records_from("chr1", start)]
        assert found == whole[-len(found) :]
        first = 400 if 400 < start < 20000 else start
        assert found[0][:2] == ("chr1", first)
        again = [summary(record) for record in file.records_from("chr2", 29995)]
        assert again in ([], whole[-1:])
        assert list(file.records_from("chrX", 0)) == []


@pytest.mark.parametrize("kind", ["bgzip", "bcf"])
def test_records_that_overlap_each_other_come_along(tmp_path, kind):
    """0-20 overlaps 15-40, which overlaps 35-60: from 50 on, reading begins with the first."""
    ends = {1: 20, 16: 40, 36: 60, 71: 80}
    rows = [("c", p, "A", "<DEL>", f"END={end}", "0|1") for p, end in ends.items()]
    text = vcf_text({"c": 99}, ["s"], rows)
    with VcfFile(write_vcf(tmp_path / KINDS[kind], text, kind)) as file:
        assert [record.position for record in file.records_from("c", 50)] == [0, 15, 35, 70]
        assert [record.position for record in file.records_from("c", 60)] == [70]


def test_an_index_that_is_older_than_the_file_is_used(tmp_path):
    path = write_vcf(tmp_path / "a.vcf.gz", TEXT)
    index = path.with_name("a.vcf.gz.csi")
    os.utime(index, (0, 0))
    with VcfFile(path) as file:
        assert file.index == index
        found = [(record.contig, record.position) for record in file.records_from("chr1", 0)]
    with VcfFile(path) as file:
        expected = [(record.contig, record.position) for record in file.records()]
    assert found == expected[-len(found) :]
    assert found[0][0] == "chr1"


def test_windows_line_ends(tmp_path):
    path = tmp_path / "a.vcf"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    with VcfFile(path) as file:
        assert file.samples == SAMPLES
        last = list(file.records())[-1]
    assert last.genotypes()[-1].tolist()[:2] == [
        int(x) for x in ROWS[-1][-1].split(ROWS[-1][-1][1])
    ]


def test_names_of_contigs_are_those_of_the_file(tmp_path):
    with VcfFile(write_vcf(tmp_path / "a.vcf", TEXT, "plain")) as file:
        assert contig_of(file, "1") == "chr1"
        with pytest.raises(VcfError, match=r"a\.vcf: no contig 'chr3': found 'chrX', 'chr2'"):
            contig_of(file, "chr3")


NO_FILES = [
    (None, "no such file, expected a VCF or BCF file"),
    (b"", "empty file, expected VCF or BCF"),
    (b">chr1\nACGT\n", "is neither VCF nor BCF: found '>chr1', expected a header"),
    (bytes(range(256)) * 4, "is neither VCF nor BCF"),
    (b"chr1\t1\t.\tA\tC\t.\t.\t.\n", "is neither VCF nor BCF"),
    (b"##fileformat=VCFv4.3\n", "the header cannot be read, expected .*: see what `bcftools view"),
    (gzip.compress(TEXT.encode()[:700])[:-20], "gzip file that ends in the middle, after"),
    (TEXT.encode().replace(b"\t", b" "), r"\d+: found '#CHROM POS .*, expected 8 columns or more"),
    (TEXT.encode().replace(b"\ty\tz", b"\ty\ty", 1), r"\d+: two samples of the name 'y', expected"),
]


@pytest.mark.parametrize(("content", "message"), NO_FILES)
def test_what_is_no_vcf_file(tmp_path, content, message):
    path = tmp_path / "a.vcf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VcfError, match=rf"a\.vcf: ?{message}"):
        VcfFile(path)


def test_a_folder_is_no_vcf_file(tmp_path):
    with pytest.raises(VcfError, match="is a folder"):
        VcfFile(tmp_path)


def read_all(path):
    with VcfFile(path) as file:
        return sum(1 for _ in file.records())


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_are_cut_short(tmp_path, kind):
    path = write_vcf(tmp_path / KINDS[kind], TEXT, kind)
    content = path.read_bytes()
    # Of plain text a cut shows only between the genotypes of a line.
    cut = content.rindex(b"\t") if kind == "plain" else len(content) * 2 // 3
    path.write_bytes(content[:cut])
    with pytest.raises(
        VcfError, match=r"(cut short: the end marker|cannot be read after chr\d:\d)"
    ):
        read_all(path)


@pytest.mark.parametrize("kind", ["gzip", "bgzip", "bcf"])
def test_files_with_a_wrong_byte(tmp_path, kind):
    path = write_vcf(tmp_path / KINDS[kind], TEXT, kind)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(VcfError, match=r"cannot be read after chr\d:\d+: the file is damaged"):
        read_all(path)


def test_damage_behind_an_index_is_found(tmp_path):
    path = write_vcf(tmp_path / "a.vcf.gz", TEXT)
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 0x55
    path.write_bytes(content)
    pysam_index = path.with_name("a.vcf.gz.csi")
    pysam_index.touch()
    with VcfFile(path) as file:
        assert file.index is not None
        with pytest.raises(VcfError, match="the file is damaged"):
            list(file.records_from("chr1", 0))


def test_a_line_with_too_few_columns(tmp_path):
    path = tmp_path / "a.vcf"
    path.write_text(TEXT + "chr2\t39999\n")
    with pytest.raises(VcfError, match=r"cannot be read after chr2:29991"):
        read_all(path)


UNSORTED = [
    ([("c", 5), ("c", 4)], r"record c:4 .* comes after position 5, expected records sorted"),
    (
        [("c", 5), ("d", 1), ("c", 6)],
        r"record c:6 .* comes after the records of another contig, expected",
    ),
]


@pytest.mark.parametrize(("places", "message"), UNSORTED)
def test_records_that_are_not_sorted(tmp_path, places, message):
    rows = [(contig, position, "A", "C", ".", "0|1") for contig, position in places]
    path = write_vcf(tmp_path / "a.vcf", vcf_text({"c": 9, "d": 9}, ["s"], rows), "plain")
    with pytest.raises(VcfError, match=message):
        read_all(path)


def test_samples_that_are_not_there(tmp_path):
    path = write_vcf(tmp_path / "a.vcf", TEXT, "plain")
    with pytest.raises(VcfError, match="no sample 'w': found 'x', 'y', 'z'"):
        VcfFile(path, samples=["x", "w"])
    sites = write_vcf(tmp_path / "b.vcf", vcf_text({"c": 9}, [], []), "plain")
    with pytest.raises(VcfError, match="no sample 'w': found no samples at all"):
        VcfFile(sites, samples=["w"])


def test_records_without_genotypes(tmp_path):
    rows = [("c", 1, "A", "C", ".")]
    path = write_vcf(tmp_path / "a.vcf", vcf_text({"c": 9}, ["s"], rows), "plain")
    with VcfFile(path) as file:
        (record,) = file.records()
        with pytest.raises(VcfError, match=r"record c:1 .*has no genotypes, expected GT"):
            record.genotypes()


def test_without_cyvcf2_the_install_line_is_told(tmp_path, monkeypatch):
    path = write_vcf(tmp_path / "a.vcf", TEXT, "plain")

    def absent(module, extra):
        raise StateError(f"{module} {extra}")

    monkeypatch.setattr(vcf, "require", absent)
    with pytest.raises(StateError, match="cyvcf2 vcf"):
        VcfFile(path)
