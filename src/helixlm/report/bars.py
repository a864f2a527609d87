"""Bars: amounts by name, and histograms on a logarithmic axis.

Comes in: names and amounts. Goes out: SVG for a page, see `svg.py`.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from helixlm.report.figures import Size
from helixlm.report.numerals import count, percent, short
from helixlm.report.svg import (
    Scale,
    add,
    drawing,
    shortened,
    text_width,
    tick_values,
    to_markup,
)

BAR_HIGH = 24.0


def bar_chart(
    amounts: Sequence[tuple[str, float]],
    *,
    key: str,
    title: str,
    about: str,
    width: float = 360,
    write: Callable[[float], str] = short,
) -> Markup:
    """Draw amounts as horizontal bars, one below the other, each with its name and its figure.

    Parameters
    ----------
    amounts : sequence of (str, float)
        Names and amounts of 0 or more, drawn in their order.
    key, title, about : str
        See `helixlm.report.svg.drawing`.
    width : float
        Of the viewBox; a third of it at most is for the names.
    write : callable
        Writes an amount.

    Returns
    -------
    Markup
        The drawing; empty if there is no amount.
    """
    if not amounts:
        return Markup("")
    texts = [write(amount) for _, amount in amounts]
    left = min(width / 3, max(text_width(name) for name, _ in amounts)) + 8
    right = width - 8 - max(map(text_width, texts))
    most = max(amount for _, amount in amounts) or 1.0
    x = Scale(0.0, most, left, right)
    svg = drawing(width, BAR_HIGH * len(amounts) + 4, key=key, title=title, about=about)
    for row, ((name, amount), text) in enumerate(zip(amounts, texts, strict=True)):
        top = BAR_HIGH * row
        shown = shortened(name, left - 8)
        label = add(svg, "text", shown, x=left - 8, y=top + 16, css="tick end")
        if shown != name:
            add(label, "title", name)
        add(svg, "rect", x=left, y=top + 5, width=x(amount) - left, height=14, css="bar")
        add(svg, "text", text, x=x(amount) + 5, y=top + 16, css="label")
    return to_markup(svg)


def histogram_chart(
    bins: Mapping[int, int],
    *,
    per_octave: int,
    key: str,
    title: str,
    about: str,
    x_name: str,
    y_name: str,
    size: Size = (360, 230),
) -> Markup:
    """Draw a histogram whose bins are equal steps of the logarithm.

    Parameters
    ----------
    bins : mapping of int to int
        Counts by ``floor(per_octave * log2(value))``.
    per_octave : int
        Bins for each doubling.
    key, title, about : str
        See `helixlm.report.svg.drawing`.
    x_name, y_name : str
        What the axes are, with unit.
    size : tuple of float
        Width and height of the viewBox.

    Returns
    -------
    Markup
        The drawing; empty if there is no count.
    """
    total = sum(bins.values())
    if not total:
        return Markup("")
    width, height = size
    low, high = min(bins) - 1, max(bins) + 2
    shares = {number: amount / total for number, amount in bins.items()}
    top, bottom = 24.0, height - 34
    y = Scale(0.0, 1.05 * max(shares.values()), bottom, top)
    values = tick_values(y.low, y.high, most=4)
    texts = [percent(value) for value in values]
    left = 8 + max(map(text_width, texts))
    x = Scale(low, high, left, width - 8)
    svg = drawing(width, height, key=key, title=title, about=about)
    add(svg, "text", y_name, x=0, y=12, css="axis-name")
    for value, text in zip(values, texts, strict=True):
        add(svg, "line", x1=left, x2=x.end, y1=y(value), y2=y(value), css="grid")
        add(svg, "text", text, x=left - 6, y=y(value) + 4, css="tick end")
    for number, share in sorted(shares.items()):
        bar = add(
            svg,
            "rect",
            x=x(number) + 0.5,
            y=y(share),
            width=max(1.0, x(number + 1) - x(number) - 1),
            height=bottom - y(share),
            css="bar",
        )
        first, last = (2 ** ((number + k) / per_octave) for k in (0, 1))
        add(
            bar,
            "title",
            f"{count(math.ceil(first))} to {count(math.ceil(last) - 1)}: {percent(share)}",
        )
    add(svg, "line", x1=left, x2=x.end, y1=bottom, y2=bottom, css="axis")
    least, most = (2 ** (bound / per_octave) for bound in (low, high))
    write = count if most < 100_000 else short
    for value in _round_lengths(least, most):
        at = x(per_octave * math.log2(value))
        add(svg, "line", x1=at, x2=at, y1=bottom, y2=bottom + 4, css="axis")
        add(svg, "text", write(value), x=at, y=bottom + 16, css="tick middle")
    add(svg, "text", x_name, x=(left + x.end) / 2, y=bottom + 31, css="axis-name middle")
    return to_markup(svg)


def _round_lengths(low: float, high: float) -> list[int]:
    """Choose up to six round numbers, spread evenly over a logarithmic axis."""
    if high < 4 * low:
        return [int(value) for value in tick_values(low, high, most=4) if value.is_integer()]
    for steps in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [
            step * 10**power
            for power in range(int(math.log10(high)) + 1)
            for step in steps
            if low <= step * 10**power <= high
        ]
        if len(found) <= 6:
            return found
    return found[:: math.ceil(len(found) / 6)]
