"""Dropout: its rate, its mean, its independence, and that a seed and a place fix it."""

import math

import pytest
import torch

from helixlm.models.dropout import draw_seed, dropout

SEED = torch.tensor(7)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_rate_and_scale(rate):
    ones = torch.ones(300, 401)
    out = dropout(ones, rate, SEED, 0)
    zeros = (out == 0).double().mean().item()
    assert abs(zeros - rate) < 5 * math.sqrt(rate * (1 - rate) / ones.numel()) + 2**-17
    kept = out[out != 0].unique()
    assert len(kept) == 1
    assert kept.item() == pytest.approx(1 / (1 - rate), rel=2e-4)


def test_nothing_is_dropped_without_a_seed_or_a_rate():
    values = torch.randn(3, 4)
    assert dropout(values, 0.5, None, 0) is values
    assert dropout(values, 0.0, SEED, 0) is values


def test_seed_and_place_fix_the_zeros():
    ones = torch.ones(40, 50)
    first = dropout(ones, 0.5, SEED, 0)
    assert torch.equal(first, dropout(ones, 0.5, torch.tensor(7), 0))
    for other in (dropout(ones, 0.5, torch.tensor(8), 0), dropout(ones, 0.5, SEED, 1)):
        # Independent halves agree on half of the places, give or take five standard deviations.
        agreed = ((first == 0) == (other == 0)).double().mean().item()
        assert abs(agreed - 0.5) < 5 * 0.5 / math.sqrt(2000)


def test_neighbouring_values_are_independent():
    zeros = (dropout(torch.ones(500, 500), 0.5, SEED, 3) == 0).double() - 0.5
    for shifted in (zeros.roll(1, 0), zeros.roll(1, 1), zeros.roll(4, 1)):
        assert abs((zeros * shifted).mean().item()) < 5 * 0.25 / 500


def test_the_gradient_passes_where_values_do():
    values = torch.randn(5, 6, requires_grad=True)
    out = dropout(values, 0.5, SEED, 0)
    out.sum().backward()
    assert torch.equal(values.grad == 0, out == 0)
    assert values.grad.max() == 2


def test_a_seed_is_drawn_from_the_global_generator():
    torch.manual_seed(1)
    one, other = draw_seed(torch.device("cpu")), draw_seed(torch.device("cpu"))
    torch.manual_seed(1)
    assert one == draw_seed(torch.device("cpu")) != other


def test_rules_of_custom_operators():
    torch.library.opcheck(torch.ops.helixlm.draw_mask.default, ([3, 5], 6554, SEED, 2))
