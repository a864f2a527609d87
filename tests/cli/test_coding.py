"""`helixlm coding` as a user meets it: the table by hand, its join with a corpus, and messages."""

import csv
import gzip
from pathlib import Path

import pyarrow.dataset
import pytest
from tests.data.record_files import letters

HEADER = (  # as the book's first chapter names them
    "transcript_id,chromosome,start,end,strand,gene_id,gene_biotype,transcript_biotype,"
    "gene_symbol,description,sequence"
)
CHR1, CHR2 = letters("one", 300), letters("two", 200)
COMPLEMENT = str.maketrans("ACGTacgt", "TGCAtgca")
# Two transcripts of one gene on the minus strand, with the same ends.
GENES = """\
##gff-version 3
chr1 . gene 11 100 . - . ID=gene:G1;biotype=protein_coding;Name=ABC1;gene_id=G1;description=a, b
chr1 . mRNA 11 100 . - . ID=transcript:T1;Parent=gene:G1;biotype=protein_coding;transcript_id=T1
chr1 . CDS 11 31 . - 0 Parent=transcript:T1
chr1 . CDS 80 100 . - 0 Parent=transcript:T1
chr1 . mRNA 11 100 . - . ID=transcript:T2;Parent=gene:G1;biotype=NMD;transcript_id=T2;version=3
chr1 . CDS 11 31 . - 0 Parent=transcript:T2
chr1 . CDS 62 100 . - 0 Parent=transcript:T2
chr2 . mRNA 1 9 . + . ID=transcript:T3;transcript_id=T3
chr2 . CDS 1 9 . + 0 Parent=transcript:T3
"""
FIRST = (CHR1[10:31] + CHR1[79:100]).translate(COMPLEMENT)[::-1]
SECOND = (CHR1[10:31] + CHR1[61:100]).translate(COMPLEMENT)[::-1]
ROWS = [
    ["T1", "chr1", "11", "100", "-1", "G1", "protein_coding", "protein_coding", "ABC1", "a, b"],
    ["T2.3", "chr1", "11", "100", "-1", "G1", "protein_coding", "NMD", "ABC1", "a, b"],
    ["T3", "chr2", "1", "9", "1", "T3", "", "", "", ""],
]
ROWS = [[*row, text] for row, text in zip(ROWS, (FIRST, SECOND, CHR2[:9]), strict=True)]


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genome.fa").write_text(f">chr1\n{CHR1}\n>chr2\n{CHR2}\n")
    rows = ["\t".join(line.split(" ", 8)) for line in GENES.splitlines()[1:]]
    (tmp_path / "genes.gff3").write_text("\n".join(["##gff-version 3", *rows, ""]))
    return tmp_path


def names(folder):
    """Return the sequence of each row of a corpus by its name."""
    table = pyarrow.dataset.dataset([*folder.glob("*/*.parquet")]).to_table(["name", "sequence"])
    return dict(zip(*(column.to_pylist() for column in table.columns), strict=True))


def test_from_a_genome_and_its_annotation(helixlm, workplace):
    inputs = ["--fasta", "genome.fa", "--gff", "genes.gff3"]
    status, out, err = helixlm("coding", *inputs, "-o", "tables/coding.csv")
    assert status == 0, err
    assert out.splitlines() == [
        "Wrote tables/coding.csv: 3 coding sequences",
        "Next: helixlm prepare --recipe book --fasta genome.fa --gff genes.gff3 -o CORPUS",
    ]
    assert [path.name for path in (workplace / "tables").iterdir()] == ["coding.csv"]
    with Path("tables/coding.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert ",".join(header) == HEADER
    assert rows == ROWS
    held_out = ["--validation-contigs", "chr2", "-o", "corpus"]
    status, _, err = helixlm("prepare", "--recipe", "book", *inputs, *held_out)
    assert status == 0, err
    assert names(workplace / "corpus") == {row[0]: row[-1] for row in ROWS}


def test_from_coding_sequences(helixlm, workplace):
    (workplace / "a.cds.fa").write_text(
        ">ENST1.1 cds chromosome:GRCh38:14:101:220:-1 gene:ENSG1.1 gene_biotype:protein_coding "
        "transcript_biotype:nonsense_mediated_decay gene_symbol:AAA "
        "description:a thing [Source:HGNC Symbol;Acc:HGNC:1]\nATGAAA\nTAG\n"
    )
    (workplace / "b.fa").write_text(">plain\nATGTAG\n>other\nATGTTTTAG\n")
    status, out, err = helixlm("coding", "--cds", "a.cds.fa", "b.fa", "-o", "coding.tsv.gz")
    assert status == 0, err
    assert "Wrote coding.tsv.gz: 3 coding sequences\n" in out
    assert "Next: helixlm prepare --recipe book --cds a.cds.fa b.fa -o CORPUS" in out
    with gzip.open("coding.tsv.gz", "rt") as stream:
        header, first, second, third = stream.read().splitlines()
    assert header.split("\t") == HEADER.split(",")
    assert first.split("\t") == [
        "ENST1.1", "14", "101", "220", "-1", "ENSG1.1", "protein_coding",
        "nonsense_mediated_decay", "AAA", "a thing [Source:HGNC Symbol;Acc:HGNC:1]", "ATGAAATAG",
    ]  # fmt: skip
    assert second.split("\t") == ["plain", *[""] * 9, "ATGTAG"]
    assert third.split("\t") == ["other", *[""] * 9, "ATGTTTTAG"]
    options = ["--cds", "a.cds.fa", "b.fa", "--validation-contigs", "other", "-o", "corpus"]
    status, _, err = helixlm("prepare", "--recipe", "book", *options)
    assert status == 0, err
    assert names(workplace / "corpus") == {
        "ENST1.1": "ATGAAATAG", "plain": "ATGTAG", "other": "ATGTTTTAG",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--cds b.fa -o coding", "coding: expected the name of a table, which ends in .csv, .tsv"),
        ("--fasta genome.fa -o a.csv", "'coding' need an annotation: give GFF3 (--gff)"),
        ("--cds genome.fa --gff genes.gff3 -o a.csv", "inputs: found gff beside cds, and no genom"),
        ("--gff genes.gff3 -o a.csv", "inputs: no sequence: expected fasta, cds or dataset"),
        ("--fasta none.fa --gff genes.gff3 -o a.csv", "none.fa: expected a file to read, found no"),
        ("--fasta short.fa --gff genes.gff3 -o a.csv", "chr1:79-100: goes past the end of the co"),
    ],
)
def test_messages(helixlm, workplace, arguments, message):
    (workplace / "short.fa").write_text(f">chr1\n{CHR1[:90]}\n")
    before = sorted(workplace.iterdir())
    status, _, err = helixlm("coding", *arguments.split())
    assert status == 1
    assert message in err
    assert sorted(workplace.iterdir()) == before, "something was left behind"
