"""The optimiser and the learning rate: AdamW with the parameter groups that BERT uses.

Comes in: a model and numbers. Goes out: an optimiser, or the learning rate of a step. The
learning rate is a pure function of the step, so nothing about it has to be saved or resumed.
"""

import math
from typing import Any, Literal

import torch
from torch import nn

Schedule = Literal["linear", "cosine", "square-root", "constant"]


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split parameters into those that decay and those that do not.

    Biases and the weights of normalisation layers are not decayed, as in BERT's published code
    and transformers' Trainer, nor is a module that says so of itself (`undecayed`). A tied weight
    stands in one group once.

    Parameters
    ----------
    model : nn.Module
        The model; only parameters that require a gradient are taken.
    weight_decay : float
        Decoupled weight decay of the first group, per step and unit of learning rate.

    Returns
    -------
    list of dict
        Two groups for `torch.optim.AdamW`, with the keys ``params`` and ``weight_decay``.

    References
    ----------
    Devlin et al. (2019), google-research/bert `optimization.py`: `exclude_from_weight_decay`.
    """
    undecayed = {
        id(parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if name == "bias" or name.endswith("_bias") or isinstance(module, nn.LayerNorm)
    }
    for module in model.modules():
        if getattr(module, "undecayed", False):
            undecayed |= {id(parameter) for parameter in module.parameters()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {
            "params": [p for p in trained if id(p) not in undecayed],
            "weight_decay": weight_decay,
        },
        {"params": [p for p in trained if id(p) in undecayed], "weight_decay": 0.0},
    ]


def build_optimizer(
    model: nn.Module,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> torch.optim.AdamW:
    """Return AdamW over `parameter_groups`, fused into one kernel (CPU and CUDA alike)."""
    return torch.optim.AdamW(
        parameter_groups(model, weight_decay), lr=lr, betas=betas, eps=eps, fused=True
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group of the optimiser the learning rate `lr`."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def learning_rate(
    step: int,
    *,
    peak: float,
    warmup_steps: int,
    total_steps: int,
    schedule: Schedule = "linear",
    initial_fraction: float = 0.0,
    final_fraction: float = 0.0,
) -> float:
    """Return the learning rate of one optimiser step.

    Parameters
    ----------
    step : int
        The step to be taken, 0-based.
    peak : float
        The highest learning rate, reached at step `warmup_steps`.
    warmup_steps : int
        Steps over which the rate rises linearly; step 0 has the first rate of the rise, which is
        zero by default, as in transformers' schedules. At least 1 for "square-root".
    total_steps : int
        Step at which the decay ends; "square-root" and "constant" know no end.
    schedule : {"linear", "cosine", "square-root", "constant"}
        Form of the decay after the warm-up. square-root: ``peak * sqrt(warmup_steps / step)``.
    initial_fraction : float
        Share of `peak` at step 0 of a warm-up.
    final_fraction : float
        Share of `peak` that is left at `total_steps`, for "linear" and "cosine".

    Returns
    -------
    float
        The learning rate.

    References
    ----------
    transformers `get_linear_schedule_with_warmup`, `get_cosine_schedule_with_warmup`,
    `get_inverse_sqrt_schedule`. Dalla-Torre et al. (2024), Nucleotide Transformer: from 5e-5 to
    1e-4 in 16,000 steps, then square-root decay (initial_fraction 0.5). HyenaDNA's cosine ends at a
    tenth (final_fraction 0.1), MosaicBERT's line at a fiftieth.
    """
    if step < warmup_steps:
        return peak * (initial_fraction + (1.0 - initial_fraction) * step / warmup_steps)
    if schedule == "square-root":
        return peak * math.sqrt(warmup_steps / step)
    done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    if schedule == "linear":
        left = 1.0 - done
    elif schedule == "cosine":
        left = 0.5 * (1.0 + math.cos(math.pi * done))
    else:
        left = 1.0
    return peak * (final_fraction + (1.0 - final_fraction) * left)
