"""The comparison from folders to files, and what is refused."""

import csv
from xml.etree import ElementTree

import pytest

from helixlm.errors import InputError, StateError
from helixlm.pipeline.vocabularies import compare_vocabularies
from helixlm.tokenizers.base import TokenizerError
from helixlm.tokenizers.bpe import bpe_tokenizer


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bpe_tokenizer([("A", "C"), ("AC", "G")]).save("one")
    bpe_tokenizer([("C", "G"), ("A", "C")]).save("run/tokenizer")
    (tmp_path / "text.txt").write_text("ACGTNNACGACG\nACT\n")
    return tmp_path


def test_a_folder_of_everything(place):
    found = compare_vocabularies(["one", "run"], ["text.txt"], "out")
    assert found.names == ("one", "run")
    names = {path.name for path in (place / "out").iterdir()}
    assert {"report.html", "coverage.svg", "jaccard.svg", "tokens.csv", "pairs.csv"} <= names
    with (place / "out" / "vocabularies.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["one", "run"]
    assert float(rows[0]["bases_per_token"]) == pytest.approx(13 / 6)
    ElementTree.fromstring((place / "out" / "report.html").read_text())


def test_the_page_alone(place):
    compare_vocabularies(["one"], ["text.txt"], "pages/one.html", names=["mine"])
    assert [path.name for path in (place / "pages").iterdir()] == ["one.html"]
    assert "mine" in (place / "pages" / "one.html").read_text()


def test_every_second_sequence(place):
    found = compare_vocabularies(["one", "run"], ["text.txt"], "out", sample_every=2)
    words = "10 bases in 1 sequences, every 2nd sequence of the input"
    assert f"text: {words} (2 other letters left out)" in found.as_text()
    assert f"On {words} (2" in (place / "out" / "report.html").read_text()
    one = compare_vocabularies(["one"], ["text.txt"], sample_every=11)
    assert "sequences, every 11th sequence of the input, " in one.reports[0].as_text()
    assert "every" not in compare_vocabularies(["one"], ["text.txt"]).reports[0].as_text()


def test_fasta_is_read_in_lines(place):
    (place / "a.fa").write_text(">a\nACGTNACGACG\n>b\nACT\n")
    found = compare_vocabularies(["one"], ["a.fa"])
    assert (found.reports[0].num_sequences, found.reports[0].num_bases) == (3, 13)
    found = compare_vocabularies(["one"], ["a.fa"], line_bp=2)
    assert found.reports[0].num_sequences == 8  # AC GT A CG AC G, AC T


def test_what_is_refused(place):
    with pytest.raises(TokenizerError, match="none: no such folder, expected one with a tokenizer"):
        compare_vocabularies(["one", "none"], ["text.txt"])
    with pytest.raises(InputError, match="this tokenizer is given twice, as number 1 and 2"):
        compare_vocabularies(["run", place / "run" / "tokenizer"], ["text.txt"])
    with pytest.raises(TokenizerError, match="3 names for 2 tokenizers"):
        compare_vocabularies(["one", "run"], ["text.txt"], names=["a", "b", "c"])
    (place / "n.txt").write_text("NNNN\n")
    with pytest.raises(TokenizerError, match="1 sequences hold no letter A, C, G or T"):
        compare_vocabularies(["one", "run"], ["n.txt"])
    with pytest.raises(InputError, match="no such file or folder"):
        compare_vocabularies(["one", "run"], ["nothing.fa"])


def test_an_output_that_is_there_is_refused_before_anything_is_read(place):
    with pytest.raises(StateError, match="one: the folder is not empty"):
        compare_vocabularies(["one", "run"], ["nothing.fa"], "one")
    (place / "page.html").write_text("mine")
    with pytest.raises(StateError, match=r"page\.html: exists already: delete it or choose"):
        compare_vocabularies(["one", "run"], ["nothing.fa"], "page.html")
    with pytest.raises(StateError, match=r"text\.txt: expected a folder to write, found a file"):
        compare_vocabularies(["one", "run"], ["nothing.fa"], "text.txt")
    assert (place / "page.html").read_text() == "mine"
