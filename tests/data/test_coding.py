"""Coding sequences: against slow splicing of random models, hand-worked cases, and misfits."""

import csv
import gzip
import logging
import random
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data import gff_files
from tests.data.fasta_files import pack, text_of

from helixlm.data.coding import (
    BOOK_COLUMNS,
    CodingError,
    CodingSequence,
    coding_windows,
    iter_coding_sequences,
    write_book_table,
)
from helixlm.data.formats.annotation import feature_points, read_annotation
from helixlm.data.formats.bed import iter_bed
from helixlm.data.genome import Genome
from helixlm.data.simulate import simulate, small_config
from helixlm.errors import StateError

#      0         1         2         3         4         5
TEXT = "ATGaaCCCGGGTTTATGCATAATGCCCTTTAGGCATTAACCCATTTGGAACCRTATGCCC"
COMPLEMENT = dict(zip("ACGTNRYacgtn", "TGCANYRtgcan", strict=True))


def other_strand(text):
    return "".join(COMPLEMENT[letter] for letter in reversed(text))


@pytest.fixture
def splice(tmp_path):
    """Coding sequences of a GFF3 text on contigs of one text each."""

    def splice(gff, *contigs):
        number = len(list(tmp_path.iterdir()))
        path = tmp_path / f"{number}.fa"
        pack(path, text_of(dict.fromkeys(contigs, TEXT)).encode(), "plain")
        (tmp_path / f"{number}.gff3").write_text(gff)
        with Genome.from_fasta([path], tmp_path / f"{number}.genome") as genome:
            annotation = read_annotation(tmp_path / f"{number}.gff3")
            return list(iter_coding_sequences(genome, annotation))

    return splice


def test_a_base_is_left_out_where_the_ribosome_slips_forward(splice):
    found = {record.transcript_id: record for record in splice(gff_files.SGD, "chrI")}
    assert found["YBL1W-B"].sequence == TEXT[20:26] + TEXT[27:34]
    assert found["YAL1W_mRNA"] == CodingSequence(
        "YAL1W_mRNA", "chrI", 3, 9, "+", "YAL1W", "", "", "ABC1", "Protein of; unknown", "aaCCCG"
    )
    assert found["YDR1C"].sequence == other_strand(TEXT[39:45])


def test_the_reverse_strand_is_read_from_its_own_start(splice):
    (record,) = splice(gff_files.ENSEMBL, "1")
    assert record.sequence == other_strand(TEXT[40:47]) + other_strand(TEXT[14:20])
    assert record[:10] == (
        "ENST01.2",
        "1",
        14,
        47,
        "-",
        "ENSG01.7",
        "protein_coding",
        "protein_coding",
        "OR4F5",
        "olfactory receptor [Source:HGNC Symbol;Acc:HGNC:14825]",
    )


def test_a_base_is_read_twice_where_the_ribosome_slips_back(splice):
    long, short, pseudo, circle = splice(gff_files.NCBI, "NC_1.1")
    assert long.sequence == TEXT[:18]
    assert short.sequence == TEXT[:9] + TEXT[8:14]
    assert pseudo.sequence == other_strand(TEXT[28:34]) + other_strand(TEXT[19:25])
    assert (pseudo.gene_biotype, pseudo.transl_table) == ("pseudogene", 11)
    assert circle.sequence == TEXT[54:] + TEXT[:6]  # the contig is a ring of 60 bases


def test_both_strands_of_one_protein(splice):
    (record,) = splice(gff_files.TRANS_SPLICED, "NC_2.1")
    assert record.sequence == other_strand(TEXT[30:36]) + TEXT[3:9] + TEXT[17:20]
    assert (record.start, record.end, record.strand) == (3, 36, "-")


CDS = "c\tx\tCDS\t{}\t{}\t.\t{}\t{}\tParent=m\n"


def test_the_phase_is_that_of_the_first_segment_in_translation(splice):
    (record,) = splice(CDS.format(4, 9, "-", 0) + CDS.format(20, 27, "-", 2), "c")
    assert record.phase == 2
    (record,) = splice(CDS.format(4, 9, "+", 1) + CDS.format(20, 27, "+", 2), "c")
    assert record.phase == 1
    (record,) = splice(CDS.format(4, 9, "+", "."), "c")
    assert record.phase == 0


@st.composite
def genes(draw):
    """A contig, rows of GFF3 in any order, and what is to come out, spliced slowly."""
    text = draw(st.text(alphabet="ACGTNRYacgtn", min_size=30, max_size=120))
    expected, rows = {}, []
    for i in range(draw(st.integers(1, 3))):
        strand = draw(st.sampled_from("+-"))
        borders = sorted(draw(st.sets(st.integers(0, len(text)), min_size=2, max_size=8)))
        spans = list(zip(borders[::2], borders[1::2], strict=False))
        rows += [f"c\tx\tCDS\t{a + 1}\t{b}\t.\t{strand}\t0\tID=p{i};Parent=t{i}" for a, b in spans]
        whole = "".join(text[a:b] for a, b in spans)
        expected[f"t{i}"] = other_strand(whole) if strand == "-" else whole
    random.Random(draw(st.integers(0, 10**6))).shuffle(rows)
    return text, "\n".join(rows) + "\n", expected


@settings(deadline=None, max_examples=25)
@given(genes())
def test_splicing_is_cutting_and_turning(tmp_path_factory, case):
    text, gff, expected = case
    folder = tmp_path_factory.mktemp("coding")
    fasta = pack(folder / "a.fa", text_of({"c": text}).encode(), "plain")
    (folder / "a.gff3").write_text(gff)
    genome = Genome.from_fasta([fasta], folder / "genome")
    records = iter_coding_sequences(genome, read_annotation(folder / "a.gff3"))
    assert {record.transcript_id: record.sequence for record in records} == expected
    shutil.rmtree(folder)


def test_a_simulated_genome(tmp_path):
    """The simulator plants whole coding sequences, and lists the first bases transcribed."""
    world = simulate(tmp_path / "world", small_config())
    annotation = read_annotation(world.gff3())
    with Genome.from_fasta([world.fasta()], tmp_path / "genome") as genome:
        records = list(iter_coding_sequences(genome, annotation))
        starts = {(row.contig, row.start, row.strand) for row in iter_bed(world.bed("tss"))}
    assert len(records) == len(annotation.genes) > 10
    assert {record.strand for record in records} == {"+", "-"}
    for record in records:
        codons = [record.sequence[i : i + 3].upper() for i in range(0, len(record.sequence), 3)]
        assert codons[0] == "ATG"
        assert [codon in ("TAA", "TAG", "TGA") for codon in codons].index(True) == len(codons) - 1
        assert len(codons[-1]) == 3
    assert set(feature_points(annotation, "transcription_start")) == starts


def test_contigs_that_the_genome_lacks_are_left_out_and_said(splice, caplog):
    gff = CDS.format(4, 9, "+", 0)
    with caplog.at_level(logging.WARNING):
        assert len(splice(gff + gff.replace("c\t", "d\t", 1), "c")) == 1
    assert "1 coding regions are left out, on 1 contigs that" in caplog.text
    assert "no contig 'd': found 'c'" in caplog.text


def test_an_annotation_of_another_genome(splice):
    gff = CDS.format(4, 9, "+", 0)
    with pytest.raises(CodingError, match=r"coding regions on other contigs .*'c': found 'chrc"):
        splice(gff, "chrc")
    with pytest.raises(CodingError, match="found no CDS, expected coding regions of this genome"):
        splice("c\tx\tgene\t1\t9\t.\t+\t.\tID=g\n", "c")
    message = r"coding region of 'm': c:39-61: goes past the end of the contig \(60 bp\), expected"
    with pytest.raises(CodingError, match=message):
        splice(CDS.format(40, 61, "+", 0), "c")
    with pytest.raises(CodingError, match=r"c:3-9: strand '\.', expected '\+' or '-'"):
        splice(CDS.format(4, 9, ".", 0), "c")


def test_windows_of_coding_sequences(splice):
    (record,) = splice(gff_files.ENSEMBL, "1")
    unplaced = CodingSequence("x", "", None, None, "", "", "", "", "", "", "ATGTAA")
    assert list(coding_windows([record, unplaced])) == [
        ("1", 14, 47, record.sequence, "-", "ENST01.2"),
        ("x", 0, 6, "ATGTAA", "+", "x"),
    ]


def test_the_table_of_the_book(splice, tmp_path):
    records = [
        CodingSequence("ENST1.1", "14", 9, 12, "-", "ENSG1.1", "b", "t", "S", 'a, "b"', "ATG"),
        CodingSequence("x", "", None, None, "", "", "", "", "", "", "ATGTAA"),
    ]
    path = tmp_path / "cds.csv.gz"
    assert write_book_table(path, records) == 2
    with gzip.open(path, "rt", newline="") as stream:
        header, *rows = csv.reader(stream)
    # The columns as the book's first chapter names them.
    assert ",".join(header) == (
        "transcript_id,chromosome,start,end,strand,gene_id,gene_biotype,transcript_biotype,"
        "gene_symbol,description,sequence"
    )
    assert tuple(header) == BOOK_COLUMNS
    first = ["ENST1.1", "14", "10", "12", "-1", "ENSG1.1", "b", "t", "S", 'a, "b"', "ATG"]
    assert rows == [first, ["x", *[""] * 9, "ATGTAA"]]


def test_a_table_that_cannot_be_written(tmp_path, small_files):
    small_files(100)
    record = CodingSequence("x", "", None, None, "", "", "", "", "", "", "ATGTAA" * 1000)
    with pytest.raises(StateError, match=r"cds\.csv: cannot be written"):
        write_book_table(tmp_path / "cds.csv", [record])
    assert list(tmp_path.iterdir()) == []
