"""Values of tokens to values of bases, against a slow loop, for every kind of tokenizer."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.errors import InputError
from helixlm.tokenizers.base import Encoding
from helixlm.tokenizers.spread import spread


def slow_spread(values, encoding, length, how):
    """Base by base: the values of all tokens that cover it."""
    found = []
    for base in range(length):
        here = [
            value
            for value, start, end in zip(values, encoding.starts, encoding.ends, strict=True)
            if start <= base < end
        ]
        total = math.fsum(here)
        found.append(total if how == "sum" else total / len(here) if here else math.nan)
    return found


SPANS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.floats(-9, 9, width=32)), max_size=8
)


@pytest.mark.parametrize("how", ["mean", "sum"])
@settings(deadline=None, max_examples=200)
@given(spans=SPANS)
def test_agrees_with_a_slow_loop(how, spans):
    starts = np.array([min(a, b) for a, b, _ in spans], dtype=np.int64)
    ends = np.array([max(a, b) for a, b, _ in spans], dtype=np.int64)
    encoding = Encoding(np.zeros(len(spans), dtype=np.int32), starts, ends)
    values = np.array([value for _, _, value in spans])
    found = spread(values, encoding, 14, how=how)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, slow_spread(values, encoding, 14, how), atol=1e-12)
    both = spread(np.stack([values, -2 * values], axis=1), encoding, 14, how=how)
    assert both.shape == (14, 2)
    np.testing.assert_array_equal(both[:, 0], found)
    np.testing.assert_allclose(both[:, 1], -2 * found, atol=1e-12)


def test_known_values():
    encoding = Encoding(np.array([5, 6, 7]), np.array([0, 1, 2]), np.array([3, 4, 5]))
    assert spread([3.0, 6.0, 9.0], encoding, 6).tolist()[:5] == [3.0, 4.5, 6.0, 7.5, 9.0]
    assert math.isnan(spread([3.0, 6.0, 9.0], encoding, 6)[5])
    summed = spread([3, 6, 9], encoding, 6, how="sum")
    assert summed.tolist() == [3.0, 9.0, 18.0, 15.0, 9.0, 0.0]


def test_a_value_that_is_not_finite_stays_where_it_is():
    encoding = Encoding(np.array([5, 6]), np.array([0, 2]), np.array([2, 4]))
    assert spread([math.inf, 1.0], encoding, 4).tolist() == [math.inf, math.inf, 1.0, 1.0]


def test_nothing_at_all():
    none = np.zeros(0, dtype=np.int64)
    encoding = Encoding(none.astype(np.int32), none, none)
    assert spread([], encoding, 0).shape == (0,)
    assert np.isnan(spread([], encoding, 2)).all()
    assert spread(np.zeros((0, 3)), encoding, 2, how="sum").tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize(
    ("values", "length", "how", "message"),
    [
        ([1, 2, 3], 4, "mean", r"shape \(3,\), expected \(2,\) or \(2, d\), .* special tokens"),
        ([[[1.0]], [[2.0]]], 4, "sum", r"shape \(2, 1, 1\), expected \(2,\)"),
        (1.0, 4, "sum", r"shape \(\), expected \(2,\)"),
        ([1, 2], 3, "mean", "cover bases 0 to 4, expected at most 0 to 3: the length is not"),
        ([1, 2], 4, "max", "how is 'max', expected 'mean' or 'sum'"),
    ],
)
def test_what_does_not_fit_is_refused(values, length, how, message):
    encoding = Encoding(np.array([5, 6]), np.array([0, 2]), np.array([2, 4]))
    with pytest.raises(InputError, match=message):
        spread(values, encoding, length, how=how)
