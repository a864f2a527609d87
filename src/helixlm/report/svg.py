"""The parts that every chart is made of: scales, ticks, labels that keep apart, SVG elements.

Comes in: numbers and words. Goes out: an `xml.etree` tree, so that escaping and well-formedness are
the library's, and the text of it. Colours are CSS classes of the page, so a drawing follows light
and dark; sizes are in units of the viewBox, in which a letter is `FONT` high.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup

from helixlm.report.numerals import fixed

FONT = 12.0
"""Height of a chart's letters, in units of its viewBox."""

MARGIN = 8
"""around a picture that stands alone, in units of its viewBox"""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Scale(NamedTuple):
    """Maps [low, high] of the data to [start, end] of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def clean(text: str) -> str:
    r"""Replace what no XML file may hold: control characters and lone surrogates.

    Examples
    --------
    >>> clean("chr\x00I") == "chr\ufffdI"
    True
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def padded(low: float, high: float, *, from_zero: bool = False) -> tuple[float, float]:
    """Widen a range by a twentieth on both sides, so that nothing is drawn on its edge.

    A range of no width gets some. With `from_zero` it holds zero, and begins there if it can.

    Examples
    --------
    >>> padded(5.0, 7.0), padded(0.2, 0.4, from_zero=True)
    ((4.9, 7.1), (0.0, 0.42000000000000004))
    """
    if from_zero:
        low, high = min(0.0, low), max(0.0, high)
    room = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    return (low if from_zero and low == 0 else low - room), high + room


def tick_values(low: float, high: float, *, most: int = 6) -> list[float]:
    """Choose round numbers inside [low, high]: multiples of 1, 2, 2.5 or 5 times a power of ten.

    Parameters
    ----------
    low, high : float
        Bounds, low < high.
    most : int
        How many at most, at least 2.

    Returns
    -------
    list of float
        Ascending; the smallest round step that gives no more than `most`.

    Examples
    --------
    >>> tick_values(0, 2000), tick_values(5.31, 6.93, most=5)
    ([0.0, 500.0, 1000.0, 1500.0, 2000.0], [5.5, 6.0, 6.5])
    """
    assert low < high and most >= 2
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    slack = 1e-9 * (high - low)
    for factor in (1, 2, 2.5, 5, 10, 20):  # 20 where the logarithm was rounded down
        step = factor * power
        first, last = math.ceil((low - slack) / step), math.floor((high + slack) / step)
        if last - first < most:
            break
    return [float(f"{k * step:.12g}") + 0.0 for k in range(first, last + 1)]


def tick_labels(values: Sequence[float]) -> list[str]:
    """Write ticks with as many decimals as tell them apart; thousands as k where all are large.

    Examples
    --------
    >>> tick_labels([0.0, 0.25, 0.5]), tick_labels([0.0, 50000.0, 100000.0])
    (['0', '0.25', '0.50'], ['0', '50k', '100k'])
    """
    if not values:
        return []
    if max(abs(v) for v in values) >= 10_000 and all(v % 100 == 0 for v in values):
        texts = tick_labels([v / 1000 for v in values])
        return [text if v == 0 else f"{text}k" for v, text in zip(values, texts, strict=True)]
    digits = next(d for d in range(13) if all(abs(round(v, d) - v) < 1e-12 for v in values))
    return [fixed(v, digits if v else 0) for v in values]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels along a line as little as possible so that they keep a distance.

    Parameters
    ----------
    wanted : sequence of float
        Where each label should stand, in any order.
    gap : float
        Smallest distance of two labels.
    low, high : float
        Bounds; where there is no room for all, the distance shrinks.

    Returns
    -------
    list of float
        Where each stands: the least-squares solution, bounded.

    References
    ----------
    Isotonic regression by pooling adjacent violators: Barlow et al. (1972), Statistical Inference
    under Order Restrictions.
    """
    if len(wanted) > 1:
        gap = min(gap, (high - low) / (len(wanted) - 1))
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    pools: list[tuple[float, int]] = []  # mean of wanted - rank * gap, members
    for rank, i in enumerate(order):
        pools.append((wanted[i] - rank * gap, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (b, m), (a, n) = pools.pop(), pools.pop()
            pools.append(((a * n + b * m) / (n + m), n + m))
    placed = [0.0] * len(wanted)
    rank = 0
    for mean, members in pools:
        bounded = min(max(mean, low), high - (len(wanted) - 1) * gap)
        for _ in range(members):
            placed[order[rank]] = bounded + rank * gap
            rank += 1
    return placed


def text_width(text: str, size: float = FONT) -> float:
    """Estimate how wide a text is in a common sans-serif; wide (CJK) letters count one em."""
    ems = sum(1.0 if unicodedata.east_asian_width(c) in "WF" else 0.57 for c in text)
    return ems * size


def shortened(text: str, width: float, size: float = FONT) -> str:
    """Cut a text in its middle so that it fits; both ends of a long name tell it apart."""
    if text_width(text, size) <= width:
        return text
    keep = len(text)
    while keep > 2 and text_width(cut := _cut(text, keep), size) > width:
        keep -= 1
    return cut if keep > 2 else text[:1]


def _cut(text: str, keep: int) -> str:
    head = (keep + 1) // 2
    return (
        f"{text[:head].rstrip()}\N{HORIZONTAL ELLIPSIS}{text[len(text) - keep + head :].lstrip()}"
    )


def drawing(
    width: float, height: float, *, key: str, title: str, about: str
) -> ElementTree.Element:
    """Begin a drawing that scales with the page and says to a screen reader what it shows.

    Parameters
    ----------
    width, height : float
        Of the viewBox.
    key : str
        Unique on the page: letters, digits, hyphens.
    title, about : str
        What a reader who cannot see it should know.

    Returns
    -------
    Element
        The svg element.
    """
    svg = ElementTree.Element(
        "svg",
        {
            "viewBox": f"0 0 {width:g} {height:g}",
            "role": "img",
            "aria-labelledby": f"{key}-title {key}-about",
            "class": "chart",
            "style": f"--w:{width:g}",
        },
    )
    for tag, text in (("title", title), ("desc", about)):
        add(svg, tag, text, id=f"{key}-{'title' if tag == 'title' else 'about'}")
    return svg


def add(
    parent: ElementTree.Element, tag: str, text: str = "", **attributes: str | float
) -> ElementTree.Element:
    """Append an element; numbers are written with at most one decimal.

    ``css="a b"`` sets the class, and an underscore in a name stands for a hyphen.
    """
    written = {
        "class" if name == "css" else name.replace("_", "-"): clean(value)
        if isinstance(value, str)
        else _plain(value)
        for name, value in attributes.items()
    }
    child = ElementTree.SubElement(parent, tag, written)
    if text:
        child.text = clean(text)
    return child


def _plain(value: float) -> str:
    """Write a coordinate with at most one decimal; never "-0"."""
    return f"{round(value, 1) + 0.0:g}"


def add_path(
    parent: ElementTree.Element, points: Sequence[tuple[float, float]], css: str
) -> ElementTree.Element:
    """Append a line through points of the drawing."""
    steps = " ".join(f"{_plain(x)},{_plain(y)}" for x, y in points)
    return add(parent, "polyline", points=steps, css=css)


def to_markup(svg: ElementTree.Element) -> Markup:
    """Return the text of a drawing, marked as safe to put into a page."""
    return Markup(ElementTree.tostring(svg, encoding="unicode"))


def stand_alone(chart: Markup) -> str:
    """Make a file of a drawing: with a name space, a size, a margin and the style of the page."""
    style = (files("helixlm.report") / "templates" / "style.css").read_text(encoding="utf-8")
    svg = ElementTree.fromstring(str(chart))
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    width, height = width + 2 * MARGIN, height + 2 * MARGIN
    # The margin is in the viewBox: what CSS adds around it is cut off where a page shows the file.
    svg.set("viewBox", f"{-MARGIN} {-MARGIN} {width:g} {height:g}")
    svg.set("xmlns", "http://www.w3.org/2000/svg")
    own = f"svg.chart {{ width: {width:g}px; height: {height:g}px; max-width: none; "
    own += "background: var(--card); font-family: sans-serif; }"
    sheet = ElementTree.Element("style")
    sheet.text = f"{style}\n{own}"
    svg.insert(0, sheet)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"
