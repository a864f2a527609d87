"""Manifests: what is read, what ships, and every problem of a bad one in one message."""

import csv
import hashlib
import io
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from helixlm.data.download import ManifestError, list_manifests, load_manifest
from helixlm.data.formats.delimited import TableError

MD5 = "1c9dcaddfa41027f17cd8f7a82c7293b"
SHA256 = "c1dd87068c254eb53d944f71e51d1311964fce8de24d6fc0effc9c61c01527d4"


def load(tmp_path, text, name="mine.yaml"):
    (tmp_path / name).write_text(text)
    return load_manifest(tmp_path / name)


def problems(tmp_path, text, name="mine.yaml"):
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, text, name)
    first, *lines = str(caught.value).splitlines()
    assert first == f"manifest {tmp_path / name}: {len(lines)} problem(s):"
    return [line.strip() for line in lines]


def entries(*rows):
    return yaml.safe_dump({"entries": list(rows)})


def test_yaml(tmp_path):
    found = load(
        tmp_path,
        f"""
        name: vertebrates
        description: Two of them.
        entries:
          - {{name: mouse, accession: GCF_000001635.27, assembly: GRCm39, weight: 2}}
          - name: human
            url: https://x.org/a/hg38.fa.gz?v=1
            checksum: {MD5} {SHA256.upper()}
        unresolved:
          - {{group: fish, count: 3, reason: no accession, names: [Danio rerio]}}
        """,
    )
    mouse, human = found.entries
    assert (found.name, found.description) == ("vertebrates", "Two of them.")
    assert (mouse.accession, mouse.assembly, mouse.weight) == ("GCF_000001635.27", "GRCm39", 2.0)
    assert (human.file_name, human.expected) == ("hg38.fa.gz", (MD5, SHA256))
    assert (human.weight, human.group) == (1.0, "")
    assert (found.num_unresolved, found.missing()) == (3, "3 fish: no accession")


word = st.text("abcdefgh", min_size=1, max_size=8)
row = st.fixed_dictionaries(
    {"name": word},
    optional={
        "species": word,
        "group": word,
        "weight": st.floats(0.01, 100),
        "checksum": st.binary(min_size=1).map(lambda b: hashlib.md5(b).hexdigest()),
        "bytes": st.integers(1, 10**12),
    },
)


@given(st.lists(row, min_size=1, max_size=5, unique_by=lambda values: values["name"]))
def test_a_table_says_the_same_as_yaml(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("manifest")
    for number, values in enumerate(rows):
        values["url"] = f"http://x.org/{number}.fa"
    columns = sorted({key for values in rows for key in values})
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    table = load(folder, text.getvalue(), "mine.tsv")
    assert table.name == "mine"
    assert table.entries == load(folder, entries(*rows)).entries


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"wieght": 2}, r"wieght: unknown key; did you mean 'weight'\?"),
        ({"weight": 0}, r"weight: Input should be greater than 0 \(found 0\)"),
        ({"weight": "much"}, r"weight: Input should be a valid number.* \(found 'much'\)"),
        ({"bytes": -1}, r"bytes: Input should be greater than 0 \(found -1\)"),
        ({"checksum": "abc"}, r"checksum: expected an MD5 of 32 .* \(found 'abc'\)"),
        ({"checksum": f"{MD5} {MD5}"}, "checksum: expected an MD5 of 32 hexadecimal digits, a SHA"),
        ({"checksum": 12}, r"checksum: expected text; put it in quotes \(found 12\)"),
        ({"accession": "GCF_1.2"}, "found both url and accession, expected one of them"),
        ({"url": ""}, "found neither url and accession, expected one of them"),
        ({"url": "ftp://x.org/a.fa"}, "url: expected https:// or http://; NCBI, Ensembl, UCSC"),
        ({"url": "x.org/a.fa"}, "url: expected an address that begins with https:// or http://"),
        ({"url": "https:///a.fa"}, "url: expected an address that begins with https:// or http"),
        ({"url": "https://x.org/a/"}, "the address ends in '': expected a file name .*: give 'f"),
        ({"url": "https://x.org/..%2Fx"}, r"the address ends in '\.\./x': expected a file name"),
        ({"url": "https://x.org/manifest.json"}, "manifest.json is the name of the record"),
        ({"file": "../x"}, r"file: expected a file name of letters, .* \(found '\.\./x'\)"),
        ({"file": "/etc/passwd"}, "file: expected a file name of letters, digits"),
        ({"file": "a\\b"}, "file: expected a file name of letters, digits"),
        ({"file": ".hidden"}, "file: expected a file name of letters, digits"),
        ({"file": "Manifest.JSON"}, "file: manifest.json is the name of the record that is kept"),
        ({"checksums": "../md5"}, "checksums: expected an address that begins with https://"),
        ({"assembly": "../GRCh38"}, "assembly: expected the name of an assembly, such as GRCh38"),
        ({"name": ""}, r"name: String should have at least 1 character \(found ''\)"),
    ],
)
def test_each_problem_of_an_entry(tmp_path, values, expected):
    written = {"name": "a", "url": "https://x.org/a.fa"} | values
    found = problems(tmp_path, entries(written))
    place = "entry 1" if values.get("name") == "" else r"entry 1 \('a'\)"
    assert any(re.match(f"{place}: .*?{expected}", line) for line in found), found


@pytest.mark.parametrize(
    "accession",
    ["GCF_000001405", "GCF_00001405.1", "NC_000001.11", "ucsc:", "ensembl:homo_sapiens", "hg38",
     "GCF_000001405.40_../x"],
)  # fmt: skip
def test_accessions_that_are_none(tmp_path, accession):
    (found,) = problems(tmp_path, entries({"name": "a", "accession": accession}))
    assert found.startswith("entry 1 ('a'): accession: expected GCF_ or GCA_ with nine digits and")
    assert found.endswith(f"(found {accession!r})")


def test_all_problems_come_at_once(tmp_path):
    text = """
    species: many
    entries:
      - {name: a, url: "https://x.org/a.fa", weigth: 2, checksum: abc}
      - {name: A, url: "https://y.org/a.fa"}
      - {name: b}
      - seven
      - {name: c, accession: GCF_000001405.40}
      - {name: d, accession: GCF_000001405.40}
    unresolved:
      - {group: fish, count: 1, reason: none, names: [x, y]}
      - {group: fish, count: 0, reason: none, nmae: z}
    """
    expected = [
        "species: unknown key",
        "entry 4: found 'seven', expected keys such as 'name:'",
        "entry 1 ('a'): weigth: unknown key; did you mean 'weight'?",
        "entry 1 ('a'): checksum: expected",
        "entry 3 ('b'): found neither url and accession, expected one of them",
        "entry 2: name: 'A' is also that of entry 1: give each a name of its own",
        "entry 2: file: 'a.fa' is also that of entry 1: give each a file of its own",
        "entry 6: file: 'GCF_000001405.40' is also that of entry 5: give each a file",
        "unresolved.0: 2 names, expected at most count 1",
        "unresolved.1.count: Input should be greater than 0 (found 0)",
        "unresolved.1.nmae: unknown key; did you mean 'names'?",
    ]
    found = problems(tmp_path, text)
    assert len(found) == len(expected)
    for begin in expected:
        assert any(line.startswith(begin) for line in found), (begin, found)


def test_problems_of_a_table_have_lines(tmp_path):
    text = "name\turl\tweigth\n\na\thttp://x.org/a.fa\t1\na\thttp://x.org/b.fa\t1\nb\t\t\n"
    assert problems(tmp_path, text, "mine.tsv") == [
        "column 'weigth': unknown key; did you mean 'weight'?",
        "line 5 ('b'): found neither url and accession, expected one of them",
        "line 4: name: 'a' is also that of line 3: give each a name of its own",
    ]
    with pytest.raises(TableError, match=r"no column 'name'"):
        load(tmp_path, "url\nhttp://x.org/a\n", "mine.tsv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found nothing, expected keys such as 'entries:'"),
        ("- a\n", "found list, expected keys such as 'entries:'"),
        ("entries: [\n", "not YAML: "),
        ("name: x\n", "entries: expected at least one, found none"),
        ("entries: many\n", "entries: found str, expected a list"),
    ],
)
def test_files_that_are_no_manifest(tmp_path, text, message):
    with pytest.raises(ManifestError, match=re.escape(message)):
        load(tmp_path, text)


def test_manifests_that_are_not_there(tmp_path):
    with pytest.raises(ManifestError, match=r"x\.yaml: no such file"):
        load_manifest(tmp_path / "x.yaml")
    (tmp_path / "y.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match=r"y\.yaml: cannot be read: .*utf-8"):
        load_manifest(tmp_path / "y.yaml")
    message = r"'grch39': neither a .yaml, .tsv or .csv file nor one that ships .* 'grch38'\?"
    with pytest.raises(ManifestError, match=message):
        load_manifest("grch39")


def test_what_ships():
    shipped = list_manifests()
    assert set(shipped) == {
        "1000g-phased", "book", "dnabert2", "dnagrinder", "grch38", "hg38", "nt",
    }  # fmt: skip
    for name, summary in shipped.items():
        manifest = load_manifest(name)
        assert manifest.name == name
        assert 20 < len(summary) < 200
        assert bool(manifest.entries) != bool(manifest.unresolved)


def test_the_panel_is_whole():
    found = {entry.name: entry for entry in load_manifest("1000g-phased").entries}
    chromosomes = [f"chr{name}" for name in [*range(1, 23), "X"]]
    assert set(found) == {*chromosomes, *(f"{name} index" for name in chromosomes)}
    assert len({found[name].checksum for name in chromosomes}) == 23
    for name in chromosomes:
        assert f".{name}." in found[name].url
        assert found[f"{name} index"].url == f"{found[name].url}.tbi"


@pytest.mark.parametrize(
    ("name", "groups", "total"),
    [
        # Hugging Face card of InstaDeepAI/multi_species_genomes
        ("nt", {"bacteria": 667, "fungi": 46, "protozoa": 10}, 850),
        # the paper's 135; the groups as published by millanp95/reproduce_dnabert_2
        ("dnabert2", {"fungi": 11, "mammals": 7, "invertebrates": 10}, 135),
        ("book", {"mammals": 8}, 13),
        ("dnagrinder", {}, 794),
    ],
)
def test_species_of_published_models(name, groups, total):
    manifest = load_manifest(name)
    found = {part.group: part for part in manifest.unresolved}
    assert {group: found[group].count for group in groups} == groups
    assert manifest.num_unresolved == total
    names = [species for part in manifest.unresolved for species in part.names]
    assert len(set(names)) == len(names)
    if name in ("dnabert2", "book"):
        assert all(len(part.names) == part.count for part in manifest.unresolved)
