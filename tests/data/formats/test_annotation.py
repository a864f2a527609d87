"""Genes, transcripts and coding regions: as the databases write them, in any order of rows."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data import gff_files

from helixlm.data.formats.annotation import (
    AnnotationError,
    FeaturePoint,
    Gene,
    Segment,
    Transcript,
    feature_points,
    read_annotation,
)


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "a.gff3"
        path.write_text(text)
        return read_annotation(path)

    return read


def summary(annotation):
    """Transcript, gene, and the segments of each coding region."""
    return [
        (region.transcript_id, region.gene_id, [segment[:3] for segment in region.segments])
        for region in annotation.coding_regions()
    ]


def test_sgd(read):
    annotation = read(gff_files.SGD)
    assert list(annotation.genes) == ["YAL1W", "YBL1W-B"]
    assert annotation.genes["YAL1W"] == Gene(
        "YAL1W", "chrI", 3, 9, "+", "", "ABC1", "Protein of; unknown"
    )
    assert annotation.genes["YBL1W-B"].biotype == "transposable_element_gene"
    assert summary(annotation) == [
        ("YAL1W_mRNA", "YAL1W", [(3, 9, "+")]),
        ("YBL1W-B", "YBL1W-B", [(20, 26, "+"), (27, 34, "+")]),
        ("YDR1C", "YDR1C", [(39, 45, "-")]),
    ]


def test_ensembl(read):
    annotation = read(gff_files.ENSEMBL)
    description = "olfactory receptor [Source:HGNC Symbol;Acc:HGNC:14825]"
    assert annotation.genes["gene:ENSG01"] == Gene(
        "ENSG01.7", "1", 10, 50, "-", "protein_coding", "OR4F5", description
    )
    assert annotation.transcripts["transcript:ENST02"] == Transcript(
        "ENST02.1", "gene:ENSG02", "1", 59, 70, "+", "lnc_RNA", "lncRNA"
    )
    (region,) = annotation.coding_regions()
    assert region.segments == (Segment(40, 47, "-", 0), Segment(14, 20, "-", 2))
    assert region.transcript == annotation.transcripts["transcript:ENST01"]
    assert (region.description, region.transl_table) == (description, None)
    exons = annotation.exons("transcript:ENST01")
    assert exons == [Segment(40, 50, "-", None), Segment(10, 20, "-", None)]


def test_ncbi(read):
    annotation = read(gff_files.NCBI)
    assert annotation.circular == {"NC_1.1"}
    assert annotation.transcripts == {}
    assert summary(annotation) == [
        ("NP_1.1", "b1", [(0, 18, "+")]),
        ("NP_2.1", "b1", [(0, 9, "+"), (8, 14, "+")]),
        ("b2", "b2", [(28, 34, "-"), (19, 25, "-")]),
        ("NP_3.1", "b3", [(54, 66, "+")]),
    ]
    first = next(annotation.coding_regions())
    assert (first.gene.symbol, first.gene.biotype) == ("dnaX", "protein_coding")
    assert (first.description, first.transl_table) == ("subunit tau, long", 11)
    assert annotation.genes["gene-b2"].biotype == "pseudogene"
    assert annotation.genes["gene-b3"].symbol == ""


def test_trans_splicing_goes_by_the_order_of_the_file(read):
    annotation = read(gff_files.TRANS_SPLICED)
    assert summary(annotation) == [
        ("NP_9", "rps12", [(30, 36, "-"), (3, 9, "+"), (17, 20, "+")]),
    ]


def test_wormbase(read):
    annotation = read(gff_files.WORMBASE)
    assert annotation.genes["Gene:WBGene1"].symbol == "nlp-40"
    segments = [(8, 11, "+"), (30, 36, "+")]
    assert summary(annotation) == [("Y2a.1", "WBGene1", segments), ("Y2a.2", "WBGene1", segments)]


def test_flybase(read):
    annotation = read(gff_files.FLYBASE)
    segments = [(30, 36, "-"), (8, 11, "-")]
    assert summary(annotation) == [("FBtr01", "FBgn01", segments), ("FBtr02", "FBgn01", segments)]
    assert annotation.exons("FBtr02") == [Segment(4, 20, "-", None)]
    assert [exon.start for exon in annotation.exons("FBtr01")] == [29, 4]


def test_tair(read):
    annotation = read(gff_files.TAIR)
    assert summary(annotation) == [("AT1G1.1", "AT1G1", [(8, 11, "+"), (30, 36, "+")])]
    assert annotation.genes["AT1G1"].symbol == ""


CDS = "c\tx\tCDS\t{}\t{}\t.\t+\t0\t{}\n"
MRNA = "c\tx\tmRNA\t1\t90\t.\t+\t.\tID=m\n"


def test_rows_of_a_transcript_are_one_region_unless_ids_overlap(read):
    apart = MRNA + CDS.format(1, 9, "ID=a;Parent=m") + CDS.format(20, 28, "ID=b;Parent=m")
    assert summary(read(apart)) == [("m", "m", [(0, 9, "+"), (19, 28, "+")])]
    both = apart + CDS.format(25, 30, "ID=a;Parent=m")
    assert summary(read(both)) == [
        ("m", "m", [(0, 9, "+"), (24, 30, "+")]),
        ("m", "m", [(19, 28, "+")]),
    ]
    slipped = MRNA + CDS.format(1, 9, "ID=a;Parent=m") + CDS.format(9, 14, "ID=a;Parent=m")
    assert summary(read(slipped)) == [("m", "m", [(0, 9, "+"), (8, 14, "+")])]


def test_a_row_that_stands_twice_counts_once(read):
    row = CDS.format(1, 9, "Parent=m")
    assert summary(read(MRNA + row + row)) == [("m", "m", [(0, 9, "+")])]


def test_cds_without_parents_are_genes_of_their_own(read):
    text = CDS.format(1, 9, "ID=cds-1;locus_tag=PROKKA_1;product=x") + CDS.format(20, 28, "Name=y")
    text += CDS.format(30, 35, "ID=cds-1") + CDS.format(40, 45, "color=red")
    annotation = read(text + CDS.format(50, 55, "color=red"))
    assert summary(annotation) == [
        ("PROKKA_1", "PROKKA_1", [(0, 9, "+"), (29, 35, "+")]),
        ("y", "y", [(19, 28, "+")]),
        ("CDS of line 4", "CDS of line 4", [(39, 45, "+")]),
        ("CDS of line 5", "CDS of line 5", [(49, 55, "+")]),
    ]
    assert next(annotation.coding_regions()).description == "x"


def test_the_parent_of_a_cds_may_have_no_row(read):
    rows = CDS.format(1, 9, "ID=CDS:x;Parent=Transcript:F56.1;protein_id=CCD1")
    assert summary(read(rows)) == [("F56.1", "F56.1", [(0, 9, "+")])]


def test_copies_on_two_contigs_under_one_id(read):
    row = CDS.format(1, 9, "ID=a;Parent=m")
    regions = list(read(MRNA + row + row.replace("c\t", "d\t", 1)).coding_regions())
    assert [(region.contig, len(region.segments)) for region in regions] == [("c", 1), ("d", 1)]


def test_the_gene_of_a_transcript_within_a_transcript(read):
    text = "c\tx\tgene\t1\t90\t.\t+\t.\tID=g\n"
    text += "c\tx\tmiRNA\t5\t9\t.\t+\t.\tID=mi;Parent=pre\n"
    text += "c\tx\tpre_miRNA\t1\t20\t.\t+\t.\tID=pre;Parent=g\n"
    text += "c\tx\tmRNA\t1\t20\t.\t+\t.\tID=p;Parent=q\nc\tx\tmRNA\t1\t20\t.\t+\t.\tID=q;Parent=p\n"
    annotation = read(text)
    assert annotation.transcripts["mi"].parent == "g"
    assert annotation.transcripts["p"].parent in "pq"  # a ring of parents ends somewhere


def test_features_begin_at_the_base_that_their_strand_says(read):
    annotation = read(gff_files.ENSEMBL)
    points = [FeaturePoint("1", 49, "-"), FeaturePoint("1", 59, "+")]
    assert list(feature_points(annotation, "transcription_start")) == points
    assert list(feature_points(annotation, "gene_start")) == points
    assert list(feature_points(annotation, "translation_start")) == [("1", 46, "-")]
    worm = read(gff_files.WORMBASE)
    assert list(feature_points(worm, "transcription_start")) == [("I", 4, "+"), ("I", 6, "+")]
    assert list(feature_points(worm, "translation_start")) == [("I", 8, "+")]


def test_features_that_are_not_there(read):
    with pytest.raises(AnnotationError, match=r"no transcripts with a strand, expected some for"):
        list(feature_points(read(gff_files.NCBI), "transcription_start"))
    with pytest.raises(AnnotationError, match=r"no genes with a strand, .*choose another kind of"):
        list(feature_points(read(MRNA), "gene_start"))
    with pytest.raises(AnnotationError, match=r"no CDS with a strand"):
        list(feature_points(read(MRNA), "translation_start"))


def test_a_file_without_genes(read):
    with pytest.raises(AnnotationError, match=r"a\.gff3: no gene, transcript or CDS in the file"):
        read("c\tx\trepeat_region\t1\t90\t.\t+\t.\tID=r\n")


@st.composite
def models(draw):
    """Transcripts with exons that do not touch, and the rows that say so, in any order."""
    transcripts, rows = {}, []
    for i in range(draw(st.integers(1, 4))):
        strand = draw(st.sampled_from("+-"))
        borders = sorted(draw(st.sets(st.integers(0, 500), min_size=2, max_size=10)))
        spans = list(zip(borders[::2], borders[1::2], strict=False))
        rows.append(f"c\tx\tgene\t1\t501\t.\t{strand}\t.\tID=g{i}")
        rows.append(f"c\tx\tmRNA\t1\t501\t.\t{strand}\t.\tID=t{i};Parent=g{i}")
        rows += [f"c\tx\tCDS\t{a + 1}\t{b}\t.\t{strand}\t.\tParent=t{i}" for a, b in spans]
        transcripts[f"t{i}"] = [(a, b, strand) for a, b in spans]
        if strand == "-":
            transcripts[f"t{i}"].reverse()
    random.Random(draw(st.integers(0, 10**6))).shuffle(rows)
    return transcripts, "\n".join(rows) + "\n"


@settings(deadline=None, max_examples=80)
@given(models())
def test_the_order_of_rows_does_not_matter(tmp_path_factory, model):
    expected, text = model
    path = tmp_path_factory.getbasetemp() / "any.gff3"
    path.write_text(text)
    annotation = read_annotation(path)
    assert {name: parts for name, _, parts in summary(annotation)} == expected
    assert set(annotation.genes) == {name.replace("t", "g") for name in expected}
