"""The page and the pictures of `helixlm tokenizer report`: vocabularies side by side.

Comes in: a `VocabularyComparison`. Goes out: one HTML page like that of a run, and its drawings
as SVG files that stand alone. Which figures there are is decided in `helixlm.tokenizers.compare`.
"""

from collections.abc import Sequence

from markupsafe import Markup

from helixlm.report.figures import LONGEST, Series, curve_chart, length_chart
from helixlm.report.html import environment, percent_ticks
from helixlm.report.numerals import count, fixed, percent
from helixlm.report.svg import add, drawing, shortened, stand_alone, text_width, to_markup
from helixlm.tokenizers.compare import VocabularyComparison
from helixlm.version import __version__

COLOURS = ("c-validation", "c-neighbour", "c-scratch", "c-unigram", "c-worse", "c-chance")
"""of the lines, in the order of the vocabularies; more than six share them"""

SHARES = (0.25, 0.5, 0.75, 0.9)
"""shares at which the colour of a cell changes"""

_CAPTIONS = {
    "jaccard": "Of the tokens that at least one of the two vocabularies has, those that both have.",
    "written_alike": "Of the bases of the text, those that the vocabulary of the row covers with "
    "tokens that the vocabulary of the column has too: overlap weighted by use.",
    "placed_alike": "Of the bases of the text, those whose token is the same in both, beginning "
    "and ending at the same place. A model sees the same text only so far.",
}

_MEANINGS = (
    (
        "Bits per base, fitted here",
        "What a model costs that knows how often each token comes in this very text and nothing "
        "else: the least that any such model can cost here. Single bases of equal frequency cost "
        "2 bits; longer tokens can cost more, as such a model gives probability to successions of "
        "tokens that no text has.",
    ),
    (
        "Bits per base, other half",
        "The same, but with frequencies from every other sequence, measured on those between: it "
        "charges a vocabulary for entries too rare to be known well. Repeats and neighbouring "
        "sequences are in both halves, so this is no test on another genome.",
    ),
    (
        "Bases per token",
        "How much shorter the text becomes: a model of so many tokens sees so many times its "
        "number of bases.",
    ),
    (
        "Never used",
        "Entries of the vocabulary that stand for bases and that this text never needs: their "
        "embeddings would not be trained by it.",
    ),
)


def render_comparison(comparison: VocabularyComparison) -> str:
    """Return the page as text.

    Parameters
    ----------
    comparison : VocabularyComparison
        One vocabulary or several.

    Returns
    -------
    str
        HTML that is well-formed XML too; characters that XML cannot hold are replaced.
    """
    several = len(comparison.names) > 1
    figures = [
        (words.capitalize(), [_written(value) for value in values])
        for _, words, values in comparison.defined_figures()
    ]
    shown = {words for words, _ in figures}
    in_words = comparison.text_words()
    page = (
        environment()
        .get_template("vocabularies.html.j2")
        .render(
            title=f"{len(comparison.names)} vocabularies compared"
            if several
            else comparison.names[0],
            words=f"On {in_words}.",
            names=comparison.names,
            figures=figures,
            lengths=_lengths(comparison),
            coverage_wide=coverage_chart(comparison, key="coverage-wide", size=(840, 340)),
            coverage_narrow=coverage_chart(comparison, key="coverage-narrow", size=(360, 280)),
            overlaps=[
                (words.capitalize(), overlap_chart(comparison, key), _CAPTIONS[key])
                for key, words, _ in comparison.overlaps()
                if several
            ],
            missing=[(name, comparison.missing(a)) for a, name in enumerate(comparison.names)],
            meanings=[(word, meaning) for word, meaning in _MEANINGS if word in shown],
            version=__version__,
        )
    )
    return page + "\n"


def pictures(comparison: VocabularyComparison) -> dict[str, str]:
    """Return the drawings as SVG files that stand alone, by name without ending."""
    drawn = {
        "vocabulary-lengths": lengths_chart(comparison, of_text=False),
        "text-lengths": lengths_chart(comparison, of_text=True),
        "coverage": coverage_chart(comparison, key="coverage", size=(840, 340)),
    }
    if len(comparison.names) > 1:
        drawn |= {
            key.replace("_", "-"): overlap_chart(comparison, key)
            for key, _, _ in comparison.overlaps()
        }
    return {name: stand_alone(chart) for name, chart in drawn.items()}


def lengths_chart(comparison: VocabularyComparison, *, of_text: bool) -> Markup:
    """Draw the lengths of the tokens of the text, or of the vocabularies, as one line each."""
    series = []
    for number, (name, report) in enumerate(zip(comparison.names, comparison.reports, strict=True)):
        histogram = report.text_lengths if of_text else report.vocabulary_lengths
        total = max(1, sum(histogram.values()))
        shares = [0.0] * LONGEST
        for length, tokens in histogram.items():
            shares[min(length, LONGEST) - 1] += tokens / total
        last = max((k for k, share in enumerate(shares) if share), default=0)
        series.append(_series(name, number, [(k + 1, shares[k]) for k in range(last + 1)]))
    what = "tokens of the text" if of_text else "entries of the vocabulary"
    return curve_chart(
        series,
        key="text-lengths" if of_text else "vocabulary-lengths",
        title=f"Length of the {what}",
        about=f"Share of the {what} by their length in bases; longer ones count as {LONGEST}.",
        x_name=f"bases in a token ({LONGEST}: and more)",
        y_name=f"share of the {what}",
        from_zero=True,
        write=percent,
        ticks=percent_ticks,
        ends=False,
    )


def coverage_chart(
    comparison: VocabularyComparison, *, key: str, size: tuple[float, float]
) -> Markup:
    """Draw the share of the bases that the most used tokens cover, against how many they are."""
    found = list(zip(comparison.names, comparison.reports, strict=True))
    return curve_chart(
        [
            _series(name, number, [(0, 0.0), *enumerate(report.coverage.tolist(), 1)], dots=False)
            for number, (name, report) in enumerate(found)
        ],
        key=key,
        title="Bases that the most used tokens cover",
        about="; ".join(
            f"{name}: half of the bases by {count(report.tokens_for(0.5))} tokens, 90 % by "
            f"{count(report.tokens_for(0.9))}"
            for name, report in found
        )
        + ".",
        x_name="tokens, most used first",
        y_name="share of the bases",
        size=size,
        from_zero=True,
        write=percent,
        ticks=percent_ticks,
        ends=False,
    )


def overlap_chart(comparison: VocabularyComparison, kind: str) -> Markup:
    """Draw one kind of overlap as a table of coloured cells.

    Parameters
    ----------
    comparison : VocabularyComparison
        Several vocabularies.
    kind : str
        A key of `VocabularyComparison.overlaps`.
    """
    words, shares = next((w, s) for key, w, s in comparison.overlaps() if key == kind)
    names = comparison.names
    left = min(130.0, 12 + max(text_width(name) for name in names))
    cell = min(110.0, max(58.0, (360 - left) / len(names)))
    high, top = 38.0, 26.0
    svg = drawing(
        left + cell * len(names),
        top + high * len(names),
        key=kind.replace("_", "-"),
        title=words.capitalize(),
        about="; ".join(
            f"{one} and {other}: {percent(shares[a][b])}"
            for a, one in enumerate(names)
            for b, other in enumerate(names)
            if a != b
        ),
    )
    for b, name in enumerate(names):
        text = shortened(name, cell - 6)
        add(svg, "text", text, x=left + cell * (b + 0.5), y=top - 9, css="tick middle")
    for a, name in enumerate(names):
        text = shortened(name, left - 8)
        add(svg, "text", text, x=left - 8, y=top + high * (a + 0.5) + 4, css="tick end")
        for b, share in enumerate(shares[a]):
            step = sum(share >= bound for bound in SHARES)
            x, y = left + cell * b, top + high * a
            add(
                svg, "rect", x=x + 1, y=y + 1, width=cell - 2, height=high - 2, css=f"fill{step}"
            )  # fmt: skip
            text = "" if a == b else percent(share)
            if text:
                add(svg, "text", text, x=x + cell / 2, y=y + high / 2 + 4, css=f"middle ink{step}")
    return to_markup(svg)


def _lengths(comparison: VocabularyComparison) -> list[tuple[str, Markup, str]]:
    """Return heading, chart and caption of the lengths: one chart for a single vocabulary."""
    if len(comparison.names) == 1:
        (report,) = comparison.reports
        chart = length_chart(
            report.text_lengths,
            report.vocabulary_lengths,
            key="lengths",
            title="How long tokens are",
            about="Share of tokens by their length in bases, in the text and in the vocabulary.",
        )
        caption = "Bars: of all tokens in the text, the share of each length. Dots: the same for "
        return [("In the text and in the vocabulary", chart, caption + "the vocabulary.")]
    return [
        (
            "Entries of the vocabulary",
            lengths_chart(comparison, of_text=False),
            "Of all entries for bases, the share of each length.",
        ),
        (
            "Tokens of the text",
            lengths_chart(comparison, of_text=True),
            "Of all tokens of the text, the share of each length: what a model is given.",
        ),
    ]


def _series(
    name: str, number: int, points: Sequence[tuple[float, float]], *, dots: bool = True
) -> Series:
    return Series(name=name, points=points, css=COLOURS[number % len(COLOURS)], dots=dots)


def _written(value: str | int | float | None) -> str:
    if value is None or isinstance(value, str):
        return value or fixed(None)
    return fixed(value, 4) if isinstance(value, float) else count(value)
