"""Contigs to scale: the shares can be read back from the drawing."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data.corpus.coverage import ContigCoverage
from helixlm.report.contigs import LANES, contigs_chart
from helixlm.report.svg import FONT, stand_alone


@st.composite
def contigs(draw, bin_bp):
    length = draw(st.integers(bin_bp, 12 * bin_bp))
    sizes = [min(bin_bp, length - low) for low in range(0, length, bin_bp)]
    fields = {}
    for one, other in (("train", "validation"), ("n", "softmasked")):
        first = [draw(st.integers(0, size)) for size in sizes]
        second = [draw(st.integers(0, size - a)) for size, a in zip(sizes, first, strict=True)]
        fields |= {one: tuple(first), other: tuple(second)}
    return ContigCoverage(contig=draw(st.text()), length_bp=length, bin_bp=bin_bp, **fields)


drawn = st.integers(1, 400).flatmap(
    lambda bin_bp: st.lists(contigs(bin_bp), min_size=1, max_size=5)
)


def outline(path):
    """The corners of a path of horizontal and vertical steps."""
    steps = re.findall(r"([MHVZ])([-\d.]*),?([-\d.]*)", path)
    assert "".join(re.findall("[A-Za-z]", path)) == "".join(step[0] for step in steps)
    x, y = map(float, steps[0][1:])
    corners = [(x, y)]
    for kind, number, _ in steps[1:-1]:
        x, y = (float(number), y) if kind == "H" else (x, float(number))
        corners.append((x, y))
    return [*corners, corners[0]]


def levels_at(corners, place):
    """Where an outline crosses a vertical line: its foot and its top."""
    crossed = {
        b for (a, b), (c, d) in pairwise(corners) if b == d and min(a, c) < place < max(a, c)
    }
    assert 1 <= len(crossed) <= 2
    return max(crossed), min(crossed)


@settings(deadline=None, max_examples=60)
@given(drawn, st.sampled_from([360, 840]))
def test_the_shares_are_those_of_the_contigs(found, width):
    svg = ElementTree.fromstring(str(contigs_chart(found, key="k", width=width)))
    longest = max(contig.length_bp for contig in found)
    rows = list(svg.iter("g"))
    assert len(rows) == len(found)
    bases_wide = max(float(row.find("rect").get("width")) for row in rows)
    for row, contig in zip(rows, found, strict=True):
        lanes = row.findall("rect")
        paths = {path.get("class").split()[1]: path for path in row.iter("path")}
        # Where there are neither N nor repeats is not drawn as what is in no window.
        assert [rect.get("class") for rect in lanes] == ["nothing", "frame"]
        for rect, lane in zip(lanes, LANES, strict=True):
            left, top, high = (float(rect.get(name)) for name in ("x", "y", "height"))
            scale = bases_wide / longest
            assert float(rect.get("width")) == pytest.approx(contig.length_bp * scale, abs=0.3)
            floor = [0.0] * len(contig.n)
            for field, _, css in lane.kinds:
                counts = getattr(contig, field)
                assert (css in paths) == any(counts)
                for number, bases in enumerate(counts):
                    start = number * contig.bin_bp
                    size = min(contig.bin_bp, contig.length_bp - start)
                    if css in paths and size * scale > 1:
                        corners = outline(paths[css].get("d"))
                        foot, peak = levels_at(corners, left + (start + size / 2) * scale)
                        assert (top + high - foot) / high == pytest.approx(floor[number], abs=0.03)
                        assert (foot - peak) / high == pytest.approx(bases / size, abs=0.03)
                    floor[number] += bases / size
        assert all(path.get("class").startswith("area ") for path in paths.values())


@settings(deadline=None, max_examples=30)
@given(drawn, st.sampled_from([360, 840]))
def test_nothing_is_drawn_outside_or_on_top_of_each_other(found, width):
    svg = ElementTree.fromstring(str(contigs_chart(found, key="k", width=width)))
    _, _, wide, high = map(float, svg.get("viewBox").split())
    for rect in svg.iter("rect"):
        assert 0 <= float(rect.get("x")) <= float(rect.get("x")) + float(rect.get("width")) <= wide
        assert 0 <= float(rect.get("y")) <= high
    assert all(0 <= float(text.get("y")) <= high for text in svg.iter("text"))
    names = [float(row.find("text").get("y")) for row in svg.iter("g")]
    assert all(below - above > FONT for above, below in pairwise(names))
    lanes = [rect for row in svg.iter("g") for rect in row.iter("rect")]
    for above, below in pairwise(lanes):
        assert float(above.get("y")) + float(above.get("height")) < float(below.get("y"))


def test_a_contig_in_words():
    contig = ContigCoverage(
        contig="chr<1>",
        length_bp=1000,
        bin_bp=600,
        n=(100, 0),
        softmasked=(250, 50),
        train=(300, 200),
        validation=(0, 20),
    )
    words = (
        "chr<1>, 1.00 kbp: 50.0 % in training, 2.0 % in validation, 10.0 % N, 30.0 % repeats "
        "(soft-masked)."
    )
    chart = contigs_chart([contig], key="k")
    svg = ElementTree.fromstring(str(chart))
    assert svg.find("desc").text == svg.find("g/title").text == words
    assert "c-repeat" in stand_alone(chart)
    assert not contigs_chart([], key="k")
