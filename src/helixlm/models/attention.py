"""Attention of all tokens to all tokens, on one of two paths with the same result.

Comes in: queries, keys and values of one layer, and who may see whom. Goes out: the mixed values.
`reference` is the formula, written out; `sdpa` is PyTorch's fused kernel, which keeps no matrix
of scores where the device allows it.

Shape letters: B rows, H heads, Q queries, K keys, L tokens in a row, D width of a head.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from helixlm.models.dropout import dropout

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


def bias_mask(bias_HQK: Tensor, mask: Tensor | None) -> Tensor:
    """Join a bias of the scores with who may see whom.

    Parameters
    ----------
    bias_HQK : Tensor, float, shape (H, Q, K)
        Added to the scores, as by ALiBi.
    mask : Tensor, bool, broadcastable to (B, H, Q, K), optional
        True where a query may look. None: everywhere.

    Returns
    -------
    Tensor, float, shape (1, H, Q, K) or (B, H, Q, K)
        The bias, and where no query may look so low that no weight is left. Not -inf: a query that
        sees nothing would give NaN.
    """
    if mask is None:
        return bias_HQK[None]
    return bias_HQK.where(mask, torch.finfo(bias_HQK.dtype).min / 2)


def attention(
    q_BHQD: Tensor,
    k_BHKD: Tensor,
    v_BHKD: Tensor,
    *,
    mask: Tensor | None = None,
    dropout_p: float = 0.0,
    dropout_seed: Tensor | None = None,
    dropout_place: int = 0,
    path: Path = "sdpa",
) -> Tensor:
    """Mix values by the likeness of queries and keys: ``softmax(q k' / sqrt(D)) v``.

    Parameters
    ----------
    q_BHQD : Tensor, float, shape (B, H, Q, D)
        Queries.
    k_BHKD, v_BHKD : Tensor, float, shape (B, H, K, D)
        Keys and values.
    mask : Tensor, bool or float, broadcastable to (B, H, Q, K), optional
        Bool: True where a query may look at a key (`padding_mask`, `document_mask`). Float: added
        to the scores (`bias_mask`). None: every query looks everywhere.
    dropout_p : float
        Share of the probabilities that is dropped in training.
    dropout_seed, dropout_place
        Fix which ones, as in `dropout.dropout`. Without a seed none are dropped.
    path : {"sdpa", "reference"}
        How it is computed. Where probabilities are dropped on a CPU both are the formula: the
        fused kernel cannot drop there, PyTorch itself falls back to the formula.

    Returns
    -------
    Tensor, float, shape (B, H, Q, D)
        Mixed values; zero for a query that may look nowhere by a mask of bools.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, section 3.2.1.
    """
    dropped = dropout_p if dropout_seed is not None else 0.0
    if path == "sdpa" and not (dropped and q_BHQD.device.type == "cpu"):
        return F.scaled_dot_product_attention(
            q_BHQD, k_BHKD, v_BHKD, attn_mask=mask, dropout_p=dropped
        )
    score_BHQK = (q_BHQD * q_BHQD.shape[-1] ** -0.5) @ k_BHKD.transpose(-2, -1)
    sees = mask if mask is not None and mask.dtype == torch.bool else None
    if sees is not None:
        # Not -inf: a query that sees nothing would give NaN, in its gradient too.
        score_BHQK = score_BHQK.masked_fill(~sees, torch.finfo(score_BHQK.dtype).min)
    elif mask is not None:
        score_BHQK = score_BHQK + mask
    weight_BHQK = dropout(score_BHQK.softmax(-1), dropout_p, dropout_seed, dropout_place)
    mixed_BHQD = weight_BHQK @ v_BHKD
    if sees is not None:
        mixed_BHQD = mixed_BHQD.masked_fill(~sees.any(-1, keepdim=True), 0.0)
    return mixed_BHQD
