"""Scales, ticks and labels, against definitions, scikit-learn and an XML parser."""

import itertools
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from helixlm.report.svg import (
    FONT,
    Scale,
    add,
    add_path,
    clean,
    drawing,
    padded,
    shortened,
    spread,
    text_width,
    tick_labels,
    tick_values,
    to_markup,
)

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


def test_scale_maps_ends_and_middle():
    scale = Scale(5.0, 7.0, 100.0, 0.0)
    assert [scale(v) for v in (5.0, 6.0, 7.0)] == [100.0, 50.0, 0.0]


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 2000, 6, [0, 500, 1000, 1500, 2000]),
        (5.31, 6.93, 5, [5.5, 6.0, 6.5]),
        (0, 1, 3, [0, 0.5, 1]),
        (-0.05, 0.17, 5, [-0.05, 0, 0.05, 0.1, 0.15]),
        (0, 0.0005, 6, [0, 0.0001, 0.0002, 0.0003, 0.0004, 0.0005]),
        (0, 1000, 2, [0, 1000]),
    ],
)
def test_ticks_by_hand(low, high, most, expected):
    assert tick_values(low, high, most=most) == expected


@settings(deadline=None, max_examples=60)
@given(NUMBERS, st.floats(1e-5, 1e6), st.integers(2, 9))
def test_ticks_are_few_round_and_inside(low, width, most):
    assume(width > 1e-6 * abs(low))
    high = low + width
    ticks = tick_values(low, high, most=most)
    assert len(ticks) <= most
    assert all(low - 1e-6 * width <= t <= high + 1e-6 * width for t in ticks)
    steps = np.diff(ticks)
    assert np.allclose(steps, steps[:1] if len(steps) else 0, rtol=1e-6)
    assert len(set(tick_labels(ticks))) == len(ticks)


def test_tick_labels():
    assert tick_labels([]) == []
    assert tick_labels([-0.5, 0.0, 0.5]) == ["\N{MINUS SIGN}0.5", "0", "0.5"]
    assert tick_labels([0.0, 2500.0, 5000.0]) == ["0", "2,500", "5,000"]
    assert tick_labels([0.0, 12500.0, 25000.0]) == ["0", "12.5k", "25.0k"]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(20, 180), min_size=1, max_size=7))
def test_labels_keep_apart_and_move_least(wanted):
    """Without bounds this is isotonic regression on what is left of the distances."""
    placed = spread(wanted, 15, -1000, 1000)
    order = np.argsort(wanted, kind="stable")
    ranks = np.arange(len(wanted))
    expected = IsotonicRegression().fit_transform(ranks, np.array(wanted)[order] - 15 * ranks)
    assert np.allclose(np.array(placed)[order], expected + 15 * ranks, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-50, 300), min_size=1, max_size=12))
def test_labels_stay_inside(wanted):
    placed = sorted(spread(wanted, 15, 20, 180))
    assert placed[0] >= 20 - 1e-9 and placed[-1] <= 180 + 1e-9
    gap = min(15, 160 / max(1, len(wanted) - 1))
    assert all(b - a >= gap - 1e-6 for a, b in itertools.pairwise(placed))


def test_padding_leaves_room():
    assert padded(5.0, 7.0) == pytest.approx((4.9, 7.1))
    assert padded(0.2, 0.4, from_zero=True) == pytest.approx((0.0, 0.42))
    assert padded(-0.1, 0.4, from_zero=True) == pytest.approx((-0.125, 0.425))
    assert padded(3.0, 3.0) == pytest.approx((2.7, 3.3))
    assert padded(0.0, 0.0) == (-1.0, 1.0)


@settings(deadline=None, max_examples=60)
@given(st.text(min_size=1, max_size=60), st.floats(20, 300))
def test_shortened_names_fit_and_keep_both_ends(text, width):
    cut = shortened(text, width)
    assert cut == text or text_width(cut) <= max(width, text_width(text[:1]))
    if len(cut) > 3 and cut != text:
        head, tail = cut.split("\N{HORIZONTAL ELLIPSIS}", 1)
        assert text.startswith(head) and text.endswith(tail)


def test_text_width_counts_wide_letters_whole():
    assert text_width("\N{CJK UNIFIED IDEOGRAPH-9175}") == FONT
    assert text_width("yeast") < text_width("yeasts")


def test_clean_keeps_what_xml_holds():
    assert clean("chr\x00I\x1b[2J\ud800\tok\n\N{GREEK SMALL LETTER ALPHA}") == (
        "chr\ufffdI\ufffd[2J\ufffd\tok\n\N{GREEK SMALL LETTER ALPHA}"
    )


def test_a_drawing_is_xml_and_escapes_everything():
    evil = "<script>alert('x')</script>&\"\x00"
    svg = drawing(100, 50, key="k", title=evil, about=evil)
    add(svg, "text", evil, x=-0.04, y=12.34, css="label end")
    add_path(svg, [(0, 1), (2.26, -0.001)], evil)
    root = ElementTree.fromstring(to_markup(svg))
    assert root.get("viewBox") == "0 0 100 50"
    assert root.get("aria-labelledby") == "k-title k-about"
    title, about, text, line = root
    assert title.text == about.text == text.text == evil.replace("\x00", "\ufffd")
    assert (text.get("x"), text.get("y"), text.get("class")) == ("0", "12.3", "label end")
    assert line.get("points") == "0,1 2.3,0"
