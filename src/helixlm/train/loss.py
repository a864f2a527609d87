"""The training loss: a sum over masked tokens, divided once by their count in the whole step.

Where tokens have weights, it is the weighted sum over the sum of the weights. A mean per device or
per micro-batch would weigh tokens by chance (a micro-batch with few masked tokens would count as
much as one with many), so the sum and the count are kept apart.

Shape letters: M masked positions (with unused slots), V vocabulary size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helixlm.train.batches import MicroBatch
from helixlm.train.slots import IGNORED


def summed_loss(logits_MV: Tensor, labels_M: Tensor, weight_M: Tensor | None = None) -> Tensor:
    """Return the summed cross-entropy of the masked tokens.

    Parameters
    ----------
    logits_MV : Tensor, float, shape (M, V)
        Raw outputs of the masked-language head.
    labels_M : Tensor, int64, shape (M,)
        True tokens; slots with `IGNORED` add nothing.
    weight_M : Tensor, float32, shape (M,), optional
        What each slot counts; None: 1.

    Returns
    -------
    Tensor, float32, scalar
        Sum of -ln p(true token), each times its weight, in nats.
    """
    if weight_M is not None:
        losses_M = F.cross_entropy(
            logits_MV.float(), labels_M, ignore_index=IGNORED, reduction="none"
        )
        return (losses_M * weight_M).sum()
    return F.cross_entropy(logits_MV.float(), labels_M, ignore_index=IGNORED, reduction="sum")


def count_correct(logits_MV: Tensor, labels_M: Tensor) -> Tensor:
    """Return how many masked tokens have the highest logit, int64, scalar."""
    return ((logits_MV.argmax(-1) == labels_M) & (labels_M != IGNORED)).sum(dtype=torch.int64)


def masked_loss(
    model: nn.Module, micro: MicroBatch, precision: str, dropout_seed: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the summed loss and the number of right predictions of one micro-batch."""
    device_type = micro.input_ids_BL.device.type
    with torch.autocast(device_type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        logits_MV = model(
            micro.input_ids_BL,
            document_ids_BL=micro.document_ids_BL,
            masked_index_M=micro.masked_index_M,
            dropout_seed=dropout_seed,
        )
    with torch.autocast(device_type, enabled=False):
        loss = summed_loss(logits_MV, micro.labels_M, micro.weight_M)
        return loss, count_correct(logits_MV.detach(), micro.labels_M)
