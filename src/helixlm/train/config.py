"""Settings of the training loop."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from helixlm.train.optim import Schedule


class TrainConfig(BaseModel):
    """How long and how a model is pretrained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(200_000, ge=1)
    """Optimiser steps."""
    micro_rows: int = Field(128, ge=1)
    """Rows of one forward pass on one device; gradients are summed over the passes of a step.
    Memory depends on it. The mathematics does not, up to rounding, but for the draws of dropout and
    for which rows are scored in validation, whose number is a multiple of it."""
    lr: float = Field(1e-4, gt=0)
    """Highest learning rate."""
    schedule: Schedule = "linear"
    """Decay after the warm-up: a line or half a cosine down to the last step; or the square root of
    warmup_steps / step, as Nucleotide Transformer has it; or none."""
    warmup_steps: int = Field(20_000, ge=0)
    """Steps over which the learning rate rises in a line."""
    initial_fraction: float = Field(0.0, ge=0, le=1)
    """Share of the highest learning rate that the warm-up begins with."""
    final_fraction: float = Field(0.0, ge=0, le=1)
    """linear, cosine: share of the highest learning rate that is left at the last step."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of AdamW's two moments."""
    eps: float = Field(1e-8, gt=0)
    """AdamW's epsilon."""
    weight_decay: float = Field(1e-5, ge=0)
    """Decoupled weight decay; none on biases and normalisation."""
    clip_norm: float = Field(1.0, gt=0)
    """Largest norm of the gradient of all parameters together; above it, it is scaled down."""
    precision: Literal["float32", "bf16"] = "float32"
    """Matrix products in float32 or bfloat16; weights and optimiser stay float32."""
    compile: bool = True
    """Let torch.compile fuse the step; it needs a C++ compiler on a CPU."""
    log_every: int = Field(50, ge=1)
    """Steps between lines of metrics.jsonl."""
    validate_every: int = Field(1000, ge=1)
    """Steps between validations."""
    validation_rows: int = Field(1024, ge=1)
    """Rows of the validation split to score, at most; always the same rows and masks."""
    checkpoint_every: int = Field(1000, ge=1)
    """Steps between checkpoints."""
    keep_checkpoints: int = Field(2, ge=1)
    """Newest checkpoints to keep; the best by validation loss is kept besides."""
    num_workers: int = Field(0, ge=0)
    """Processes that prepare batches; 0 prepares them in the training process. The batches are the
    same for any number."""
    track: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Where to report metrics besides metrics.jsonl."""

    @model_validator(mode="after")
    def _steps_fit(self) -> "TrainConfig":
        if self.warmup_steps >= self.steps:
            raise ValueError(
                f"warmup_steps {self.warmup_steps} is not below steps {self.steps}: the learning "
                "rate would never reach lr: lower it too, such as with --set "
                f"train.warmup_steps={self.steps // 10}"
            )
        if self.schedule == "square-root" and not self.warmup_steps:
            raise ValueError(
                "schedule 'square-root' falls from the end of the warm-up on, whose length is its "
                "scale: set warmup_steps to at least 1"
            )
        if self.schedule in ("square-root", "constant") and self.final_fraction:
            raise ValueError(
                f"final_fraction {self.final_fraction} is where 'linear' and 'cosine' end, and "
                f"schedule {self.schedule!r} has no end: leave final_fraction out"
            )
        return self
