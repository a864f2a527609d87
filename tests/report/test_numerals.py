"""Numbers in words, against values written by hand."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.report.numerals import (
    MISSING,
    count,
    duration,
    fixed,
    is_number,
    one_in,
    percent,
    setting,
    short,
)


@pytest.mark.parametrize(
    ("value", "digits", "sign", "text"),
    [
        (5.4321, 2, False, "5.43"),
        (-0.05, 2, False, "\N{MINUS SIGN}0.05"),
        (0.12, 3, True, "+0.120"),
        (-0.0004, 3, True, "0.000"),
        (0.0, 3, True, "0.000"),
        (1234567.891, 1, False, "1,234,567.9"),
    ],
)
def test_fixed(value, digits, sign, text):
    assert fixed(value, digits, sign=sign) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 bp"),
        (512, "512 bp"),
        (999, "999 bp"),
        (999.7, "1.00 kbp"),
        (1000, "1.00 kbp"),
        (12_157_105, "12.2 Mbp"),
        (99_960, "100 kbp"),
        (3_099_750_718, "3.10 Gbp"),
        (0.25, "0.2 bp"),
    ],
)
def test_short(value, text):
    assert short(value, "bp") == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.9996, "100 %"),
        (0.4567, "45.7 %"),
        (0.0712, "7.1 %"),
        (0.00449, "0.45 %"),
        (0.00095, "0.095 %"),
        (-0.12, "\N{MINUS SIGN}12.0 %"),
    ],
)
def test_percent(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.97, "10 s"),
        (42.4, "42 s"),
        (59.7, "1 min"),
        (1930, "32 min 10 s"),
        (3599.8, "1 h"),
        (5400, "1 h 30 min"),
        (86399, "1 d"),
        (230_000, "2 d 16 h"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_settings_and_odds():
    assert [setting(x) for x in (0.15, 0.95, 0.999)] == ["15 %", "95 %", "99.9 %"]
    assert [one_in(x) for x in (0.25, 0.1, 1 / 213)] == ["1 in 4.0", "1 in 10", "1 in 213"]
    assert one_in(0.0) == MISSING


@pytest.mark.parametrize("write", [fixed, count, short, percent, one_in, duration])
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_a_dash(write, value):
    assert not is_number(value)
    assert write(value) == MISSING


def test_a_truth_value_is_no_number():
    assert not is_number(True)


@settings(deadline=None, max_examples=200)
@given(st.floats(0, 1e9))
def test_durations_never_show_sixty(seconds):
    text = duration(seconds)
    assert " 60 " not in f" {text} " and "24 h" not in text


@settings(deadline=None, max_examples=200)
@given(st.floats(1e-6, 1))
def test_percent_keeps_two_digits(share):
    shown = float(percent(share).removesuffix(" %")) / 100
    assert shown == pytest.approx(share, rel=0.05, abs=6e-6)
