"""An example of masked predictions as a row of cells, one a token.

Comes in: a `MaskedExample`. Goes out: cells with their colour step, what stands under them, and
the features above them, ready for the page; and how well the model does inside each feature.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from helixlm.report.facts import Feature, MaskedExample, MaskedToken
from helixlm.report.numerals import MISSING, count, is_number, percent

STEPS = (0.01, 0.05, 0.25, 0.75)
"""Probabilities of the true token at which the colour of a cell changes."""

MAX_TOKENS = 400
"""Cells of an example that are shown."""

MAX_LANES = 3
"""Features that can be drawn one above the other; the others are in the table only."""

RULER_BP = 100
"""Smallest distance of two coordinates that are written above the cells, bp."""

LONGEST = 24
"""Letters of a token that are shown; of a longer one, its ends are."""


class Cell(NamedTuple):
    """One token of the example."""

    token: str
    step: int | None
    """Colour, 0 (the model did not expect the token) to 4; None if the model was not asked."""
    share: str
    """Probability of the true token in percent, in two or three letters."""
    guess: str
    """The most probable token; empty if it is the true one or unknown."""
    right: bool
    lanes: tuple[int | None, ...]
    """For each lane, the number of the feature that covers this cell."""
    begins: tuple[int, ...]
    """Numbers of the features whose first cell this is."""
    ruler: str
    """Coordinate to write above it; empty for most."""
    about: str
    """Everything in a sentence."""


class FeatureScore(NamedTuple):
    """How well the model expects the tokens that touch a feature."""

    feature: Feature
    tokens: int
    probability: float | None
    """Geometric mean of the true tokens' probability."""


class Track(NamedTuple):
    """An example, ready to be drawn."""

    example: MaskedExample
    cells: tuple[Cell, ...]
    lanes: tuple[int, ...]
    """Of each feature, how many others lie under it; it decides its colour."""
    left_out: int
    """Tokens after the last cell that is shown."""
    features: tuple[FeatureScore, ...]
    overall: FeatureScore
    right: int
    """Tokens that the model's first guess gets right."""


def build_track(example: MaskedExample) -> Track:
    """Lay out an example.

    Parameters
    ----------
    example : MaskedExample
        Tokens in ascending order.

    Returns
    -------
    Track
        Cells in the order of the tokens, at most `MAX_TOKENS`.
    """
    shown = example.tokens[:MAX_TOKENS]
    features = sorted(example.features, key=lambda f: (f.start, -f.end))
    lanes = _lanes(features)
    num_lanes = min(MAX_LANES, max(lanes, default=-1) + 1)
    cells: list[Cell] = []
    begun: set[int] = set()
    next_ruler = shown[0].start if shown else 0
    for token in shown:
        covering = [k for k, f in enumerate(features) if _touches(token, f)]
        begins = tuple(k for k in covering if k not in begun)
        begun.update(begins)
        ruler = ""
        if token.start >= next_ruler:
            ruler, next_ruler = count(token.start), token.start + RULER_BP
        cells.append(
            Cell(
                token=_brief(token.token),
                step=_step(token.probability),
                share=_share(token.probability),
                guess="" if token.guess == token.token else _brief(token.guess),
                right=bool(token.guess) and token.guess == token.token,
                lanes=tuple(
                    next((k for k in covering if lanes[k] == lane), None)
                    for lane in range(num_lanes)
                ),
                begins=begins,
                ruler=ruler,
                about=_about(token, [features[k].name for k in covering]),
            )
        )
    stretch = Feature(name="the whole stretch", start=example.start, end=example.end)
    return Track(
        example=example,
        cells=tuple(cells),
        lanes=tuple(lanes),
        left_out=len(example.tokens) - len(shown),
        features=tuple(_score(f, (t for t in example.tokens if _touches(t, f))) for f in features),
        overall=_score(stretch, example.tokens),
        right=sum(t.guess == t.token for t in example.tokens if t.guess),
    )


def _touches(token: MaskedToken, feature: Feature) -> bool:
    return token.start < feature.end and feature.start < token.end


def _lanes(features: list[Feature]) -> list[int]:
    """Give each feature, in ascending order, the first lane that is free where it begins."""
    free_from: list[int] = []
    lanes = []
    for f in features:
        lane = next((k for k, end in enumerate(free_from) if end <= f.start), len(free_from))
        if lane == len(free_from):
            free_from.append(0)
        free_from[lane] = f.end
        lanes.append(lane)
    return lanes


def _step(probability: float | None) -> int | None:
    if probability is None or not is_number(probability):
        return None
    return sum(probability >= bound for bound in STEPS)


def _share(probability: float | None) -> str:
    if probability is None or not is_number(probability):
        return MISSING
    value = 100 * probability
    return "<1" if value < 1 else f"{value:.0f}"


def _brief(token: str) -> str:
    if len(token) <= LONGEST:
        return token
    half = LONGEST // 2
    return f"{token[:half]}\N{HORIZONTAL ELLIPSIS}{token[-half:]}"


def _about(token: MaskedToken, features: list[str]) -> str:
    text = f"{_brief(token.token)} at {count(token.start)}: "
    if token.probability is None:
        text += "not asked"
    else:
        text += f"probability {percent(token.probability)}"
    if token.guess and token.guess != token.token:
        text += f"; first guess {_brief(token.guess)}"
        if token.guess_probability is not None:
            text += f" with {percent(token.guess_probability)}"
    return text + (f"; in {', '.join(features)}" if features else "")


def _score(feature: Feature, tokens: Iterable[MaskedToken]) -> FeatureScore:
    asked = [t.probability for t in tokens if t.probability is not None]
    asked = [p for p in asked if is_number(p)]
    if not asked:
        return FeatureScore(feature, 0, None)
    logs = [math.log(max(p, 1e-300)) for p in asked]
    return FeatureScore(feature, len(asked), math.exp(sum(logs) / len(logs)))
