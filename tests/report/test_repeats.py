"""What was kept outside repeats: figures worked by hand, on the page and in the text."""

import re
from xml.etree import ElementTree

import pytest

from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.repeats import GRCH38, RepeatReport, summarize
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import RepeatFreeWindows
from helixlm.report.corpus import describe_corpus, render_corpus
from helixlm.report.repeats import describe_repeats, repeat_rows


def report(contig, length_bp, kept_bp, paper_fraction=None):
    return RepeatReport(
        contig=contig,
        length_bp=length_bp,
        n_bp=length_bp // 10,
        masked_bp=length_bp // 4,
        num_runs=900,
        min_run_bp=1150,
        num_long_runs=300,
        num_stranded=2,
        num_pieces=70,
        kept_bp=kept_bp,
        kept_masked_bp=kept_bp // 5,
        shared_bp=0,
        paper_fraction=paper_fraction,
    )


def test_rows_stand_beside_the_paper():
    length, share = GRCH38["chr13"]
    found = summarize([report("chr13", length, length // 2, share), report("other", 1000, 100)])
    first, second, everything = repeat_rows(found)
    assert (first.paper, first.difference) == ("46 %", "+4.0")
    assert (second.paper, second.difference) == ("\N{EN DASH}", "\N{EN DASH}")
    assert (second.n, second.masked, second.kept_masked) == (0.1, 0.25, 0.2)
    assert (everything.name, everything.counts.num_pieces) == ("all 2", 140)
    assert everything.min_run_bp is None
    assert describe_repeats(found) == [
        "chr13: 50.0 % of 114,364,328 bp kept (the paper: 46 %, difference +4.0 points) in 70 "
        "pieces; N 10.0 %, lower case 25.0 %, 300 of 900 runs of 1,150 bp and more",
        "other: 10.0 % of 1,000 bp kept in 70 pieces; N 10.0 %, lower case 25.0 %, 300 of 900 "
        "runs of 1,150 bp and more",
        "all 2: 50.0 % of 114,365,328 bp kept in 140 pieces; N 10.0 %, lower case 25.0 %, 600 of "
        "1,800 runs",
    ]


def test_a_contig_alone_has_no_sum_and_may_keep_nothing():
    (row,) = repeat_rows(summarize([report("chr1", 1000, 0)]))
    assert row.kept_masked is None
    assert row.difference == "\N{EN DASH}"


@pytest.fixture
def manifest(tmp_path):
    """Pieces of 10 on 43 + 8 bases, of which runs of 5 and 7 give one each, and 8 give none."""
    fasta = tmp_path / "genome.fa"
    contigs = {"chr1": "ttACGTAttttttNN" + "ttACGTACGttttttttttttACGtttt", "chr2": "ACGTACGT"}
    assert [len(text) for text in contigs.values()] == [43, 8]
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    split = SplitConfig(by="block", block_bp=15, validation_fraction=0.5)
    windows = RepeatFreeWindows(length_bp=10, min_run_bp=4)
    return prepare_corpus([Source(fasta=fasta)], tmp_path / "corpus", windows=windows, split=split)


def table_of(page, label):
    region = next(part for part in page.iter("div") if part.get("aria-label") == label)
    return [
        [" ".join("".join(cell.itertext()).split()) for cell in row] for row in region.iter("tr")
    ]


def test_the_page_has_a_table_of_repeats(manifest):
    page = ElementTree.fromstring(render_corpus(manifest).partition("\n")[2])
    header, *rows = table_of(page, "What was kept outside repeats")
    assert [dict(zip(header, row, strict=True)) for row in rows] == [
        {
            "Contig": "chr1",
            "Length, bp": "43",
            "Kept": "46.5 %",  # 20 of 43
            "Threshold, bp": "4",
            "Runs": "2 of 3",
            "Pieces": "2",
            "N": "4.7 %",  # 2 of 43
            "Lower case": "60.5 %",  # 26 of 43
            "Kept lower case": "40.0 %",  # 20 less 5 and 7
        },
        {
            "Contig": "chr2",
            "Length, bp": "8",
            "Kept": "0 %",
            "Threshold, bp": "4",
            "Runs": "1 of 1",
            "Pieces": "0",
            "N": "0 %",
            "Lower case": "0 %",
            "Kept lower case": "\N{EN DASH}",
        },
        {
            "Contig": "all 2",
            "Length, bp": "51",
            "Kept": "39.2 %",
            "Threshold, bp": "\N{EN DASH}",
            "Runs": "3 of 4",
            "Pieces": "2",
            "N": "3.9 %",
            "Lower case": "51.0 %",
            "Kept lower case": "40.0 %",
        },
    ]
    text = " ".join("".join(page.itertext()).split())
    assert "N or an end too near on both sides for a piece: 1." in text
    assert "In the paper" not in text
    lines = describe_corpus(manifest).splitlines()
    assert any(
        re.match(r"  outside repeats, chr1: 46.5 % of 43 bp kept in 2 pieces;", x) for x in lines
    )


def test_the_paper_is_named_where_a_chromosome_of_grch38_is(manifest):
    length, share = GRCH38["chr22"]
    repeats = summarize([report("22", length, length // 2, share)])
    page = ElementTree.fromstring(
        render_corpus(manifest.model_copy(update={"repeats": repeats})).partition("\n")[2]
    )
    header, row = table_of(page, "What was kept outside repeats")
    shown = dict(zip(header, row, strict=True))
    assert (shown["Kept"], shown["In the paper"], shown["Difference"]) == (
        "50.0 %",
        "57 %",
        "\N{MINUS SIGN}7.0",
    )
