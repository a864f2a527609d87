"""Nucleotide Transformer's pieces against the published loader's formula, written slowly."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.window_laws import contigs, cut_text, dropped_of, windows_of

from helixlm.data.windows import PieceWindows


def slow_pieces(contig, chunk_length, overlap):
    """The loader, step by step: pieces with their starts."""
    text = "".join(letter if letter in "ACGT" else "N" for letter in contig.upper())
    number = (len(text) - 2 * overlap) // chunk_length
    if number < 1:
        return []
    text = text[: chunk_length * number + 2 * overlap]
    return [
        (i * chunk_length, text[i * chunk_length : (i + 1) * chunk_length + 2 * overlap])
        for i in range(number)
    ]


@settings(deadline=None, max_examples=300)
@given(contigs, st.integers(1, 60), st.integers(0, 20))
def test_the_published_formula(contig, chunk, overlap):
    found = windows_of(cut_text(contig, PieceWindows(chunk_bp=chunk, overlap_bp=overlap)))
    expected = slow_pieces(contig, chunk, overlap)
    assert [(window.start, window.sequence.upper()) for window in found] == expected
    assert all(window.end - window.start == chunk + 2 * overlap for window in found)


@settings(deadline=None, max_examples=200)
@given(contigs, st.integers(1, 30), st.integers(0, 10))
def test_pieces_with_n_are_left_out_as_dnagrinder_does(contig, chunk, overlap):
    config = PieceWindows(chunk_bp=chunk, overlap_bp=overlap, n="drop")
    found = [
        (window.start, window.sequence.upper()) for window in windows_of(cut_text(contig, config))
    ]
    assert found == [piece for piece in slow_pieces(contig, chunk, overlap) if "N" not in piece[1]]


@pytest.mark.parametrize(
    ("length", "number", "dropped"),
    [
        (6199, 0, [(0, 6199, "short_contig")]),
        (6200, 1, []),
        (12_199, 1, [(6200, 12_199, "tail")]),
        (12_200, 2, []),
    ],
)
def test_the_published_numbers(length, number, dropped):
    found = cut_text("A" * length, PieceWindows())
    assert len(windows_of(found)) == number
    assert dropped_of(found) == dropped
    assert [len(window.sequence) for window in windows_of(found)] == [6200] * number


def test_dnagrinders_pieces_have_12200_bases():
    found = windows_of(cut_text("acgT" * 6100, PieceWindows(chunk_bp=12_000)))
    assert [(w.start, w.end) for w in found] == [(0, 12_200), (12_000, 24_200)]
    assert found[0].sequence == "acgT" * 3050  # the soft mask stays
