"""Attention of all tokens to all tokens, on one of two paths with the same result.

Comes in: queries, keys and values of one layer, and who may see whom. Goes out: the mixed values.
`reference` is the formula, written out; `sdpa` is PyTorch's fused kernel, which keeps no matrix
of scores where the device allows it. Both drop attention probabilities at the same rate, but
not the same ones.

Shape letters: B rows, H heads, Q queries, K keys, L tokens in a row, D width of a head.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Path = Literal["reference", "sdpa"]


def padding_mask(attention_mask_BL: Tensor) -> Tensor:
    """Let every query see the tokens that are no padding.

    Parameters
    ----------
    attention_mask_BL : Tensor, bool or int, shape (B, L)
        Not zero at tokens, zero at padding: the mask that tokenizers give.

    Returns
    -------
    Tensor, bool, shape (B, 1, 1, L)
        True where a query may look; the same for all queries and heads.
    """
    return attention_mask_BL.bool()[:, None, None, :]


def document_mask(document_ids_BL: Tensor) -> Tensor:
    """Let every query see the tokens of its own document.

    Parameters
    ----------
    document_ids_BL : Tensor, int, shape (B, L)
        Number of the document in its row that a token belongs to; 0 is padding, which sees
        padding only.

    Returns
    -------
    Tensor, bool, shape (B, 1, L, L)
        True where a query (third axis) may look at a key (fourth axis).
    """
    return (document_ids_BL[:, :, None] == document_ids_BL[:, None, :])[:, None]


def attention(
    q_BHQD: Tensor,
    k_BHKD: Tensor,
    v_BHKD: Tensor,
    *,
    mask: Tensor | None = None,
    dropout_p: float = 0.0,
    path: Path = "sdpa",
) -> Tensor:
    """Mix values by the likeness of queries and keys: ``softmax(q k' / sqrt(D)) v``.

    Parameters
    ----------
    q_BHQD : Tensor, float, shape (B, H, Q, D)
        Queries.
    k_BHKD, v_BHKD : Tensor, float, shape (B, H, K, D)
        Keys and values.
    mask : Tensor, bool, broadcastable to (B, H, Q, K), optional
        True where a query may look at a key (`padding_mask`, `document_mask`). None: everywhere.
    dropout_p : float
        Share of the probabilities that is dropped; 0 outside training.
    path : {"sdpa", "reference"}
        How it is computed.

    Returns
    -------
    Tensor, float, shape (B, H, Q, D)
        Mixed values; zero for a query that may look nowhere.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, section 3.2.1.
    """
    if path == "sdpa":
        return F.scaled_dot_product_attention(
            q_BHQD, k_BHKD, v_BHKD, attn_mask=mask, dropout_p=dropout_p
        )
    score_BHQK = q_BHQD @ k_BHKD.transpose(-2, -1) * q_BHQD.shape[-1] ** -0.5
    if mask is not None:
        # Not -inf: a query that sees nothing would give NaN, in its gradient too.
        score_BHQK = score_BHQK.masked_fill(~mask, torch.finfo(score_BHQK.dtype).min)
    weight_BHQK = score_BHQK.softmax(-1)
    if mask is not None:
        weight_BHQK = weight_BHQK.masked_fill(~mask, 0.0)
    return F.dropout(weight_BHQK, dropout_p) @ v_BHKD
