"""Contigs to scale: what each stretch of them is, and in which windows it went.

Comes in: the `ContigCoverage` of the largest contigs. Goes out: one drawing, a row for each contig
with two lanes. The upper one shows the bases in windows, training below and validation on top of
it, on a ground of the colour of what is in no window; the lower one, in an empty frame, N and, on
top of them, repeats. A lane is as high as all bases of a bin.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup

from helixlm.data.corpus.coverage import ContigCoverage
from helixlm.report.numerals import percent, short
from helixlm.report.svg import (
    Scale,
    add,
    drawing,
    shortened,
    text_width,
    tick_labels,
    tick_values,
    to_markup,
)

LOWEST, HIGHEST, ALL_HIGH = 30.0, 90.0, 180.0
"""of a row, where there are many or few, and of all rows between, in units of the viewBox"""
_UNITS = ((1e6, "Mbp"), (1e3, "kbp"), (1.0, "bp"))


class Lane(NamedTuple):
    """A band of a row, on which kinds of bases are stacked."""

    top: float
    """In rows, from the top of the row."""
    high: float
    """In rows."""
    ground: str
    """Class of what is behind them."""
    kinds: tuple[tuple[str, str, str], ...]
    """(field of `ContigCoverage`, what it is called, class that colours it), the lowest first."""


LANES = (
    Lane(
        0.07,
        0.5,
        "nothing",
        (
            ("train", "in training", "c-in-training"),
            ("validation", "in validation", "c-in-validation"),
        ),
    ),
    Lane(
        0.6,
        0.23,
        "frame",
        (("n", "N", "c-gap"), ("softmasked", "repeats (soft-masked)", "c-repeat")),
    ),
)
NEITHER = "in no window"


def contigs_chart(contigs: Sequence[ContigCoverage], *, key: str, width: float = 360) -> Markup:
    """Draw contigs, one below the other, to one scale.

    Parameters
    ----------
    contigs : sequence of ContigCoverage
        Drawn in their order.
    key : str
        See `helixlm.report.svg.drawing`.
    width : float
        Of the viewBox; a third of it at most is for the names.

    Returns
    -------
    Markup
        The drawing; empty if there is no contig.
    """
    if not contigs:
        return Markup("")
    left = min(width / 3, max(text_width(contig.contig) for contig in contigs)) + 8
    longest = max(contig.length_bp for contig in contigs)
    x = Scale(0.0, longest, left, width - 8)
    rows = _legend_rows(width)
    row_high = min(HIGHEST, max(LOWEST, ALL_HIGH / len(contigs)))
    top = 20.0 * len(rows) + 2
    bottom = top + row_high * len(contigs)
    svg = drawing(
        width,
        bottom + 36,
        key=key,
        title="What was kept along the contigs",
        about=" ".join(_in_words(contig) for contig in contigs),
    )
    _draw_legend(svg, rows)
    for row, contig in enumerate(contigs):
        _draw_contig(svg, contig, x, top + row_high * row, row_high)
    factor, unit = next((f, u) for f, u in _UNITS if longest >= f)
    values = tick_values(0.0, longest / factor, most=4 if width < 500 else 8)
    add(svg, "line", x1=left, x2=x.end, y1=bottom, y2=bottom, css="axis")
    for value, text in zip(values, tick_labels(values), strict=True):
        at = x(value * factor)
        add(svg, "line", x1=at, x2=at, y1=bottom, y2=bottom + 4, css="axis")
        add(svg, "text", text, x=at, y=bottom + 16, css="tick middle")
    add(svg, "text", unit, x=(left + x.end) / 2, y=bottom + 31, css="axis-name middle")
    return to_markup(svg)


def _draw_contig(
    svg: ElementTree.Element, contig: ContigCoverage, x: Scale, top: float, high: float
) -> None:
    row = add(svg, "g")
    add(row, "title", _in_words(contig))
    shown = shortened(contig.contig, x.start - 8)
    add(row, "text", shown, x=x.start - 8, y=top + 0.32 * high + 4, css="tick end")
    borders = [*range(0, contig.length_bp, contig.bin_bp), contig.length_bp]
    sizes = [end - start for start, end in pairwise(borders)]
    places = [x(border) for border in borders]
    for lane in LANES:
        y = Scale(0.0, 1.0, top + (lane.top + lane.high) * high, top + lane.top * high)
        add(
            row,
            "rect",
            x=x.start,
            y=y.end,
            width=max(1.0, places[-1] - x.start),
            height=y.start - y.end,
            css=lane.ground,
        )
        floor = [0] * len(sizes)
        for field, _, css in lane.kinds:
            ceiling = [
                below + here for below, here in zip(floor, getattr(contig, field), strict=True)
            ]
            if ceiling != floor:
                low, upper = (
                    [y(bases / size) for bases, size in zip(level, sizes, strict=True)]
                    for level in (floor, ceiling)
                )
                add(row, "path", d=_steps(places, low, upper), css=f"area {css}")
            floor = ceiling


def _steps(borders: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
    """Return the outline of bars that touch: along their tops and back along their feet."""

    def along(levels: Sequence[float], ends: Sequence[float]) -> str:
        text, before = "", ""
        for level, end in zip(levels, ends, strict=True):
            here = f"{round(level, 1):g}"
            if here == before:
                text = text[: text.rindex("H")]
            else:
                text += f"V{here}"
            text += f"H{round(end, 1):g}"
            before = here
        return text

    start = f"M{round(borders[0], 1):g},{round(low[0], 1):g}"
    return start + along(high, borders[1:]) + along(low[::-1], borders[-2::-1]) + "Z"


def _in_words(contig: ContigCoverage) -> str:
    parts = [
        f"{percent(sum(getattr(contig, field)) / contig.length_bp)} {name}"
        for lane in LANES
        for field, name, _ in lane.kinds
    ]
    return f"{contig.contig}, {short(contig.length_bp, 'bp')}: {', '.join(parts)}."


def _legend_rows(width: float) -> list[list[tuple[float, str, str]]]:
    """Place the legend, (left end, name, class), in as many rows as it needs."""
    upper, lower = ([(name, f"area {css}") for _, name, css in lane.kinds] for lane in LANES)
    rows: list[list[tuple[float, str, str]]] = []
    at = width
    for name, css in [*upper, (NEITHER, "nothing"), *lower]:
        needed = 15 + text_width(name) + 14
        if at + needed > width + 14:
            rows.append([])
            at = 0.0
        rows[-1].append((at, name, css))
        at += needed
    return rows


def _draw_legend(
    svg: ElementTree.Element, rows: Sequence[Sequence[tuple[float, str, str]]]
) -> None:
    for number, row in enumerate(rows):
        for at, name, css in row:
            add(svg, "rect", x=at, y=20 * number + 2, width=10, height=10, css=css)
            add(svg, "text", name, x=at + 15, y=20 * number + 11, css="label")
