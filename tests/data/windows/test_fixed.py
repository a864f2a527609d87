"""Windows on a grid: worked examples of each policy, and runs of N shortened letter by letter."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.data.window_laws import contigs, cut_text, dropped_of, spans_of, windows_of

from helixlm.data.windows import FixedWindows, Window

#         0123456789012345678901
CONTIG = "ACGTacgtACNNNNGTTTRGCA"


@pytest.mark.parametrize(
    ("last", "spans", "dropped"),
    [
        ("drop", [(0, 8), (6, 14), (12, 20)], [(20, 22, "tail")]),
        ("keep", [(0, 8), (6, 14), (12, 20), (18, 22)], []),
        ("shift", [(0, 8), (6, 14), (12, 20), (14, 22)], []),
    ],
)
def test_the_end_of_a_contig(last, spans, dropped):
    found = cut_text(CONTIG, FixedWindows(length_bp=8, step_bp=6, last=last, n="keep"))
    assert spans_of(found) == spans
    assert dropped_of(found) == dropped


@pytest.mark.parametrize("last", ["drop", "keep", "shift"])
def test_a_grid_that_ends_with_the_contig_needs_no_last_window(last):
    found = cut_text("ACGT" * 5, FixedWindows(length_bp=8, step_bp=6, last=last))
    assert (spans_of(found), dropped_of(found)) == ([(0, 8), (6, 14), (12, 20)], [])


@pytest.mark.parametrize(
    ("last", "spans", "dropped"),
    [
        ("drop", [], [(0, 5, "short_contig")]),
        ("keep", [(0, 5)], []),
        ("shift", [], [(0, 5, "short_contig")]),
    ],
)
def test_a_contig_shorter_than_a_window(last, spans, dropped):
    found = cut_text("ACGTA", FixedWindows(length_bp=8, last=last))
    assert (spans_of(found), dropped_of(found)) == (spans, dropped)


@pytest.mark.parametrize(
    ("policy", "spans", "dropped"),
    [
        ({"n": "keep"}, [(0, 5), (5, 10), (10, 15), (15, 20)], [(20, 22, "tail")]),
        (
            {"n": "drop"},
            [(0, 5), (5, 10), (15, 20)],
            [(10, 15, "n_content"), (20, 22, "tail")],
        ),
        (
            {"n": "drop", "max_n_fraction": 0.8},  # 4 of 5
            [(0, 5), (5, 10), (10, 15), (15, 20)],
            [(20, 22, "tail")],
        ),
        (
            {"n": "split"},
            [(0, 5), (5, 10), (14, 19)],
            [(10, 14, "gap"), (19, 22, "tail")],
        ),
        (
            {"n": "split", "iupac": "split"},
            [(0, 5), (5, 10)],
            [
                (10, 14, "gap"),
                (14, 18, "short_piece"),
                (18, 19, "iupac"),
                (19, 22, "short_piece"),
            ],
        ),
        (
            {"n": "drop", "iupac": "n"},
            [(0, 5), (5, 10)],
            [(10, 20, "n_content"), (20, 22, "tail")],
        ),
    ],
    ids=str,
)
def test_policies_for_n_and_other_letters(policy, spans, dropped):
    found = cut_text(CONTIG, FixedWindows(length_bp=5, **policy))
    assert (spans_of(found), dropped_of(found)) == (spans, dropped)


def test_bases_of_a_dropped_window_that_a_neighbour_holds_are_not_dropped():
    #                0         10
    found = cut_text("ACGTACGTANGGGGGGG", FixedWindows(length_bp=6, step_bp=3))
    assert spans_of(found) == [(0, 6), (3, 9)]  # 6-12 and 9-15 hold the N
    assert dropped_of(found) == [(9, 15, "n_content"), (15, 17, "tail")]
    shifted = cut_text("ACGTACGTANGGGGGGG", FixedWindows(length_bp=6, step_bp=3, last="shift"))
    assert spans_of(shifted) == [(0, 6), (3, 9), (11, 17)]
    assert dropped_of(shifted) == [(9, 11, "n_content")]


def test_letters_become_n_in_their_case():
    (window,) = cut_text("ARyNacWk", FixedWindows(length_bp=8, n="keep", iupac="n"))
    assert window == Window("chr1", 0, 8, "ANnNacNn")


def test_shortened_runs_of_n():
    #         0123456789012345678
    contig = "ACNNNNNGTnnnnACGTAC"  # 2 of each run are left: ACNN GTnn ACGT, AC
    found = cut_text(contig, FixedWindows(length_bp=4, n="cap", cap_bp=2))
    assert found[0] == Window("chr1", 0, 4, "ACNN")
    assert [window.sequence for window in windows_of(found)] == ["ACNN", "GTnn", "ACGT"]
    assert spans_of(found) == [(0, 4), (7, 11), (13, 17)]
    assert dropped_of(found) == [(4, 7, "gap"), (11, 13, "gap"), (17, 19, "tail")]
    (window,) = windows_of(cut_text(contig, FixedWindows(length_bp=14, n="cap", cap_bp=2)))
    assert (window.start, window.end, window.sequence) == (0, 19, "ACNNGTnnACGTAC")


@settings(deadline=None, max_examples=300)
@given(contigs, st.integers(1, 8), st.integers(1, 20), st.integers(0, 20), st.booleans())
def test_the_grid_over_a_contig_whose_runs_were_shortened_one_by_one(
    contig, cap, step, more, iupac_is_n
):
    config = FixedWindows(
        length_bp=step + more,
        step_bp=step,
        n="cap",
        cap_bp=cap,
        iupac="n" if iupac_is_n else "keep",
    )
    text = contig.translate(str.maketrans("RYk", "NNn")) if iupac_is_n else contig
    left = [
        place
        for run in re.finditer("[Nn]+|[^Nn]+", text)
        for place in list(range(*run.span()))[: cap if run[0][0] in "Nn" else None]
    ]
    expected = []
    for first in range(0, len(left) - step - more + 1, step):
        places = left[first : first + step + more]
        sequence = "".join(text[place] for place in places)
        expected.append(Window("chr1", places[0], places[-1] + 1, sequence))
    assert windows_of(cut_text(contig, config)) == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"length_bp": 5, "step_bp": 6}, "step_bp 6: expected at most length_bp 5"),
        ({"length_bp": 5, "iupac": "split"}, "iupac 'split': expected n 'split' with it, found"),
        ({"length_bp": 0}, "greater than 0"),
        ({}, "Field required"),
        ({"length_bp": 5, "stride": 2}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_make_no_windows_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        FixedWindows(**fields)
