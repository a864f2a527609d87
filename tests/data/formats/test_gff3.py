"""Rows of GFF3: against the rows that were written, by hand, and bad files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.fasta_files import pack
from tests.data.gff_files import ENSEMBL, SGD

from helixlm.data.formats.gff3 import AnnotationError, GffRow, iter_gff3, parse_attributes, unescape

GENE = b"chr1\tx\tgene\t1\t9\t.\t+\t.\tID=a\n"

words = st.text(alphabet="abcXYZ019._ ;=&,%\t\n|ä", min_size=1, max_size=8).map(
    lambda text: text.strip(" ")
)


def escaped(text):
    """Escape as the specification asks: control characters and ; = % & , in values."""
    return "".join(f"%{ord(c):02X}" if c in ";=%&,\t\n" else c for c in text)


@st.composite
def files(draw):
    """Rows as they should be read, and a file of them as untidy as files are."""
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    rows, text = [], draw(st.sampled_from(["", "\ufeff", f"##gff-version 3.1.26{end}", end]))
    for _ in range(draw(st.integers(1, 5))):
        text += draw(st.sampled_from(["", "", f"# comment\twith\ttabs{end}", f"###{end}", end]))
        start = draw(st.integers(0, 10**9))
        length = draw(st.integers(1, 10**6))
        contig = draw(st.text(alphabet="abc019.|% ", min_size=1, max_size=5)).strip() or "c"
        phase = draw(st.sampled_from([None, 0, 1, 2]))
        strand = draw(st.sampled_from("+-.?"))
        attributes = draw(st.dictionaries(st.sampled_from(["ID", "Note", "x"]), words, max_size=3))
        column = ";".join(f"{key}={escaped(value)}" for key, value in attributes.items())
        column += draw(st.sampled_from(["", ";"])) if column else draw(st.sampled_from([".", ""]))
        place = f"{start + 1}\t{start + length}\t.\t{strand}\t{'.' if phase is None else phase}"
        text += f"{contig.replace('%', '%25')}\tsource\tCDS\t{place}\t{column}{end}"
        rows.append((contig, "CDS", start, start + length, strand, phase, attributes))
    text += draw(st.sampled_from(["", f"##FASTA{end}>x{end}ACGT{end}", f">x{end}ACGT{end}"]))
    return rows, text.encode()


@settings(deadline=None, max_examples=150)
@given(files(), st.sampled_from(["plain", "gzip", "members", "bgzip"]))
def test_any_file_gives_the_rows_it_was_made_of(tmp_path_factory, file, packing):
    expected, content = file
    path = pack(tmp_path_factory.getbasetemp() / "any.gff3", content, packing)
    found = []
    for row in iter_gff3(path):
        attributes = parse_attributes(row.attributes)
        values = {key: unescape(value) for key, value in attributes.items()}
        found.append((*row[1:-1], values))
    assert found == expected


def test_rows_by_hand(tmp_path):
    path = pack(tmp_path / "a.gff", b"#\nchr1\tx\tCDS\t3\t8\t.\t-\t2\tID=a%3Bb\n\n" + GENE, "plain")
    assert list(iter_gff3(str(path))) == [
        GffRow(2, "chr1", "CDS", 2, 8, "-", 2, "ID=a%3Bb"),
        GffRow(4, "chr1", "gene", 0, 9, "+", None, "ID=a"),
    ]


def test_fasta_at_the_end_and_comments_are_left_out(tmp_path):
    rows = list(iter_gff3(pack(tmp_path / "a.gff", SGD.encode(), "gzip")))
    assert len(rows) == 10
    assert rows[-1].line == 12
    assert len(list(iter_gff3(pack(tmp_path / "b.gff", ENSEMBL.encode(), "bgzip")))) == 11


def test_attributes_that_are_not_as_they_should_be():
    assert parse_attributes(" ID=a ; Name = b; c;;Note=") == {"ID": "a", "Name": "b; c", "Note": ""}
    assert parse_attributes("Note=x=y") == {"Note": "x=y"}
    assert parse_attributes(".") == {}


def test_latin_1_is_read(tmp_path):
    path = pack(tmp_path / "a.gff", GENE.replace(b"ID=a", b"Note=M\xfcller"), "plain")
    assert next(iter_gff3(path)).attributes == "Note=Müller"


BAD = {
    "blanks": (GENE.replace(b"\t", b" "), ":1: found 1 column, expected the 9 of GFF3 with tabs "),
    "few": (
        b"chr1\tx\tgene\t1\t9\n",
        ":1: found 5 columns, expected the 9 of GFF3 with tabs bet",
    ),
    "word": (
        GENE + b"a\tx\tCDS\tone\t9\t.\t+\t0\tID=a\n",
        ":2: CDS from 'one' to '9', expected w",
    ),
    "zero": (GENE.replace(b"\t1\t", b"\t0\t"), ":1: gene from '0' to '9', expected whole numbers"),
    "back": (GENE.replace(b"\t1\t", b"\t10\t"), ":1: gene from '10' to '9', expected whole number"),
    "strand": (GENE.replace(b"+", b"1"), ":1: strand '1', expected '+', '-', '.' or '?'"),
    "phase": (GENE.replace(b"+\t.", b"+\t3"), ":1: phase '3', expected 0, 1, 2 or '.'"),
    "gtf": (
        GENE.replace(b"ID=a", b'gene_id "a";'),
        ":1: attributes 'gene_id \"a\";', expected key=value pairs with semicolons between them; "
        "this looks like GTF: convert it with gffread or AGAT",
    ),
    "gff2": (b"##gff-version 2\n" + GENE, ":1: GFF of version 2, expected version 3: convert it"),
    "fasta": (b">chr1\nACGT\n", ":1: found FASTA, expected GFF3"),
    "comments": (b"##gff-version 3\n#\n", ": no feature in the file, expected rows of GFF3"),
    "empty": (b"", ": empty file, expected GFF3"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_bad_files(tmp_path, content, message):
    path = pack(tmp_path / "a.gff3", content, "plain")
    with pytest.raises(AnnotationError) as caught:
        list(iter_gff3(path))
    assert f"{path}{message}" in str(caught.value)


def test_files_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(AnnotationError, match=r"no\.gff: expected a GFF3 file, found nothing"):
        next(iter_gff3(tmp_path / "no.gff"))
    with pytest.raises(AnnotationError, match="expected a GFF3 file, found a folder"):
        next(iter_gff3(tmp_path))
    for packing, found in (("gzip", "ends in the middle"), ("bgzip", "without its end marker")):
        path = pack(tmp_path / "a.gff", GENE * 100, packing)
        path.write_bytes(path.read_bytes()[: -28 if packing == "bgzip" else -9])
        with pytest.raises(AnnotationError, match=found):
            list(iter_gff3(path))
