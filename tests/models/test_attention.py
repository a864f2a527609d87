"""Attention: the reference against its definition, the fast path against the reference."""

import math

import pytest
import torch

from helixlm.models.attention import attention, document_mask, padding_mask

DOCUMENTS = torch.tensor([[1, 1, 1, 2, 2, 2, 2, 3, 0, 0], [1] * 10])
PADDING = torch.tensor([[1, 1, 1, 1, 1, 1, 0, 0, 0, 0], [1] * 10])
MASKS = {
    "none": None,
    "padding": padding_mask(PADDING),
    "documents": document_mask(DOCUMENTS),
}


@pytest.fixture
def qkv():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(3, 2, 3, 10, 4, generator=generator)


def slow_attention(q_LD, k_LD, v_LD, allowed_LL):
    """The definition for one head in Python floats."""
    out = []
    for i, q in enumerate(q_LD.tolist()):
        seen = [j for j in range(len(k_LD)) if allowed_LL[i][j]]
        weights = [
            math.exp(sum(a * b for a, b in zip(q, k_LD[j].tolist(), strict=True)) / math.sqrt(4))
            for j in seen
        ]
        row = [0.0] * 4
        for weight, j in zip(weights, seen, strict=True):
            for d in range(4):
                row[d] += weight / sum(weights) * v_LD[j, d].item()
        out.append(row)
    return torch.tensor(out)


@pytest.mark.parametrize("path", ["reference", "sdpa"])
@pytest.mark.parametrize("mask", MASKS)
def test_agrees_with_the_definition(qkv, mask, path):
    out = attention(*qkv, mask=MASKS[mask], path=path)
    for b in range(2):
        if mask == "none":
            allowed = [[True] * 10] * 10
        elif mask == "padding":
            allowed = [PADDING[b].bool().tolist()] * 10
        else:
            ids = DOCUMENTS[b].tolist()
            allowed = [[one == other for other in ids] for one in ids]
        for h in range(3):
            expected = slow_attention(*qkv[:, b, h], allowed)
            torch.testing.assert_close(out[b, h], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mask", MASKS)
def test_both_paths_have_the_same_gradients(qkv, mask):
    weight = torch.randn(2, 3, 10, 4, generator=torch.Generator().manual_seed(4))
    gradients = []
    for path in ("reference", "sdpa"):
        leaf = qkv.clone().requires_grad_()
        (attention(*leaf, mask=MASKS[mask], path=path) * weight).sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-6)


@pytest.mark.parametrize("path", ["reference", "sdpa"])
def test_a_query_that_sees_nothing_gives_zero(qkv, path):
    leaf = qkv.clone().requires_grad_()
    mask = padding_mask(torch.tensor([[0] * 10, [1] * 10]))
    out = attention(*leaf, mask=mask, path=path)
    out.sum().backward()
    assert (out[0] == 0).all()
    assert leaf.grad.isfinite().all()
    assert (leaf.grad[:, 0] == 0).all()


@pytest.mark.parametrize("path", ["reference", "sdpa"])
def test_dropout_keeps_the_mean(qkv, path):
    # The output is linear in the probabilities, so dropping and rescaling them keeps its mean.
    draws = 2000
    many = [x[:1].expand(draws, -1, -1, -1) for x in qkv]
    seed = torch.tensor(0)
    dropped = attention(*many, dropout_p=0.3, dropout_seed=seed, path=path)
    error = (dropped.mean(0) - attention(*qkv[:, :1], path=path)[0]).abs()
    assert dropped.std(0).min() > 0.05
    assert torch.equal(attention(*qkv, dropout_p=0.3, path=path), attention(*qkv, path=path))
    assert (error < 5 * dropped.std(0) / math.sqrt(draws)).all()


def test_bfloat16_differs_by_its_rounding(qkv):
    exact = attention(*qkv, mask=MASKS["documents"], path="reference")
    for path in ("reference", "sdpa"):
        rounded = attention(*qkv.bfloat16(), mask=MASKS["documents"], path=path)
        assert rounded.dtype == torch.bfloat16
        torch.testing.assert_close(rounded.float(), exact, rtol=0, atol=0.03)


def test_masks_name_who_sees_whom():
    ids = torch.tensor([[1, 2, 2, 0]])
    expected = [[1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    assert document_mask(ids)[0, 0].int().tolist() == expected
    assert padding_mask(torch.tensor([[1, 1, 0]])).tolist() == [[[[True, True, False]]]]


def test_more_keys_than_queries(qkv):
    q, k, v = qkv
    whole = attention(q, k, v)
    torch.testing.assert_close(attention(q[:, :, 2:5], k, v), whole[:, :, 2:5])
