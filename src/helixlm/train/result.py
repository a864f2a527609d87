"""What a call of the training loop came to."""

from pathlib import Path
from typing import NamedTuple

from helixlm.train.baselines import Baselines


class TrainingResult(NamedTuple):
    """How a call of `fit` ended."""

    step: int
    """Optimiser steps taken in all."""
    finished: bool
    stopped_by: str | None
    """Name of the signal that asked for a stop, or None."""
    best_step: int
    """Step of the checkpoint with the lowest validation loss."""
    best_loss: float
    loss_before: float
    """Validation loss before the first step."""
    checkpoint: Path
    """The best checkpoint if finished, else the newest."""
    tokens: int
    """Tokens trained on, padding not counted, in all."""
    epochs: float
    """How often the training rows were gone through."""
    seconds: float
    """Time in the loop, over all calls that resumed each other."""
    peak_flops: float
    baselines: Baselines
