"""Lookup against nn.Embedding and against a plain loop."""

import pytest
import torch
from torch import nn

from helixlm.models.lookup import Lookup


@pytest.mark.parametrize("padding_idx", [None, 0, 2])
def test_agrees_with_embedding(padding_idx):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(7, 5, generator=generator)
    ids = torch.randint(0, 7, (4, 9), generator=generator)
    upstream = torch.randn(4, 9, 5, generator=generator)
    outputs, gradients = [], []
    for kind in (Lookup, nn.Embedding):
        table = kind(7, 5, padding_idx=padding_idx)
        table.weight = nn.Parameter(weight.clone())
        out = table(ids)
        out.backward(upstream)
        outputs.append(out)
        gradients.append(table.weight.grad)
    assert torch.equal(*outputs)
    assert torch.equal(*gradients)

    slow = torch.zeros(7, 5)
    for token, row in zip(ids.flatten().tolist(), upstream.flatten(0, 1), strict=True):
        if token != padding_idx:
            slow[token] += row
    torch.testing.assert_close(gradients[0], slow, rtol=0, atol=1e-5)


def test_rules_of_custom_operators():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 7, (3, 4), generator=generator)
    weight = torch.randn(7, 5, generator=generator, requires_grad=True)
    grad = torch.randn(3, 4, 5, generator=generator)
    torch.library.opcheck(torch.ops.helixlm.take_rows.default, (weight, ids, -1))
    torch.library.opcheck(torch.ops.helixlm.sum_by_row.default, (grad, ids, 7, -1))
