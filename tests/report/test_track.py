"""The row of masked predictions, against examples laid out by hand."""

import itertools
import math
import statistics

import pytest

from helixlm.report.facts import Feature, MaskedExample, MaskedToken
from helixlm.report.track import LONGEST, MAX_LANES, MAX_TOKENS, RULER_BP, build_track


def make_tokens(texts, start=1000, probability=0.5, guess=""):
    tokens = []
    for text in texts:
        tokens.append(
            MaskedToken(
                token=text,
                start=start,
                end=start + len(text),
                probability=probability,
                guess=guess,
                guess_probability=0.4,
            )
        )
        start += len(text)
    return tuple(tokens)


def make(tokens, *features):
    return build_track(
        MaskedExample(
            contig="c",
            start=1000,
            end=tokens[-1].end if tokens else 1000,
            tokens=tokens,
            features=features,
        )
    )


@pytest.mark.parametrize(
    ("probability", "step", "share"),
    [
        (0.0, 0, "<1"),
        (0.0099, 0, "<1"),
        (0.01, 1, "1"),
        (0.05, 2, "5"),
        (0.2499, 2, "25"),
        (0.25, 3, "25"),
        (0.75, 4, "75"),
        (1.0, 4, "100"),
        (None, None, "\N{EN DASH}"),
        (math.nan, None, "\N{EN DASH}"),
    ],
)
def test_colours_change_at_their_bounds(probability, step, share):
    (cell,) = make(make_tokens(["ACG"], probability=probability)).cells
    assert (cell.step, cell.share) == (step, share)


def test_a_right_and_a_wrong_guess():
    right, wrong, none = (
        make(make_tokens(["TATA"], guess=guess)).cells[0] for guess in ("TATA", "GC", "")
    )
    assert (right.right, right.guess) == (True, "")
    assert (wrong.right, wrong.guess) == (False, "GC")
    assert (none.right, none.guess) == (False, "")
    assert wrong.about == "TATA at 1,000: probability 50.0 %; first guess GC with 40.0 %"


def test_features_lie_over_the_tokens_that_they_touch():
    tokens = make_tokens(["AAAA", "CC", "GGG", "T"])  # 1000, 1004, 1006, 1009, end 1010
    track = make(
        tokens,
        Feature(name="inner", start=1005, end=1006),
        Feature(name="outer", start=1003, end=1009),
    )
    assert [f.feature.name for f in track.features] == ["outer", "inner"]  # by start
    assert track.lanes == (0, 1)
    assert [cell.lanes for cell in track.cells] == [(0, None), (0, 1), (0, None), (None, None)]
    assert [cell.begins for cell in track.cells] == [(0,), (1,), (), ()]
    assert [f.tokens for f in track.features] == [3, 1]
    assert track.cells[1].about.endswith("; in outer, inner")


def test_features_one_after_the_other_share_a_lane():
    track = make(
        make_tokens(["AA", "CC", "GG"]),
        Feature(name="a", start=1000, end=1002),
        Feature(name="b", start=1002, end=1006),
    )
    assert track.lanes == (0, 0)
    assert [cell.lanes for cell in track.cells] == [(0,), (1,), (1,)]


def test_no_more_lanes_than_fit():
    track = make(make_tokens(["ACGT"]), *(Feature(name=n, start=1000, end=1004) for n in "abcde"))
    assert len(track.cells[0].lanes) == MAX_LANES
    assert track.cells[0].begins == (0, 1, 2, 3, 4)
    assert len(track.features) == 5


def test_typical_probability_is_the_geometric_mean():
    probabilities = [0.5, 0.02, 0.9, 0.3]
    tokens = tuple(
        token
        for k, p in enumerate(probabilities)
        for token in make_tokens(["AC"], start=1000 + 2 * k, probability=p)
    )
    track = make(tokens, Feature(name="middle", start=1002, end=1006))
    expected = statistics.geometric_mean(probabilities[1:3])
    assert track.features[0].probability == pytest.approx(expected)
    assert track.overall.probability == pytest.approx(statistics.geometric_mean(probabilities))


def test_tokens_that_were_not_asked_do_not_count():
    tokens = make_tokens(["A"], probability=None) + make_tokens(["C"], 1001, guess="C")
    track = make(tokens, Feature(name="first", start=1000, end=1001))
    assert (track.overall.tokens, track.right) == (1, 1)
    assert track.features[0].probability is None
    assert "not asked" in track.cells[0].about


def test_rulers_keep_their_distance():
    track = make(make_tokens(["ACGTA"] * 100))
    marks = [k for k, cell in enumerate(track.cells) if cell.ruler]
    assert track.cells[0].ruler == "1,000"
    assert [5 * (b - a) for a, b in itertools.pairwise(marks)] == [RULER_BP] * 4


def test_a_long_example_is_cut_and_says_so():
    track = make(make_tokens(["A"] * (MAX_TOKENS + 7)))
    assert (len(track.cells), track.left_out) == (MAX_TOKENS, 7)
    assert track.overall.tokens == MAX_TOKENS + 7


def test_a_long_token_shows_its_ends():
    (cell,) = make(make_tokens(["A" * 500 + "C" * 500])).cells
    assert cell.token == "A" * (LONGEST // 2) + "\N{HORIZONTAL ELLIPSIS}" + "C" * (LONGEST // 2)


def test_an_empty_example():
    track = make(())
    assert (track.cells, track.overall.probability) == ((), None)
