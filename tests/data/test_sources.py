"""Lists of genomes: YAML files, and folders of downloads."""

import hashlib
import json

import pytest

from helixlm.data.sources import Source, SourceError, prefix_of, read_sources


@pytest.fixture
def folder(tmp_path):
    names = ("one.fa", "two.fa.gz", "people.vcf.gz", "genes.gff3", "some.bed", "some.bedgraph")
    for name in names:
        (tmp_path / name).write_text("x")
    return tmp_path


def write(folder, text):
    path = folder / "list.yaml"
    path.write_text(text)
    return path


def test_a_list_is_read_with_paths_beside_it(folder):
    text = """
- species: A b
  assembly: a1
  group: fungi
  fasta: one.fa
  weight: 2
- species: C d
  fasta: [two.fa.gz]
  vcf: people.vcf.gz
  gff: genes.gff3
  bed: some.bed
  weights: some.bedgraph
"""
    expected = [
        Source(species="A b", assembly="a1", group="fungi", fasta=(folder / "one.fa",), weight=2),
        Source(
            species="C d",
            fasta=(folder / "two.fa.gz",),
            vcf=(folder / "people.vcf.gz",),
            gff=folder / "genes.gff3",
            bed=folder / "some.bed",
            weights=folder / "some.bedgraph",
        ),
    ]
    assert expected[1].others == (
        ("vcf", folder / "people.vcf.gz"),
        ("gff", folder / "genes.gff3"),
        ("bed", folder / "some.bed"),
        ("weights", folder / "some.bedgraph"),
    )
    assert expected[1].files == (folder / "two.fa.gz", *(path for _, path in expected[1].others))
    assert read_sources(write(folder, text)) == expected
    indented = "sources:" + text.replace("\n", "\n  ")
    assert read_sources(write(folder, indented)) == expected
    assert prefix_of(expected, 1) == "C d:"
    assert prefix_of(expected[:1], 0) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "found nothing, expected a list of genomes, each with at least 'fasta'"),
        ("[]", "found nothing, expected a list of genomes"),
        ("Dear Sir", "found 'Dear Sir', expected a list of genomes"),
        ("- one.fa", "genome 1: found 'one.fa', expected fasta, species"),
        ("a: [", "not YAML: while parsing"),
        ("- fasta: none.fa", r"list.yaml: .*none.fa: expected a file to read, found nothing there"),
        ("- fasta: one.fa\n- fasta: two.fa.gz", "2 genomes with the species '', ''"),
        ("- {fasta: one.fa, species: a}\n- {fasta: one.fa, species: a}", "'a', 'a': expected a"),
        (
            "- {fasta: one.fa, colour: red}\n- {weight: 0}",
            r"genome 1: colour: unknown field, expected fasta, .*; genome 2: fasta: is missing, "
            r"expected .*; genome 2: weight: found 0: Input should be greater",
        ),
    ],
)
def test_lists_that_cannot_be_used(folder, text, message):
    with pytest.raises(SourceError, match=message):
        read_sources(write(folder, text))
    with pytest.raises(SourceError, match=r"none.yaml: cannot be read: No such file"):
        read_sources(folder / "none.yaml")


def record(folder, names):
    """Write the manifest that `helixlm download` leaves beside files."""
    files = [
        {
            "file": name, "bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest(), "name": name,
            "species": species, "group": "fungi", "weight": 0.5, "manifest": "m", "url": "u",
            "accession": "", "assembly": "a1", "md5": "", "checked": "", "etag": "",
            "last_modified": "",
        }
        for name, species in names.items()
    ]  # fmt: skip
    content = {"format": "helixlm download folder", "format_version": 1, "files": files}
    (folder / "manifest.json").write_text(json.dumps(content | {"helixlm_version": "0"}))


def test_a_folder_of_downloads(folder):
    (folder / "readme.txt").write_text("x")
    species = {"one.fa": "B", "two.fa.gz": "A", "people.vcf.gz": "A", "readme.txt": "A"}
    record(folder, species)
    shared = {"assembly": "a1", "group": "fungi", "weight": 0.5}
    assert read_sources(folder) == [
        Source(species="A", fasta=folder / "two.fa.gz", vcf=folder / "people.vcf.gz", **shared),
        Source(species="B", fasta=folder / "one.fa", **shared),
    ]


def test_downloads_without_sequence(folder):
    record(folder, {"one.fa": "B", "people.vcf.gz": "A"})
    with pytest.raises(SourceError, match="no FASTA or 2bit file of A: expected the sequence"):
        read_sources(folder)
    record(folder, {})
    with pytest.raises(SourceError, match="no FASTA or 2bit file of any species"):
        read_sources(folder)
