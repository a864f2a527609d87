"""Charts of the training and of the tokens, as inline SVG.

Comes in: points, references, lengths. Goes out: markup whose colours are the CSS classes `c-*` of
the page (`templates/style.css`). Which numbers a chart shows is decided in `helixlm.report.html`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup

from helixlm.report.numerals import count, fixed, is_number, percent
from helixlm.report.svg import (
    FONT,
    Scale,
    add,
    add_path,
    drawing,
    padded,
    spread,
    text_width,
    tick_labels,
    tick_values,
    to_markup,
)

MAX_POINTS = 400
"""Points of a line; more are averaged in equal groups."""

LONGEST = 20
"""Tokens of this many bases and more share one bar."""

Points = Sequence[tuple[float, float]]
Size = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Series:
    """A line of a chart."""

    name: str
    points: Points
    css: str
    """Class that colours it, such as ``"c-validation"``."""
    dots: bool = False
    """Mark each point."""


class Reference(NamedTuple):
    """A horizontal line."""

    name: str
    value: float
    css: str


def thinned(points: Points, most: int = MAX_POINTS) -> list[tuple[float, float]]:
    """Average neighbouring points in groups of equal size until no more than `most` are left.

    Examples
    --------
    >>> thinned([(0, 4.0), (1, 2.0), (2, 1.0)], most=2)
    [(0.5, 3.0), (2.0, 1.0)]
    """
    size = -(-len(points) // most)
    groups = [points[i : i + size] for i in range(0, len(points), max(1, size))]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def curve_chart(
    series: Sequence[Series],
    references: Sequence[Reference] = (),
    *,
    key: str,
    title: str,
    about: str,
    x_name: str = "step",
    y_name: str,
    size: Size = (360, 250),
    from_zero: bool = False,
    write: Callable[[float], str] = fixed,
    ticks: Callable[[Sequence[float]], list[str]] = tick_labels,
    ends: bool = True,
) -> Markup:
    """Draw lines over steps with horizontal references, each named at its right end.

    Parameters
    ----------
    series : sequence of Series
        Lines; points that are not finite are left out, and lines without points.
    references : sequence of Reference
        Horizontal lines.
    key, title, about : str
        See `helixlm.report.svg.drawing`.
    x_name, y_name : str
        What the axes are, with unit.
    size : tuple of float
        Width and height of the viewBox.
    from_zero : bool
        Begin the vertical axis at zero.
    write : callable
        Writes the last value of a line beside its name.
    ticks : callable
        Writes the ticks of the vertical axis.
    ends : bool
        Name the lines at their right ends, with the last value; or else in a row above, where the
        ends lie too close together.

    Returns
    -------
    Markup
        The drawing; empty if there is no point at all.
    """
    lines = [
        (s, [(float(x), float(y)) for x, y in s.points if is_number(x) and is_number(y)])
        for s in series
    ]
    lines = [(s, points) for s, points in lines if points]
    references = [r for r in references if is_number(r.value)]
    if not lines:
        return Markup("")
    xs = [x for _, points in lines for x, _ in points]
    ys = [y for _, points in lines for _, y in points] + [r.value for r in references]
    low, high = padded(min(ys), max(ys), from_zero=from_zero)
    labels = [(f"{s.name} {write(points[-1][1])}", points[-1][1], s.css) for s, points in lines]
    labels += [(f"{r.name} {write(r.value)}", r.value, r.css) for r in references]

    width, height = size
    values = tick_values(low, high, most=6 if height > 280 else 5)
    texts = ticks(values)
    left = 8 + max(text_width(text) for text in texts)
    right = width - 20 - max(text_width(text) for text, _, _ in labels) if ends else width - 8
    names = [] if ends else _rows([s for s, _ in lines], width)
    top, bottom = 26.0 + 18 * len(names), height - 34
    x = Scale(min(0.0, *xs), max(1.0, *xs), left, right)
    y = Scale(low, high, bottom, top)

    svg = drawing(width, height, key=key, title=title, about=about)
    add(svg, "text", y_name, x=0, y=12, css="axis-name")
    for value, text in zip(values, texts, strict=True):
        add(svg, "line", x1=left, x2=right, y1=y(value), y2=y(value), css="grid")
        add(svg, "text", text, x=left - 6, y=y(value) + 4, css="tick end")
    _step_axis(svg, x, bottom, x_name, most=3 if ends and width < 500 else 6)
    for reference in references:
        add(
            svg,
            "line",
            x1=left,
            x2=right,
            y1=y(reference.value),
            y2=y(reference.value),
            css=f"reference {reference.css}",
        )
    for line, points in lines:
        places = [(x(a), y(b)) for a, b in thinned(points)]
        if len(places) > 1:
            add_path(svg, places, f"line {line.css}")
        if line.dots or len(points) == 1:
            room = (x.end - x.start) / len(points)  # between two dots
            radius = min(3.2, max(1.5, 0.25 * room))
            for (a, b), (cx, cy) in zip(thinned(points), places, strict=True):
                dot = add(svg, "circle", cx=cx, cy=cy, r=radius, css=f"dot {line.css}")
                add(dot, "title", f"{line.name}, {x_name} {count(a)}: {write(b)}")
    for row, members in enumerate(names):
        for at, line in members:
            level = 29 + 18 * row
            add_path(svg, [(at, level), (at + 16, level)], f"line {line.css}")
            add(svg, "text", line.name, x=at + 21, y=level + 4, css="label")
    if not ends:
        return to_markup(svg)
    wanted = [y(value) for _, value, _ in labels]
    for (text, _, css), at, place in zip(
        labels, wanted, spread(wanted, FONT + 3, top, bottom), strict=True
    ):
        add_path(svg, [(right + 1, at), (right + 7, place), (right + 13, place)], f"leader {css}")
        add(svg, "text", text, x=right + 16, y=place + 4, css="label")
    return to_markup(svg)


def _rows(lines: Sequence[Series], width: float) -> list[list[tuple[float, Series]]]:
    """Place names side by side, in as many rows as they need: (left end, line) by row."""
    rows: list[list[tuple[float, Series]]] = []
    at = width
    for line in lines:
        needed = 21 + text_width(line.name) + 16
        if at + needed > width:
            rows.append([])
            at = 0.0
        rows[-1].append((at, line))
        at += needed
    return rows


def _step_axis(svg: ElementTree.Element, x: Scale, bottom: float, name: str, *, most: int) -> None:
    values = [v for v in tick_values(x.low, x.high, most=most + 1) if v.is_integer()]
    add(svg, "line", x1=x.start, x2=x.end, y1=bottom, y2=bottom, css="axis")
    for value, text in zip(values, tick_labels(values), strict=True):
        add(svg, "line", x1=x(value), x2=x(value), y1=bottom, y2=bottom + 4, css="axis")
        add(svg, "text", text, x=x(value), y=bottom + 16, css="tick middle")
    add(svg, "text", name, x=(x.start + x.end) / 2, y=bottom + 31, css="axis-name middle")


def length_chart(
    text_lengths: Mapping[int, int],
    vocabulary_lengths: Mapping[int, int],
    *,
    key: str,
    title: str,
    about: str,
    size: Size = (360, 250),
) -> Markup:
    """Draw how long tokens are: bars for the tokens of a text, dots for the vocabulary.

    Parameters
    ----------
    text_lengths, vocabulary_lengths : mapping of int to int
        Length in bp -> number of tokens; either may be empty. Each is drawn as shares of its own
        total. Lengths from `LONGEST` up share the last place.
    key, title, about : str
        See `helixlm.report.svg.drawing`.
    size : tuple of float
        Width and height of the viewBox.

    Returns
    -------
    Markup
        The drawing; empty if both are.
    """
    bars, dots = _shares(text_lengths), _shares(vocabulary_lengths)
    if not bars and not dots:
        return Markup("")
    width, height = size
    longest = max([*bars, *dots])
    high = 1.08 * max([*bars.values(), *dots.values()])
    values = tick_values(0, high, most=5)
    texts = [percent(v).replace(".0 ", " ") for v in values]
    left, right = 8 + max(text_width(text) for text in texts), width - 6
    top, bottom = 48.0, height - 34
    slot = (right - left) / longest
    y = Scale(0, high, bottom, top)

    svg = drawing(width, height, key=key, title=title, about=about)
    add(svg, "text", "share of tokens", x=0, y=12, css="axis-name")
    at = 0.0
    for name, css, shown in (
        ("in the text", "bar", bars),
        ("in the vocabulary", "dot c-vocabulary", dots),
    ):
        if shown:
            if css == "bar":
                add(svg, "rect", x=at, y=22, width=10, height=10, css=css)
            else:
                add(svg, "circle", cx=at + 5, cy=27, r=3.6, css=css)
            add(svg, "text", name, x=at + 15, y=31, css="label")
            at += 34 + text_width(name)
    for value, text in zip(values, texts, strict=True):
        add(svg, "line", x1=left, x2=right, y1=y(value), y2=y(value), css="grid")
        add(svg, "text", text, x=left - 6, y=y(value) + 4, css="tick end")
    every = max(1, -(-longest // (12 if width < 500 else 20)))
    for length in range(1, longest + 1):
        middle = left + (length - 0.5) * slot
        name = f"\N{GREATER-THAN OR EQUAL TO}{length}" if length == LONGEST else str(length)
        if length in bars:
            share = bars[length]
            bar = add(
                svg,
                "rect",
                x=middle - 0.36 * slot,
                y=y(share),
                width=0.72 * slot,
                height=bottom - y(share),
                css="bar",
            )
            add(bar, "title", f"{name} bp: {percent(share)} of the text's tokens")
        if length in dots:
            share = dots[length]
            dot = add(svg, "circle", cx=middle, cy=y(share), r=3.6, css="dot c-vocabulary")
            add(dot, "title", f"{name} bp: {percent(share)} of the vocabulary")
        if length % every == 0 or longest <= 12 or length == 1:
            add(svg, "text", name, x=middle, y=bottom + 16, css="tick middle")
    add(svg, "line", x1=left, x2=right, y1=bottom, y2=bottom, css="axis")
    add(
        svg, "text", "bases in a token", x=(left + right) / 2, y=bottom + 31, css="axis-name middle"
    )
    return to_markup(svg)


def _shares(lengths: Mapping[int, int]) -> dict[int, float]:
    total = sum(lengths.values())
    shares: dict[int, float] = {}
    for length, number in sorted(lengths.items()):
        if length > 0 and number > 0:
            place = min(length, LONGEST)
            shares[place] = shares.get(place, 0.0) + number / total
    return shares
