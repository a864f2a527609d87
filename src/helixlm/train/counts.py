"""What steps hold: tokens, masked tokens, padding, operations; and sums of these over steps."""

from typing import NamedTuple

from helixlm.models.cost import ModelShape, training_flops
from helixlm.train.batches import StepBatch


class StepCounts(NamedTuple):
    """What a step holds; floats, so that they can be summed over devices in one tensor."""

    masked: float
    """Tokens that are asked for."""
    weight: float
    """Sum of their weights."""
    masked_bp: float
    """Bases under them, times these."""
    tokens: float
    places: float
    """Tokens and padding."""
    flops: float
    """Floating-point operations of the forward and backward passes."""


def count_step(batch: StepBatch, config: ModelShape) -> StepCounts:
    """Count what the step of one device holds, for a model of these sizes."""
    places, flops = 0, 0.0
    for micro in batch.micro:
        rows, row_tokens = micro.input_ids_BL.shape
        places += rows * row_tokens
        asked = int((micro.labels_M >= 0).sum())
        flops += training_flops(config, num_rows=rows, row_tokens=row_tokens, num_masked=asked)
    return StepCounts(
        masked=float(batch.num_masked),
        weight=batch.weight,
        masked_bp=batch.masked_bp,
        tokens=float(batch.num_tokens),
        places=float(places),
        flops=flops,
    )


class StepSums(NamedTuple):
    """Sums over the steps since the last line of metrics.jsonl."""

    loss: float = 0.0
    weight: float = 0.0
    masked: float = 0.0
    masked_bp: float = 0.0
    tokens: float = 0.0
    places: float = 0.0

    def add(self, loss: float, counts: StepCounts) -> "StepSums":
        """Return the sums with one more step, whose losses sum up to `loss`."""
        return StepSums(
            self.loss + loss,
            self.weight + counts.weight,
            self.masked + counts.masked,
            self.masked_bp + counts.masked_bp,
            self.tokens + counts.tokens,
            self.places + counts.places,
        )
