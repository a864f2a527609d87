"""bedGraph: against the lines that were written, by hand, and bad files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.fasta_files import pack

from helixlm.data.formats.bedgraph import BedGraphError, BedGraphRow, iter_bedgraph

CONTIGS = {"chr1": 100, "chr2": 20, "HLA-A*01:01": 9}


@st.composite
def files(draw):
    """Rows as they should be read, and a file of them as untidy as files are."""
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    gap = draw(st.sampled_from(["\t", " ", "  "]))
    text = draw(st.sampled_from(["", "\ufeff", f"browser position chr1:1-2{end}"]))
    text += draw(st.sampled_from(["", f'track type=bedGraph name="x y"{end}']))
    rows = []
    for contig in draw(st.permutations(list(CONTIGS)))[: draw(st.integers(1, 3))]:
        places = draw(st.lists(st.integers(0, CONTIGS[contig]), min_size=2, max_size=8))
        places = sorted(places[: len(places) // 2 * 2])
        for start, stop in zip(places[::2], places[1::2], strict=True):
            text += draw(st.sampled_from(["", "", f"# a{gap}b{end}", end]))
            word = draw(st.sampled_from(["0", "1", "0.25", "3.5e-2", "12.0", "+2", ".5"]))
            text += gap.join([contig, str(start), str(stop), word]) + end
            rows.append(BedGraphRow(contig, start, stop, float(word)))
    return rows, text.encode()


@settings(deadline=None, max_examples=150)
@given(files(), st.sampled_from(["plain", "gzip", "members", "bgzip"]))
def test_any_file_gives_the_rows_it_was_made_of(tmp_path_factory, file, packing):
    rows, content = file
    path = pack(tmp_path_factory.getbasetemp() / "any.bedgraph", content, packing)
    assert list(iter_bedgraph(str(path), CONTIGS)) == rows


ORDER = "begins before the end of an earlier line"
BAD = {
    "three": ("chr1\t5\t6\n", ":1: found 3 columns, expected 4: contig, start, end and value"),
    "one": ("chr1\n", ":1: found 1 column, expected 4: contig, start, end and value, with tabs"),
    "a BED file": ("chr1 1 9 a 0 +\n", ":1: found 6 columns, expected 4: contig, start, end and"),
    "word": ("#\nchr1 x 9 1\n", ":2: from 'x' to '9', expected whole numbers with 0 <= start <="),
    "minus": ("chr1 -1 9 1\n", ":1: from '-1' to '9', expected whole numbers with 0 <= start <="),
    "turned": ("chr1 9 5 1\n", ":1: from '9' to '5', expected whole numbers with 0 <= start <="),
    "no number": ("chr1 1 5 exon\n", ":1: value 'exon', expected a number of at least 0"),
    "nan": ("chr1 1 5 nan\n", ":1: value 'nan', expected a number of at least 0"),
    "infinite": ("chr1 1 5 inf\n", ":1: value 'inf', expected a number of at least 0"),
    "negative": ("chr1 1 5 -0.5\n", ":1: value '-0.5', expected a number of at least 0"),
    "beyond": ("chr2 5 21 1\n", ":1: chr2:5-21 goes past the end of the contig (20 bp), expected"),
    "swapped": ("1 5 21 1\n", ":1: no contig '1': found 'chr1'; use the names of the genome"),
    "overlap": ("chr1 1 5 1\nchr1 4 9 1\n", f":2: chr1:4-9 {ORDER} (5), expected lines in order"),
    "twice": ("chr1 1 5 1\nchr1 1 5 1\n", f":2: chr1:1-5 {ORDER} (5), expected lines in order"),
    "not sorted": ("chr1 8 9 1\n\nchr1 1 5 1\n", f":3: chr1:1-5 {ORDER} (9), expected lines in"),
    "apart": (
        "chr1 1 5 1\nchr2 1 5 1\nchr1 6 7 1\n",
        ":3: more of 'chr1' after another contig, expected the lines of a contig together: sort",
    ),
    "comments": ("#\ntrack type=bedGraph\n", ": no line with a value, expected contig, start, end"),
    "empty": ("", ": empty file, expected bedGraph"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_bad_files(tmp_path, content, message):
    path = pack(tmp_path / "a.bedgraph", content.encode(), "plain")
    with pytest.raises(BedGraphError) as caught:
        list(iter_bedgraph(path, CONTIGS))
    assert f"{path}{message}" in str(caught.value)


def test_files_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(BedGraphError, match=r"no\.bg: expected a bedGraph file, found nothing the"):
        next(iter_bedgraph(tmp_path / "no.bg", CONTIGS))
    lines = "".join(f"chr1\t{start}\t{start + 1}\t2\n" for start in range(100))
    path = pack(tmp_path / "a.bg", lines.encode(), "gzip")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BedGraphError, match="gzip file that ends in the middle"):
        list(iter_bedgraph(path, CONTIGS))
