"""The page of a corpus: strict XML, and its figures are those of the rows."""

import math
import re
import statistics
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from tests.data.record_files import Cds, write_cds, write_table

from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.corpus.weights import WeightConfig
from helixlm.data.haplotypes.alleles import SKIP_REASONS
from helixlm.data.similarity.duplicates import DuplicateConfig
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import FEATURE_REASONS, CodingWindows, FeatureWindows, FixedWindows
from helixlm.report.bars import bar_chart, histogram_chart
from helixlm.report.card import render_card
from helixlm.report.corpus import describe_corpus, render_corpus
from helixlm.report.svg import text_width

GENOMES = {
    "one": {"chr1": "ACGTN" * 60 + "acgta" * 40, "chr2": "GGGCC" * 60},
    "<two>": {"chrA": "AATTC" * 80, "chrB": "ACGTR" * 20},
}


@pytest.fixture
def corpus(tmp_path):
    sources = []
    for number, (species, genome) in enumerate(GENOMES.items()):
        path = tmp_path / f"{number}.fa"
        path.write_text("".join(f">{name}\n{text}\n" for name, text in genome.items()))
        bed = tmp_path / f"{number}.bed"
        bed.write_text("".join(f"{name}\t0\t{len(text)}\n" for name, text in genome.items()))
        sources.append(Source(fasta=path, species=species, group="g & h", bed=bed))
    split = SplitConfig(validation_contigs=("one:chr2",))
    windows = FixedWindows(length_bp=90, last="keep", n="keep")
    prepare_corpus(sources, tmp_path / "corpus", windows=windows, split=split)
    return open_corpus(tmp_path / "corpus")


def test_the_page_of_records(tmp_path):
    cds = write_cds(
        tmp_path / "a.fa", [Cds(f"T{i}", "ACGT", (f"{i % 3}", i, i + 9, "+")) for i in range(9)]
    )
    table = write_table(tmp_path / "b.csv", [Cds(f"x{i}", "ACGTA") for i in range(40)])
    sources = [Source(cds=cds, species="one"), Source(dataset=table, species="two")]
    split = SplitConfig(validation_contigs=("one:2", "two:row7"))
    manifest = prepare_corpus(sources, tmp_path / "c", windows=CodingWindows(), split=split)
    page = ElementTree.fromstring(render_corpus(manifest).partition("\n")[2])
    text = text_of(page)
    assert "9 records, SHA-256" in text
    assert "40 records, SHA-256" in text
    assert "Held out as a whole: one:2." in text
    assert "two:records of no known contig" in text
    assert "What was kept along them" not in text


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def test_the_page_has_the_figures_of_the_rows(corpus):
    page = ElementTree.fromstring(render_corpus(corpus.manifest).partition("\n")[2])
    rows = [row for split in ("train", "validation") for row in corpus.iter_windows(split)]
    text = text_of(page)
    for species, genome in GENOMES.items():
        mine = [row for row in rows if row.contig.startswith(f"{species}:")]
        assert {row.contig.removeprefix(f"{species}:") for row in mine} == set(genome)
        bases = "".join(row.sequence for row in mine)
        gc = sum(bases.upper().count(letter) for letter in "GC")
        known = sum(bases.upper().count(letter) for letter in "ACGT")
        lower = sum(letter.islower() for letter in bases)
        (row,) = [r for r in page.iter("tr") if text_of(r).startswith(f"{species}g & h")]
        cells = [text_of(cell) for cell in row.iter("td")]
        assert cells[:2] == [f"{len(mine)}", f"{len(bases)}"]
        for cell, share in zip(cells[2:4], (lower / len(bases), gc / known), strict=True):
            assert float(cell.removesuffix("%").strip()) == pytest.approx(100 * share, abs=0.06)
        assert "2 contigs, SHA-256" in cells[4]
        assert ".bed" in cells[4]
    assert "Held out as a whole: one:chr2." in text
    bars = next(
        svg for svg in page.iter("svg") if svg.find("desc").get("id") == "contigs-wide-about"
    )
    shown = dict(part.split(": ") for part in bars.find("desc").text.rstrip(".").split("; "))
    assert shown == {
        f"{species}:{contig}": str(len(text))
        for species, genome in GENOMES.items()
        for contig, text in genome.items()
    }
    assert not list(page.iter("script"))
    bars = {text_of(title) for title in page.iter("title")}
    assert any("Length of the windows" in title for title in bars)


def test_weights_of_species_stand_beside_their_names(tmp_path):
    sources = []
    for number, (species, genome) in enumerate(GENOMES.items()):
        path = tmp_path / f"{number}.fa"
        path.write_text("".join(f">{name}\n{text}\n" for name, text in genome.items()))
        sources.append(Source(fasta=path, species=species, weight=1 + number))
    manifest = prepare_corpus(
        sources,
        tmp_path / "corpus",
        windows=FixedWindows(length_bp=50, n="keep"),
        split=SplitConfig(validation_contigs=("one:chr2",)),
        weights=WeightConfig(species_exponent=0),
    )
    page = ElementTree.fromstring(render_corpus(manifest).partition("\n")[2])
    heads = [text_of(head) for head in page.iter("th")]
    # 740 letters other than N and 500: each is multiplied by 620 over its own.
    assert "one for its size \N{MULTIPLICATION SIGN} 0.838" in heads
    assert "<two> weight 2.0 for its size \N{MULTIPLICATION SIGN} 1.24" in heads


def test_settings_are_written_as_words(corpus):
    manifest = corpus.manifest.model_copy(update={"duplicates": DuplicateConfig(remove="near")})
    page = ElementTree.fromstring(render_corpus(manifest).partition("\n")[2])
    names, values = (map(text_of, page.iter(tag)) for tag in ("dt", "dd"))
    found = dict(zip(names, values, strict=True))
    assert found["windows.kind"] == "fixed"
    assert found["split.validation_contigs"] == "one:chr2"
    assert found["duplicates.remove"] == "near"
    assert found["seed"] == "0"
    assert not {"None", "()", ""} & set(found.values())
    assert not any(name.startswith("variants") for name in found)


def test_why_variants_were_left_out_is_said_in_words(corpus):
    first, *others = corpus.manifest.sources
    tallies = first.tallies | {
        "train": first.tallies["train"].model_copy(
            update={"skipped_variants": {"no_end": 7, "no_sequence": 1234}}
        )
    }
    first = first.model_copy(update={"tallies": tallies})
    manifest = corpus.manifest.model_copy(update={"sources": (first, *others)})
    page = ElementTree.fromstring(render_corpus(manifest).partition("\n")[2])
    words = SKIP_REASONS["no_sequence"], SKIP_REASONS["no_end"]
    rows = [[text_of(cell) for cell in row.iter("td")] for row in page.iter("tr")]
    i = rows.index([words[0], "1,234"])
    assert rows[i + 1] == [words[1], "7"]
    assert f"  variants left out, {words[0]}: 1,234" in describe_corpus(manifest).splitlines()
    card = render_card(manifest, "o/n")
    assert f"| {words[0]} | 1,234 |" in card
    for text in (text_of(page), describe_corpus(manifest), card):
        assert not re.search("no_sequence|no_end", text)


def test_features_without_a_window_are_told(tmp_path):
    fasta, gff = tmp_path / "a.fa", tmp_path / "a.gff3"
    fasta.write_text(">a\n" + "ACGTTGCA" * 10 + "\n>b\n" + "CCGAT" * 20 + "\n")
    places = ["a 30 40 +", "a 3 40 +", "a 5 9 .", "a 78 80 +", "b 30 40 -"]
    rows = [place.split() for place in places]
    lines = [
        f"{name}\t.\tmRNA\t{first}\t{last}\t.\t{strand}\t.\tID={number}"
        for number, (name, first, last, strand) in enumerate(rows)
    ]
    gff.write_text("\n".join(["##gff-version 3", *lines, ""]))
    manifest = prepare_corpus(
        [Source(fasta=fasta, gff=gff)],
        tmp_path / "c",
        windows=FeatureWindows(upstream_bp=10, downstream_bp=10),
        split=SplitConfig(validation_contigs=("b",)),
    )
    words = FEATURE_REASONS["off_contig"], FEATURE_REASONS["no_strand"]
    page = ElementTree.fromstring(render_corpus(manifest).partition("\n")[2])
    cells = [[text_of(cell) for cell in row.iter("td")] for row in page.iter("tr")]
    i = cells.index([words[0], "2"])
    assert cells[i + 1] == [words[1], "1"]
    lines = describe_corpus(manifest).splitlines()
    i = lines.index(f"  features without a window of their own: 2 {words[0]}")
    assert lines[i + 1] == f"  features without a window of their own: 1 {words[1]}"
    assert f"| {words[0]} | 2 |\n| {words[1]} | 1 |" in render_card(manifest, "o/n")


def test_where_there_are_no_features_nothing_is_said_of_them(corpus):
    for text in (render_corpus, describe_corpus, lambda manifest: render_card(manifest, "o/n")):
        assert "without a window of their own" not in text(corpus.manifest)


def test_many_contigs_are_counted_where_they_are_not_named(corpus):
    held_out = tuple(f"chr{number}" for number in range(1000))
    manifest = corpus.manifest.model_copy(
        update={"validation_contigs": held_out, "coverage": corpus.manifest.coverage[:1]}
    )
    text = text_of(ElementTree.fromstring(render_corpus(manifest).partition("\n")[2]))
    assert "chr22, chr23 and 976 more." in text
    assert "Shorter contigs that are not drawn: 3." in text


def test_the_text_has_them_too(corpus):
    lines = describe_corpus(corpus.manifest).splitlines()
    rows = list(corpus.iter_windows("train"))
    bases = sum(len(row.sequence) for row in rows)
    assert lines[0].startswith(
        f"{len(rows)} windows with {bases / 1000:.2f} kbp for training and 4"
    )
    assert lines[0].endswith("from 2 genomes in 2 files.")
    whole = sum(found.num_bases for found in corpus.manifest.splits.values())
    found = re.fullmatch(r"  one.*: (\d+) windows, (\d+) bases \((.*) %\)", lines[1])
    one = [row for row in [*rows, *corpus.iter_windows("validation")] if row.contig[:4] == "one:"]
    assert int(found[1]) == len(one)
    assert int(found[2]) == sum(len(text) for text in GENOMES["one"].values())
    assert float(found[3]) == pytest.approx(100 * int(found[2]) / whole, abs=0.06)
    assert re.fullmatch(r"  file .*: 2 contigs, SHA-256 [0-9a-f]{12}", lines[2])
    text = "\n".join(lines)
    assert "  held out: one:chr2\n" in text
    assert "windows.length_bp 90" in text
    every = "".join(row.sequence for row in [*rows, *corpus.iter_windows("validation")]).upper()
    assert f"  letters: A {100 * every.count('A') / len(every):.1f} %, C " in text
    lengths = [len(row.sequence) for row in [*rows, *corpus.iter_windows("validation")]]
    assert len(set(lengths)) > 2
    mean = f"{statistics.mean(lengths):.1f}"
    words = f"indows of {min(lengths)} to {max(lengths)} bp, {mean} bp on average"
    assert f"  w{words}\n" in text
    assert f"W{words}. Bars show" in text_of(
        ElementTree.fromstring(render_corpus(corpus.manifest).partition("\n")[2])
    )


def test_windows_of_one_length_have_that_length(tmp_path):
    (tmp_path / "a.fa").write_text(">a\n" + "ACGTTGCA" * 500 + "\n>b\n" + "CCGAT" * 400 + "\n")
    manifest = prepare_corpus(
        [Source(fasta=tmp_path / "a.fa")],
        tmp_path / "c",
        windows=FixedWindows(length_bp=1000),
        split=SplitConfig(validation_contigs=("b",)),
    )
    assert "  windows of 1,000 bp\n" in describe_corpus(manifest)


def test_bars_are_as_long_as_their_amounts():
    chart = bar_chart([("a", 10), ("bb", 5), ("c", 0)], key="k", title="t", about="b")
    svg = ElementTree.fromstring(str(chart))
    widths = [float(bar.get("width")) for bar in svg.iter("rect")]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert widths[2] == 0
    assert not bar_chart([], key="k", title="t", about="b")


@pytest.mark.parametrize("bins", [{80: 5}, {72: 1, 80: 3}, {0: 1, 40: 2, 140: 7}])
def test_histograms_have_ticks_at_their_places(bins):
    chart = histogram_chart(
        bins, per_octave=8, key="k", title="t", about="b", x_name="bp", y_name="share"
    )
    svg = ElementTree.fromstring(str(chart))
    bars = sorted((float(bar.get("x")), bar) for bar in svg.iter("rect"))
    high = max(float(bar.get("height")) for _, bar in bars)
    for (_, bar), amount in zip(bars, [bins[k] for k in sorted(bins)], strict=True):
        share = amount / max(bins.values())
        assert float(bar.get("height")) == pytest.approx(high * share, abs=0.3)
    ticks = [t for t in svg.iter("text") if t.get("class") == "tick middle"]
    assert 1 <= len(ticks) <= 6
    width = float(svg.get("viewBox").split()[2])
    assert all(0 < float(tick.get("x")) < width for tick in ticks)
    halves = [(float(tick.get("x")), text_width(tick.text) / 2) for tick in ticks]
    assert all(x + half < y - other for (x, half), (y, other) in pairwise(halves))


def test_lengths_have_ticks_enough_to_read_them():
    """As of windows of 256 to 1,023 bp, eight bins an octave."""
    bins = dict.fromkeys(range(64, 80), 1)
    svg = ElementTree.fromstring(
        str(
            histogram_chart(
                bins, per_octave=8, key="k", title="t", about="b", x_name="length, bp", y_name="y"
            )
        )
    )
    ticks = [t for t in svg.iter("text") if t.get("class") == "tick middle"]
    assert [tick.text for tick in ticks] == ["300", "500", "700", "1,000"]
    places = [float(tick.get("x")) for tick in ticks]
    logs = [math.log(value) for value in (300, 500, 700, 1000)]
    steps, expected = ([b - a for a, b in pairwise(values)] for values in (places, logs))
    assert [step / steps[0] for step in steps] == pytest.approx(
        [step / expected[0] for step in expected], rel=0.01
    )


def test_windows_that_are_left_out_are_no_bases_in_no_window(tmp_path):
    path = tmp_path / "a.fa"
    path.write_text(">a\n" + "ACGTTGCA" * 10 + "\n>b\n" + "CCGAT" * 20 + "\n")
    manifest = prepare_corpus(
        [Source(fasta=path)],
        tmp_path / "c",
        windows=FixedWindows(length_bp=20, step_bp=1),
        split=SplitConfig(validation_contigs=("b",)),
        duplicates=DuplicateConfig(remove="exact"),
    )
    # Of 61 and 81 windows of 20 bp one is kept for each place in the repeat of 8 and of 5 letters.
    page = text_of(ElementTree.fromstring(render_corpus(manifest).partition("\n")[2]))
    lost = 20 * (61 + 81) - sum(found.num_bases for found in manifest.splits.values())
    assert manifest.dropped_bases["duplicate"] == lost > 180
    assert f"in windows left out: {lost:,} bases" in page
    assert "in no window: " not in page
    assert "Windows count with all their bases, whether they are kept or left out" in page
