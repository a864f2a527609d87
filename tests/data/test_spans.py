"""Unions and counts of intervals, against sets of places."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from helixlm.data.spans import bases_before, union

spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda pair: (pair[0], sum(pair))),
    max_size=12,
)


def columns(found):
    pairs = np.array(found, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def places(found):
    return {place for start, end in found for place in range(start, end)}


@given(spans)
def test_a_union_holds_the_same_places_in_as_few_intervals_as_can_be(found):
    starts, ends = union(*columns(found))
    joined = list(zip(starts.tolist(), ends.tolist(), strict=True))
    assert places(joined) == places(found)
    assert all(start < end for start, end in joined)
    assert (starts[1:] > ends[:-1]).all()


@given(spans, st.lists(st.integers(-5, 90), max_size=9))
def test_bases_before_positions_are_counted(found, positions):
    counts = bases_before(*union(*columns(found)), np.array(positions, np.int64))
    inside = places(found)
    assert counts.tolist() == [sum(place < p for place in inside) for p in positions]
