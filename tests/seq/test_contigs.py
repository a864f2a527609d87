"""Names of contigs: what the assembly reports say is one sequence, and what must not match."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helixlm.seq.contigs import ContigError, match_contig, missing_contig

# Rows of NCBI's assembly report of GRCh38.p14: Ensembl, UCSC, RefSeq and GenBank name.
GRCH38 = [
    ("1", "chr1", "NC_000001.11", "CM000663.2"),
    ("17", "chr17", "NC_000017.11", "CM000679.2"),
    ("22", "chr22", "NC_000022.11", "CM000684.2"),
    ("X", "chrX", "NC_000023.11", "CM000685.2"),
    ("Y", "chrY", "NC_000024.10", "CM000686.2"),
    ("MT", "chrM", "NC_012920.1", "J01415.2"),
]
COLUMNS = list(zip(*GRCH38, strict=True))


@pytest.mark.parametrize("column", COLUMNS, ids=["ensembl", "ucsc", "refseq", "genbank"])
@pytest.mark.parametrize("row", GRCH38, ids=lambda row: row[0])
def test_each_spelling_finds_each_other(row, column):
    for name in row:
        assert match_contig(name, column) == column[GRCH38.index(row)]


def test_the_same_spelling_comes_first():
    assert match_contig("chr1", ["1", "chr1"]) == "chr1"
    assert match_contig("1", ["chr1", "1"]) == "1"


def test_two_versions_of_an_accession_are_two_sequences():
    assert match_contig("NC_000017.10", ["NC_000017.11"]) is None
    assert match_contig("GL000009.1", ["chr14_GL000009v2_random"]) is None


def test_pieces_are_found_by_their_accession():
    names = ["chr14_GL000009v2_random", "chrUn_KI270302v1", "chr1_KI270762v1_alt"]
    assert match_contig("GL000009.2", names) == names[0]
    assert match_contig("KI270302.1", names) == names[1]
    assert match_contig("KI270762.1", names) == names[2]


@pytest.mark.parametrize("name", ["2", "chr", "", "chr11", "I", "1 ", "NC_000001"])
def test_other_names_are_not_chromosome_1(name):
    assert match_contig(name, ["chr1", "chrX"]) is None


@pytest.mark.parametrize(("name", "contig"), [("I", "chrI"), ("Chr1", "1"), ("chrMt", "Mt")])
def test_prefixes_of_other_species(name, contig):
    assert match_contig(name, [contig]) == contig
    assert match_contig(contig, [name]) == name


def test_several_that_could_be_meant_are_an_error():
    with pytest.raises(ContigError, match=r"contig '1': could be 'chr1' or 'Chr1': rename"):
        match_contig("1", ["chr1", "Chr1"])


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, unique=True), st.data())
def test_a_name_of_the_file_is_always_itself(names, data):
    name = data.draw(st.sampled_from(names))
    assert match_contig(name, names) == name


def test_what_is_missing_is_said_with_what_there_is():
    assert missing_contig("chr7", ["chr17", "x"]) == ("no contig 'chr7': found 'chr17' and others")
    assert missing_contig("7", []) == "no contig '7': there are no contigs at all"
