"""Charts of scores with their intervals, as inline SVG.

Comes in: scores of methods on tasks. Goes out: markup whose colours are the CSS classes `c-*` of
the page; every method has a shape of its own besides its colour.
"""

from collections.abc import Sequence
from xml.etree import ElementTree

from markupsafe import Markup

from helixlm.report.facts import Interval, MethodScore
from helixlm.report.numerals import fixed, is_number
from helixlm.report.svg import (
    Scale,
    add,
    drawing,
    padded,
    shortened,
    text_width,
    tick_labels,
    tick_values,
    to_markup,
)

METHODS = {
    "majority": "majority",
    "kmer": "k-mers",
    "scratch": "from scratch",
    "pretrained": "pretrained",
}
"""What the methods are called in a chart."""

_SHAPES: dict[str, tuple[tuple[float, float], ...]] = {
    "majority": ((-4.5, -4.5), (4.5, -4.5), (4.5, 4.5), (-4.5, 4.5)),
    "kmer": ((0, -6), (5.5, 4.5), (-5.5, 4.5)),
    "scratch": ((0, -6), (6, 0), (0, 6), (-6, 0)),
}


def score_range(scores: Sequence[MethodScore]) -> tuple[float, float]:
    """Return the range that holds zero, every score and every interval."""
    ends = [0.0]
    for s in scores:
        ends += [v for v in (s.score.low, s.score.value, s.score.high) if is_number(v)]
    low, high = min(ends), max(ends)
    return low, high if high > low else low + 1.0


def score_chart(
    scores: Sequence[MethodScore],
    *,
    key: str,
    title: str,
    about: str,
    bounds: tuple[float, float],
    metric: str,
    width: float = 360,
) -> Markup:
    """Draw the scores of one task: a row a method, a mark at the mean, a line over the interval.

    Parameters
    ----------
    scores : sequence of MethodScore
        In order.
    key, title, about : str
        See `helixlm.report.svg.drawing`.
    bounds : tuple of float
        Ends of the axis, the same in every chart that is to be compared.
    metric : str
        Name of the axis.
    width : float
        Of the viewBox.

    Returns
    -------
    Markup
        The drawing.
    """
    row, top = 24.0, 6.0
    bottom = top + row * len(scores)
    names = [METHODS.get(s.method, s.method) for s in scores]
    left = 10 + min(110.0, max((text_width(n) for n in names), default=0.0))
    x = Scale(*padded(*bounds, from_zero=bounds[0] == 0), left, width - 52)
    svg = drawing(width, bottom + 36, key=key, title=title, about=about)
    _value_axis(svg, x, top, bottom, metric)
    for number, (s, name) in enumerate(zip(scores, names, strict=True)):
        middle = top + row * (number + 0.5)
        css = f"c-{s.method}" if s.method in METHODS else "c-other"
        label = add(svg, "text", shortened(name, left - 10), x=left - 8, y=middle + 4)
        label.set("class", "label end")
        _interval(svg, x, middle, s.score, css, shape=s.method)
        add(svg, "text", fixed(s.score.value, 3), x=width, y=middle + 4, css="value end")
    return to_markup(svg)


def gain_chart(
    gains: Sequence[tuple[str, Interval]],
    *,
    key: str,
    title: str,
    about: str,
    metric: str,
    size: float = 360,
) -> Markup:
    """Draw the differences of two methods with their intervals, a row a task, around a zero line.

    Parameters
    ----------
    gains : sequence of (name, Interval)
        In order.
    key, title, about : str
        See `helixlm.report.svg.drawing`.
    metric : str
        Name of the axis.
    size : float
        Width of the viewBox; below 500, names stand above their rows.

    Returns
    -------
    Markup
        The drawing; empty without gains.
    """
    if not gains:
        return Markup("")
    ends = [0.0]
    for _, gain in gains:
        ends += [v for v in (gain.low, gain.value, gain.high) if is_number(v)]
    above = size < 500
    row, top = (40.0 if above else 26.0), 6.0
    bottom = top + row * len(gains)
    left = 6.0 if above else 220.0
    low, high = padded(min(ends), max(ends))
    x = Scale(low, high, left, size - 58)
    svg = drawing(size, bottom + 36, key=key, title=title, about=about)
    _value_axis(svg, x, top, bottom, metric)
    add(svg, "line", x1=x(0), x2=x(0), y1=top, y2=bottom, css="zero")
    for number, (name, gain) in enumerate(gains):
        middle = top + row * number + (29 if above else row / 2)
        if above:
            label = shortened(name, size - 8)
            add(svg, "rect", x=0, y=middle - 29, width=text_width(label) + 4, height=20, css="back")
            add(svg, "text", label, x=0, y=middle - 13, css="label")
        else:
            add(svg, "text", shortened(name, left - 14), x=left - 12, y=middle + 4, css="label end")
        _interval(svg, x, middle, gain, f"c-{verdict(gain)}", shape="pretrained")
        text = fixed(gain.value, 3, sign=True)
        add(svg, "text", text, x=size, y=middle + 4, css="value end")
    return to_markup(svg)


def verdict(gain: Interval) -> str:
    """Say whether an interval lies above zero ("better"), below ("worse") or over it ("unclear").

    Examples
    --------
    >>> verdict(Interval(value=0.1, low=0.02, high=0.2))
    'better'
    """
    if is_number(gain.low) and gain.low > 0:
        return "better"
    if is_number(gain.high) and gain.high < 0:
        return "worse"
    return "unclear"


def _value_axis(svg: ElementTree.Element, x: Scale, top: float, bottom: float, name: str) -> None:
    values = tick_values(x.low, x.high, most=5)
    for value, text in zip(values, tick_labels(values), strict=True):
        add(svg, "line", x1=x(value), x2=x(value), y1=top, y2=bottom, css="grid")
        add(svg, "text", text, x=x(value), y=bottom + 15, css="tick middle")
    add(svg, "text", name, x=(x.start + x.end) / 2, y=bottom + 31, css="axis-name middle")


def _interval(
    svg: ElementTree.Element, x: Scale, y: float, interval: Interval, css: str, *, shape: str
) -> None:
    """Draw a mark at the value and a line from low to high, as far as they are numbers."""
    if is_number(interval.low) and is_number(interval.high):
        a, b = x(interval.low), x(interval.high)
        add(svg, "line", x1=a, x2=b, y1=y, y2=y, css=f"interval {css}")
        for end in (a, b):
            add(svg, "line", x1=end, x2=end, y1=y - 4, y2=y + 4, css=f"interval {css}")
    if not is_number(interval.value):
        return
    at = x(interval.value)
    corners = _SHAPES.get(shape)
    if corners is None:
        mark = add(svg, "circle", cx=at, cy=y, r=5.2, css=f"mark {css}")
    else:
        points = " ".join(f"{at + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
        mark = add(svg, "polygon", points=points, css=f"mark {css}")
    text = fixed(interval.value, 3)
    if is_number(interval.low) and is_number(interval.high):
        text += f" [{fixed(interval.low, 3)}, {fixed(interval.high, 3)}]"
    add(mark, "title", text)
