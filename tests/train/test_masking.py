"""Masking: rates by count, what is never touched, and the loss against a plain definition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from helixlm.rng import CounterRng
from helixlm.train.batches import Vocabulary
from helixlm.train.loss import count_correct, summed_loss
from helixlm.train.masking import Masker, MaskingConfig
from helixlm.train.slots import IGNORED, capacity, fill_slots

MASK = 4
REGULAR = np.arange(5, 25)
VOCABULARY = Vocabulary(25, 0, 2, 1, MASK, (0, 1, 2, 3, 4), np.ones(25, np.int32))


def draw(ids, key=0, rate=0.15, **config):
    masker = Masker(MaskingConfig(rate=rate, **config), VOCABULARY)
    return masker.mask(ids, CounterRng("test", key), rate=rate)


def test_rates_are_15_and_80_10_10():
    ids = CounterRng("ids").integers(5, 25, 400_000)
    row = draw(ids)
    share = len(row.hidden_K) / len(ids)
    assert share == pytest.approx(0.15, abs=5 * math.sqrt(0.15 * 0.85 / len(ids)))
    shown, true = row.shown_L[row.hidden_K], ids[row.hidden_K]
    masked = (shown == MASK).mean()
    # A random token is the true one in 1 of 20 cases.
    kept = (shown == true).mean()
    assert masked == pytest.approx(0.8, abs=0.01)
    assert kept == pytest.approx(0.1 + 0.1 / 20, abs=0.01)
    outside = np.ones(len(ids), dtype=bool)
    outside[row.hidden_K] = False
    assert (row.shown_L[outside] == ids[outside]).all()


def test_random_tokens_are_uniform_over_regular_tokens():
    ids = np.full(300_000, 7)
    row = draw(ids, mask_share=0.0, random_share=1.0)
    counts = np.bincount(row.shown_L[row.hidden_K], minlength=25)
    assert (counts[:5] == 0).all()
    expected = len(row.hidden_K) / len(REGULAR)
    chi_square = ((counts[5:] - expected) ** 2 / expected).sum()
    assert chi_square < 43.8  # 0.1 % point of chi-square with 19 degrees of freedom


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 200))
def test_special_tokens_and_padding_are_never_picked(key, length):
    ids = CounterRng("ids", key).integers(0, 25, length)
    maskable = ids >= 5
    row = draw(ids, key, rate=0.9)
    assert maskable[row.hidden_K].all()
    assert (row.shown_L[~maskable] == ids[~maskable]).all()


def test_the_draw_is_a_function_of_the_key():
    ids = np.arange(5, 25).repeat(20)
    assert (draw(ids, 1).shown_L == draw(ids, 1).shown_L).all()
    assert (draw(ids, 1).shown_L != draw(ids, 2).shown_L).any()


def test_slots_hold_what_was_hidden_and_are_of_fixed_number():
    ids = np.arange(24).reshape(2, 12)
    slots = fill_slots(ids, [np.array([1, 11]), np.array([0])], 16)
    assert len(slots.labels_M) == len(slots.index_M) == 16
    assert slots.index_M[:3].tolist() == [1, 11, 12]
    assert slots.labels_M[:3].tolist() == [1, 11, 12]
    assert (slots.labels_M[3:] == IGNORED).all()
    assert (slots.index_M[3:] == 0).all()


def test_a_surplus_is_dropped():
    ids = np.arange(64).reshape(1, 64)
    slots = fill_slots(ids, [np.arange(64)], 8)
    assert (slots.labels_M == np.arange(8)).all()


@pytest.mark.parametrize("tokens", [64, 512, 4096])
def test_capacity_is_hardly_ever_passed(tokens):
    # The binomial tail, summed exactly.
    p, top = 0.15, capacity(tokens, 0.15, 0.15 * 0.85)
    tail = sum(
        math.exp(
            math.lgamma(tokens + 1)
            - math.lgamma(k + 1)
            - math.lgamma(tokens - k + 1)
            + k * math.log(p)
            + (tokens - k) * math.log(1 - p)
        )
        for k in range(top + 1, tokens + 1)
    )
    assert tail < 1e-7
    assert capacity(8, 0.9, 0.09) == 8


def test_shares_over_one_are_refused():
    with pytest.raises(ValidationError, match=r"mask_share 0.8 \+ random_share 0.3 is over 1"):
        MaskingConfig(random_share=0.3)


def test_loss_is_the_sum_over_labelled_slots():
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([3, IGNORED, 0, 6, IGNORED])
    expected = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        if label >= 0:
            expected -= math.log(math.exp(row[label]) / sum(map(math.exp, row)))
    assert summed_loss(logits, labels).item() == pytest.approx(expected, rel=1e-6)
    best = logits.argmax(1)
    assert (
        count_correct(logits, torch.tensor([int(best[0]), IGNORED, int(best[2]), -100, -100])) == 2
    )
