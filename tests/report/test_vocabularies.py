"""The page and the pictures of vocabularies: strict XML, and the figures can be read back."""

from xml.etree import ElementTree

import numpy as np
import pytest

from helixlm.report.svg import MARGIN
from helixlm.report.vocabularies import (
    coverage_chart,
    lengths_chart,
    overlap_chart,
    pictures,
    render_comparison,
)
from helixlm.tokenizers.bpe import bpe_tokenizer
from helixlm.tokenizers.compare import compare_tokenizers
from helixlm.tokenizers.kmer_overlapping import dnabert_tokenizer

FIRST = bpe_tokenizer([("A", "C"), ("AC", "G")])
SECOND = bpe_tokenizer([("C", "G"), ("A", "C"), ("T", "T")])
EVIL = "<script>&\"'{{ 7*7 }}"
TEXT = ["ACGTNNACGACG", "ACT"]


@pytest.fixture(scope="module")
def two():
    return compare_tokenizers([FIRST, SECOND], TEXT, names=["one", "two"])


def parse(text):
    return ElementTree.fromstring(str(text))


def of_class(svg, name):
    return [e for e in svg.iter() if name in (e.get("class") or "").split()]


def lines_of(svg):
    """The lines of a chart, read back through its own ticks: list of points for each."""
    scales = {}
    for axis, end, shift in (("x", "middle", 0), ("y", "end", 4)):
        ticks = [t for t in of_class(svg, "tick") if end in t.get("class").split()]
        values = [float(t.text.strip(" %k").replace(",", "")) for t in ticks]
        scales[axis] = np.polyfit([float(t.get(axis)) - shift for t in ticks], values, 1)
    lines = []
    for line in of_class(svg, "line"):
        points = [tuple(map(float, p.split(","))) for p in line.get("points").split()]
        if len(points) > 2 or points[0][1] != points[-1][1]:  # not the mark in the legend
            lines.append(
                [(np.polyval(scales["x"], x), np.polyval(scales["y"], y)) for x, y in points]
            )
    return lines


def test_lengths_can_be_read_back(two):
    one, other = lines_of(parse(lengths_chart(two, of_text=False)))
    assert np.allclose(one, [(1, 100 * 4 / 6), (2, 100 / 6), (3, 100 / 6)], atol=0.5)
    assert np.allclose(other, [(1, 100 * 4 / 7), (2, 100 * 3 / 7)], atol=0.5)
    one, other = lines_of(parse(lengths_chart(two, of_text=True)))
    assert np.allclose(one, [(1, 100 * 2 / 6), (2, 100 / 6), (3, 50)], atol=0.5)
    assert np.allclose(other, [(1, 100 * 5 / 9), (2, 100 * 4 / 9)], atol=0.5)


def test_coverage_can_be_read_back(two):
    one, _ = lines_of(parse(coverage_chart(two, key="k", size=(840, 340))))
    assert np.allclose(one, [(0, 0), (1, 900 / 13), (2, 1100 / 13), (3, 100)], atol=0.5)


def test_overlap_shows_each_share_in_its_row(two):
    svg = parse(overlap_chart(two, "written_alike"))
    cells = {t.text: (float(t.get("x")), float(t.get("y"))) for t in of_class(svg, "ink1")}
    cells |= {t.text: (float(t.get("x")), float(t.get("y"))) for t in of_class(svg, "ink2")}
    assert set(cells) == {"30.8 %", "53.8 %"}
    assert cells["30.8 %"][1] < cells["53.8 %"][1]  # the row of the first is above
    assert cells["30.8 %"][0] > cells["53.8 %"][0]
    assert len(list(svg.iter("rect"))) == 4


def test_the_page_is_well_formed_and_says_the_figures(two):
    root = parse(render_comparison(two))
    assert [s.get("id") for s in root.iter("section")] == [
        "figures", "lengths", "coverage", "overlap", "words",
    ]  # fmt: skip
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    links = [a.get("href")[1:] for a in root.find(".//nav").iter("a")]
    assert all(link in ids for link in links)
    rows = ["".join(row.itertext()) for row in root.find(".//section[@id='figures']").iter("tr")]
    assert "Bases per token2.16671.4444" in rows
    text = " ".join("".join(root.itertext()).split())
    assert "2 vocabularies compared On 13 bases in 2 sequences (2 other letters left out)." in text
    assert "not in two" in text


def test_a_single_vocabulary_has_a_page_without_overlap():
    single = compare_tokenizers([FIRST], TEXT, names=["one"])
    root = parse(render_comparison(single))
    assert [s.get("id") for s in root.iter("section")] == [
        "figures",
        "lengths",
        "coverage",
        "words",
    ]
    assert set(pictures(single)) == {"vocabulary-lengths", "text-lengths", "coverage"}


def test_a_vocabulary_that_overlaps_has_no_cost_on_its_page():
    page = render_comparison(compare_tokenizers([dnabert_tokenizer(3)], TEXT, names=["one"]))
    assert "Bases per token" in page
    assert "Bits per base" not in page


def test_names_cannot_bring_markup_in():
    evil = compare_tokenizers([FIRST, SECOND], TEXT, names=[EVIL, "b\x00"])
    root = parse(render_comparison(evil))
    assert not list(root.iter("script"))
    assert EVIL in "".join(root.itertext())
    for picture in pictures(evil).values():
        assert not [e for e in parse(picture).iter() if e.tag.endswith("script")]


def test_pictures_stand_alone(two):
    found = pictures(two)
    assert set(found) == {
        "vocabulary-lengths", "text-lengths", "coverage",
        "jaccard", "written-alike", "placed-alike",
    }  # fmt: skip
    for picture in found.values():
        root = parse(picture)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        (style,) = root.iter("{http://www.w3.org/2000/svg}style")
        assert "--validation" in style.text
        # Where it is shown as an image, padding would push the drawing out of its frame.
        left, top, width, height = map(float, root.get("viewBox").split())
        assert left == top == -MARGIN
        own = style.text.splitlines()[-1]
        assert f"width: {width:g}px; height: {height:g}px;" in own
        assert "padding" not in own
        assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


def test_many_vocabularies_and_long_names_stay_inside_the_drawing():
    names = [f"a very long name of a vocabulary, number {i}" for i in range(8)]
    many = compare_tokenizers([FIRST] * 8, TEXT, names=names)
    for svg in map(parse, [overlap_chart(many, "jaccard"), lengths_chart(many, of_text=True)]):
        width, height = map(float, svg.get("viewBox").split()[2:])
        for text in svg.iter("text"):
            assert 0 <= float(text.get("x")) <= width
            assert 0 <= float(text.get("y")) <= height
