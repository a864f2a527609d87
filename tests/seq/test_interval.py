"""Interval algebra against sets of single bases, the definition of what it does."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.seq.alphabet import DNA
from helixlm.seq.interval import (
    Interval,
    IntervalError,
    bases_before,
    intersect,
    merge,
    merge_spans,
    on_circle,
    overlaps,
    reverse_strand,
    subtract,
)
from helixlm.seq.ops import reverse_complement


@st.composite
def interval_lists(draw):
    rows = draw(
        st.lists(
            st.tuples(st.sampled_from("xyz"), st.integers(0, 30), st.integers(0, 8)), max_size=12
        )
    )
    return [Interval(contig, start, start + length) for contig, start, length in rows]


def bases(intervals):
    """The definition: the single bases that intervals cover."""
    return {(i.contig, base) for i in intervals for base in range(i.start, i.end)}


def is_tidy(intervals):
    """Sorted within contigs, each contig in one run, with a gap before the next."""
    contigs = [interval.contig for interval in intervals]
    assert contigs == sorted(contigs, key=contigs.index)
    for left, right in itertools.pairwise(intervals):
        assert left.contig != right.contig or left.end < right.start
    return all(interval.start < interval.end for interval in intervals)


@settings(deadline=None, max_examples=100)
@given(interval_lists(), interval_lists())
def test_against_sets_of_bases(left, right):
    assert bases(merge(left)) == bases(left)
    assert bases(intersect(left, right)) == bases(left) & bases(right)
    assert bases(subtract(left, right)) == bases(left) - bases(right)
    assert is_tidy(merge(left))
    assert is_tidy(intersect(left, right))
    assert is_tidy(subtract(left, right))
    expected = [bool(bases([interval]) & bases(right)) for interval in left]
    assert overlaps(left, right).tolist() == expected


@settings(deadline=None, max_examples=100)
@given(interval_lists(), st.lists(st.integers(-5, 50), max_size=9))
def test_bases_before_positions_are_counted(intervals, positions):
    here = [interval for interval in intervals if interval.contig == "x"]
    starts, ends = np.array([i[1:] for i in here], np.int64).reshape(-1, 2).T
    found = bases_before(merge_spans((starts, ends)), np.array(positions, np.int64))
    assert found.tolist() == [sum(base < p for _, base in bases(here)) for p in positions]


@settings(deadline=None, max_examples=50)
@given(interval_lists(), st.integers(0, 5))
def test_merging_over_gaps(intervals, gap_bp):
    merged = merge(intervals, gap_bp)
    assert bases(intervals) <= bases(merged)
    for left, right in itertools.pairwise(merged):
        assert left.contig != right.contig or right.start - left.end > gap_bp
    # What was added lies between two bases that were there, not more than gap_bp apart.
    for contig, base in bases(merged) - bases(intervals):
        there = [b for c, b in bases(intervals) if c == contig]
        before, after = max(b for b in there if b < base), min(b for b in there if b > base)
        assert after - before - 1 <= gap_bp


@settings(deadline=None, max_examples=50)
@given(interval_lists(), interval_lists())
def test_parts_make_the_whole(left, right):
    both, alone = intersect(left, right), subtract(left, right)
    assert not overlaps(alone, right).any()
    assert not intersect(alone, both)
    assert {*merge(both + alone)} == {*merge(left)}
    assert {*intersect(left, right)} == {*intersect(right, left)}


def test_by_hand():
    chr1 = [Interval("chr1", 5, 9), Interval("chr1", 0, 5), Interval("chr1", 12, 20)]
    chr2 = Interval("chr2", 3, 4)
    assert merge([chr2, *chr1]) == [chr2, Interval("chr1", 0, 9), Interval("chr1", 12, 20)]
    assert merge(chr1, gap_bp=3) == [Interval("chr1", 0, 20)]
    assert intersect(chr1, [Interval("chr1", 8, 14)]) == [("chr1", 8, 9), ("chr1", 12, 14)]
    assert subtract(chr1, [Interval("chr1", 8, 14)]) == [("chr1", 0, 8), ("chr1", 14, 20)]
    assert overlaps(chr1, [Interval("chr1", 9, 12)]).tolist() == [False, False, False]
    assert overlaps([], chr1).tolist() == []
    assert merge([]) == intersect([], chr1) == subtract([], chr1) == intersect(chr1, []) == []
    assert str(chr2) == "chr2:3-4"


def test_results_are_plain_numbers_however_many():
    starts = np.arange(0, 1_000_000, 10).tolist()
    comb = [Interval("c", start, start + 5) for start in starts]
    rest = subtract([Interval("c", 0, 1_000_000)], comb)
    assert len(rest) == len(comb)
    assert rest[0] == ("c", 5, 10)
    assert all(isinstance(value, int) for value in rest[0][1:])


@pytest.mark.parametrize("function", [intersect, subtract, overlaps])
@pytest.mark.parametrize("bad", [Interval("chr1", 5, 4), Interval("chr1", -1, 4)])
def test_what_is_no_interval(function, bad):
    good = [Interval("chr1", 0, 10)]
    message = rf"interval {bad}: expected 0 <= start <= end"
    for arguments in ((good, [bad]), ([*good, bad], good)):
        with pytest.raises(IntervalError, match=message):
            function(*arguments)
    with pytest.raises(IntervalError, match=message):
        merge([bad])


def test_a_negative_gap():
    with pytest.raises(IntervalError, match="gap_bp -1: expected at least 0"):
        merge([], gap_bp=-1)


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet=DNA.symbols, min_size=1), st.data())
def test_reverse_strand_finds_the_same_bases(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    other_start, other_end = reverse_strand(start, end, len(text))
    other = reverse_complement(text)
    assert other[other_start:other_end] == reverse_complement(text[start:end])
    assert reverse_strand(other_start, other_end, len(text)) == (start, end)


def test_reverse_strand_of_arrays():
    starts, ends = reverse_strand(np.array([0, 4]), np.array([3, 10]), 10)
    assert starts.tolist() == [7, 0]
    assert ends.tolist() == [10, 6]


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (4, 3), (8, 11)])
def test_reverse_strand_outside_of_the_sequence(start, end):
    message = f"stretch {start} to {end}: expected 0 <= start <= end <= 10, the length"
    with pytest.raises(IntervalError, match=message):
        reverse_strand(start, end, 10)


@given(st.integers(1, 20), st.data())
def test_a_stretch_on_a_circle_holds_the_bases_that_are_counted_round(length, data):
    start = data.draw(st.integers(0, length - 1))
    end = data.draw(st.integers(start, 2 * length))
    found = [base for place in on_circle(start, end, length) for base in range(*place)]
    assert found == [base % length for base in range(start, end)]
    assert all(stop <= length for _, stop in on_circle(start, end, length))
