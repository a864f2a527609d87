"""Validation: always the same rows and masks, scored with the model as it is.

Comes in: a plan of validation rows. Goes out: its batches, made once; and, for a model, the sum of
losses and the number of right predictions of each.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from helixlm.train.batches import Plan, StepBatch
from helixlm.train.loss import masked_loss
from helixlm.train.masking import MaskingConfig
from helixlm.train.stream import TrainingStream


def validation_batches(
    plan: Plan, masking: MaskingConfig | None, *, seed: int, num_rows: int
) -> list[StepBatch]:
    """Return the batches that a run is validated on.

    Parameters
    ----------
    plan : Plan
        Rows of the validation split; its `config.rows` are those of a forward pass.
    masking : MaskingConfig, optional
        As in training, but always at the first rate, for what is compared over steps has one.
    seed : int
        Seed of the order of rows and of masks.
    num_rows : int
        How many rows, at most; a multiple of those of a forward pass is taken, at least one.
    """
    if masking is not None:
        masking = masking.model_copy(update={"rate_changes": ()})
    rows = plan.config.rows
    stream = TrainingStream(plan, masking, seed=seed, micro_rows=rows, purpose="validation")
    return [stream[number] for number in range(max(1, min(num_rows, plan.num_rows) // rows))]


@torch.no_grad()
def sum_losses(
    model: nn.Module,
    checks: list[StepBatch],
    device: torch.device,
    precision: str,
    *,
    rank: int = 0,
    world_size: int = 1,
) -> torch.Tensor:
    """Return losses and right predictions of the batches of one device, summed over their tokens.

    Returns
    -------
    Tensor, float64, shape (N, 2)
        Zero for the batches of other devices.
    """
    sums_N2 = torch.zeros(len(checks), 2, dtype=torch.float64, device=device)
    for number in range(rank, len(checks), world_size):
        for micro in checks[number].micro:
            sums_N2[number] += torch.stack(masked_loss(model, micro.to(device), precision)).double()
    return sums_N2


def score(
    checks: list[StepBatch], losses_N: NDArray[np.float64], correct_N: NDArray[np.float64]
) -> dict[str, Any]:
    """Return what a validation record says of a model."""
    masked = sum(batch.num_masked for batch in checks)
    loss_sum = float(losses_N.sum())
    return {
        "loss": loss_sum / masked,
        "accuracy": float(correct_N.sum()) / masked,
        "bits_per_base": loss_sum / math.log(2) / max(1, sum(x.masked_bp for x in checks)),
        "masked_tokens": masked,
    }
