"""BED: against the intervals that were written, by hand, and bad files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.fasta_files import pack

from helixlm.data.formats.bed import BedError, BedRow, iter_bed
from helixlm.seq.interval import Interval

CONTIGS = {"chr1": 100, "chr2": 20}

words = st.text(alphabet="abcXYZ019._|", min_size=1, max_size=6)


@st.composite
def files(draw):
    """Rows as they should be read, and a file of them as untidy as files are."""
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    gap = draw(st.sampled_from(["\t", " ", "  "]))
    text = draw(st.sampled_from(["", "\ufeff", f"chrom{gap}chromStart{gap}chromEnd{end}"]))
    text += draw(st.sampled_from(["", f'track name="x y" z=1{end}', f"browser hide all{end}"]))
    num_columns = draw(st.sampled_from([3, 4, 5, 6, 12]))
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        text += draw(st.sampled_from(["", "", f"#a\tb{end}", end]))
        start = draw(st.integers(0, 10**9))
        row = (draw(words), start, start + draw(st.integers(0, 10**6)), draw(words), "960", "-")
        fields = [*map(str, row), "0", "0", "0,0,255", "1", "5,", "0,"]
        text += gap.join(fields[:num_columns]) + end
        rows.append(BedRow(*row[: min(num_columns, 6)]))
    return rows, text.encode()


@settings(deadline=None, max_examples=150)
@given(files(), st.sampled_from(["plain", "gzip", "members", "bgzip"]))
def test_any_file_gives_the_rows_it_was_made_of(tmp_path_factory, file, packing):
    rows, content = file
    path = pack(tmp_path_factory.getbasetemp() / "any.bed", content, packing)
    assert list(iter_bed(path)) == rows


def test_rows_by_hand(tmp_path):
    text = b"#chrom\tstart\tend\nchr1\t0\t100\tan exon\t3.5\t+\nchr2\t20\t20\n"
    rows = list(iter_bed(str(pack(tmp_path / "a.bed", text, "plain")), CONTIGS))
    assert rows == [BedRow("chr1", 0, 100, "an exon", "3.5", "+"), BedRow("chr2", 20, 20)]
    assert rows[0].interval == Interval("chr1", 0, 100)
    assert rows[1][3:] == ("", "", ".")


BAD = {
    "two": ("chr1\t5\n", ":1: found 2 columns, expected at least contig, start and end, with tabs"),
    "one": ("chr1\n", ":1: found 1 column, expected at least contig, start and end, with tabs or"),
    "word": ("#\nchr1\tx\t9\n", ":2: interval from 'x' to '9', expected whole numbers of at least"),
    "minus": ("chr1\t-1\t9\n", ":1: interval from '-1' to '9', expected whole numbers of at least"),
    "header later": (
        "chr1\t1\t9\nchrom\tstart\tend\n",
        ":2: interval from 'start' to 'end', exp",
    ),
    "turned": ("chr1\t9\t5\n", ":1: interval from 9 to 5, expected start <= end: BED gives places"),
    "strand": ("chr1 1 9 a 0 1\n", ":1: strand '1', expected '+', '-' or '.' in the sixth column"),
    "beyond": ("chr2\t5\t21\n", ":1: chr2:5-21 goes past the end of the contig (20 bp), expected"),
    "swapped": ("1\t5\t21\n", ":1: no contig '1': found 'chr1'; use the names of the genome"),
    "unknown": ("x\t5\t21\n", ":1: no contig 'x': found 'chr1', 'chr2'"),
    "comments": ("#\ntrack\n", ": no interval in the file, expected contig, start and end"),
    "empty": ("", ": empty file, expected BED"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_bad_files(tmp_path, content, message):
    path = pack(tmp_path / "a.bed", content.encode(), "plain")
    with pytest.raises(BedError) as caught:
        list(iter_bed(path, CONTIGS))
    assert f"{path}{message}" in str(caught.value)


def test_files_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(BedError, match=r"no\.bed: expected a BED file, found nothing there"):
        next(iter_bed(tmp_path / "no.bed"))
    path = pack(tmp_path / "a.bed", b"chr1\t0\t100\n" * 50, "gzip")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BedError, match="gzip file that ends in the middle"):
        list(iter_bed(path))
