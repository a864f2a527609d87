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
        (
            "- one.fa",
            "genome 1: found 'one.fa', expected fasta, cds, dataset, column, dataset_split, spec",
        ),
        ("a: [", "not YAML: while parsing"),
        ("- fasta: none.fa", r"list.yaml: .*none.fa: expected a file to read, found nothing there"),
        ("- fasta: one.fa\n- fasta: two.fa.gz", "2 genomes with the species '', ''"),
        ("- {fasta: one.fa, species: a}\n- {fasta: one.fa, species: a}", "'a', 'a': expected a"),
        (
            "- {fasta: one.fa, colour: red}\n- {weight: 0}\n- {species: a}",
            "genome 1: colour: unknown field, expected fasta, .*; genome 2: weight: found 0: Input "
            "should be greater.*; genome 3: no sequence: "
            "expected fasta, cds or dataset, found none of them",
        ),
        (
            "- {cds: one.fa, dataset: a/b}",
            "genome 1: found cds and dataset, expected one of fasta, cds and dataset: list each as",
        ),
        (
            "- {cds: one.fa, gff: genes.gff3, vcf: people.vcf.gz}",
            "genome 1: found vcf and gff beside cds, and no genome that they have coordinates of",
        ),
        ("- {dataset: a/b, bed: some.bed}", "found bed beside dataset, and no genome"),
        (
            "- {fasta: one.fa, weight: .inf}",
            "genome 1: weight: found inf: Input should be a finite",
        ),
        ("- {fasta: one.fa, column: x}", "found column or dataset_split, expected a dataset with"),
        ("- {cds: one.fa, dataset_split: test}", "found column or dataset_split, expected a datas"),
        (
            "- dataset: a.csv",
            "a.csv: expected a file, a folder, or the name of a dataset on the hub",
        ),
        (
            "- dataset: a/b/c",
            "a/b/c: expected a file, a folder, or the name of a dataset on the hub",
        ),
    ],
)
def test_lists_that_cannot_be_used(folder, text, message):
    with pytest.raises(SourceError, match=message):
        read_sources(write(folder, text))
    with pytest.raises(SourceError, match=r"none.yaml: cannot be read: No such file"):
        read_sources(folder / "none.yaml")


def test_coding_sequences_and_datasets_in_a_list(folder):
    text = """
- {species: a, cds: [one.fa, two.fa.gz]}
- {species: b, dataset: some.bed, column: sequence}
- {species: c, dataset: owner/name, dataset_split: test}
"""
    assert read_sources(write(folder, text)) == [
        Source(species="a", cds=(folder / "one.fa", folder / "two.fa.gz")),
        Source(species="b", dataset=folder / "some.bed", column="sequence"),
        Source(species="c", dataset="owner/name", dataset_split="test"),
    ]


def test_files_of_a_source(folder):
    files = (folder / "genes.gff3", folder / "one.fa", folder / "people.vcf.gz")
    assert Source(dataset=folder).files[:3] == files
    assert Source(dataset="owner/name").files == ()
    assert Source(cds=files[1]).files == files[1:2]
    assert Source(fasta=files[1], vcf=files[2], gff=files[0]).files == (
        files[1],
        files[2],
        files[0],
    )


def record(folder, names, assemblies=(), accessions=()):
    """Write the manifest that `helixlm download` leaves beside files."""
    assemblies, accessions = dict(assemblies), dict(accessions)
    files = [
        {
            "file": name, "bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest(), "name": name,
            "species": species, "group": "fungi", "weight": 0.5, "manifest": "m", "url": "u",
            "accession": accessions.get(name, ""), "assembly": assemblies.get(name, "a1"),
            "md5": "", "checked": "", "etag": "",
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


def test_coding_sequences_in_a_folder_of_downloads(folder):
    names = ("Homo_sapiens.GRCh38.cds.all.fa.gz", "GCF_1_cds_from_genomic.fna.gz")
    for name in names:
        (folder / name).write_text("x")
    record(folder, {names[0]: "A", names[1]: "B", "one.fa": "C"})
    shared = {"assembly": "a1", "group": "fungi", "weight": 0.5}
    assert read_sources(folder) == [
        Source(species="A", cds=folder / names[0], **shared),
        Source(species="B", cds=folder / names[1], **shared),
        Source(species="C", fasta=folder / "one.fa", **shared),
    ]
    record(folder, {names[0]: "A", "one.fa": "A"})
    with pytest.raises(SourceError, match="A: found both a genome and coding sequences, expected"):
        read_sources(folder)


def test_downloads_without_sequence(folder):
    record(folder, {"one.fa": "B", "people.vcf.gz": "A"})
    with pytest.raises(SourceError, match="no FASTA or 2bit file of A: expected the sequence"):
        read_sources(folder)
    record(folder, {})
    with pytest.raises(SourceError, match="no FASTA or 2bit file of any species"):
        read_sources(folder)


def test_several_genomes_of_a_species_are_not_one(folder):
    names = dict.fromkeys(("one.fa", "two.fa.gz", "people.vcf.gz"), "A")
    record(folder, names, {"one.fa": "hg38", "two.fa.gz": "GRCh38.p14"})
    message = (
        r"A: found sequence of more than one assembly \(hg38: one.fa; GRCh38.p14: two.fa.gz\), "
        r"expected one genome of a species: .* YAML file \(--sources\), or download the others"
    )
    with pytest.raises(SourceError, match=message):
        read_sources(folder)
    record(folder, names, accessions={"one.fa": "GCF_1.1", "two.fa.gz": "ensembl:110:a"})
    message = r"more than one accession \(GCF_1.1: one.fa; ensembl:110:a: two.fa.gz\)"
    with pytest.raises(SourceError, match=message):
        read_sources(folder)


def test_what_has_no_sequence_goes_with_the_genome_of_its_species(folder):
    names = dict.fromkeys(("one.fa", "two.fa.gz", "people.vcf.gz", "genes.gff3", "some.bed"), "A")
    record(folder, names, {"people.vcf.gz": "GRCh38", "genes.gff3": "x", "some.bed": ""})
    (source,) = read_sources(folder)
    assert source == Source(
        species="A",
        fasta=(folder / "one.fa", folder / "two.fa.gz"),
        vcf=folder / "people.vcf.gz",
        gff=folder / "genes.gff3",
        bed=folder / "some.bed",
        assembly="a1",
        group="fungi",
        weight=0.5,
    )


@pytest.mark.parametrize(("name", "kind"), [("genes.gff3", "GFF"), ("some.bed", "BED")])
def test_several_annotations_of_a_genome(folder, name, kind):
    (folder / f"more.{name}").write_text("x")
    record(folder, dict.fromkeys(("one.fa", name, f"more.{name}"), "A"))
    message = rf"A: found {name} and more.{name}, expected one {kind} file of a genome: list"
    with pytest.raises(SourceError, match=message):
        read_sources(folder)
