"""Charts: the data are read back from the drawing through its own ticks, and compared."""

import itertools
import math
from xml.etree import ElementTree

import numpy as np
import pytest

from helixlm.report.facts import Interval, MethodScore
from helixlm.report.figures import LONGEST, Reference, Series, curve_chart, length_chart, thinned
from helixlm.report.intervals import gain_chart, score_chart, score_range, verdict
from helixlm.report.numerals import percent

WORDS = {"key": "k", "title": "Title", "about": "About."}


def parse(markup):
    return ElementTree.fromstring(str(markup))


def of_class(svg, name, tag=None):
    found = [e for e in svg.iter() if name in (e.get("class") or "").split()]
    return [e for e in found if tag is None or e.tag == tag]


def number(text):
    scale = 1000 if text.endswith("k") else 0.01 if text.endswith("%") else 1
    return scale * float(text.strip("k %").replace(",", "").replace("\N{MINUS SIGN}", "-"))


def axis(svg, which):
    """Fit value = a * place + b through the ticks of an axis."""
    end = {"x": "middle", "y": "end"}[which]
    ticks = [t for t in of_class(svg, "tick") if end in t.get("class").split()]
    places = [float(t.get(which)) - (4 if which == "y" else 0) for t in ticks]
    slope, offset = np.polyfit(places, [number(t.text) for t in ticks], 1)
    return lambda place: slope * float(place) + offset


def points_of(element):
    return [tuple(map(float, p.split(","))) for p in element.get("points").split()]


CURVE = [(0, 6.9), (250, 6.1), (500, 5.7), (1000, 5.4)]


def draw(points=CURVE, references=(), **rest):
    series = Series(name="validation", points=points, css="c-validation", dots=True)
    return curve_chart([series], references, y_name="loss", **WORDS, **rest)


@pytest.mark.parametrize("size", [(360, 250), (840, 350)])
def test_a_curve_can_be_read_back(size):
    svg = parse(draw(size=size))
    x, y = axis(svg, "x"), axis(svg, "y")
    (line,) = of_class(svg, "line", "polyline")
    read = [(x(a), y(b)) for a, b in points_of(line)]
    assert np.allclose(read, CURVE, rtol=0, atol=(2.5, 0.01))
    dots = [(x(d.get("cx")), y(d.get("cy"))) for d in of_class(svg, "dot", "circle")]
    assert np.allclose(dots, CURVE, rtol=0, atol=(2.5, 0.01))


def test_a_point_by_hand():
    """In a plot from 0 to 1 with ticks at both ends, the middle lies in the middle."""
    svg = parse(draw([(0, 0.0), (1, 0.5), (2, 1.0)], from_zero=True))
    (line,) = of_class(svg, "line", "polyline")
    (x0, y0), (x1, y1), (x2, y2) = points_of(line)
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1)
    assert y1 == pytest.approx((y0 + y2) / 2, abs=0.1)
    assert y0 == 250 - 34  # zero is the axis
    assert y2 == pytest.approx(26 + (216 - 26) * (1 - 1 / 1.05), abs=0.1)  # 5 % of room above


def test_references_are_horizontal_and_at_their_value():
    svg = parse(draw(references=[Reference("neighbours", 5.561, "c-neighbour")]))
    (line,) = of_class(svg, "reference", "line")
    assert line.get("y1") == line.get("y2")
    assert axis(svg, "y")(line.get("y1")) == pytest.approx(5.561, abs=0.01)
    assert [t.text for t in of_class(svg, "label")] == ["validation 5.40", "neighbours 5.56"]


def test_labels_of_equal_lines_do_not_overlap():
    references = [Reference(name, 5.4, "c-chance") for name in "abcd"]
    places = sorted(
        float(t.get("y")) for t in of_class(parse(draw(references=references)), "label")
    )
    assert all(b - a >= 14.9 for a, b in itertools.pairwise(places))


def test_what_is_not_a_number_is_left_out():
    points = [(0, math.nan), (1, 2.0), (2, math.inf), (3, 1.0), (4, None)]
    references = [Reference("none", math.nan, "c-chance")]
    svg = parse(draw(points, references))
    assert len(of_class(svg, "dot", "circle")) == 2
    assert not of_class(svg, "reference", "line")
    assert "nan" not in ElementTree.tostring(svg, encoding="unicode")


def test_nothing_to_draw():
    assert draw([]) == draw([(0, math.nan)]) == ""
    assert length_chart({}, {}, **WORDS) == ""
    assert gain_chart([], metric="MCC", **WORDS) == ""


def test_one_point_is_a_dot():
    svg = parse(draw([(0, 6.9)]))
    assert len(of_class(svg, "dot", "circle")) == 1
    assert not of_class(svg, "line", "polyline")


def test_dots_say_their_value():
    svg = parse(draw())
    assert [d[0].text for d in of_class(svg, "dot", "circle")] == [
        f"validation, step {step}: {loss:.2f}"
        for step, loss in (("0", 6.9), ("250", 6.1), ("500", 5.7), ("1,000", 5.4))
    ]


def test_thinning_keeps_the_mean():
    points = [(k, math.sin(k)) for k in range(1200)]
    few = thinned(points, most=400)
    assert len(few) == 400
    assert np.allclose(np.mean(few, 0), np.mean(points, 0))
    assert thinned(points[:400], most=400) == points[:400]
    assert thinned([]) == []


def test_bars_are_shares():
    text, vocabulary = {1: 10, 3: 30, 4: 60}, {1: 4, 3: 12}
    svg = parse(length_chart(text, vocabulary, **WORDS))
    y = axis(svg, "y")
    bars = of_class(svg, "bar", "rect")[1:]  # the first is the legend
    assert [y(b.get("y")) for b in bars] == pytest.approx([0.1, 0.3, 0.6], abs=0.003)
    bottoms = [float(b.get("y")) + float(b.get("height")) for b in bars]
    assert bottoms == pytest.approx([216, 216, 216], abs=0.11)
    dots = of_class(svg, "dot", "circle")[1:]
    assert [y(d.get("cy")) for d in dots] == pytest.approx([0.25, 0.75], abs=0.003)
    assert bars[2][0].text == f"4 bp: {percent(0.6)} of the text's tokens"


def test_long_tokens_share_the_last_bar():
    svg = parse(length_chart({2: 50, LONGEST: 20, 35: 20, 900: 10}, {}, **WORDS))
    bars = of_class(svg, "bar", "rect")[1:]
    assert len(bars) == 2
    assert axis(svg, "y")(bars[1].get("y")) == pytest.approx(0.5, abs=0.003)
    assert bars[1][0].text.startswith(f"\N{GREATER-THAN OR EQUAL TO}{LONGEST} bp")


def score(method, value, low, high):
    return MethodScore(method=method, score=Interval(value=value, low=low, high=high))


SCORES = (
    score("majority", 0.0, 0.0, 0.0),
    score("kmer", 0.62, 0.57, 0.67),
    score("scratch", 0.58, 0.53, 0.63),
    score("pretrained", 0.7, 0.65, 0.75),
)


def test_scores_can_be_read_back():
    svg = parse(score_chart(SCORES, bounds=score_range(SCORES), metric="MCC", **WORDS))
    x = axis(svg, "x")
    lines = of_class(svg, "interval", "line")[0::3]  # each with two end marks after it
    read = [(x(e.get("x1")), x(e.get("x2"))) for e in lines]
    assert np.allclose(read, [(s.score.low, s.score.high) for s in SCORES], atol=0.003)
    (circle,) = of_class(svg, "mark", "circle")
    assert x(circle.get("cx")) == pytest.approx(0.7, abs=0.003)
    assert circle[0].text == "0.700 [0.650, 0.750]"
    marks = [np.mean(points_of(m), 0) for m in of_class(svg, "mark", "polygon")]
    assert [x(m[0]) for m in marks] == pytest.approx([0.0, 0.62, 0.58], abs=0.003)
    names = [t.text for t in of_class(svg, "label")]
    assert names == ["majority", "k-mers", "from scratch", "pretrained"]
    assert [t.text for t in of_class(svg, "value")] == ["0.000", "0.620", "0.580", "0.700"]


def test_all_tasks_share_one_range():
    below = score("scratch", -0.1, -0.25, 0.02)
    assert score_range([*SCORES, below]) == (-0.25, 0.75)
    assert score_range([]) == (0.0, 1.0)
    assert score_range([score("kmer", math.nan, math.nan, 0.4)]) == (0.0, 0.4)


def test_scores_without_numbers_or_with_other_names():
    odd = (score("<b>" + "x" * 90, 0.4, math.nan, math.nan), score("kmer", math.nan, 0.1, 0.2))
    svg = parse(score_chart(odd, bounds=(0, 1), metric="MCC", **WORDS))
    assert len(of_class(svg, "mark")) == 1
    assert len(of_class(svg, "c-other")) == 1
    assert of_class(svg, "label")[0].text.startswith("<b>xx")
    assert len(of_class(svg, "interval", "line")) == 3


@pytest.mark.parametrize("size", [360, 840])
def test_gains_can_be_read_back(size):
    gains = [
        ("promoter", Interval(value=0.12, low=0.08, high=0.16)),
        ("a name " * 30, Interval(value=0.01, low=-0.02, high=0.04)),
        ("splice", Interval(value=-0.1, low=-0.15, high=-0.05)),
    ]
    svg = parse(gain_chart(gains, metric="MCC", size=size, **WORDS))
    x = axis(svg, "x")
    (zero,) = of_class(svg, "zero", "line")
    assert x(zero.get("x1")) == pytest.approx(0, abs=0.002)
    marks = of_class(svg, "mark", "circle")
    assert [x(m.get("cx")) for m in marks] == pytest.approx([0.12, 0.01, -0.1], abs=0.002)
    assert [m.get("class") for m in marks] == ["mark c-better", "mark c-unclear", "mark c-worse"]
    assert [t.text for t in of_class(svg, "value")] == ["+0.120", "+0.010", "\N{MINUS SIGN}0.100"]


def test_verdicts():
    def of(low, high):
        return verdict(Interval(value=0.0, low=low, high=high))

    assert [
        of(0.01, 0.2),
        of(-0.2, -0.01),
        of(-0.1, 0.1),
        of(0.0, 0.2),
        of(math.nan, math.nan),
    ] == [
        "better",
        "worse",
        "unclear",
        "unclear",
        "unclear",
    ]
