"""Runs of letters against itertools.groupby."""

from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.window_laws import codes

from helixlm.data import runs
from helixlm.data.runs import class_table, find_runs


@settings(deadline=None, max_examples=200)
@given(st.text("ACacNn-"), st.integers(1, 12))
def test_runs_are_those_of_groupby(text, block):
    kind_of = dict.fromkeys("AC", 1) | dict.fromkeys("Nn", 2)
    expected, start = [], 0
    for kind, letters in groupby(text, lambda letter: kind_of.get(letter, 7)):
        size = len(list(letters))
        expected.append((start, start + size, kind))
        start += size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "BLOCK_BP", block)
        found = find_runs(codes(text), class_table("AC", "Nn", other=7))
    assert list(zip(*(column.tolist() for column in found), strict=True)) == expected
